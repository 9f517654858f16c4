locals {
  vertex_project = var.vertex == null ? var.project : coalesce(var.vertex.project, var.project)
}

resource "google_project_iam_custom_role" "vertex" {
  count = var.vertex != null ? 1 : 0

  project     = local.vertex_project
  role_id     = "${replace(var.name, "-", "_")}_vertex"
  title       = "${var.name}: start and follow pipelines"
  permissions = [for verb in ["cancel", "create", "get", "list"] : "aiplatform.pipelineJobs.${verb}"]

  depends_on = [terraform_data.enabled]
}

resource "google_project_iam_member" "vertex" {
  count = var.vertex != null ? 1 : 0

  project = local.vertex_project
  role    = google_project_iam_custom_role.vertex[0].id
  member  = module.reconciler.member
}

# To start a run is to act as the account it runs as.
resource "google_service_account_iam_member" "vertex" {
  for_each = var.vertex == null ? {} : var.vertex.accounts

  service_account_id = "projects/${regex("@([a-z0-9-]+)\\.", each.value)[0]}/serviceAccounts/${each.value}"
  role               = "roles/iam.serviceAccountUser"
  member             = module.reconciler.member
}

resource "google_artifact_registry_repository_iam_member" "vertex" {
  for_each = var.vertex == null ? {} : var.vertex.repositories

  project    = coalesce(each.value.project, local.vertex_project)
  location   = each.value.location
  repository = each.value.repository
  role       = "roles/artifactregistry.reader"
  member     = module.reconciler.member
}

resource "google_storage_bucket_iam_member" "vertex" {
  for_each = toset(var.vertex == null ? [] : var.vertex.buckets)

  bucket = each.key
  role   = "roles/storage.objectViewer"
  member = module.reconciler.member
}

# Which of several runs goes on says the claim that its first step has made.
resource "google_storage_bucket_iam_member" "guard" {
  for_each = var.guards

  bucket = each.key
  role   = "roles/storage.objectViewer"
  member = module.reconciler.member
}

resource "google_secret_manager_secret_iam_member" "reconciler" {
  for_each = var.secrets

  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = module.reconciler.member

  depends_on = [terraform_data.enabled]
}

resource "google_pubsub_topic_iam_member" "notify" {
  for_each = var.notify_topics

  project = split("/", each.value)[1]
  topic   = split("/", each.value)[3]
  role    = "roles/pubsub.publisher"
  member  = module.reconciler.member
}
