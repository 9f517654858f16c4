resource "google_project_service" "api" {
  for_each = toset(var.enable_apis ? ["iam", "iamcredentials", "sts"] : [])

  project            = var.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

# Google believes AWS who a caller is, and lets one role of one account act as one service account: no key is kept anywhere.
resource "google_iam_workload_identity_pool" "this" {
  project                   = var.project
  workload_identity_pool_id = var.name
  display_name              = var.name
  description               = "Roles of AWS"

  depends_on = [google_project_service.api]
}

resource "google_iam_workload_identity_pool_provider" "this" {
  #checkov:skip=CKV_GCP_125: who is let in is a role of AWS, of which a token of GitHub knows nothing
  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.this.workload_identity_pool_id
  workload_identity_pool_provider_id = "aws"
  attribute_condition                = "assertion.arn.startsWith(\"arn:aws:sts::${var.aws_account}:assumed-role/${var.role}/\")"
  attribute_mapping = {
    "google.subject"     = "assertion.arn"
    "attribute.aws_role" = "assertion.arn.extract('assumed-role/{role}/')"
  }

  aws {
    account_id = var.aws_account
  }
}

resource "google_service_account" "this" {
  project      = var.project
  account_id   = var.name
  display_name = var.name
  description  = "The role ${var.role} of AWS acts as this account"

  depends_on = [google_project_service.api]
}

resource "google_service_account_iam_member" "this" {
  service_account_id = google_service_account.this.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.this.name}/attribute.aws_role/${var.role}"
}
