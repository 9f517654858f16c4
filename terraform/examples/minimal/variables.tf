variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where the functions and the ledger are: best where the data is."
  type        = string
  default     = "europe-west4"
}

variable "image" {
  description = "The image of `refit`, by digest."
  type        = string
}

variable "bucket" {
  description = "A bucket that exists: every new object in it is an event."
  type        = string
}

variable "job" {
  description = "The job of Cloud Run that trains. It exists."
  type        = string
}

variable "operators" {
  description = "Who may apply rules and give commands, as members such as `user:you@acme.example`."
  type        = set(string)
}
