resource "aws_iam_role" "ping" {
  name        = "${var.name}-ping-${local.region}"
  description = "EventBridge Scheduler pings the reconciler of ${var.name} as this role"
  tags        = local.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "ping" {
  name   = "ping"
  role   = aws_iam_role.ping.name
  policy = jsonencode({ Version = "2012-10-17", Statement = concat([local.wakes], local.decrypt) })
}

resource "aws_scheduler_schedule" "ping" {
  name                         = "${var.name}-ping"
  description                  = "Pings the reconciler of ${var.name}"
  schedule_expression          = var.ping.schedule
  schedule_expression_timezone = var.ping.time_zone
  state                        = var.ping.paused ? "DISABLED" : "ENABLED"
  kms_key_arn                  = try(var.kms.key, null)

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.this["tick"].arn
    role_arn = aws_iam_role.ping.arn
    # As EventBridge itself would say it. jsonencode escapes what Scheduler looks for.
    input = replace(replace(jsonencode({
      version     = "0"
      id          = "<aws.scheduler.execution-id>"
      detail-type = "Scheduled Event"
      source      = "aws.scheduler"
      account     = local.account
      time        = "<aws.scheduler.scheduled-time>"
      region      = local.region
      resources   = ["arn:${local.partition}:scheduler:${local.region}:${local.account}:schedule/default/${var.name}-ping"]
      detail      = {}
    }), "\\u003c", "<"), "\\u003e", ">")

    # The next ping makes good one that failed, but may be long in coming.
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 1
    }
  }

  depends_on = [aws_iam_role_policy.ping]
}
