variable "region" {
  description = "Where the functions and the ledger are: where the data is."
  type        = string
  default     = "eu-central-1"
}

variable "images" {
  description = "The images of the functions in ECR, by digest."
  type = object({
    object = string
    tick   = string
  })
}

variable "bucket" {
  description = "A bucket that exists, without notifications of others: those of this are all it has then."
  type        = string
}

variable "network" {
  description = "The subnets and security groups the functions run in, from which Kubeflow Pipelines can be reached."
  type        = object({ subnets = set(string), security_groups = set(string) })
}

variable "token" {
  description = "The secret of Secrets Manager with the token of Kubeflow Pipelines, as its ARN; null if it asks for none."
  type        = string
  default     = null
}

variable "operators" {
  description = "Who may apply rules and give commands, as names of roles."
  type        = set(string)
}

variable "emails" {
  description = "Whom alarms are sent to."
  type        = set(string)
}
