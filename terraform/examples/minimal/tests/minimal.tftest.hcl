# What Google answers is unknown, as before a first apply.
mock_provider "google" {
  source = "../../modules/gcp/tests/mocks"
}

variables {
  project   = "acme-ml"
  image     = "europe-west4-docker.pkg.dev/acme-ml/refit/refit@sha256:0000000000000000000000000000000000000000000000000000000000000001"
  bucket    = "acme-data"
  job       = "train-churn"
  operators = ["user:you@acme.example"]
}

run "plan" {
  command = plan

  assert {
    condition     = output.ledger == "gs://acme-ml-refit-ledger/prod"
    error_message = "the ledger must be where refit.yaml says"
  }

  assert {
    condition     = strcontains(output.next_step, "refit apply refit.yaml") && strcontains(output.next_step, "gs://acme-data/")
    error_message = "the next step must be printed"
  }
}
