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

  depends_on = [google_project_service.api]
}

resource "google_pubsub_topic_iam_member" "model_monitoring" {
  for_each = google_logging_project_sink.model_monitoring

  project = var.project
  topic   = google_pubsub_topic.events["drift"].name
  role    = "roles/pubsub.publisher"
  member  = each.value.writer_identity
}
