# Kubeflow Pipelines in a cluster, behind an address of its own network.

module "refit" {
  source = "../../modules/gcp"

  project = var.project
  region  = var.region

  # One function per program: what faces events can append to the ledger and wake the reconciler, nothing else.
  images = var.images

  # Drift reports have a topic of their own as soon as there is a program that receives them.
  drift_enabled = var.images.drift != null

  # Buckets stay as they are: only notifications are added. Narrow prefixes save deliveries.
  data = var.buckets

  # Only addresses of the network itself go through it; Google's own services are called directly.
  vpc = {
    network    = var.network.network
    subnetwork = var.network.subnetwork
    egress     = "PRIVATE_RANGES_ONLY"
    tags       = ["refit"]
  }

  # The secret is made elsewhere; rules name it with its version, and only the reconciler may read it.
  secrets = var.token == null ? {} : { kubeflow = var.token }

  operators = var.operators
  alerts    = { emails = var.emails }
}
