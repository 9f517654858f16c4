locals {
  # Lines of a log that are counted; the names are those of the alarms.
  lines = {
    passes     = "{ $.message = \"a pass has ended\" }"
    pending    = "{ $.message = \"a pass has ended\" && $.behind_s > ${var.alarms.behind_max} }"
    unknown    = "{ $.message = \"a pass has ended\" && $.uncertain > 0 }"
    quarantine = "{ $.message = \"a delivery was not understood; it is in quarantine\" }"
    errors     = "{ $.severity = \"ERROR\" && $.message != \"a pass failed; the next one goes on\" }"
    untaken    = "{ $.message = \"the ledger did not take the events; send them again\" }"
  }
  of_tick    = ["passes", "pending", "unknown"]
  of_intakes = ["untaken"]
  counted = merge([
    for line, pattern in local.lines : {
      for name in keys(local.functions) : "${line}/${name}" => { line = line, pattern = pattern, function = name }
      if !contains(name == "tick" ? local.of_intakes : local.of_tick, line)
    }
  ]...)
  namespace = "refit/${var.name}"

  # How many periods pass while a message that was not taken comes twice. Lambda counts no error for it, and the age of the
  # oldest message leaves out what came three times.
  periods_retried = ceil(2 * max([for queue in aws_sqs_queue.events : queue.visibility_timeout_seconds]...) / 300) + 1

  # Alarms on a number that is too large in `periods` of the last `within`.
  alarms = merge(
    {
      dead    = { title = "events could not be delivered", namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", by = { QueueName = aws_sqs_queue.dead.name }, over = 0, statistic = "Maximum", periods = 1, within = 1 }
      pending = { title = "an event waits to be decided on", namespace = local.namespace, metric = "pending", by = {}, over = 0, statistic = "Sum", periods = 1, within = 1 }
      unknown = { title = "nobody knows whether a run started", namespace = local.namespace, metric = "unknown", by = {}, over = 0, statistic = "Sum", periods = 1, within = 1 }
      lines   = { title = "a delivery was not understood", namespace = local.namespace, metric = "quarantine", by = {}, over = 0, statistic = "Sum", periods = 1, within = 1 }
      untaken = { title = "the ledger does not take events", namespace = local.namespace, metric = "untaken", by = {}, over = 0, statistic = "Sum", periods = 2, within = local.periods_retried }
      errors  = { title = "an error that does not pass by itself", namespace = local.namespace, metric = "errors", by = {}, over = 0, statistic = "Sum", periods = 1, within = 1 }
    },
    {
      for name, queue in aws_sqs_queue.events : "unread-${name}" => {
        title = "an event waits to be recorded: ${name}", namespace = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", by = { QueueName = queue.name }, over = 600, statistic = "Maximum", periods = 1, within = 1
      }
    },
    {
      for name in keys(local.functions) : "failed-${name}" => {
        title = "calls fail: ${name}", namespace = "AWS/Lambda", metric = "Errors", by = { FunctionName = "${var.name}-${name}" }, over = 3, statistic = "Sum", periods = 2, within = 2
      }
    },
    {
      for api in aws_apigatewayv2_api.hook : "refused-hook" => {
        title = "webhooks are not taken", namespace = "AWS/ApiGateway", metric = "5xx", by = { ApiId = api.id }, over = 0, statistic = "Sum", periods = 1, within = 1
      }
    },
  )
  alarmed = concat(tolist(var.alarms.topics), [for topic in aws_sns_topic.alarms : topic.arn])
}

resource "aws_sns_topic" "alarms" {
  count = var.alarms.enabled && length(var.alarms.emails) > 0 ? 1 : 0

  name = "${var.name}-alarms"
  # The key of SNS itself would keep alarms out.
  kms_master_key_id = try(var.kms.key, null)
  tags              = local.tags
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.alarms.enabled ? var.alarms.emails : []

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_cloudwatch_log_metric_filter" "line" {
  for_each = local.counted

  name           = "${var.name}-${replace(each.key, "/", "-")}"
  log_group_name = aws_cloudwatch_log_group.function[each.value.function].name
  pattern        = each.value.pattern

  metric_transformation {
    name      = each.value.line
    namespace = local.namespace
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "over" {
  for_each = var.alarms.enabled ? local.alarms : {}

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${var.name}: ${each.value.title}. What to do: docs/deploy.md, Watching."
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.by
  statistic           = each.value.statistic
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.over
  period              = 300
  evaluation_periods  = each.value.within
  datapoints_to_alarm = each.value.periods
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarmed
  ok_actions          = local.alarmed
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "missing" {
  count = var.alarms.enabled && !var.ping.paused ? 1 : 0

  alarm_name          = "${var.name}-missing"
  alarm_description   = "${var.name}: no pass has ended for ${var.alarms.tick_missing} seconds: nothing is decided, started or followed. Events are still recorded. Look at the schedule ${var.name}-ping, then at the log of ${var.name}-tick."
  namespace           = local.namespace
  metric_name         = "passes"
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = var.alarms.tick_missing
  evaluation_periods  = 1
  treat_missing_data  = "breaching"
  alarm_actions       = local.alarmed
  ok_actions          = local.alarmed
  tags                = local.tags

  depends_on = [aws_cloudwatch_log_metric_filter.line]
}
