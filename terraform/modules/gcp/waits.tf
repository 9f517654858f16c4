# What Google is told it does not know everywhere at once: agents of its services appear some time after their API is enabled, and
# grants take a minute or more. Whatever would be refused meanwhile waits here, once.

resource "terraform_data" "enabled" {
  count = var.enable_apis ? 1 : 0

  triggers_replace = [for api in google_project_service.api : api.id]

  provisioner "local-exec" {
    command = "sleep ${var.patience}"
  }
}

# A bucket, a topic or a service under a key is refused until its agent may use that.
resource "terraform_data" "keyed" {
  count = var.kms == null ? 0 : 1

  triggers_replace = [for grant in google_kms_crypto_key_iam_member.agent : grant.id]

  provisioner "local-exec" {
    command = "sleep ${var.patience}"
  }

  depends_on = [terraform_data.enabled]
}

# A notification is refused until Cloud Storage may publish, a trigger of Eventarc until its agent and account have their roles.
resource "terraform_data" "granted" {
  triggers_replace = concat(
    [google_pubsub_topic_iam_member.storage.id],
    [for grant in google_pubsub_topic_iam_member.storage_other : grant.id],
    [for grant in google_pubsub_topic_iam_member.reports : grant.id],
    [for grant in google_project_iam_member.eventarc_agent : grant.id],
    [for grant in google_project_iam_member.eventarc_receiver : grant.id],
    [for grant in google_project_iam_member.eventarc_storage : grant.id],
    [for grant in google_service_account_iam_member.eventarc_token : grant.id],
  )

  provisioner "local-exec" {
    command = "sleep ${var.patience}"
  }
}

# An alert is refused while the metric it looks at is unknown.
resource "terraform_data" "counted" {
  count = var.alerts.enabled ? 1 : 0

  triggers_replace = [for metric in google_logging_metric.line : metric.id]

  provisioner "local-exec" {
    command = "sleep ${var.patience}"
  }
}
