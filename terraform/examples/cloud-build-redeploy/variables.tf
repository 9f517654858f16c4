variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where the functions, the ledger, the build and the model's service are: best where the data is."
  type        = string
  default     = "europe-west4"
}

variable "images" {
  description = "The images of the functions, by digest."
  type = object({
    object = string
    tick   = string
    drift  = string
  })
}

variable "bucket" {
  description = "A bucket that exists, whose new objects below `churn/` are events."
  type        = string
}

variable "repository" {
  description = "The repository with the build, as Cloud Build is connected to it: `projects/…/locations/…/connections/…/repositories/…`."
  type        = string
}

variable "service" {
  description = "The service of Cloud Run that serves the model. It exists; the build deploys it anew."
  type        = string
}

variable "account" {
  description = "The service account that service runs as, as an email NAME@PROJECT.iam.gserviceaccount.com. It may read the models."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+@[a-z0-9-]+\\.iam\\.gserviceaccount\\.com$", var.account))
    error_message = "account must be NAME@PROJECT.iam.gserviceaccount.com: the default account of Compute Engine may do too much to be handed to a build."
  }
}

variable "models" {
  description = "A bucket that exists, where builds put models and the service reads them."
  type        = string
}

variable "repositories" {
  description = "The repositories of Artifact Registry with the image that trains and that of the service, in the project and region."
  type        = set(string)
}

variable "operators" {
  description = "Who may apply rules and give commands, as members."
  type        = set(string)
}

variable "emails" {
  description = "Whom alerts are sent to."
  type        = set(string)
}
