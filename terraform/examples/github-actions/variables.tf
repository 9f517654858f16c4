variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where the functions and the ledger are: best where the data is."
  type        = string
  default     = "europe-west4"
}

variable "images" {
  description = "The images of the functions, by digest."
  type = object({
    object = string
    tick   = string
    hook   = string
  })
}

variable "bucket" {
  description = "A bucket that exists, whose new objects below `churn/` are events."
  type        = string
}

variable "repository" {
  description = "The repository whose workflow trains, as `OWNER/NAME`."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository must be `OWNER/NAME`: repository=`${var.repository}`."
  }
}

variable "secrets" {
  description = "The secrets with a fine-grained token that may write Actions, and with what GitHub signs webhooks with, as `projects/PROJECT/secrets/SECRET`; and the version of the latter."
  type        = object({ token = string, webhook = string, webhook_version = string })
}

variable "operators" {
  description = "Who may apply rules and give commands, as members."
  type        = set(string)
}

variable "emails" {
  description = "Whom alerts are sent to."
  type        = set(string)
}
