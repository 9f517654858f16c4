# What a function refuses, before anything is made.

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

run "half_a_processor_for_many" {
  command = plan
  variables {
    limits = { cpu = "500m" }
  }
  expect_failures = [var.limits]
}

run "everybody_an_invoker" {
  command = plan
  variables {
    invokers = { all = "allUsers" }
  }
  expect_failures = [var.invokers]
}

run "everybody_with_an_account_an_invoker" {
  command = plan
  variables {
    invokers = { push = "serviceAccount:push@acme-ml.iam.gserviceaccount.com", all = "allAuthenticatedUsers" }
  }
  expect_failures = [var.invokers]
}

run "an_ingress_of_another_name" {
  command = plan
  variables {
    ingress = "internal-and-cloud-load-balancing"
  }
  expect_failures = [var.ingress]
}

run "more_instances_always_than_ever" {
  command = plan
  variables {
    limits = { instances_min = 3, instances_max = 2 }
  }
  expect_failures = [var.limits]
}

run "an_egress_of_another_name" {
  command = plan
  variables {
    vpc = { network = "acme", subnetwork = "acme-west4", egress = "all" }
  }
  expect_failures = [var.vpc]
}

run "an_image_by_tag" {
  command = plan
  variables {
    image = "example.com/object:latest"
  }
  expect_failures = [var.image]
}

run "a_name_too_short_for_an_account" {
  command = plan
  variables {
    name = "tick"
  }
  expect_failures = [var.name]
}
