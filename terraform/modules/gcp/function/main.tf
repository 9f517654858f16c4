resource "google_service_account" "this" {
  project      = var.project
  account_id   = var.name
  display_name = var.name
  description  = var.description
}

resource "google_cloud_run_v2_service" "this" {
  project              = var.project
  name                 = var.name
  location             = var.region
  description          = var.description
  labels               = var.labels
  ingress              = var.ingress == "internal" ? "INGRESS_TRAFFIC_INTERNAL_ONLY" : "INGRESS_TRAFFIC_ALL"
  invoker_iam_disabled = var.public
  # It holds nothing: everything is in the ledger.
  deletion_protection = false

  template {
    service_account                  = google_service_account.this.email
    timeout                          = var.limits.timeout
    max_instance_request_concurrency = var.limits.concurrency
    encryption_key                   = var.kms_key
    labels                           = var.labels

    scaling {
      min_instance_count = var.limits.instances_min
      max_instance_count = var.limits.instances_max
    }

    containers {
      image = var.image
      args  = var.args

      ports {
        container_port = 8080
      }

      resources {
        limits            = { cpu = var.limits.cpu, memory = var.limits.memory }
        cpu_idle          = var.limits.cpu_idle
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = var.environment
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.secrets
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = env.value.version
            }
          }
        }
      }

      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 1
        failure_threshold = 15
        http_get {
          path = "/readyz"
        }
      }

      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 5
        failure_threshold = 3
        http_get {
          path = "/healthz"
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

  # Cloud Run refuses a service that may not read its secrets.
  depends_on = [terraform_data.granted]
}

# Grants take a minute or more.
resource "terraform_data" "granted" {
  count = length(var.secrets) == 0 ? 0 : 1

  triggers_replace = [for grant in google_secret_manager_secret_iam_member.reader : grant.id]

  provisioner "local-exec" {
    command = "sleep ${var.patience}"
  }
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = var.secrets

  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this.member
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  project  = var.project
  location = google_cloud_run_v2_service.this.location
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.value
}
