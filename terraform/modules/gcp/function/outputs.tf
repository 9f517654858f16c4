output "service" {
  description = "The Cloud Run service."
  value       = google_cloud_run_v2_service.this
}

output "name" {
  description = "The name of the service."
  value       = google_cloud_run_v2_service.this.name
}

output "uri" {
  description = "Where it answers; the audience of tokens as well."
  value       = google_cloud_run_v2_service.this.uri
}

output "email" {
  description = "The service account it runs as."
  value       = google_service_account.this.email
}

output "member" {
  description = "The same, as IAM names it."
  value       = google_service_account.this.member
}

output "invokers" {
  description = "Who may call it."
  value       = google_cloud_run_v2_service_iam_member.invoker
}
