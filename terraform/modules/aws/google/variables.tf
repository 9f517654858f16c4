variable "project" {
  description = "The Google Cloud project the pool and the account are made in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be the id of a project, not its name or number: project=`${var.project}`."
  }
}

variable "name" {
  description = "What the pool and the account are named."
  type        = string
  default     = "refit-aws"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.name))
    error_message = "name must be 6 to 30 small letters, digits and `-`, as it names a service account as well: name=`${var.name}`."
  }
}

variable "aws_account" {
  description = "The AWS account the role is in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account))
    error_message = "aws_account must be 12 digits: aws_account=`${var.aws_account}`."
  }
}

variable "role" {
  description = "The name of the one AWS role that may act as the account: the output `reconciler` of the module for AWS, or the role of a pipeline."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.role))
    error_message = "role must be the name of a role, not its ARN: role=`${var.role}`."
  }
}

variable "enable_apis" {
  description = "Whether the APIs that are needed are enabled here. They stay enabled when this is destroyed."
  type        = bool
  default     = true
  nullable    = false
}
