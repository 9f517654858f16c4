# What a project would answer; the accounts look like accounts, as the provider checks some.

mock_data "google_project" {
  defaults = {
    number = "123456789012"
  }
}

mock_data "google_storage_project_service_account" {
  defaults = {
    email_address = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
    member        = "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
  }
}

mock_resource "google_service_account" {
  defaults = {
    email  = "mock@acme-ml.iam.gserviceaccount.com"
    member = "serviceAccount:mock@acme-ml.iam.gserviceaccount.com"
    name   = "projects/acme-ml/serviceAccounts/mock@acme-ml.iam.gserviceaccount.com"
  }
}

mock_resource "google_cloud_run_v2_service" {
  defaults = {
    uri = "https://mock-uc.a.run.app"
  }
}

mock_resource "google_project_iam_custom_role" {
  defaults = {
    id = "projects/acme-ml/roles/mock"
  }
}

mock_resource "google_pubsub_topic" {
  defaults = {
    id = "projects/acme-ml/topics/mock"
  }
}

mock_resource "google_pubsub_subscription" {
  defaults = {
    id = "projects/acme-ml/subscriptions/mock"
  }
}

mock_resource "google_logging_project_sink" {
  defaults = {
    writer_identity = "serviceAccount:service-123456789012@gcp-sa-logging.iam.gserviceaccount.com"
  }
}
