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

variable "operators" {
  description = "Who may apply rules and give commands, as members."
  type        = set(string)
}

variable "emails" {
  description = "Whom alerts are sent to."
  type        = set(string)
}
