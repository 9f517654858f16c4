# Cloud Build trains on new data or on drift, and deploys the service of the model anew.

module "refit" {
  source = "../../modules/gcp"

  project = var.project
  region  = var.region
  images  = var.images

  data = {
    data = { bucket = var.bucket, prefixes = ["churn/"] }
  }

  # What Model Monitoring of Vertex AI finds is a reason to train as well.
  drift_enabled = true
  drift_vertex  = true

  operators = var.operators
  alerts    = { emails = var.emails }
}

resource "google_project_service" "cloudbuild" {
  project            = var.project
  service            = "cloudbuild.googleapis.com"
  disable_on_destroy = false
}

# What the build runs as. It is not the reconciler: who starts a build needs no right to what it deploys.
resource "google_service_account" "build" {
  project      = var.project
  account_id   = "train-and-deploy"
  display_name = "Builds that train and deploy"

  # It enables the API of accounts.
  depends_on = [module.refit]
}

resource "google_cloudbuild_trigger" "train" {
  project         = var.project
  location        = var.region
  name            = "train-churn"
  description     = "Trains and deploys; started by refit, never by a push"
  service_account = google_service_account.build.id

  # No event of a repository starts it.
  source_to_build {
    repository = var.repository
    ref        = "refs/heads/main"
    repo_type  = "GITHUB"
  }

  git_file_source {
    path       = "cloudbuild.yaml"
    repository = var.repository
    revision   = "refs/heads/main"
    repo_type  = "GITHUB"
  }

  depends_on = [google_project_service.cloudbuild]
}

# refit starts the trigger, looks at its builds and ends them, as the account of the build and no other.
resource "google_project_iam_member" "reconciler" {
  #checkov:skip=CKV_GCP_49: Cloud Build grants the right to start builds for a project only; as which account, the next resource says
  project = var.project
  role    = "roles/cloudbuild.builds.editor"
  member  = module.refit.reconciler
}

resource "google_service_account_iam_member" "reconciler" {
  service_account_id = google_service_account.build.name
  role               = "roles/iam.serviceAccountUser"
  member             = module.refit.reconciler
}

# The build reads data and manifests, puts models where the service reads them, writes its log, and deploys the one service.
resource "google_storage_bucket_iam_member" "build" {
  for_each = {
    data   = { bucket = var.bucket, role = "roles/storage.objectViewer" }
    ledger = { bucket = split("/", module.refit.ledger)[2], role = "roles/storage.objectViewer" }
    models = { bucket = var.models, role = "roles/storage.objectCreator" }
  }

  bucket = each.value.bucket
  role   = each.value.role
  member = google_service_account.build.member

  depends_on = [module.refit]
}

resource "google_project_iam_member" "log" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.build.member
}

resource "google_cloud_run_v2_service_iam_member" "build" {
  project  = var.project
  location = var.region
  name     = var.service
  role     = "roles/run.developer"
  member   = google_service_account.build.member
}

# To deploy a service is to act as the account it runs as, and to be able to read its image; the build runs an image as well.
resource "google_service_account_iam_member" "build" {
  service_account_id = "projects/${regex("@([a-z0-9-]+)\\.", var.account)[0]}/serviceAccounts/${var.account}"
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.build.member
}

resource "google_artifact_registry_repository_iam_member" "build" {
  for_each = var.repositories

  project    = var.project
  location   = var.region
  repository = each.key
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.build.member
}

resource "google_storage_bucket_iam_member" "service" {
  bucket = var.models
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${var.account}"
}
