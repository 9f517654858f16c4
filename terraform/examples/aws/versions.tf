terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 6"
    }
  }

  # The state names every role and queue, and no secret. Keep it where your team keeps its own:
  # backend "s3" {
  #   bucket       = "acme-terraform"
  #   key          = "refit"
  #   region       = "eu-central-1"
  #   encrypt      = true
  #   use_lockfile = true
  # }
}

provider "aws" {
  region = var.region
}
