locals {
  notified = { for key, data in var.data : key => data if data.events == "notification" }
}

resource "aws_s3_bucket" "data" {
  #checkov:skip=CKV2_AWS_61: how long data is kept is for its owner to say
  #checkov:skip=CKV_AWS_18: who reads data is told by CloudTrail, where an account has it
  #checkov:skip=CKV_AWS_21: every version would be an event; whoever wants them sets them
  #checkov:skip=CKV_AWS_144: where data is copied to is for its owner to say
  #checkov:skip=CKV_AWS_145: S3 encrypts under its own key; another is for the owner of the data to say
  for_each = { for key, data in var.data : key => data if data.create }

  bucket        = each.value.bucket
  force_destroy = false
  tags          = local.tags
}

resource "aws_s3_bucket_public_access_block" "data" {
  for_each = aws_s3_bucket.data

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# This owns all notifications of the bucket: S3 knows but one configuration. Where there are others, say `events = "given"`
# and add the queue to them.
resource "aws_s3_bucket_notification" "object" {
  for_each = local.notified

  bucket = each.value.bucket

  dynamic "queue" {
    for_each = each.value.prefixes
    content {
      queue_arn     = aws_sqs_queue.events["object"].arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = queue.value == "" ? null : queue.value
    }
  }

  # S3 refuses a queue it may not send to, and what it announces before somebody listens waits in the queue.
  depends_on = [aws_s3_bucket.data, aws_sqs_queue_policy.events]
}

# This owns all notifications of the bucket, as above.
resource "aws_s3_bucket_notification" "reports" {
  count = var.drift_reports == null ? 0 : 1

  bucket = var.drift_reports.bucket

  queue {
    queue_arn     = aws_sqs_queue.events["drift"].arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "${var.drift_reports.folder}/"
  }

  depends_on = [aws_sqs_queue_policy.events]
}
