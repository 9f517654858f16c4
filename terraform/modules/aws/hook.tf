locals {
  has_links = contains(concat(nonsensitive(keys(var.hook_secrets)), keys(var.hook_secret_arns)), "REFIT_HOOK_LINK")
}

# Webhooks come through an address of their own, which calls the one function and limits how often.
resource "aws_apigatewayv2_api" "hook" {
  for_each = var.hook == null ? {} : { this = var.hook }

  name          = "${var.name}-hook"
  description   = "Webhooks and approvals of ${var.name}"
  protocol_type = "HTTP"
  tags          = local.tags
}

resource "aws_apigatewayv2_integration" "hook" {
  for_each = aws_apigatewayv2_api.hook

  api_id                 = each.value.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.this["hook"].arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 29000
}

resource "aws_apigatewayv2_route" "hook" {
  for_each = aws_apigatewayv2_api.hook

  api_id             = each.value.id
  route_key          = "POST /hook"
  target             = "integrations/${aws_apigatewayv2_integration.hook[each.key].id}"
  authorization_type = var.hook.public ? "NONE" : "AWS_IAM"
}

# Persons come by links, with a browser: they see a page, and send its form.
resource "aws_apigatewayv2_route" "link" {
  for_each = toset(var.hook != null && local.has_links ? ["GET", "POST"] : [])

  api_id             = aws_apigatewayv2_api.hook["this"].id
  route_key          = "${each.key} /approve"
  target             = "integrations/${aws_apigatewayv2_integration.hook["this"].id}"
  authorization_type = var.hook.public ? "NONE" : "AWS_IAM"
}

resource "aws_apigatewayv2_stage" "hook" {
  for_each = aws_apigatewayv2_api.hook

  api_id      = each.value.id
  name        = "$default"
  auto_deploy = true
  tags        = local.tags

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.hook[each.key].arn
    format = jsonencode({
      # API Gateway refuses a log without it.
      id     = "$context.requestId"
      time   = "$context.requestTime"
      from   = "$context.identity.sourceIp"
      status = "$context.status"
      error  = "$context.error.message"
    })
  }

  default_route_settings {
    throttling_burst_limit = 50
    throttling_rate_limit  = 20
  }
}

resource "aws_cloudwatch_log_group" "hook" {
  #checkov:skip=CKV_AWS_338: the ledger is the record; logs are for finding faults, for as long as `log_days` says
  for_each = aws_apigatewayv2_api.hook

  name              = "/aws/apigateway/${var.name}-hook"
  retention_in_days = var.log_days
  kms_key_id        = try(var.kms.key, null)
  tags              = local.tags
}

resource "aws_lambda_permission" "hook" {
  for_each = aws_apigatewayv2_api.hook

  statement_id  = "hook"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["hook"].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${each.value.execution_arn}/*/*"
}
