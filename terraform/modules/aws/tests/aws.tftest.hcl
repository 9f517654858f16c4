# What the module makes, with the real provider asked for nothing.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

override_resource {
  target          = aws_sqs_queue.events["object"]
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-central-1:123456789012:refit-object", id = "https://sqs.eu-central-1.amazonaws.com/123456789012/refit-object" }
}

override_resource {
  target          = aws_sqs_queue.events["drift"]
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-central-1:123456789012:refit-drift", id = "https://sqs.eu-central-1.amazonaws.com/123456789012/refit-drift" }
}

override_resource {
  target          = aws_cloudwatch_log_group.function["object"]
  override_during = plan
  values          = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/refit-object" }
}

override_resource {
  target          = aws_cloudwatch_log_group.function["drift"]
  override_during = plan
  values          = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/refit-drift" }
}

override_resource {
  target          = aws_cloudwatch_log_group.function["hook"]
  override_during = plan
  values          = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/refit-hook" }
}

override_resource {
  target          = aws_cloudwatch_log_group.function["tick"]
  override_during = plan
  values          = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/refit-tick" }
}

override_resource {
  target          = aws_sqs_queue.dead
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-central-1:123456789012:refit-dead", id = "https://sqs.eu-central-1.amazonaws.com/123456789012/refit-dead" }
}

override_resource {
  target          = aws_iam_policy.viewer
  override_during = plan
  values          = { arn = "arn:aws:iam::123456789012:policy/refit-viewer-eu-central-1" }
}

override_resource {
  target          = aws_iam_policy.operator
  override_during = plan
  values          = { arn = "arn:aws:iam::123456789012:policy/refit-operator-eu-central-1" }
}

variables {
  images = {
    object = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    tick   = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002"
  }
  data = { churn = { bucket = "acme-data", prefixes = ["churn/", "fraud/"] } }
}

run "defaults" {
  command = plan

  assert {
    condition     = [for statement in jsondecode(aws_s3_bucket_policy.ledger[0].policy).Statement : "${statement.Effect} ${statement.Sid}"] == ["Deny OnlyEncryptedConnections", "Deny OnlyNewObjects", "Deny TheLogStays", "Deny NoRuleDeletes"]
    error_message = "the ledger's bucket must refuse what would undo the ledger"
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.ledger[0].policy).Statement[1].Condition == { Null = { "s3:if-none-match" = "true" }, Bool = { "s3:ObjectCreationOperation" = "true" } }
    error_message = "every write must be a conditional one"
  }

  assert {
    condition     = toset(flatten([for queue in aws_s3_bucket_notification.object["churn"].queue : [for event in queue.events : "${queue.filter_prefix} ${event} ${queue.queue_arn}"]])) == toset(["churn/ s3:ObjectCreated:* arn:aws:sqs:eu-central-1:123456789012:refit-object", "fraud/ s3:ObjectCreated:* arn:aws:sqs:eu-central-1:123456789012:refit-object"])
    error_message = "a bucket must announce new objects under its prefixes, and nothing else"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.events["object"].redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:eu-central-1:123456789012:refit-dead", maxReceiveCount = 100 } && aws_sqs_queue.events["object"].visibility_timeout_seconds == 361 && aws_sqs_queue.dead.message_retention_seconds > aws_sqs_queue.events["object"].message_retention_seconds
    error_message = "events must become dead letters that are kept, after enough time"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue_policy.events["object"].policy).Statement[0].Condition == { ArnEquals = { "aws:SourceArn" = ["arn:aws:s3:::acme-data"] }, StringEquals = { "aws:SourceAccount" = ["123456789012"] } }
    error_message = "the buckets named, and no others, must be able to send"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.events["object"].function_response_types == toset(["ReportBatchItemFailures"]) && aws_lambda_event_source_mapping.events["object"].batch_size == 100
    error_message = "only what failed of a batch must come again"
  }

  assert {
    condition     = { for name, it in aws_lambda_function.this : name => it.reserved_concurrent_executions } == { object = -1, tick = 1 }
    error_message = "tick must have one instance"
  }

  assert {
    condition     = alltrue([for it in concat(values(aws_iam_role.function), [aws_iam_role.ping, aws_iam_policy.viewer, aws_iam_policy.operator]) : endswith(it.name, "-eu-central-1")]) && aws_cloudwatch_dashboard.this[0].dashboard_name == "refit-eu-central-1"
    error_message = "what is the account's must be told apart by region"
  }

  assert {
    condition     = sort([for key, it in aws_cloudwatch_log_metric_filter.line : key if it.metric_transformation[0].name == "untaken"]) == tolist(["untaken/object"]) && aws_cloudwatch_metric_alarm.over["untaken"].datapoints_to_alarm == 2 && aws_cloudwatch_metric_alarm.over["untaken"].evaluation_periods == 4
    error_message = "a ledger that takes no events must raise an alarm that lasts from one attempt to the next"
  }

  assert {
    condition     = aws_lambda_function.this["object"].environment[0].variables == tomap({ REFIT_LEDGER = "s3://refit-ledger-123456789012-eu-central-1/prod", REFIT_CALLERS = "platform", REFIT_LOG = "info", REFIT_WAKE = "arn:aws:lambda:eu-central-1:123456789012:function:refit-tick" })
    error_message = "object must know the ledger and what it wakes"
  }

  assert {
    condition     = !contains(keys(aws_lambda_function.this["tick"].environment[0].variables), "REFIT_WAKE")
    error_message = "tick must wake nobody"
  }

  assert {
    condition     = aws_scheduler_schedule.ping.schedule_expression == "rate(1 minute)" && jsondecode(aws_scheduler_schedule.ping.target[0].input).time == "<aws.scheduler.scheduled-time>" && !strcontains(aws_scheduler_schedule.ping.target[0].input, "\\u003")
    error_message = "a ping must come every minute, and say for when"
  }

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.intake["object"].policy).Statement : statement.Action])) == toset(["s3:PutObject", "lambda:InvokeFunction", "logs:CreateLogStream", "logs:PutLogEvents", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"])
    error_message = "object must append, wake and be fed, and nothing else"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.intake["object"].policy).Statement[0].Resource == "arn:aws:s3:::refit-ledger-123456789012-eu-central-1/prod/inbox/*"
    error_message = "object must create in the inbox alone"
  }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.reconcile.policy).Statement : statement.Resource if statement.Action == "s3:DeleteObject"]) == [for folder in ["inbox", "manifests", "parts", "seen", "snapshot"] : "arn:aws:s3:::refit-ledger-123456789012-eu-central-1/prod/${folder}/*"]
    error_message = "tick must never delete in the log or the rules"
  }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.reconcile.policy).Statement : statement.Resource if statement.Action == "s3:PutObject"]) == [for folder in ["inbox", "manifests", "parts", "seen", "snapshot", "log"] : "arn:aws:s3:::refit-ledger-123456789012-eu-central-1/prod/${folder}/*"]
    error_message = "tick must put no rules in force"
  }

  assert {
    condition     = [for policy in [aws_iam_role_policy.reconcile.policy, aws_iam_policy.viewer.policy] : one([for statement in jsondecode(policy).Statement : statement.Condition if statement.Action == "s3:ListBucket"])] == [for who in ["tick", "viewer"] : { StringLikeIfExists = { "s3:prefix" = "prod/*" } }]
    error_message = "whoever asks for an object that is gone must be told so, which names no prefix"
  }

  assert {
    condition     = !aws_s3_bucket.ledger[0].force_destroy && alltrue([for it in aws_s3_bucket_public_access_block.ledger : it.block_public_acls && it.block_public_policy && it.ignore_public_acls && it.restrict_public_buckets])
    error_message = "the ledger must never be public, or be destroyed with what is in it"
  }
}

run "everything" {
  command = plan
  variables {
    images = {
      object = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
      tick   = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002"
      hook   = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/hook@sha256:0000000000000000000000000000000000000000000000000000000000000005"
    }
    zips = {
      drift = { bucket = "acme-builds", key = "drift.zip", sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }
    }
    data = {
      churn = { bucket = "acme-data", prefixes = ["churn/"] }
      fraud = { bucket = "acme-fraud", create = true }
      logs  = { bucket = "acme-logs", events = "given", account = "210987654321" }
    }
    drift_enabled     = true
    drift_publishers  = ["arn:aws:iam::123456789012:role/monitor"]
    drift_topics      = ["arn:aws:sns:eu-central-1:123456789012:alarms"]
    drift_reports     = { bucket = "acme-monitoring", folder = "reports" }
    google_federation = "{\"type\":\"external_account\"}"
    hook              = { public = true }
    hook_secrets      = { REFIT_HOOK_GITHUB = "not a secret", REFIT_HOOK_LINK = "not a secret of thirty-two bytes" }
    hook_secret_arns  = { REFIT_HOOK_MLFLOW = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:refit/mlflow-AbCdEf" }
    secrets           = { kfp = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:refit/kfp-AbCdEf" }
    credentials       = { KFP_TOKEN = "not a secret" }
    operators         = ["ml"]
    viewers           = ["everybody"]
    limits            = { object = { memory = 512, timeout = 30 } }
    vpc               = { subnets = ["subnet-1"], security_groups = ["sg-1"] }
    kms               = { key = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000001" }
    alarms            = { emails = ["ml@acme.example"] }
  }

  assert {
    condition     = aws_lambda_function.this["drift"].package_type == "Zip" && aws_lambda_function.this["drift"].runtime == "provided.al2023" && aws_lambda_function.this["drift"].handler == "bootstrap" && aws_lambda_function.this["object"].package_type == "Image"
    error_message = "a function must be an image or a zip file"
  }

  assert {
    condition     = sort(keys(aws_s3_bucket_notification.object)) == tolist(["churn", "fraud"]) && length(jsondecode(aws_sqs_queue_policy.events["object"].policy).Statement[0].Condition.ArnEquals["aws:SourceArn"]) == 3 && jsondecode(aws_sqs_queue_policy.events["object"].policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == ["123456789012", "210987654321"]
    error_message = "notifications that are given must be left alone, and be let in"
  }

  assert {
    condition     = aws_sqs_queue.events["object"].visibility_timeout_seconds == 181 && aws_sqs_queue.events["drift"].visibility_timeout_seconds == 361
    error_message = "a message must be hidden for six times what its function may take"
  }

  assert {
    condition     = aws_apigatewayv2_route.hook["this"].authorization_type == "NONE" && aws_lambda_permission.hook["this"].principal == "apigateway.amazonaws.com" && !contains(keys(aws_lambda_event_source_mapping.events), "hook")
    error_message = "webhooks must reach hook through their address"
  }

  assert {
    condition     = contains(values(jsondecode(aws_apigatewayv2_stage.hook["this"].access_log_settings[0].format)), "$context.requestId")
    error_message = "API Gateway refuses a log that does not name requests"
  }

  assert {
    condition     = toset([for route in aws_apigatewayv2_route.link : "${route.route_key} ${route.authorization_type}"]) == toset(["GET /approve NONE", "POST /approve NONE"])
    error_message = "whoever has a link must see its page, and be able to send its form"
  }

  assert {
    condition = alltrue([
      for name, function in aws_lambda_function.this : contains(keys(nonsensitive(function.environment[0].variables)), "REFIT_HOOK_GITHUB") == (name == "hook") && contains(keys(nonsensitive(function.environment[0].variables)), "REFIT_HOOK_MLFLOW") == (name == "hook") && contains(keys(nonsensitive(function.environment[0].variables)), "KFP_TOKEN") == (name == "tick") && contains(keys(nonsensitive(function.environment[0].variables)), "REFIT_GOOGLE_FEDERATION") == (name == "tick")
    ])
    error_message = "a secret must be given to the one function that uses it"
  }

  assert {
    condition     = [for statement in jsondecode(aws_sqs_queue_policy.events["drift"].policy).Statement : statement.Sid] == ["Reports", "Topics", "Files"]
    error_message = "those who are named must be able to report drift"
  }

  assert {
    condition     = nonsensitive(aws_lambda_function.this["drift"].environment[0].variables)["REFIT_REPORTS"] == "s3://acme-monitoring/reports" && one(aws_s3_bucket_notification.reports[0].queue).filter_prefix == "reports/" && jsondecode(aws_iam_role_policy.reports[0].policy).Statement == [{ Effect = "Allow", Action = "s3:GetObject", Resource = "arn:aws:s3:::acme-monitoring/reports/*" }, { Effect = "Allow", Action = "s3:ListBucket", Resource = "arn:aws:s3:::acme-monitoring" }]
    error_message = "reports that come as files must be announced, and drift must read them, be told of those that are gone, and nothing else"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.secrets[0].policy).Statement == [{ Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = [var.secrets.kfp] }]
    error_message = "tick must read the secrets that rules refer to, and no other"
  }

  assert {
    condition     = { for key, it in aws_cloudwatch_log_metric_filter.line : key => it.pattern if key == "pending/tick" || key == "unknown/tick" } == { "pending/tick" = "{ $.message = \"a pass has ended\" && $.behind_s > 300 }", "unknown/tick" = "{ $.message = \"a pass has ended\" && $.uncertain > 0 }" }
    error_message = "what waits and what nobody knows must be counted"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.missing[0].treat_missing_data == "breaching" && length(setsubtract(["dead", "pending", "unknown", "untaken", "unread-object", "unread-drift", "failed-tick", "refused-hook"], keys(aws_cloudwatch_metric_alarm.over))) == 0
    error_message = "whatever stops must raise an alarm"
  }

  assert {
    condition     = aws_sqs_queue.dead.kms_master_key_id == var.kms.key && aws_lambda_function.this["tick"].kms_key_arn == var.kms.key && one(one(aws_s3_bucket_server_side_encryption_configuration.ledger[0].rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms.key
    error_message = "everything kept must be kept under the key"
  }
}

run "a_new_account" {
  command = plan
  variables {
    tick_reserved = false
    log           = "info,refit_engine=debug,hyper=warn"
  }

  assert {
    condition     = { for name, it in aws_lambda_function.this : name => it.reserved_concurrent_executions } == { object = -1, tick = -1 }
    error_message = "nothing must be reserved where there is nothing to reserve"
  }
}

run "a_ledger_that_exists" {
  command = plan
  variables {
    ledger = { create = false, bucket = "acme-ledger", folder = "ml/prod" }
    alarms = { enabled = false }
  }

  assert {
    condition     = length(aws_s3_bucket.ledger) == 0 && length(aws_s3_bucket_policy.ledger) == 0 && output.ledger == "s3://acme-ledger/ml/prod"
    error_message = "a ledger that exists must be left as it is"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.over) == 0 && length(aws_cloudwatch_metric_alarm.missing) == 0
    error_message = "no alarms were asked for"
  }
}
