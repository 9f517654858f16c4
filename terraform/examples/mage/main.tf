# Mage, at an address that can be reached from the internet.

module "refit" {
  source = "../../modules/gcp"

  project = var.project
  region  = var.region

  # One function per program: what faces events can append to the ledger and wake the reconciler, nothing else.
  images = var.images

  # Only this folder is announced: a delivery that no rule wants costs as much as one that starts something.
  data = {
    data = { bucket = var.bucket, prefixes = ["churn/"] }
  }

  # Mage has no keys of its own against double starts: refit finds a run by the variable refit_key, for which it looks at
  # runs with the session token. Both secrets are made elsewhere; the rules name them with their versions.
  secrets = { mage-trigger = var.secrets.trigger, mage-session = var.secrets.session }

  operators = var.operators
  alerts    = { emails = var.emails }
}
