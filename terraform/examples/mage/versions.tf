terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.0, < 9"
    }
  }

  # The state names every account and topic, and no secret. Keep it where your team keeps its own:
  # backend "gcs" {
  #   bucket = "acme-terraform"
  #   prefix = "refit"
  # }
}

provider "google" {
  project = var.project
  region  = var.region
}
