# What Google answers is unknown before a first apply: nothing may hang on it but values.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project = "acme-ml"
  region  = "europe-west4"
  images = {
    object = "europe-west4-docker.pkg.dev/acme-ml/refit/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    tick   = "europe-west4-docker.pkg.dev/acme-ml/refit/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002"
    drift  = "europe-west4-docker.pkg.dev/acme-ml/refit/drift@sha256:0000000000000000000000000000000000000000000000000000000000000004"
    hook   = "europe-west4-docker.pkg.dev/acme-ml/refit/hook@sha256:0000000000000000000000000000000000000000000000000000000000000005"
  }
  data = {
    churn = { bucket = "acme-data", prefixes = ["churn/"] }
    fraud = { bucket = "acme-fraud", create = true, location = "EU" }
    logs  = { bucket = "acme-logs", events = "eventarc", location = "EU" }
  }
  drift_enabled = true
  drift_vertex  = true
  hook = {
    public  = true
    callers = { approvers = "group:ml@acme.example" }
    secrets = { REFIT_HOOK_GITHUB = { secret = "projects/acme-ml/secrets/webhooks", version = "3" } }
  }
  drift_publishers = { monitor = "serviceAccount:monitor@acme-ml.iam.gserviceaccount.com" }
  vertex = {
    accounts     = { train = "train@acme-ml.iam.gserviceaccount.com" }
    repositories = { pipelines = { location = "europe-west4", repository = "pipelines" } }
    buckets      = ["acme-pipelines"]
  }
  secrets   = { github = "projects/acme-ml/secrets/github" }
  operators = ["group:ml@acme.example"]
  viewers   = ["group:everybody@acme.example"]
  limits    = { object = { instances_max = 3, memory = "256Mi" }, tick = { instances_max = 9, cpu = "2" } }
  vpc       = { network = "acme", subnetwork = "acme-west4" }
  kms       = { key = "projects/acme-ml/locations/europe-west4/keyRings/refit/cryptoKeys/ledger" }
  alerts    = { emails = ["ml@acme.example"] }
}

run "everything_at_once" {
  command = plan

  assert {
    condition     = sort(keys(google_storage_notification.object)) == tolist(["churn/churn/", "fraud/"])
    error_message = "every bucket and prefix must have a notification, but for those of Eventarc"
  }
}
