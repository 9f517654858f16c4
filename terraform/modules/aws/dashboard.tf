locals {
  of_functions = [for name in keys(local.functions) : "${var.name}-${name}"]
  tiles = [
    { title = "Calls of functions", metrics = [for name in local.of_functions : ["AWS/Lambda", "Invocations", "FunctionName", name]], stat = "Sum" },
    { title = "Calls that failed", metrics = [for name in local.of_functions : ["AWS/Lambda", "Errors", "FunctionName", name]], stat = "Sum" },
    { title = "Passes that ended well", metrics = [[local.namespace, "passes"]], stat = "Sum" },
    { title = "Length of calls, ms, 99th percentile", metrics = [for name in local.of_functions : ["AWS/Lambda", "Duration", "FunctionName", name]], stat = "p99" },
    { title = "Oldest event not recorded, s", metrics = [for queue in aws_sqs_queue.events : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue.name]], stat = "Maximum" },
    { title = "Dead letters", metrics = [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.dead.name]], stat = "Maximum" },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  # Dashboards are the account's, whatever they show.
  dashboard_name = "${var.name}-${local.region}"
  dashboard_body = jsonencode({
    widgets = [
      for index, tile in local.tiles : {
        type       = "metric"
        x          = index % 2 * 12
        y          = floor(index / 2) * 6
        width      = 12
        height     = 6
        properties = { title = tile.title, metrics = tile.metrics, stat = tile.stat, period = 300, region = local.region, view = "timeSeries" }
      }
    ]
  })
}
