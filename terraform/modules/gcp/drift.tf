locals {
  # Who reads the reports that come as files: whoever receives those of drift.
  drift_reader = var.single_service ? module.reconciler.member : try(module.intake["drift"].member, null)
  # The one service may list the buckets of `data` already.
  drift_lists = var.drift_reports != null && !(var.single_service && contains(values(var.data)[*].bucket, try(var.drift_reports.bucket, "")))
}

# Vertex AI Model Monitoring tells the log of what it finds. The name is compared whole: its sibling without `_anomaly` tells
# of the monitoring itself.
resource "google_logging_project_sink" "model_monitoring" {
  for_each = var.drift_vertex ? { this = {} } : {}

  project                = var.project
  name                   = "${var.name}-model-monitoring"
  description            = "Anomalies of Vertex AI Model Monitoring, as drift reports of ${var.name}"
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.events["drift"].id}"
  filter                 = "logName = \"projects/${var.project}/logs/aiplatform.googleapis.com%2Fmodel_monitoring_anomaly\""
  unique_writer_identity = true

  # What it sends before somebody listens is lost.
  depends_on = [google_pubsub_subscription.events]
}

resource "google_pubsub_topic_iam_member" "model_monitoring" {
  for_each = google_logging_project_sink.model_monitoring

  project = var.project
  topic   = google_pubsub_topic.events["drift"].name
  role    = "roles/pubsub.publisher"
  member  = each.value.writer_identity
}

# Reports that come as files: the bucket announces them, and who receives them reads them.
resource "google_storage_notification" "reports" {
  count = var.drift_reports == null ? 0 : 1

  bucket             = var.drift_reports.bucket
  topic              = google_pubsub_topic.events["drift"].id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = "${var.drift_reports.folder}/"

  depends_on = [google_pubsub_subscription.events, terraform_data.granted]
}

resource "google_pubsub_topic_iam_member" "reports" {
  count = var.drift_reports == null ? 0 : 1

  project = var.project
  topic   = google_pubsub_topic.events["drift"].name
  role    = "roles/pubsub.publisher"
  member  = local.agents.storage
}

resource "google_project_iam_custom_role" "reports" {
  count = var.drift_reports == null ? 0 : 1

  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_reports"
  title       = "${var.name}: read reports of drift"
  permissions = ["storage.objects.get"]

  depends_on = [terraform_data.enabled]
}

resource "google_storage_bucket_iam_member" "reports" {
  count = var.drift_reports == null ? 0 : 1

  bucket = var.drift_reports.bucket
  role   = google_project_iam_custom_role.reports[0].id
  member = local.drift_reader

  condition {
    title      = "reports only"
    expression = "resource.name.startsWith(\"projects/_/buckets/${var.drift_reports.bucket}/objects/${var.drift_reports.folder}/\")"
  }
}

# Whoever may not list a bucket is not told that an object is gone, but that it may not be read, and asks again. A condition on
# names is none on listings.
resource "google_storage_bucket_iam_member" "reports_list" {
  count = local.drift_lists ? 1 : 0

  bucket = var.drift_reports.bucket
  role   = google_project_iam_custom_role.sweep.id
  member = local.drift_reader
}
