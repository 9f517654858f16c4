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
  network   = { network = "acme", subnetwork = "acme-west4" }
  buckets   = { data = { bucket = "acme-data", prefixes = ["churn/", "fraud/"] } }
  token     = "projects/acme-ml/secrets/kubeflow-token"
  operators = ["group:ml@acme.example"]
  emails    = ["ml-oncall@acme.example"]
}

run "plan" {
  command = plan

  assert {
    condition     = output.ledger == "gs://acme-ml-refit-ledger/prod"
    error_message = "the ledger must be where refit.yaml says"
  }
}
