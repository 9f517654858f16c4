data "aws_caller_identity" "this" {}

data "aws_partition" "this" {
  lifecycle {
    postcondition {
      condition     = self.dns_suffix == "amazonaws.com"
      error_message = "the programs ask hosts of `amazonaws.com` and know no others, so refit runs in no region of this partition: partition=`${self.partition}`, its hosts=`${self.dns_suffix}`."
    }
  }
}

data "aws_region" "this" {}

locals {
  tags      = merge({ app = var.name }, var.tags)
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.id
}
