variable "project" {
  description = "The project's id."
  type        = string
  nullable    = false
}

variable "region" {
  description = "The region the function runs in."
  type        = string
  nullable    = false
}

variable "name" {
  description = "The name of the Cloud Run service and of its account, such as `refit-object`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.name))
    error_message = "name must be 6 to 30 small letters, digits and `-`, as it names a service account as well: name=`${var.name}`."
  }
}

variable "description" {
  description = "What the function does, for whoever looks at it in the console."
  type        = string
  nullable    = false
}

variable "image" {
  description = "The image, by digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must end in `@sha256:` and 64 hex digits: a tag can be moved to another program after it was reviewed."
  }
}

variable "args" {
  description = "Arguments of the program."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "environment" {
  description = "Environment variables, by name. All that are understood are in docs/reference.md."
  type        = map(string)
  nullable    = false
}

variable "secrets" {
  description = "Environment variables whose values are in Secret Manager, by name: `secret`, as `projects/PROJECT/secrets/SECRET`, and its `version`. The function's account may read them."
  type        = map(object({ secret = string, version = string }))
  default     = {}
  nullable    = false
}

variable "public" {
  description = "Whether nobody is asked for a token: the program tells its callers apart by their signatures."
  type        = bool
  default     = false
  nullable    = false
}

variable "limits" {
  description = "What an instance gets, and how many there may be."
  type = object({
    cpu           = optional(string, "1")
    memory        = optional(string, "512Mi")
    concurrency   = optional(number, 80)
    instances_min = optional(number, 0)
    instances_max = optional(number, 10)
    timeout       = optional(string, "60s")
    cpu_idle      = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.limits.instances_min <= var.limits.instances_max
    error_message = "limits.instances_min must not be above limits.instances_max."
  }

  validation {
    condition     = !can(regex("^(0?\\.[0-9]+|[0-9]{1,3}m)$", var.limits.cpu)) || (var.limits.concurrency == 1 && var.limits.cpu_idle)
    error_message = "limits.cpu below 1 needs limits.concurrency = 1 and limits.cpu_idle: Cloud Run refuses anything else: cpu=`${var.limits.cpu}`."
  }
}

variable "patience" {
  description = "How many seconds to wait until Google knows everywhere of a grant that the service needs to be made."
  type        = number
  default     = 90
  nullable    = false
}

variable "ingress" {
  description = "Where requests may come from: `internal` (Pub/Sub, Eventarc and Scheduler of the same project, and its VPC) or `all`. IAM is asked either way."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["internal", "all"], var.ingress)
    error_message = "ingress must be `internal` or `all`: ingress=`${var.ingress}`."
  }
}

variable "vpc" {
  description = "The subnetwork requests go out through; none if null."
  type = object({
    network    = string
    subnetwork = string
    egress     = optional(string, "PRIVATE_RANGES_ONLY")
    tags       = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.vpc == null || contains(["PRIVATE_RANGES_ONLY", "ALL_TRAFFIC"], try(var.vpc.egress, ""))
    error_message = "vpc.egress must be `PRIVATE_RANGES_ONLY` or `ALL_TRAFFIC`."
  }
}

variable "kms_key" {
  description = "The key the image is kept under; Google's own if null."
  type        = string
  default     = null
}

variable "invokers" {
  description = "Who may call it, by a name that stays: members such as `serviceAccount:…`. Nobody else may."
  type        = map(string)
  nullable    = false

  validation {
    condition     = alltrue([for member in values(var.invokers) : !contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "invokers must not hold allUsers or allAuthenticatedUsers: the program trusts that Cloud Run has verified its callers."
  }
}

variable "labels" {
  description = "Labels of the service."
  type        = map(string)
  default     = {}
  nullable    = false
}
