# What the module refuses, before anything is made.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  images = {
    object = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    tick   = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002"
  }
  data = { churn = { bucket = "acme-data" } }
}

run "images_by_tag_the_ledger_watched_everybody_reports" {
  command = plan
  variables {
    images           = { object = "example.com/object:latest", tick = "example.com/tick:latest" }
    data             = { churn = { bucket = "refit-ledger-123456789012-eu-central-1" } }
    drift_publishers = ["*"]
    operators        = []
    credentials      = { REFIT_LEDGER = "memory:" }
    delivery         = { retain_days = 14 }
    ping             = { schedule = "* * * * *" }
    kms              = { key = "alias/refit" }
    log              = "warn"
  }
  expect_failures = [var.images, var.data, var.drift_publishers, var.credentials, var.delivery, var.ping, var.kms, var.log]
}

run "a_partition_with_other_hosts" {
  command = plan

  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  expect_failures = [data.aws_partition.this]
}

run "a_bucket_of_others_announced_from_here" {
  command = plan
  variables {
    data = { churn = { bucket = "acme-data", account = "210987654321" } }
  }
  expect_failures = [var.data]
}

run "a_part_silenced" {
  command = plan
  variables {
    log = "debug,refit_host=warn"
  }
  expect_failures = [var.log]
}

run "a_function_without_a_program" {
  command = plan
  variables {
    hook = { public = true }
  }
  expect_failures = [var.zips]
}

run "wrong_by_themselves" {
  command = plan
  variables {
    name              = "Refit"
    architecture      = "arm"
    drift_topics      = ["arn:aws:sns:eu-central-1:123456789012:alarms"]
    hook_secrets      = { GITHUB = "not told" }
    hook_secret_arns  = { REFIT_HOOK_GITHUB = "webhooks" }
    ledger            = { create = false }
    limits            = { object = { instances_max = 1 } }
    secrets           = { mail = "mail-password" }
    google_federation = "{\"type\": \"service_account\"}"
    alarms            = { tick_missing = 90 }
  }
  expect_failures = [
    var.name, var.architecture, var.drift_topics, var.hook_secrets, var.hook_secret_arns, var.ledger, var.limits,
    var.secrets, var.google_federation, var.alarms,
  ]
}

run "reports_that_nothing_receives" {
  command = plan
  variables {
    drift_reports = { bucket = "acme-reports", folder = "reports" }
  }
  expect_failures = [var.drift_reports]
}

run "reports_in_a_bucket_of_data" {
  command = plan
  variables {
    images = {
      object = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
      tick   = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002"
      drift  = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/drift@sha256:0000000000000000000000000000000000000000000000000000000000000003"
    }
    drift_enabled = true
    drift_reports = { bucket = "acme-data", folder = "reports" }
  }
  expect_failures = [var.drift_reports]
}
