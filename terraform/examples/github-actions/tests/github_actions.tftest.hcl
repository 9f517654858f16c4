# What Google answers is unknown, as before a first apply.
mock_provider "google" {
  source = "../../modules/gcp/tests/mocks"
}

variables {
  project = "acme-ml"
  images = {
    object = "europe-west4-docker.pkg.dev/acme-ml/refit/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    tick   = "europe-west4-docker.pkg.dev/acme-ml/refit/tick@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    hook   = "europe-west4-docker.pkg.dev/acme-ml/refit/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
  }
  bucket     = "acme-data"
  repository = "acme/training"
  secrets = {
    token           = "projects/acme-ml/secrets/github"
    webhook         = "projects/acme-ml/secrets/github-webhook"
    webhook_version = "1"
  }
  operators = ["group:ml@acme.example"]
  emails    = ["ml-oncall@acme.example"]
}

run "plan" {
  command = plan

  assert {
    condition     = output.ledger == "gs://acme-ml-refit-ledger/prod"
    error_message = "the ledger must be where refit.yaml says"
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github.attribute_condition == "assertion.sub == \"repo:acme/training:ref:refs/heads/main\""
    error_message = "the main branch of the one repository must be let in, and nobody else"
  }

  assert {
    condition     = alltrue([for it in google_storage_bucket_iam_member.workflow : it.role == "roles/storage.objectViewer"])
    error_message = "the workflow must read, and not write"
  }
}
