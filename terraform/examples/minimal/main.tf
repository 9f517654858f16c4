# The least there is: one service, one bucket, one person.

module "refit" {
  source = "../../modules/gcp"

  project = var.project
  region  = var.region

  # Everything in one process: one image to build, one account, which has all the rights. Where that is too much,
  # see ../kubeflow and ../vertex, which have the functions apart.
  single_service = true
  images         = { refit = var.image }

  # Which objects start something is said by the rules; this only says which are announced.
  data = {
    data = { bucket = var.bucket }
  }

  operators = var.operators
}

# The one pipeline, a job of Cloud Run, which the rules name. Other services ask for other rights: see the table in
# ../../modules/gcp/README.md.
resource "google_cloud_run_v2_job_iam_member" "train" {
  for_each = toset(["jobsExecutorWithOverrides", "viewer"])

  project  = var.project
  location = var.region
  name     = var.job
  role     = "roles/run.${each.key}"
  member   = module.refit.reconciler
}
