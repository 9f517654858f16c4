data "google_project" "this" {
  project_id = var.project
}

# Asking for it makes it, where Cloud Storage was never used in the project.
data "google_storage_project_service_account" "this" {
  project = var.project

  depends_on = [google_project_service.api]
}

# The same of other projects, where buckets of theirs are watched: they are announced by their own project's.
data "google_storage_project_service_account" "other" {
  for_each = local.other_projects

  project = each.key
}

locals {
  labels = merge({ app = var.name }, var.labels)

  # The agents of Google's services, who do what is set up here.
  agents = {
    storage = data.google_storage_project_service_account.this.member
    pubsub  = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    run     = "serviceAccount:service-${data.google_project.this.number}@serverless-robot-prod.iam.gserviceaccount.com"
  }
  eventarc_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-eventarc.iam.gserviceaccount.com"

  other_projects = toset([for data in values(var.data) : data.project if data.project != null && data.project != var.project])

  has_eventarc = anytrue([for data in values(var.data) : data.events == "eventarc"])
  apis = toset(concat(
    ["cloudscheduler", "iam", "logging", "monitoring", "pubsub", "run", "storage"],
    local.has_eventarc ? ["eventarc"] : [],
    length(var.secrets) + length(try(var.hook.secrets, {})) > 0 ? ["secretmanager"] : [],
    var.vertex != null ? ["aiplatform", "artifactregistry"] : [],
  ))
}

resource "google_project_service" "api" {
  for_each = var.enable_apis ? local.apis : []

  project            = var.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

# Whoever uses the key does so as the agent of a service.
resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = var.kms == null ? {} : local.agents

  crypto_key_id = var.kms.key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value

  depends_on = [terraform_data.enabled]
}
