locals {
  ledger_bucket = coalesce(var.ledger.bucket, "${var.name}-ledger-${local.account}-${local.region}")
  ledger        = "s3://${local.ledger_bucket}/${var.ledger.folder}"
  bucket_arn    = "arn:${local.partition}:s3:::${local.ledger_bucket}"
  folder_arn    = "${local.bucket_arn}/${var.ledger.folder}"

  # Where the reconciler deletes what nothing can need any more: never in `log/` or `rules/`.
  ledger_tidied = ["inbox/", "manifests/", "parts/", "seen/", "snapshot/"]
  # Where it creates: rules are for people to put in force.
  ledger_written = concat(local.ledger_tidied, ["log/"])
}

# No lifecycle rule: only the reconciler deletes. No versioning: nothing is overwritten, and what is deleted would stay
# for ever, as nothing may expire it.
resource "aws_s3_bucket" "ledger" {
  #checkov:skip=CKV2_AWS_61: a lifecycle rule would delete what the reconciler still needs
  #checkov:skip=CKV2_AWS_62: an event for every record would be recorded, and be an event
  #checkov:skip=CKV_AWS_18: who reads the ledger is told by CloudTrail, where an account has it
  #checkov:skip=CKV_AWS_21: nothing is overwritten, and old versions could never be expired
  #checkov:skip=CKV_AWS_144: a copy that lags behind must not be taken for the ledger; see docs/deploy.md, More than one region
  count = var.ledger.create ? 1 : 0

  bucket        = local.ledger_bucket
  force_destroy = false
  tags          = local.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "ledger" {
  count = var.ledger.create ? 1 : 0

  bucket                  = aws_s3_bucket.ledger[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "ledger" {
  count = var.ledger.create ? 1 : 0

  bucket = aws_s3_bucket.ledger[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "ledger" {
  count = var.ledger.create ? 1 : 0

  bucket = aws_s3_bucket.ledger[0].id

  rule {
    bucket_key_enabled = var.kms != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms == null ? "AES256" : "aws:kms"
      kms_master_key_id = try(var.kms.key, null)
    }
  }
}

# S3 overwrites with the right to create alone. So the bucket itself demands that every write is a conditional one, and
# nobody, whatever other policies say, deletes in the log or the rules, or lets a rule delete.
resource "aws_s3_bucket_policy" "ledger" {
  count = var.ledger.create ? 1 : 0

  bucket = aws_s3_bucket.ledger[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyEncryptedConnections"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "OnlyNewObjects"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/*"
        Condition = {
          Null = { "s3:if-none-match" = "true" }
          # A part of an upload is no object yet; its completion is, and is asked.
          Bool = { "s3:ObjectCreationOperation" = "true" }
        }
      },
      {
        Sid       = "TheLogStays"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource  = [for folder in ["log", "rules"] : "${local.folder_arn}/${folder}/*"]
      },
      {
        Sid       = "NoRuleDeletes"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutLifecycleConfiguration"
        Resource  = local.bucket_arn
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.ledger]
}
