locals {
  logs    = { for name in keys(local.functions) : name => { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.function[name].arn}:*" } }
  decrypt = var.kms == null ? [] : [{ Effect = "Allow", Action = "kms:Decrypt", Resource = var.kms.key }]
  crypt   = var.kms == null ? [] : [{ Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.kms.key }]
  wakes   = { Effect = "Allow", Action = "lambda:InvokeFunction", Resource = local.function_arns["tick"] }

  # S3 says that an object is gone to those alone who may list the bucket, and the request for an object names no prefix.
  lists = { Effect = "Allow", Action = "s3:ListBucket", Resource = local.bucket_arn, Condition = { StringLikeIfExists = { "s3:prefix" = "${var.ledger.folder}/*" } } }
}

# Roles and policies are the account's: their names tell apart what is in several regions of it.
resource "aws_iam_role" "function" {
  for_each = local.functions

  name        = "${var.name}-${each.key}-${local.region}"
  description = each.value.does
  tags        = local.tags
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "intake" {
  for_each = local.intakes

  name = "append-and-wake"
  role = aws_iam_role.function[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Effect = "Allow", Action = "s3:PutObject", Resource = "${local.folder_arn}/inbox/*" },
        local.wakes,
        local.logs[each.key],
      ],
      contains(keys(local.queues), each.key) ? [
        { Effect = "Allow", Action = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], Resource = aws_sqs_queue.events[each.key].arn },
      ] : [],
      local.crypt,
    )
  })
}

resource "aws_iam_role_policy" "reconcile" {
  name = "reconcile"
  role = aws_iam_role.function["tick"].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Effect = "Allow", Action = "s3:GetObject", Resource = "${local.folder_arn}/*" },
        { Effect = "Allow", Action = "s3:PutObject", Resource = [for folder in local.ledger_written : "${local.folder_arn}/${folder}*"] },
        local.lists,
        { Effect = "Allow", Action = "s3:DeleteObject", Resource = [for folder in local.ledger_tidied : "${local.folder_arn}/${folder}*"] },
        local.logs["tick"],
      ],
      local.crypt,
    )
  })
}

resource "aws_iam_role_policy" "secrets" {
  count = length(var.secrets) == 0 ? 0 : 1

  name = "read-secrets"
  role = aws_iam_role.function["tick"].name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = sort(values(var.secrets)) }]
  })
}

resource "aws_iam_role_policy" "hook_secrets" {
  count = length(var.hook_secret_arns) == 0 ? 0 : 1

  name = "read-secrets"
  role = aws_iam_role.function["hook"].name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = sort(values(var.hook_secret_arns)) }]
  })
}

resource "aws_iam_role_policy" "reports" {
  count = var.drift_reports == null ? 0 : 1

  name = "read-reports"
  role = aws_iam_role.function["drift"].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "s3:GetObject", Resource = "arn:${local.partition}:s3:::${var.drift_reports.bucket}/${var.drift_reports.folder}/*" },
      # Without it a report that is gone is one that may not be read, and is asked for again.
      { Effect = "Allow", Action = "s3:ListBucket", Resource = "arn:${local.partition}:s3:::${var.drift_reports.bucket}" },
    ]
  })
}

# Functions within a network make interfaces in it.
resource "aws_iam_role_policy_attachment" "vpc" {
  for_each = var.vpc == null ? {} : local.functions

  role       = aws_iam_role.function[each.key].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
}

resource "aws_iam_policy" "viewer" {
  name        = "${var.name}-viewer-${local.region}"
  description = "Looks at the ledger of ${var.name}: refit status, why, audit"
  tags        = local.tags
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      { Effect = "Allow", Action = "s3:GetObject", Resource = "${local.folder_arn}/*" },
      local.lists,
      ], local.decrypt,
    )
  })
}

resource "aws_iam_policy" "operator" {
  name        = "${var.name}-operator-${local.region}"
  description = "Applies rules of ${var.name} and gives commands: refit apply, pause, replay"
  tags        = local.tags
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      { Effect = "Allow", Action = "s3:PutObject", Resource = [for folder in ["inbox", "rules"] : "${local.folder_arn}/${folder}/*"] },
      local.wakes,
      ], local.crypt,
    )
  })
}

resource "aws_iam_role_policy_attachment" "viewer" {
  for_each = setunion(var.viewers, var.operators)

  role       = each.key
  policy_arn = aws_iam_policy.viewer.arn
}

resource "aws_iam_role_policy_attachment" "operator" {
  for_each = var.operators

  role       = each.key
  policy_arn = aws_iam_policy.operator.arn
}
