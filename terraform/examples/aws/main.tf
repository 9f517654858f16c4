# Kubeflow Pipelines in a cluster of EKS, fed from a bucket of S3.

module "refit" {
  source = "../../modules/aws"

  # One function per program: what faces events can append to the ledger and wake the reconciler, nothing else.
  images = var.images

  # S3 knows one configuration of notifications a bucket, and this is it. Where others have theirs on the bucket, say
  # events = "given" and add module.refit.queues.object to them.
  data = {
    data = { bucket = var.bucket, prefixes = ["churn/"] }
  }

  # The cluster has an address of its own network only. The subnets need a way to S3, Lambda and Secrets Manager: a NAT, or
  # endpoints.
  vpc = var.network

  # The secret is made elsewhere; rules name it by the same ARN, and only the reconciler may read it. The state has no token.
  secrets = var.token == null ? {} : { kubeflow = var.token }

  operators = var.operators
  alarms    = { emails = var.emails }
}
