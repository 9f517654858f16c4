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
    drift  = optional(string)
  })
}

variable "data_bucket" {
  description = "The bucket for new data. It is made here."
  type        = string
}

variable "pipelines" {
  description = "The repository of Artifact Registry that compiled pipelines are in, and the bucket steps leave their output in."
  type = object({
    repository  = string
    root_bucket = string
  })
}

variable "operators" {
  description = "Who may apply rules and give commands, as members."
  type        = set(string)
}

variable "viewers" {
  description = "Who may look, as members."
  type        = set(string)
  default     = []
}

variable "emails" {
  description = "Whom alerts are sent to."
  type        = set(string)
}

variable "kms_key" {
  description = "The key the ledger and the messages are kept under; Google's own if null."
  type        = string
  default     = null
}
