locals {
  tiles = [
    { title = "Requests by function and answer", filter = local.metrics.requests, align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["resource.labels.service_name", "metric.labels.response_code_class"] },
    { title = "Passes that ended", filter = local.metrics.passes, align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = [] },
    { title = "Length of passes, ms, 99th percentile", filter = local.metrics.slow, align = "ALIGN_PERCENTILE_99", reduce = "REDUCE_MAX", by = [] },
    { title = "Oldest event not recorded, s", filter = local.metrics.unacked, align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = ["resource.labels.subscription_id"] },
    { title = "Dead letters", filter = local.metrics.dead, align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = [] },
    { title = "Instances", filter = "${local.of_service}/container/instance_count\" AND resource.labels.service_name = one_of(${local.services_one_of})", align = "ALIGN_MAX", reduce = "REDUCE_SUM", by = ["resource.labels.service_name"] },
    { title = "Objects of the ledger", filter = "resource.type = \"gcs_bucket\" AND metric.type = \"storage.googleapis.com/storage/v2/total_count\" AND resource.labels.bucket_name = \"${local.ledger_bucket}\"", align = "ALIGN_MAX", reduce = "REDUCE_SUM", by = ["metric.labels.type"] },
    { title = "Calls to the ledger", filter = "resource.type = \"gcs_bucket\" AND metric.type = \"storage.googleapis.com/api/request_count\" AND resource.labels.bucket_name = \"${local.ledger_bucket}\"", align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["metric.labels.method", "metric.labels.response_code"] },
  ]
}

resource "google_monitoring_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  project = var.project
  dashboard_json = jsonencode({
    displayName = var.name
    mosaicLayout = {
      columns = 48
      tiles = [
        # What is zero or empty Google leaves out of its answer: said here, it would be a change in every plan.
        for index, tile in local.tiles : merge(
          { for key, place in { xPos = index % 2 * 24, yPos = floor(index / 2) * 16 } : key => place if place > 0 },
          { width = 24, height = 16 },
          { widget = {
            title = tile.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = tile.filter
                    aggregation = merge(
                      { alignmentPeriod = "300s", perSeriesAligner = tile.align, crossSeriesReducer = tile.reduce },
                      { for key, fields in { groupByFields = tile.by } : key => fields if length(fields) > 0 },
                    )
                  }
                }
              }]
            }
          } },
        )
      ]
    }
  })

  depends_on = [google_logging_metric.line]
}
