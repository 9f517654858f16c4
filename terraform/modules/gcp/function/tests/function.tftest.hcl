# What is made of a function, with what refusals.tftest.hcl changes one thing of.

mock_provider "google" {
  source          = "../tests/mocks"
  override_during = plan
}

variables {
  project     = "acme-ml"
  region      = "europe-west4"
  name        = "refit-object"
  description = "Records new objects"
  image       = "example.com/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
  environment = { REFIT_LEDGER = "gs://acme-ml-refit-ledger/prod" }
  ingress     = "internal"
  invokers    = { push = "serviceAccount:push@acme-ml.iam.gserviceaccount.com" }
}

run "a_function" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" && !google_cloud_run_v2_service.this.invoker_iam_disabled && google_cloud_run_v2_service_iam_member.invoker["push"].role == "roles/run.invoker"
    error_message = "a function must be private, and called by whom it is told"
  }
}
