locals {
  # One notification for every bucket and prefix.
  notifications = merge([
    for key, data in var.data : {
      for prefix in data.prefixes : "${key}/${prefix}" => { key = key, bucket = data.bucket, prefix = prefix }
    } if data.events == "notification"
  ]...)
  eventarc = { for key, data in var.data : key => data if data.events == "eventarc" }
}

resource "google_storage_bucket" "data" {
  #checkov:skip=CKV_GCP_62: who reads data is told by audit logs, where a project has them
  #checkov:skip=CKV_GCP_78: every version would be an event; whoever wants them sets them
  for_each = { for key, data in var.data : key => data if data.create }

  project                     = coalesce(each.value.project, var.project)
  name                        = each.value.bucket
  location                    = each.value.location
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  depends_on = [terraform_data.enabled]
}

resource "google_storage_notification" "object" {
  for_each = local.notifications

  bucket             = each.value.bucket
  topic              = google_pubsub_topic.events["object"].id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = each.value.prefix == "" ? null : each.value.prefix

  # Cloud Storage refuses a topic it may not publish to, and what it announces before somebody listens is lost.
  depends_on = [
    google_pubsub_subscription.events,
    google_storage_bucket.data,
    terraform_data.granted,
  ]
}

resource "google_service_account" "eventarc" {
  for_each = local.has_eventarc ? { this = {} } : {}

  project      = var.project
  account_id   = "${var.name}-eventarc"
  display_name = "${var.name}-eventarc"
  description  = "Eventarc delivers new objects as this account"

  depends_on = [terraform_data.enabled]
}

# Pub/Sub delivers for Eventarc, and proves that it is this account: as for the pushes in messages.tf.
resource "google_service_account_iam_member" "eventarc_token" {
  for_each = google_service_account.eventarc

  service_account_id = each.value.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.agents.pubsub
}

# Google grants it as well, some time after the API was enabled; a trigger is refused until then.
resource "google_project_iam_member" "eventarc_agent" {
  #checkov:skip=CKV_GCP_49: it is the role Google gives its own agent, in every project where Eventarc is on
  for_each = google_service_account.eventarc

  project = var.project
  role    = "roles/eventarc.serviceAgent"
  member  = local.eventarc_agent

  depends_on = [terraform_data.enabled]
}

resource "google_project_iam_member" "eventarc_receiver" {
  for_each = google_service_account.eventarc

  project = var.project
  role    = "roles/eventarc.eventReceiver"
  member  = each.value.member
}

# Eventarc makes topics of its own, of which nobody knows the names beforehand: this is for the project.
resource "google_project_iam_member" "eventarc_storage" {
  for_each = google_service_account.eventarc

  project = var.project
  role    = "roles/pubsub.publisher"
  member  = local.agents.storage
}

resource "google_eventarc_trigger" "object" {
  for_each = local.eventarc

  project         = var.project
  name            = "${var.name}-object-${each.key}"
  location        = lower(each.value.location)
  service_account = google_service_account.eventarc["this"].email
  labels          = local.labels

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.storage.object.v1.finalized"
  }

  matching_criteria {
    attribute = "bucket"
    value     = each.value.bucket
  }

  destination {
    cloud_run_service {
      service = local.receivers["object"].name
      region  = var.region
      path    = "/"
    }
  }

  depends_on = [
    google_storage_bucket.data,
    module.intake,
    module.reconciler,
    terraform_data.granted,
  ]
}

# What was not announced is found once a day by listing. A condition on names is none on listings: this is for the bucket.
resource "google_storage_bucket_iam_member" "sweep" {
  for_each = var.data

  bucket = each.value.bucket
  # A role that is made here is refused in another project; of Google's own, this one holds least.
  role   = coalesce(each.value.project, var.project) == var.project ? google_project_iam_custom_role.sweep.id : "roles/storage.legacyBucketReader"
  member = module.reconciler.member

  depends_on = [google_storage_bucket.data]
}
