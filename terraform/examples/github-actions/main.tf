# A workflow of GitHub Actions that trains, started by new data, and webhooks of its repository.

module "refit" {
  source = "../../modules/gcp"

  project = var.project
  region  = var.region
  images  = var.images

  data = {
    data = { bucket = var.bucket, prefixes = ["churn/"] }
  }

  # GitHub has no Google account, so that anybody may reach this one function; it takes what has GitHub's signature, and
  # has no right but to append and to wake. A new version of the secret is put to use by an apply with its number.
  hook = {
    public = true
    secrets = {
      REFIT_HOOK_GITHUB = { secret = var.secrets.webhook, version = var.secrets.webhook_version }
    }
  }

  # Starts the workflow; the rules name it with its version.
  secrets = { github = var.secrets.token }

  operators = var.operators
  alerts    = { emails = var.emails }
}

# The workflow reads the manifest of its batch, and the data, without a key: GitHub vouches for the repository.
resource "google_project_service" "federation" {
  for_each = toset(["iamcredentials", "sts"])

  project            = var.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project
  workload_identity_pool_id = "github"
  display_name              = "GitHub"

  # The module enables the API of pools, which is that of accounts.
  depends_on = [google_project_service.federation, module.refit]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  #checkov:skip=CKV_GCP_125: the condition names one branch of one repository, which is a variable the scanner cannot see
  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "actions"
  attribute_condition                = "assertion.sub == \"repo:${var.repository}:ref:refs/heads/main\""
  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_storage_bucket_iam_member" "workflow" {
  for_each = {
    data   = { bucket = var.bucket }
    ledger = { bucket = split("/", module.refit.ledger)[2] }
  }

  bucket = each.value.bucket
  role   = "roles/storage.objectViewer"
  member = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.repository/${var.repository}"

  depends_on = [module.refit]
}
