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
  })
}

variable "bucket" {
  description = "A bucket that exists, whose new objects below `churn/` are events."
  type        = string
}

variable "secrets" {
  description = "The secrets with the token of the API trigger, and with a session token to look at runs, as `projects/PROJECT/secrets/SECRET`."
  type        = object({ trigger = string, session = string })
}

variable "operators" {
  description = "Who may apply rules and give commands, as members."
  type        = set(string)
}

variable "emails" {
  description = "Whom alerts are sent to."
  type        = set(string)
}
