# What the module refuses, before anything is made.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  project = "acme-ml"
  region  = "europe-west4"
  images = {
    object = "europe-west4-docker.pkg.dev/acme-ml/refit/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    tick   = "europe-west4-docker.pkg.dev/acme-ml/refit/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002"
  }
  data = {}
}

run "images_by_tag" {
  command = plan
  variables {
    images = { object = "example.com/object:latest", tick = "example.com/tick:latest" }
  }
  expect_failures = [var.images]
}

run "single_service_without_its_image" {
  command = plan
  variables {
    single_service = true
  }
  expect_failures = [var.images]
}

run "callers_of_functions_apart" {
  command = plan
  variables {
    callers = { monitor = "/drift=monitor@acme-ml.iam.gserviceaccount.com" }
  }
  expect_failures = [var.callers]
}

run "callers_of_no_path" {
  command = plan
  variables {
    single_service = true
    images         = { refit = "europe-west4-docker.pkg.dev/acme-ml/refit/refit@sha256:0000000000000000000000000000000000000000000000000000000000000003" }
    callers        = { monitor = "monitor@acme-ml.iam.gserviceaccount.com" }
  }
  expect_failures = [var.callers]
}

run "guards_in_the_ledger" {
  command = plan
  variables {
    guards = ["acme-ml-refit-ledger"]
  }
  expect_failures = [var.guards]
}

run "prefixes_within_one_another" {
  command = plan
  variables {
    data = { churn = { bucket = "acme-data", prefixes = ["churn/", "churn/daily/"] } }
  }
  expect_failures = [var.data]
}

run "the_ledger_watched" {
  command = plan
  variables {
    data = { churn = { bucket = "acme-ml-refit-ledger" } }
  }
  expect_failures = [var.data]
}

run "eventarc_with_a_prefix" {
  command = plan
  variables {
    data = { churn = { bucket = "acme-data", prefixes = ["churn/"], events = "eventarc", location = "EU" } }
  }
  expect_failures = [var.data]
}

run "a_call_that_would_be_turned_away" {
  command = plan
  variables {
    wake = "url"
  }
  expect_failures = [var.wake]
}

run "everybody_an_operator" {
  command = plan
  variables {
    operators = ["allUsers"]
  }
  expect_failures = [var.operators]
}

run "soft_deletion_off" {
  command = plan
  variables {
    ledger = { soft_delete_days = 0 }
  }
  expect_failures = [var.ledger]
}

run "the_default_account_of_compute_engine" {
  command = plan
  variables {
    vertex = { accounts = { steps = "123456789012-compute@developer.gserviceaccount.com" } }
  }
  expect_failures = [var.vertex]
}

run "a_version_of_a_key" {
  command = plan
  variables {
    kms = { key = "projects/acme-ml/locations/europe-west4/keyRings/refit/cryptoKeys/ledger/cryptoKeyVersions/1" }
  }
  expect_failures = [var.kms]
}

run "a_hook_nobody_may_call" {
  command = plan
  variables {
    images = {
      object = "example.com/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
      tick   = "example.com/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002"
      hook   = "example.com/hook@sha256:0000000000000000000000000000000000000000000000000000000000000005"
    }
    hook = {}
  }
  expect_failures = [var.hook]
}

run "a_hook_without_its_image" {
  command = plan
  variables {
    hook = { public = true }
  }
  expect_failures = [var.hook]
}

run "a_secret_of_any_version" {
  command = plan
  variables {
    images = {
      object = "example.com/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
      tick   = "example.com/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002"
      hook   = "example.com/hook@sha256:0000000000000000000000000000000000000000000000000000000000000005"
    }
    hook = { public = true, secrets = { REFIT_HOOK_GITHUB = { secret = "projects/acme-ml/secrets/webhooks", version = "latest" } } }
  }
  expect_failures = [var.hook]
}

run "a_ledger_out_of_reach_of_its_key" {
  command = plan
  variables {
    kms    = { key = "projects/acme-ml/locations/europe-west4/keyRings/refit/cryptoKeys/ledger" }
    ledger = { location = "EU" }
  }
  expect_failures = [var.ledger]
}

run "lines_that_alerts_go_by_silenced" {
  command = plan
  variables {
    log = "refit_engine=debug"
  }
  expect_failures = [var.log]
}

run "a_minute_and_a_half" {
  command = plan
  variables {
    alerts = { tick_missing = "90s" }
  }
  expect_failures = [var.alerts]
}

run "eventarc_in_another_project" {
  command = plan
  variables {
    data = { churn = { bucket = "acme-data", project = "acme-labs", events = "eventarc", location = "EU" } }
  }
  expect_failures = [var.data]
}

run "anomalies_without_a_topic" {
  command = plan
  variables {
    drift_vertex = true
  }
  expect_failures = [var.drift_vertex]
}

run "wrong_by_themselves" {
  command = plan
  variables {
    project       = "Acme ML"
    region        = "europe-west4-a"
    name          = "Refit"
    limits        = { tock = {} }
    delivery      = { attempts_max = 1 }
    ping          = { schedule = "@daily" }
    secrets       = { mail = "mail-password" }
    notify_topics = { runs = "runs" }
    viewers       = ["allAuthenticatedUsers"]
    ingress       = "none"
    patience      = 3600
  }
  expect_failures = [
    var.project, var.region, var.name, var.limits, var.delivery, var.ping, var.secrets, var.notify_topics, var.viewers,
    var.ingress, var.patience,
  ]
}

run "a_worker_by_tag" {
  command = plan
  variables {
    worker = { image = "example.com/refit:latest" }
  }
  expect_failures = [var.worker]
}

run "what_needs_drift" {
  command = plan
  variables {
    drift_publishers = { monitor = "serviceAccount:monitor@acme-ml.iam.gserviceaccount.com" }
    drift_reports    = { bucket = "gs://acme-reports", folder = "/reports/" }
  }
  expect_failures = [var.drift_publishers, var.drift_reports]
}

run "reports_of_drift_that_nothing_receives" {
  command = plan
  variables {
    drift_enabled = true
  }
  expect_failures = [var.drift_enabled]
}

run "a_worker_that_eventarc_does_not_reach" {
  command = plan
  variables {
    worker = { image = "example.com/refit@sha256:0000000000000000000000000000000000000000000000000000000000000003" }
    data   = { churn = { bucket = "acme-data", events = "eventarc", location = "EU" } }
  }
  expect_failures = [var.worker]
}

run "a_worker_that_wakes_by_url" {
  command = plan
  variables {
    worker  = { image = "example.com/refit@sha256:0000000000000000000000000000000000000000000000000000000000000003" }
    wake    = "url"
    ingress = "all"
  }
  expect_failures = [var.worker]
}

run "reports_in_the_ledger" {
  command = plan
  variables {
    images = {
      object = "example.com/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
      tick   = "example.com/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002"
      drift  = "example.com/drift@sha256:0000000000000000000000000000000000000000000000000000000000000004"
    }
    drift_enabled = true
    drift_reports = { bucket = "acme-ml-refit-ledger", folder = "reports" }
  }
  expect_failures = [var.drift_reports]
}
