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
  bucket     = "acme-data"
  repository = "projects/acme-ml/locations/europe-west4/connections/github/repositories/training"
  service    = "churn"
  operators  = ["group:ml@acme.example"]
  emails     = ["ml-oncall@acme.example"]
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
}
