# What Google answers is made up.

mock_provider "google" {
  override_during = plan

  mock_resource "google_iam_workload_identity_pool" {
    defaults = {
      name = "projects/123456789012/locations/global/workloadIdentityPools/refit-aws"
    }
  }

  mock_resource "google_iam_workload_identity_pool_provider" {
    defaults = {
      name = "projects/123456789012/locations/global/workloadIdentityPools/refit-aws/providers/aws"
    }
  }

  mock_resource "google_service_account" {
    defaults = {
      email  = "refit-aws@acme-ml.iam.gserviceaccount.com"
      member = "serviceAccount:refit-aws@acme-ml.iam.gserviceaccount.com"
      name   = "projects/acme-ml/serviceAccounts/refit-aws@acme-ml.iam.gserviceaccount.com"
    }
  }
}

variables {
  project     = "acme-ml"
  aws_account = "123456789012"
  role        = "train"
}

run "one_role" {
  command = plan

  assert {
    condition     = google_service_account_iam_member.this.member == "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/refit-aws/attribute.aws_role/train" && google_iam_workload_identity_pool_provider.this.attribute_condition == "assertion.arn.startsWith(\"arn:aws:sts::123456789012:assumed-role/train/\")"
    error_message = "the one role must be let in, and nobody else"
  }

  assert {
    condition     = jsondecode(output.credentials).audience == "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/refit-aws/providers/aws"
    error_message = "libraries must find where to ask"
  }
}

run "a_role_by_its_arn" {
  command = plan
  variables {
    role = "arn:aws:iam::123456789012:role/train"
  }
  expect_failures = [var.role]
}
