resource "google_service_account" "ping" {
  project      = var.project
  account_id   = "${var.name}-ping"
  display_name = "${var.name}-ping"
  description  = "Cloud Scheduler pings the reconciler as this account"

  depends_on = [terraform_data.enabled]
}

resource "google_cloud_scheduler_job" "ping" {
  project          = var.project
  region           = var.region
  name             = "${var.name}-ping"
  description      = "Pings the reconciler of ${var.name}"
  schedule         = var.ping.schedule
  time_zone        = var.ping.time_zone
  paused           = var.ping.paused
  attempt_deadline = "300s"

  # The next ping makes good one that failed, but may be long in coming.
  retry_config {
    retry_count = 1
  }

  http_target {
    http_method = "POST"
    uri         = "${module.reconciler.uri}${local.reconciler.wake_path}"

    oidc_token {
      service_account_email = google_service_account.ping.email
      audience              = module.reconciler.uri
    }
  }

  depends_on = [terraform_data.enabled]
}
