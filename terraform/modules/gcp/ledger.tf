locals {
  ledger_bucket = coalesce(var.ledger.bucket, "${var.project}-${var.name}-ledger")
  ledger        = "gs://${local.ledger_bucket}/${var.ledger.folder}"
  # What the names of all objects in a folder of the ledger begin with, as conditions see them.
  ledger_objects = "projects/_/buckets/${local.ledger_bucket}/objects/${var.ledger.folder}"

  # Where the reconciler deletes what nothing can need any more: never in `log/` or `rules/`.
  ledger_tidied = ["inbox/", "manifests/", "parts/", "seen/", "snapshot/"]
  # Where it creates: rules are for people to put in force.
  ledger_written = concat(local.ledger_tidied, ["log/"])
}

# No lifecycle rule and no retention policy: only the reconciler deletes, and it must be able to.
# No versioning: nothing is overwritten, and soft deletion is there for mistakes.
resource "google_storage_bucket" "ledger" {
  #checkov:skip=CKV_GCP_62: who reads the ledger is told by audit logs, where a project has them
  #checkov:skip=CKV_GCP_78: nothing is overwritten, and soft deletion undoes a mistake
  count = var.ledger.create ? 1 : 0

  project                     = var.project
  name                        = local.ledger_bucket
  location                    = coalesce(var.ledger.location, var.region)
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  soft_delete_policy {
    retention_duration_seconds = var.ledger.soft_delete_days * 24 * 60 * 60
  }

  dynamic "encryption" {
    for_each = var.kms[*]
    content {
      default_kms_key_name = encryption.value.key
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [terraform_data.enabled, terraform_data.keyed]
}

resource "google_project_iam_custom_role" "append" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_append"
  title       = "${var.name}: append to the ledger"
  description = "Creates objects. It cannot overwrite: that takes the right to delete as well."
  permissions = ["storage.objects.create"]

  depends_on = [terraform_data.enabled]
}

resource "google_project_iam_custom_role" "reconcile" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_reconcile"
  title       = "${var.name}: read the ledger"
  permissions = ["storage.objects.get"]

  depends_on = [terraform_data.enabled]
}

resource "google_project_iam_custom_role" "tidy" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_tidy"
  title       = "${var.name}: delete what the ledger no longer needs"
  permissions = ["storage.objects.delete"]

  depends_on = [terraform_data.enabled]
}

resource "google_project_iam_custom_role" "sweep" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_sweep"
  title       = "${var.name}: list what lies in a bucket"
  description = "Of the ledger, of the watched buckets, where it finds what was not announced, and of that of drift reports. It reads no object."
  permissions = ["storage.objects.list"]

  depends_on = [terraform_data.enabled]
}

resource "google_storage_bucket_iam_member" "intake" {
  for_each = module.intake

  bucket = local.ledger_bucket
  role   = google_project_iam_custom_role.append.id
  member = each.value.member

  condition {
    title      = "inbox only"
    expression = "resource.name.startsWith(\"${local.ledger_objects}/inbox/\")"
  }

  depends_on = [google_storage_bucket.ledger]
}

resource "google_storage_bucket_iam_member" "reconcile" {
  bucket = local.ledger_bucket
  role   = google_project_iam_custom_role.reconcile.id
  member = module.reconciler.member

  condition {
    title      = "this ledger only"
    expression = "resource.name.startsWith(\"${local.ledger_objects}/\")"
  }

  depends_on = [google_storage_bucket.ledger]
}

resource "google_storage_bucket_iam_member" "commit" {
  bucket = local.ledger_bucket
  role   = google_project_iam_custom_role.append.id
  member = module.reconciler.member

  condition {
    title = "never the rules"
    expression = join(" || ", [
      for folder in local.ledger_written : "resource.name.startsWith(\"${local.ledger_objects}/${folder}\")"
    ])
  }

  depends_on = [google_storage_bucket.ledger]
}

# A condition on names is none on listings.
resource "google_storage_bucket_iam_member" "list" {
  bucket = local.ledger_bucket
  role   = google_project_iam_custom_role.sweep.id
  member = module.reconciler.member

  depends_on = [google_storage_bucket.ledger]
}

resource "google_storage_bucket_iam_member" "tidy" {
  bucket = local.ledger_bucket
  role   = google_project_iam_custom_role.tidy.id
  member = module.reconciler.member

  condition {
    title = "never the log, never the rules"
    expression = join(" || ", [
      for folder in local.ledger_tidied : "resource.name.startsWith(\"${local.ledger_objects}/${folder}\")"
    ])
  }

  depends_on = [google_storage_bucket.ledger]
}

resource "google_storage_bucket_iam_member" "viewer" {
  for_each = setunion(var.viewers, var.operators)

  bucket = local.ledger_bucket
  role   = "roles/storage.objectViewer"
  member = each.key

  depends_on = [google_storage_bucket.ledger]
}

resource "google_storage_bucket_iam_member" "operator" {
  for_each = var.operators

  bucket = local.ledger_bucket
  role   = google_project_iam_custom_role.append.id
  member = each.key

  condition {
    title = "commands and rules"
    expression = join(" || ", [
      for folder in ["inbox/", "rules/"] : "resource.name.startsWith(\"${local.ledger_objects}/${folder}\")"
    ])
  }

  depends_on = [google_storage_bucket.ledger]
}
