# What AWS answers is unknown, as before a first apply.
mock_provider "aws" {
  source = "../../modules/aws/tests/mocks"
}

variables {
  images = {
    object = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/refit/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    tick   = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/refit/tick@sha256:0000000000000000000000000000000000000000000000000000000000000001"
  }
  bucket    = "acme-data"
  network   = { subnets = ["subnet-1"], security_groups = ["sg-1"] }
  token     = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:refit/kubeflow-AbCdEf"
  operators = ["ml-engineer"]
  emails    = ["ml-oncall@acme.example"]
}

run "plan" {
  command = plan

  assert {
    condition     = output.ledger == "s3://refit-ledger-123456789012-eu-central-1/prod"
    error_message = "the ledger must be where refit.yaml says"
  }

  assert {
    condition     = strcontains(output.next_step, "refit apply refit.yaml") && strcontains(output.next_step, "s3://acme-data/churn/")
    error_message = "the next step must be printed"
  }
}
