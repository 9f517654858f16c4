# What Google answers is unknown, as before a first apply.
mock_provider "google" {
  source = "../../modules/gcp/tests/mocks"
}

variables {
  project = "acme-ml"
  images = {
    object = "europe-west4-docker.pkg.dev/acme-ml/refit/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    tick   = "europe-west4-docker.pkg.dev/acme-ml/refit/tick@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    drift  = "europe-west4-docker.pkg.dev/acme-ml/refit/drift@sha256:0000000000000000000000000000000000000000000000000000000000000001"
  }
  bucket       = "acme-data"
  repository   = "projects/acme-ml/locations/europe-west4/connections/github/repositories/training"
  service      = "churn"
  account      = "churn@acme-ml.iam.gserviceaccount.com"
  models       = "acme-models"
  repositories = ["train", "serve"]
  operators    = ["group:ml@acme.example"]
  emails       = ["ml-oncall@acme.example"]
}

run "plan" {
  command = plan

  assert {
    condition     = output.ledger == "gs://acme-ml-refit-ledger/prod"
    error_message = "the ledger must be where refit.yaml says"
  }

  assert {
    condition     = google_cloudbuild_trigger.train.name == "train-churn" && length(google_cloudbuild_trigger.train.github) == 0 && length(google_cloudbuild_trigger.train.repository_event_config) == 0
    error_message = "the build must be what refit.yaml names, and be started by refit alone"
  }

  assert {
    condition     = google_service_account_iam_member.build.service_account_id == "projects/acme-ml/serviceAccounts/churn@acme-ml.iam.gserviceaccount.com" && toset(keys(google_artifact_registry_repository_iam_member.build)) == toset(["train", "serve"])
    error_message = "the build must be able to deploy: act as the service's account, and read the images"
  }
}
