locals {
  # What receives events, appends them and wakes; all have the same rights. One more is one more entry.
  intakes = merge(
    { object = "A new object arrived: records it and wakes the reconciler" },
    var.drift_enabled ? { drift = "Drift was reported: records it and wakes the reconciler" } : {},
    var.hook == null ? {} : { hook = "A webhook or an approval came: records it and wakes the reconciler" },
  )

  functions = {
    for name, does in merge(local.intakes, { tick = "Woken, or pinged by a scheduler: decides what is to run, and calls the services" }) : name => merge(
      { does = does, memory = 256, timeout = 60, instances_max = 10 },
      name == "tick" ? { memory = 1024, timeout = 300 } : {},
      { for key, value in try(var.limits[name], {}) : key => value if value != null },
      { image = var.images[name], zip = var.zips[name] },
    )
  }

  # Names are known before anything is made, so that who wakes and who is woken need not wait for one another.
  function_arns = { for name in keys(local.functions) : name => "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.name}-${name}" }

  # By what Google lets the reconciler act as a service account.
  federation = var.google_federation == null ? {} : { REFIT_GOOGLE_FEDERATION = var.google_federation }
  # Where reports lie that come as files, for who receives those of drift.
  reports = var.drift_reports == null ? {} : { REFIT_REPORTS = "s3://${var.drift_reports.bucket}/${var.drift_reports.folder}" }

  environment = {
    REFIT_LEDGER  = local.ledger
    REFIT_CALLERS = "platform"
    REFIT_LOG     = var.log
  }
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_338: the ledger is the record; logs are for finding faults, for as long as `log_days` says
  for_each = local.functions

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = try(var.kms.key, null)
  tags              = local.tags
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50: the programs write no traces of X-Ray, and a role that writes them could do more than append and wake
  #checkov:skip=CKV_AWS_116: the queues have dead letters; a wake needs none, as the next ping does what it would have done
  #checkov:skip=CKV_AWS_272: images are named by digest and zip files by theirs, which no other program has
  for_each = local.functions

  function_name = "${var.name}-${each.key}"
  description   = each.value.does
  role          = aws_iam_role.function[each.key].arn
  architectures = [var.architecture]
  memory_size   = each.value.memory
  timeout       = each.value.timeout
  kms_key_arn   = try(var.kms.key, null)
  tags          = local.tags

  package_type     = each.value.image == null ? "Zip" : "Image"
  image_uri        = each.value.image
  runtime          = each.value.image == null ? "provided.al2023" : null
  handler          = each.value.image == null ? "bootstrap" : null
  s3_bucket        = try(each.value.zip.bucket, null)
  s3_key           = try(each.value.zip.key, null)
  source_code_hash = try(each.value.zip.sha256, null)

  # More than one would be safe, and only compete.
  reserved_concurrent_executions = each.key == "tick" && var.tick_reserved ? 1 : -1

  environment {
    variables = merge(
      local.environment,
      each.key == "tick" ? merge(var.credentials, local.federation) : { REFIT_WAKE = local.function_arns["tick"] },
      each.key == "drift" ? local.reports : {},
      each.key == "hook" ? merge(var.hook_secrets, var.hook_secret_arns) : {},
    )
  }

  # The programs write lines of JSON; what Lambda adds stays apart from them.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  dynamic "vpc_config" {
    for_each = var.vpc[*]
    content {
      subnet_ids         = vpc_config.value.subnets
      security_group_ids = vpc_config.value.security_groups
    }
  }

  depends_on = [aws_iam_role_policy.intake, aws_iam_role_policy.reconcile, aws_iam_role_policy_attachment.vpc]
}

# A wake says nothing, and the next ping does what it would have done: old ones are dropped.
resource "aws_lambda_function_event_invoke_config" "tick" {
  function_name                = aws_lambda_function.this["tick"].function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}
