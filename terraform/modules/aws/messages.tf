locals {
  # What a queue's messages are, by the function that receives them, and who may send them.
  queues = merge(
    { object = [local.send_objects] },
    var.drift_enabled ? { drift = concat(local.send_drift, local.send_topics, local.send_reports) } : {},
  )

  send_objects = {
    Sid       = "NewObjects"
    Effect    = "Allow"
    Principal = { Service = "s3.amazonaws.com" }
    Condition = {
      ArnEquals    = { "aws:SourceArn" = sort([for data in values(var.data) : "arn:${local.partition}:s3:::${data.bucket}"]) }
      StringEquals = { "aws:SourceAccount" = sort(distinct([for data in values(var.data) : coalesce(data.account, local.account)])) }
    }
  }
  send_drift = length(var.drift_publishers) == 0 ? [] : [{
    Sid       = "Reports"
    Effect    = "Allow"
    Principal = { AWS = sort(tolist(var.drift_publishers)) }
    Condition = {}
  }]
  send_reports = var.drift_reports == null ? [] : [{
    Sid       = "Files"
    Effect    = "Allow"
    Principal = { Service = "s3.amazonaws.com" }
    Condition = {
      ArnEquals    = { "aws:SourceArn" = "arn:${local.partition}:s3:::${var.drift_reports.bucket}" }
      StringEquals = { "aws:SourceAccount" = local.account }
    }
  }]
  send_topics = length(var.drift_topics) == 0 ? [] : [{
    Sid       = "Topics"
    Effect    = "Allow"
    Principal = { Service = "sns.amazonaws.com" }
    Condition = { ArnEquals = { "aws:SourceArn" = sort(tolist(var.drift_topics)) } }
  }]
}

resource "aws_sqs_queue" "events" {
  for_each = local.queues

  name                      = "${var.name}-${each.key}"
  message_retention_seconds = var.delivery.retain_days * 24 * 60 * 60
  # Six times what the function may take, and the window in which batches gather.
  visibility_timeout_seconds = 6 * local.functions[each.key].timeout + var.delivery.window
  sqs_managed_sse_enabled    = var.kms == null ? true : null
  kms_master_key_id          = try(var.kms.key, null)
  tags                       = local.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = var.delivery.attempts_max
  })
}

resource "aws_sqs_queue_policy" "events" {
  for_each = { for queue, senders in local.queues : queue => senders if length(senders) > 0 }

  queue_url = aws_sqs_queue.events[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for sender in each.value : merge(sender, { Action = "sqs:SendMessage", Resource = aws_sqs_queue.events[each.key].arn })
    ]
  })
}

# What came over a hundred times waits here, longer than anywhere else: its age counts from when it was first sent.
resource "aws_sqs_queue" "dead" {
  name                      = "${var.name}-dead"
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = var.kms == null ? true : null
  kms_master_key_id         = try(var.kms.key, null)
  tags                      = local.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [for queue in aws_sqs_queue.events : queue.arn]
  })
}

# Only what the function names as failed comes again; the rest of the batch is done.
resource "aws_lambda_event_source_mapping" "events" {
  for_each = local.queues

  event_source_arn                   = aws_sqs_queue.events[each.key].arn
  function_name                      = aws_lambda_function.this[each.key].arn
  batch_size                         = var.delivery.batch
  maximum_batching_window_in_seconds = var.delivery.window
  function_response_types            = ["ReportBatchItemFailures"]
  tags                               = local.tags

  scaling_config {
    maximum_concurrency = local.functions[each.key].instances_max
  }

  depends_on = [aws_iam_role_policy.intake]
}

resource "aws_sns_topic_subscription" "drift" {
  for_each = var.drift_topics

  topic_arn = each.key
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.events["drift"].arn
}
