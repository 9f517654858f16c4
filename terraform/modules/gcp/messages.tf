locals {
  # What a topic's messages are, by the function that receives them. One more is one more entry.
  topics = merge(
    { object = { publishers = {} } },
    var.drift_enabled ? { drift = { publishers = var.drift_publishers } } : {},
  )
  publishers = merge([
    for topic, about in local.topics : {
      for key, member in about.publishers : "${topic}/${key}" => { topic = topic, member = member }
    }
  ]...)

  pulled = var.worker == null ? [] : ["object"]
  pushes = toset(concat(tolist(setsubtract(keys(local.topics), local.pulled)), var.wake == "topic" ? ["wake"] : []))
}

resource "google_pubsub_topic" "events" {
  for_each = local.topics

  project      = var.project
  name         = "${var.name}-${each.key}"
  kms_key_name = try(var.kms.key, null)
  labels       = local.labels

  depends_on = [terraform_data.enabled, terraform_data.keyed]
}

resource "google_pubsub_topic_iam_member" "storage" {
  project = var.project
  topic   = google_pubsub_topic.events["object"].name
  role    = "roles/pubsub.publisher"
  member  = local.agents.storage
}

resource "google_pubsub_topic_iam_member" "storage_other" {
  for_each = data.google_storage_project_service_account.other

  project = var.project
  topic   = google_pubsub_topic.events["object"].name
  role    = "roles/pubsub.publisher"
  member  = each.value.member
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishers

  project = var.project
  topic   = google_pubsub_topic.events[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = each.value.member
}

# An account for every push, which may call one function and nothing else.
resource "google_service_account" "push" {
  for_each = local.pushes

  project      = var.project
  account_id   = "${var.name}-push-${each.key}"
  display_name = "${var.name}-push-${each.key}"
  description  = "Pub/Sub delivers messages of ${var.name}-${each.key} as this account"

  depends_on = [terraform_data.enabled]
}

# Without it, Pub/Sub cannot prove who it is, and delivers nothing and says nothing.
resource "google_service_account_iam_member" "push_token" {
  for_each = google_service_account.push

  service_account_id = each.value.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.agents.pubsub
}

resource "google_pubsub_subscription" "events" {
  for_each = local.topics

  project                    = var.project
  name                       = "${var.name}-${each.key}"
  topic                      = google_pubsub_topic.events[each.key].id
  ack_deadline_seconds       = var.delivery.ack_deadline
  message_retention_duration = "${var.delivery.retain_days * 24 * 60 * 60}s"
  labels                     = local.labels

  # Never, however long nothing comes.
  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = var.delivery.backoff_min
    maximum_backoff = var.delivery.backoff_max
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead[each.key].id
    max_delivery_attempts = var.delivery.attempts_max
  }

  # What the worker pulls is not pushed.
  dynamic "push_config" {
    for_each = contains(local.pulled, each.key) ? [] : [local.receivers[each.key].uri]
    content {
      push_endpoint = "${push_config.value}/"

      oidc_token {
        service_account_email = google_service_account.push[each.key].email
        audience              = push_config.value
      }
    }
  }

  depends_on = [google_service_account_iam_member.push_token]
}

# Dead letters are kept apart by the function that is to receive them after all: a report is no object.
resource "google_pubsub_topic" "dead" {
  for_each = local.topics

  project      = var.project
  name         = "${var.name}-${each.key}-dead"
  kms_key_name = try(var.kms.key, null)
  labels       = local.labels

  depends_on = [terraform_data.enabled, terraform_data.keyed]
}

# What is published to a topic nobody subscribed to is gone.
resource "google_pubsub_subscription" "dead" {
  for_each = local.topics

  project                    = var.project
  name                       = "${var.name}-${each.key}-dead"
  topic                      = google_pubsub_topic.dead[each.key].id
  ack_deadline_seconds       = var.delivery.ack_deadline
  message_retention_duration = "${var.delivery.dead_days * 24 * 60 * 60}s"
  labels                     = local.labels

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "dead_publisher" {
  for_each = local.topics

  project = var.project
  topic   = google_pubsub_topic.dead[each.key].name
  role    = "roles/pubsub.publisher"
  member  = local.agents.pubsub
}

resource "google_pubsub_subscription_iam_member" "dead_subscriber" {
  for_each = google_pubsub_subscription.events

  project      = var.project
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = local.agents.pubsub

  lifecycle {
    # A subscription that is made anew has lost it, and its name is the same.
    replace_triggered_by = [google_pubsub_subscription.events[each.key].id]
  }
}

resource "google_pubsub_topic" "wake" {
  count = var.wake == "topic" ? 1 : 0

  project      = var.project
  name         = "${var.name}-wake"
  kms_key_name = try(var.kms.key, null)
  labels       = local.labels

  depends_on = [terraform_data.enabled, terraform_data.keyed]
}

resource "google_pubsub_topic_iam_member" "waker" {
  for_each = var.wake == "topic" ? module.intake : {}

  project = var.project
  topic   = google_pubsub_topic.wake[0].name
  role    = "roles/pubsub.publisher"
  member  = each.value.member
}

resource "google_pubsub_topic_iam_member" "operator" {
  for_each = var.wake == "topic" ? var.operators : []

  project = var.project
  topic   = google_pubsub_topic.wake[0].name
  role    = "roles/pubsub.publisher"
  member  = each.key
}

# A wake says nothing, and the next ping does what it would have done: old ones are dropped, none is a dead letter.
resource "google_pubsub_subscription" "wake" {
  count = var.wake == "topic" ? 1 : 0

  project                    = var.project
  name                       = "${var.name}-wake"
  topic                      = google_pubsub_topic.wake[0].id
  ack_deadline_seconds       = 300
  message_retention_duration = "600s"
  labels                     = local.labels

  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "60s"
  }

  push_config {
    push_endpoint = "${module.reconciler.uri}${local.reconciler.wake_path}"

    oidc_token {
      service_account_email = google_service_account.push["wake"].email
      audience              = module.reconciler.uri
    }
  }

  depends_on = [google_service_account_iam_member.push_token]
}
