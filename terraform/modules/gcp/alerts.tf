locals {
  services = concat([module.reconciler.name], [for function in module.intake : function.name])

  of_subscription = "resource.type = \"pubsub_subscription\" AND metric.type = \"pubsub.googleapis.com/subscription"
  of_service      = "resource.type = \"cloud_run_revision\" AND metric.type = \"run.googleapis.com"
  # Eventarc names its subscriptions itself.
  subscriptions_eventarc = flatten([
    for trigger in google_eventarc_trigger.object : [for transport in trigger.transport : [for pubsub in transport.pubsub : reverse(split("/", pubsub.subscription))[0]]]
  ])
  events_one_of   = join(", ", [for name in concat([for topic in keys(local.topics) : "${var.name}-${topic}"], local.subscriptions_eventarc) : "\"${name}\""])
  dead_one_of     = join(", ", [for topic in keys(local.topics) : "\"${var.name}-${topic}-dead\""])
  by_service      = ["resource.labels.service_name"]
  services_one_of = join(", ", [for service in local.services : "\"${service}\""])
  is_reconciler   = "resource.labels.service_name = \"${module.reconciler.name}\""

  metrics = {
    dead     = "${local.of_subscription}/num_undelivered_messages\" AND resource.labels.subscription_id = one_of(${local.dead_one_of})"
    unacked  = "${local.of_subscription}/oldest_unacked_message_age\" AND resource.labels.subscription_id = one_of(${local.events_one_of})"
    requests = "${local.of_service}/request_count\" AND resource.labels.service_name = one_of(${local.services_one_of})"
    passes   = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/user/${google_logging_metric.line["passes"].name}\""
    pings    = "resource.type = \"cloud_scheduler_job\" AND metric.type = \"logging.googleapis.com/user/${google_logging_metric.line["unpinged"].name}\""
    slow     = "${local.of_service}/request_latencies\" AND ${local.is_reconciler}"
  }

  # Alerts on a number that is too large.
  thresholds = {
    dead = {
      title  = "events could not be delivered", filter = local.metrics.dead, over = 0, lasts = "0s"
      align  = "ALIGN_MAX", severity = "CRITICAL", whole = null
      advice = "Dead letters wait in the subscriptions `${var.name}-…-dead` for ${var.delivery.dead_days} days. Find out why the ledger took nothing, then deliver them again: docs/deploy.md, Dead letters."
    }
    unacked = {
      title  = "an event waits to be recorded", filter = local.metrics.unacked, over = 600, lasts = "60s"
      align  = "ALIGN_MAX", severity = "ERROR", whole = null
      advice = "The oldest undelivered message is over ten minutes old. Nothing is lost: it is tried again for hours. Look at the logs of the receiving function, and at IAM of the ledger's bucket."
    }
    refused = {
      title  = "requests to a function fail", filter = "${local.metrics.requests} AND metric.labels.response_code_class = \"5xx\"", over = 0.05, lasts = "600s"
      align  = "ALIGN_RATE", severity = "ERROR", whole = local.metrics.requests
      advice = "Over 5 % of the requests to a function were answered 5xx for ten minutes: the ledger did not take the events, or a pass failed. The log says which."
    }
    unpinged = {
      title  = "pings fail", filter = local.metrics.pings, over = 0, lasts = "600s"
      align  = "ALIGN_DELTA", severity = "CRITICAL", whole = null
      advice = "Pings have failed for ten minutes, from the first on perhaps: nothing is decided that no wake asks for. Look at the log of the job `${var.name}-ping` of Cloud Scheduler, then at that of `${module.reconciler.name}`."
    }
    slow = {
      title  = "passes are slow", filter = local.metrics.slow, over = 60000, lasts = "900s"
      align  = "ALIGN_PERCENTILE_50", severity = "WARNING", whole = null
      advice = "Half of the pings and wakes took over a minute for a quarter of an hour. Look for a pipeline service that does not answer, and for a trigger with very many members."
    }
  }

  # Lines that are counted. That a pass has ended is no answer to a request: one that finds others waiting is answered at once.
  counted = {
    passes   = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${module.reconciler.name}\" AND jsonPayload.message = \"a pass has ended\""
    unpinged = "resource.type = \"cloud_scheduler_job\" AND resource.labels.job_id = \"${var.name}-ping\" AND severity >= ERROR"
  }

  # Alerts on a line of a log; none is written in a quiet life.
  lines = {
    pending = {
      title  = "an event waits to be decided on", severity = "ERROR"
      filter = "jsonPayload.message = \"a pass has ended\" AND jsonPayload.behind_s > ${var.alerts.behind_max}"
      advice = "The oldest event that is recorded and not decided on is over ${var.alerts.behind_max} seconds old: more comes in than passes take. It is worked off in the order of arrival. If that does not end, look for what sends so many events, and narrow the prefixes of `data`."
    }
    unknown = {
      title  = "nobody knows whether a run started", severity = "ERROR"
      filter = "jsonPayload.message = \"a pass has ended\" AND jsonPayload.uncertain > 0"
      advice = "The answer to a start was lost, and the service cannot be asked. `refit runs` shows the run as `uncertain`. Look in the service, then say `refit settle RUN --started ID` or `refit settle RUN --not-started`; until then it counts as under way."
    }
    quarantine = {
      title  = "a delivery was not understood", severity = "WARNING"
      filter = "jsonPayload.message = \"a delivery was not understood; it is in quarantine\""
      advice = "It is recorded and will not come again. The field `detail` of the line says what is wrong with it; `refit status` counts them."
    }
    error = {
      title  = "an error that does not pass by itself", severity = "WARNING"
      filter = "severity >= ERROR AND jsonPayload.message != \"a pass failed; the next one goes on\""
      advice = "The line says what. Passes that fail are not among them: the alert on passes that do not end is."
    }
  }

  # Whose lines are read: a worker pool is a resource of another kind than a service.
  speakers = concat(
    ["(resource.type = \"cloud_run_revision\" AND resource.labels.service_name = (${join(" OR ", [for service in local.services : "\"${service}\""])}))"],
    [for pool in google_cloud_run_v2_worker_pool.this : "(resource.type = \"cloud_run_worker_pool\" AND resource.labels.worker_pool_name = \"${pool.name}\")"],
  )

  channels = concat(tolist(var.alerts.channels), [for channel in google_monitoring_notification_channel.email : channel.id])
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alerts.enabled ? var.alerts.emails : []

  project      = var.project
  display_name = "${var.name}: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [terraform_data.enabled]
}

resource "google_logging_metric" "line" {
  for_each = local.counted

  project = var.project
  name    = "${var.name}-${each.key}"
  filter  = each.value

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [terraform_data.enabled]
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = var.alerts.enabled ? local.thresholds : {}

  project               = var.project
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.title
    condition_threshold {
      filter             = each.value.filter
      denominator_filter = each.value.whole
      comparison         = "COMPARISON_GT"
      threshold_value    = each.value.over
      duration           = each.value.lasts

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = each.value.align
        cross_series_reducer = each.value.whole == null ? "REDUCE_MAX" : "REDUCE_SUM"
        group_by_fields      = each.value.whole == null ? null : local.by_service
      }

      dynamic "denominator_aggregations" {
        for_each = each.value.whole[*]
        content {
          alignment_period     = "300s"
          per_series_aligner   = each.value.align
          cross_series_reducer = "REDUCE_SUM"
          group_by_fields      = local.by_service
        }
      }
    }
  }

  documentation {
    content   = each.value.advice
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "3600s"
  }

  depends_on = [terraform_data.counted]
}

resource "google_monitoring_alert_policy" "missing" {
  count = var.alerts.enabled && !var.ping.paused ? 1 : 0

  project               = var.project
  display_name          = "${var.name}: no pass has ended"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "no pass has ended"
    # Where nothing is counted there is a zero for a while, and then nothing.
    condition_threshold {
      filter                  = local.metrics.passes
      comparison              = "COMPARISON_LT"
      threshold_value         = 1
      duration                = var.alerts.tick_missing
      evaluation_missing_data = "EVALUATION_MISSING_DATA_ACTIVE"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = "No pass has ended for ${var.alerts.tick_missing}: nothing is decided, started or followed. Events are still recorded. Look at the job `${var.name}-ping` of Cloud Scheduler, then at the log of `${module.reconciler.name}`."
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "3600s"
  }

  depends_on = [terraform_data.counted]
}

resource "google_monitoring_alert_policy" "line" {
  for_each = var.alerts.enabled ? local.lines : {}

  project               = var.project
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.title
    condition_matched_log {
      # Lines of the programs alone have a service; those about requests have none.
      filter = join(" AND ", [
        "(${join(" OR ", local.speakers)})",
        "jsonPayload.service : *",
        each.value.filter,
      ])
    }
  }

  documentation {
    content   = each.value.advice
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "3600s"
    notification_rate_limit {
      period = "3600s"
    }
  }

  depends_on = [terraform_data.enabled]
}
