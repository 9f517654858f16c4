output "ledger" {
  description = "Where everything is recorded: REFIT_LEDGER of the command line, and `ledger` of the rules."
  value       = local.ledger
}

output "wake" {
  description = "What is woken: REFIT_WAKE of the command line."
  value       = local.function_arns["tick"]
}

output "functions" {
  description = "The functions, by name."
  value       = { for name, function in aws_lambda_function.this : name => function.arn }
}

output "reconciler" {
  description = "The role that calls pipeline services, by name. Grant it, and no other, what they ask for."
  value       = aws_iam_role.function["tick"].name
}

output "queues" {
  description = "The queues whose messages are events, by the function that receives them: for notifications that are set up elsewhere."
  value       = { for name, queue in aws_sqs_queue.events : name => queue.arn }
}

output "dead_letters" {
  description = "The queue where what could not be delivered waits."
  value       = aws_sqs_queue.dead.id
}

output "policies" {
  description = "What people need, to be attached to their roles: `viewer`, and `operator` beside it."
  value       = { viewer = aws_iam_policy.viewer.arn, operator = aws_iam_policy.operator.arn }
}

output "hook" {
  description = "Where webhooks go; null without `hook`. What `links` of the rules names is the same without `/hook`."
  value       = one([for api in aws_apigatewayv2_api.hook : "${api.api_endpoint}/hook"])
}

output "next_step" {
  description = "What to do next."
  value = join("\n", concat(
    [
      "Nothing is started before there are rules. Whoever is one of `operators` puts them in force:",
      "",
      "  export REFIT_LEDGER=${local.ledger} REFIT_WAKE=${local.function_arns["tick"]} AWS_REGION=${local.region}",
      "  refit check refit.yaml && refit apply refit.yaml",
    ],
    length(var.data) == 0 ? [] : [
      "",
      "Then upload something that matches, and ask what became of it:",
      "",
      "  aws s3 cp FILE s3://${local.first_data}",
      "  refit why s3://${local.first_data}FILE",
    ],
  ))
}

locals {
  first_data = try([for data in values(var.data) : "${data.bucket}/${sort(tolist(data.prefixes))[0]}"][0], "")
}
