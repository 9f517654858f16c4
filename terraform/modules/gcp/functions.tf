locals {
  # What receives events, appends them and wakes; all have the same rights. One more is one more entry.
  intakes_known = {
    hook   = { image = var.hook == null ? null : var.images.hook, does = "A webhook or an approval came: records it and wakes the reconciler" }
    object = { image = var.worker == null ? var.images.object : null, does = "A new object arrived: records it and wakes the reconciler" }
    drift  = { image = var.drift_enabled ? var.images.drift : null, does = "Drift was reported: records it and wakes the reconciler" }
  }
  intakes = var.single_service ? {} : { for name, function in local.intakes_known : name => function if function.image != null }

  # What reconciles: `tick`, or everything in one.
  reconciler = var.single_service ? {
    name          = "refit", image = var.images.refit, args = ["serve"], wake_path = "/tick"
    does          = "Receives events, decides what is to run, and calls the services"
    memory        = "1Gi"
    concurrency   = 80
    instances_max = try(coalesce(var.limits.refit.instances_max, 1), 1)
    } : {
    name          = "tick", image = var.images.tick, args = [], wake_path = "/"
    does          = "Woken, or pinged by a scheduler: decides what is to run, and calls the services"
    memory        = "1Gi"
    concurrency   = 20
    instances_max = 1
  }

  limits_reconciler = merge(
    { memory = local.reconciler.memory, concurrency = local.reconciler.concurrency, timeout = "300s" },
    { for name, value in try(var.limits[local.reconciler.name], {}) : name => value if value != null },
    { instances_max = local.reconciler.instances_max },
  )

  environment = {
    REFIT_LEDGER         = local.ledger
    REFIT_LOG            = var.log
    GOOGLE_CLOUD_PROJECT = var.project
  }
  # Of whoever is called.
  callers = { REFIT_CALLERS = "platform" }
  # Where reports lie that come as files, for whoever receives those of drift.
  reports = var.drift_reports == null ? {} : { REFIT_REPORTS = "gs://${var.drift_reports.bucket}/${var.drift_reports.folder}" }
  # IAM lets whoever may call the one service call all of it: who may call which path, the service looks at itself.
  paths = {
    REFIT_OIDC_CALLERS = join(" ", sort(concat(
      ["${local.reconciler.wake_path}=${google_service_account.ping.email}"],
      [for name, account in google_service_account.push : "${name == "wake" ? local.reconciler.wake_path : "/"}=${account.email}"],
      [for account in google_service_account.eventarc : "/=${account.email}"],
      values(var.callers),
    )))
  }
  wake = var.wake == "topic" ? google_pubsub_topic.wake[0].id : "${module.reconciler.uri}${local.reconciler.wake_path}"

  # Who receives the events of a topic: the function of its name, or the one service.
  receivers = {
    for topic in keys(local.topics) : topic => {
      name = var.single_service ? module.reconciler.name : module.intake[topic].name
      uri  = var.single_service ? module.reconciler.uri : module.intake[topic].uri
    } if !contains(local.pulled, topic)
  }
}

module "reconciler" {
  source = "./function"

  project     = var.project
  region      = var.region
  name        = "${var.name}-${local.reconciler.name}"
  description = local.reconciler.does
  image       = local.reconciler.image
  args        = local.reconciler.args
  environment = merge(local.environment, local.callers, var.single_service ? merge(local.paths, local.reports) : {})
  limits      = local.limits_reconciler
  ingress     = var.ingress
  vpc         = var.vpc
  kms_key     = try(var.kms.key, null)
  labels      = local.labels
  patience    = var.patience
  invokers = merge(
    { ping = google_service_account.ping.member },
    { for name, account in google_service_account.push : "push-${name}" => account.member if var.single_service || name == "wake" },
    { for name, function in module.intake : name => function.member if var.wake == "url" },
    { for name, account in google_service_account.eventarc : "eventarc" => account.member if var.single_service },
    { for name, caller in var.callers : "caller-${name}" => "serviceAccount:${split("=", caller)[1]}" },
  )

  depends_on = [terraform_data.enabled, terraform_data.keyed]
}

module "intake" {
  source   = "./function"
  for_each = local.intakes

  project     = var.project
  region      = var.region
  name        = "${var.name}-${each.key}"
  description = each.value.does
  image       = each.value.image
  environment = merge(local.environment, local.callers, { REFIT_WAKE = local.wake }, each.key == "drift" ? local.reports : {})
  limits      = { for name, value in try(var.limits[each.key], {}) : name => value if value != null }
  ingress     = each.key == "hook" ? "all" : var.ingress
  public      = each.key == "hook" && try(var.hook.public, false)
  secrets     = each.key == "hook" ? var.hook.secrets : {}
  vpc         = var.vpc
  kms_key     = try(var.kms.key, null)
  labels      = local.labels
  patience    = var.patience
  invokers = merge(
    { for name, account in google_service_account.push : "push-${name}" => account.member if name == each.key },
    { for name, account in google_service_account.eventarc : "eventarc" => account.member if each.key == "object" },
    { for name, member in try(var.hook.callers, {}) : "caller-${name}" => member if each.key == "hook" },
  )

  depends_on = [terraform_data.enabled, terraform_data.keyed]
}
