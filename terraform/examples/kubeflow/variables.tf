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

variable "network" {
  description = "The network Kubeflow Pipelines answer in, and a subnetwork of it in the region, with Private Google Access."
  type = object({
    network    = string
    subnetwork = string
  })
}

variable "buckets" {
  description = "Buckets that exist, by a key that stays, and the prefixes whose new objects are announced."
  type = map(object({
    bucket   = string
    prefixes = optional(set(string), [""])
  }))
}

variable "token" {
  description = "The secret with the token of Kubeflow Pipelines, as `projects/PROJECT/secrets/SECRET`; null if it asks for none."
  type        = string
  default     = null
}

variable "operators" {
  description = "Who may apply rules and give commands, as members."
  type        = set(string)
}

variable "emails" {
  description = "Whom alerts are sent to."
  type        = set(string)
}
