# What is pulled instead of pushed: nothing has to be let into the network.
resource "google_service_account" "worker" {
  count = var.worker == null ? 0 : 1

  project      = var.project
  account_id   = "${var.name}-worker"
  display_name = "${var.name}-worker"
  description  = "Pulls what buckets announce: records it and wakes the reconciler"

  depends_on = [terraform_data.enabled]
}

resource "google_cloud_run_v2_worker_pool" "this" {
  count = var.worker == null ? 0 : 1

  project     = var.project
  name        = "${var.name}-worker"
  location    = var.region
  description = "Pulls what buckets announce: records it and wakes the reconciler"
  labels      = local.labels
  # It holds nothing: everything is in the ledger.
  deletion_protection = false

  scaling {
    manual_instance_count = var.worker.instances
  }

  template {
    service_account = google_service_account.worker[0].email
    encryption_key  = try(var.kms.key, null)
    labels          = local.labels

    containers {
      image = var.worker.image
      args  = ["worker", "--subscription", google_pubsub_subscription.events["object"].id]

      resources {
        limits = { cpu = var.worker.cpu, memory = var.worker.memory }
      }

      dynamic "env" {
        for_each = merge(local.environment, { REFIT_WAKE = local.wake })
        content {
          name  = env.key
          value = env.value
        }
      }
    }

    dynamic "vpc_access" {
      for_each = var.vpc[*]
      content {
        egress = vpc_access.value.egress
        network_interfaces {
          network    = vpc_access.value.network
          subnetwork = vpc_access.value.subnetwork
          tags       = vpc_access.value.tags
        }
      }
    }
  }

  lifecycle {
    # The console and gcloud write their names here.
    ignore_changes = [client, client_version]
  }

  depends_on = [terraform_data.enabled, terraform_data.keyed]
}

resource "google_storage_bucket_iam_member" "worker" {
  count = var.worker == null ? 0 : 1

  bucket = local.ledger_bucket
  role   = google_project_iam_custom_role.append.id
  member = google_service_account.worker[0].member

  condition {
    title      = "inbox only"
    expression = "resource.name.startsWith(\"${local.ledger_objects}/inbox/\")"
  }

  depends_on = [google_storage_bucket.ledger]
}

resource "google_pubsub_subscription_iam_member" "worker" {
  count = var.worker == null ? 0 : 1

  project      = var.project
  subscription = google_pubsub_subscription.events["object"].name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.worker[0].member

  lifecycle {
    # A subscription that is made anew has lost it, and its name is the same.
    replace_triggered_by = [google_pubsub_subscription.events["object"].id]
  }
}

resource "google_pubsub_topic_iam_member" "worker" {
  count = var.worker == null ? 0 : 1

  project = var.project
  topic   = google_pubsub_topic.wake[0].name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.worker[0].member
}
