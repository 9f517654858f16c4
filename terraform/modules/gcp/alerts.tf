locals {
  services = concat([module.reconciler.name], [for function in module.intake : function.name])

  of_subscription = "resource.type = \"pubsub_subscription\" AND metric.type = \"pubsub.googleapis.com/subscription"
  of_service      = "resource.type = \"cloud_run_revision\" AND metric.type = \"run.googleapis.com"
  events_one_of   = join(", ", [for topic in keys(local.topics) : "\"${var.name}-${topic}\""])
  services_one_of = join(", ", [for service in local.services : "\"${service}\""])
  is_reconciler   = "resource.labels.service_name = \"${module.reconciler.name}\""

  metrics = {
    dead     = "${local.of_subscription}/num_undelivered_messages\" AND resource.labels.subscription_id = \"${var.name}-dead\""
    unacked  = "${local.of_subscription}/oldest_unacked_message_age\" AND resource.labels.subscription_id = one_of(${local.events_one_of})"
    requests = "${local.of_service}/request_count\" AND resource.labels.service_name = one_of(${local.services_one_of})"
    passes   = "${local.of_service}/request_count\" AND ${local.is_reconciler} AND metric.labels.response_code_class = \"2xx\""
    slow     = "${local.of_service}/request_latencies\" AND ${local.is_reconciler}"
  }

  # Alerts on a number that is too large.
  thresholds = {
    dead = {
      title  = "events could not be delivered", filter = local.metrics.dead, over = 0, lasts = "0s"
      align  = "ALIGN_MAX", severity = "CRITICAL", whole = null
      advice = "Dead letters wait in the subscription `${var.name}-dead` for ${var.delivery.dead_days} days. Find out why the ledger took nothing, then deliver them again: docs/deploy.md, Dead letters."
    }
    unacked = {
      title  = "an event waits to be recorded", filter = local.metrics.unacked, over = 600, lasts = "60s"
      align  = "ALIGN_MAX", severity = "ERROR", whole = null
      advice = "The oldest undelivered message is over ten minutes old. Nothing is lost: it is tried again for hours. Look at the logs of the receiving function, and at IAM of the ledger's bucket."
    }
    refused = {
      title  = "requests fail", filter = "${local.metrics.requests} AND metric.labels.response_code_class = \"5xx\"", over = 0.05, lasts = "600s"
      align  = "ALIGN_RATE", severity = "ERROR", whole = local.metrics.requests
      advice = "Over 5 % of the requests to a function were answered 5xx for ten minutes: the ledger did not take the events, or a pass failed. The log says which."
    }
    slow = {
      title  = "passes are slow", filter = local.metrics.slow, over = 60000, lasts = "900s"
      align  = "ALIGN_PERCENTILE_50", severity = "WARNING", whole = null
      advice = "Half of the passes took over a minute for a quarter of an hour. Look for a pipeline service that does not answer, and for a trigger with very many members."
    }
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
      advice = "The line says what. Passes that fail are not among them: the alert on missing pings is."
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

  depends_on = [google_project_service.api]
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
      }

      dynamic "denominator_aggregations" {
        for_each = each.value.whole[*]
        content {
          alignment_period     = "300s"
          per_series_aligner   = each.value.align
          cross_series_reducer = "REDUCE_SUM"
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

  depends_on = [google_project_service.api]
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
    condition_absent {
      filter   = local.metrics.passes
      duration = var.alerts.tick_missing

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = "No ping or wake was answered 2xx for ${var.alerts.tick_missing}: nothing is decided, started or followed. Events are still recorded. Look at the job `${var.name}-ping` of Cloud Scheduler, then at the log of `${module.reconciler.name}`."
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "3600s"
  }

  depends_on = [google_project_service.api]
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

  depends_on = [google_project_service.api]
}
