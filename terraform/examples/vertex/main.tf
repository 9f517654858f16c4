# Vertex AI Pipelines, with a bucket for the data and an account for the steps.

# What the steps of a pipeline run as. It is not the reconciler: who starts a run needs no right to the data.
resource "google_service_account" "train" {
  project      = var.project
  account_id   = "train"
  display_name = "Steps of training pipelines"

  depends_on = [google_project_service.iam]
}

# The module enables it as well, but waits for this account.
resource "google_project_service" "iam" {
  project            = var.project
  service            = "iam.googleapis.com"
  disable_on_destroy = false
}

resource "google_project_iam_member" "train" {
  project = var.project
  role    = "roles/aiplatform.user"
  member  = google_service_account.train.member
}

# The steps read the data and the manifests of their batches, and write below the root of the pipelines.
resource "google_storage_bucket_iam_member" "train" {
  for_each = {
    data   = { bucket = var.data_bucket, role = "roles/storage.objectViewer" }
    ledger = { bucket = split("/", module.refit.ledger)[2], role = "roles/storage.objectViewer" }
    root   = { bucket = var.pipelines.root_bucket, role = "roles/storage.objectUser" }
  }

  bucket = each.value.bucket
  role   = each.value.role
  member = google_service_account.train.member

  depends_on = [module.refit]
}

module "refit" {
  source = "../../modules/gcp"

  project = var.project
  region  = var.region
  images  = var.images

  drift_enabled = var.images.drift != null

  # A new bucket, of which two folders are watched. The root of the pipelines is another bucket: outputs that are
  # announced as data would start the next run.
  data = {
    data = {
      bucket   = var.data_bucket
      create   = true
      location = var.region
      prefixes = ["churn/", "fraud/"]
    }
  }

  vertex = {
    # The reconciler may start runs as this account, and as no other.
    accounts = { train = google_service_account.train.email }
    # It reads the compiled pipeline when a batch closes, to know which version runs.
    repositories = {
      pipelines = { location = var.region, repository = var.pipelines.repository }
    }
  }

  kms       = var.kms_key == null ? null : { key = var.kms_key }
  operators = var.operators
  viewers   = var.viewers
  alerts    = { emails = var.emails }
}
