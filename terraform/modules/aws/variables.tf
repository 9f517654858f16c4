variable "name" {
  description = "What the names of everything here begin with. Two installations in an account and region need two; one in each region needs but one, as the region is in the names of what is the account's."
  type        = string
  default     = "refit"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,15}[a-z0-9])?$", var.name))
    error_message = "name must be at most 17 small letters, digits and `-`, with a letter first: name=`${var.name}`."
  }
}

variable "tags" {
  description = "Tags of everything that can have tags."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "images" {
  description = "The images of the functions in ECR, by digest: `object` and `tick`, `drift` with `drift_enabled`, `hook` with `hook`; or see `zips`."
  type = object({
    object = optional(string)
    tick   = optional(string)
    drift  = optional(string)
    hook   = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for image in values(var.images) : image == null || can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com/[^@ ]+@sha256:[0-9a-f]{64}$", image))
    ])
    error_message = "images must be in ECR and given by digest, as `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:…` with 64 hex digits: Lambda runs no others, and a tag can be moved to another program after it was reviewed."
  }
}

variable "zips" {
  description = "The functions as zip files with one program in them, `bootstrap`: the `bucket` and `key` of each, and its `sha256` in base64. A function has an image or a zip file."
  type = object({
    object = optional(object({ bucket = string, key = string, sha256 = string }))
    tick   = optional(object({ bucket = string, key = string, sha256 = string }))
    drift  = optional(object({ bucket = string, key = string, sha256 = string }))
    hook   = optional(object({ bucket = string, key = string, sha256 = string }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for zip in values(var.zips) : zip == null || can(regex("^[A-Za-z0-9+/]{43}=$", zip.sha256))])
    error_message = "zips.*.sha256 must be the digest in base64, of 44 characters: `openssl dgst -sha256 -binary FILE | base64`."
  }

  validation {
    condition = alltrue([
      for name in concat(["object", "tick"], var.drift_enabled ? ["drift"] : [], var.hook == null ? [] : ["hook"]) : (var.images[name] == null) != (var.zips[name] == null)
    ])
    error_message = "every function must have either an image or a zip file: `object` and `tick`, `drift` with drift_enabled, `hook` with hook."
  }
}

variable "architecture" {
  description = "What the programs were built for: `arm64` or `x86_64`."
  type        = string
  default     = "x86_64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be `arm64` or `x86_64`: architecture=`${var.architecture}`."
  }
}

variable "drift_enabled" {
  description = "Whether there is a queue for drift reports, and the function `drift`."
  type        = bool
  default     = false
  nullable    = false
}

variable "drift_publishers" {
  description = "Who may report drift, as ARNs of roles and accounts."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.drift_publishers) == 0 || var.drift_enabled
    error_message = "drift_publishers needs drift_enabled."
  }

  validation {
    condition     = alltrue([for arn in var.drift_publishers : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:", arn))])
    error_message = "drift_publishers must be ARNs such as `arn:aws:iam::123456789012:role/monitor`; everybody is none."
  }
}

variable "drift_reports" {
  description = <<-EOT
    The folder that monitoring tools write reports into as files; none if null. `bucket`: an existing bucket, which is none of
    `data`, and whose notifications are owned from now on. `folder`: in it, without a slash at its end. New files there are sent to
    the queue of drift reports, and `drift` may read them.
  EOT
  type = object({
    bucket = string
    folder = string
  })
  default = null

  validation {
    condition     = var.drift_reports == null || var.drift_enabled
    error_message = "drift_reports needs drift_enabled."
  }

  validation {
    condition     = var.drift_reports == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.drift_reports.bucket))
    error_message = "drift_reports.bucket must be the name of a bucket, without `s3://`."
  }

  validation {
    condition     = var.drift_reports == null || can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", var.drift_reports.folder))
    error_message = "drift_reports.folder must be such as `reports` or `ml/reports`: letters, digits, `.`, `_` and `-`, without a slash at either end."
  }

  validation {
    condition     = var.drift_reports == null || !contains([for data in values(var.data) : data.bucket], try(var.drift_reports.bucket, ""))
    error_message = "drift_reports.bucket must be none of data: S3 knows but one configuration of notifications for a bucket."
  }
}

variable "drift_topics" {
  description = "Topics of SNS whose messages are drift reports, such as those of alarms, as ARNs."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.drift_topics) == 0 || var.drift_enabled
    error_message = "drift_topics needs drift_enabled."
  }

  validation {
    condition     = alltrue([for arn in var.drift_topics : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[^:]+$", arn))])
    error_message = "drift_topics must be ARNs such as `arn:aws:sns:eu-central-1:123456789012:alarms`."
  }
}

variable "hook" {
  description = <<-EOT
    The function for webhooks and approvals, behind an address of API Gateway; none if null.
    `public`: whether senders without an AWS account may call it, such as GitHub: then nothing but their signatures, which the
    function checks, tells them from others. Otherwise IAM is asked.
  EOT
  type        = object({ public = optional(bool, false) })
  default     = null
}

variable "hook_secrets" {
  description = "What `hook` checks signatures with: the secrets by the name of the environment variable, `REFIT_HOOK_GITHUB`, `REFIT_HOOK_MLFLOW`, `REFIT_HOOK_STANDARD` or `REFIT_HOOK_LINK`. They are kept in the state, and under `kms` with the function."
  type        = map(string)
  default     = {}
  nullable    = false
  sensitive   = true

  validation {
    condition     = length(setsubtract(keys(var.hook_secrets), ["REFIT_HOOK_GITHUB", "REFIT_HOOK_MLFLOW", "REFIT_HOOK_STANDARD", "REFIT_HOOK_LINK"])) == 0
    error_message = "hook_secrets must be keyed by REFIT_HOOK_GITHUB, REFIT_HOOK_MLFLOW, REFIT_HOOK_STANDARD or REFIT_HOOK_LINK."
  }
}

variable "hook_secret_arns" {
  description = "The same in Secrets Manager, by the same names: the ARN of a secret. They are made elsewhere; `hook` may read them, keeps them for ten minutes at most, and reads them again when a signature does not hold."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.hook_secret_arns), ["REFIT_HOOK_GITHUB", "REFIT_HOOK_MLFLOW", "REFIT_HOOK_STANDARD", "REFIT_HOOK_LINK"])) == 0
    error_message = "hook_secret_arns must be keyed by REFIT_HOOK_GITHUB, REFIT_HOOK_MLFLOW, REFIT_HOOK_STANDARD or REFIT_HOOK_LINK."
  }

  validation {
    condition     = alltrue([for secret in values(var.hook_secret_arns) : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", secret))])
    error_message = "hook_secret_arns must be ARNs `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME`, whole, without a `*`."
  }

  validation {
    condition     = length(var.hook_secret_arns) == 0 || var.hook != null
    error_message = "hook_secret_arns needs hook."
  }
}

variable "ledger" {
  description = <<-EOT
    Where everything is recorded: a bucket of its own, and a folder in it.
    `bucket`: its name, NAME-ledger-ACCOUNT-REGION by default. `create`: whether it is made here; one that exists needs the policy that is made here.
  EOT
  type = object({
    bucket = optional(string)
    create = optional(bool, true)
    folder = optional(string, "prod")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", var.ledger.folder))
    error_message = "ledger.folder must be letters, digits, `.`, `_` and `-`, with `/` between and neither first nor last: folder=`${var.ledger.folder}`."
  }

  validation {
    condition     = var.ledger.create || var.ledger.bucket != null
    error_message = "ledger.bucket must name the bucket where ledger.create is false."
  }
}

variable "data" {
  description = <<-EOT
    The buckets whose new objects are events, by a key that stays.
    `create`: whether the bucket is made here; an existing one is left as it is, but for its notifications.
    `prefixes`: only objects whose name begins with one of them are announced; all by default.
    `events`: `notification` (default), which owns all notifications of the bucket, or `given`, where they are set up elsewhere to the queue of the output `queues`.
    `account`: whose it is, in the same region; this account by default. The notifications of another's are set up there: `given`.
  EOT
  type = map(object({
    bucket   = string
    create   = optional(bool, false)
    prefixes = optional(set(string), [""])
    events   = optional(string, "notification")
    account  = optional(string)
  }))
  nullable = false

  validation {
    condition     = alltrue([for data in values(var.data) : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", data.bucket))])
    error_message = "data.*.bucket must be the name of a bucket, without `s3://`."
  }

  validation {
    condition     = length(distinct([for data in values(var.data) : data.bucket])) == length(var.data)
    error_message = "data must name a bucket once: give one entry several prefixes."
  }

  validation {
    condition     = alltrue([for data in values(var.data) : contains(["notification", "given"], data.events)])
    error_message = "data.*.events must be `notification` or `given`."
  }

  validation {
    condition     = alltrue([for data in values(var.data) : data.account == null || (can(regex("^[0-9]{12}$", data.account)) && data.events == "given" && !data.create)])
    error_message = "data.*.account must have 12 digits, and needs `events = \"given\"` and no `create`: notifications are set up where the bucket is."
  }

  validation {
    condition     = length(var.data) > 0
    error_message = "data must name a bucket: what else would the queue of objects be for?"
  }

  validation {
    condition = alltrue(flatten([
      for data in values(var.data) : [
        for a in data.prefixes : [for b in data.prefixes : a == b || !startswith(b, a)]
      ]
    ]))
    error_message = "data.*.prefixes must not begin with one another: S3 refuses that."
  }

  validation {
    condition     = alltrue([for data in values(var.data) : data.bucket != var.ledger.bucket && !startswith(data.bucket, "${var.name}-ledger-")])
    error_message = "data must not name the ledger's bucket: every record would be an event, which is recorded."
  }
}

variable "ping" {
  description = "The scheduler's ping: the net under wakes, and how exactly times are kept. `schedule` is `rate(…)` or `cron(…)`."
  type = object({
    schedule  = optional(string, "rate(1 minute)")
    time_zone = optional(string, "UTC")
    paused    = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.ping.schedule))
    error_message = "ping.schedule must be `rate(…)` or `cron(…)`: schedule=`${var.ping.schedule}`."
  }
}

variable "limits" {
  description = <<-EOT
    What a function gets, by its name: `object`, `drift`, `hook` or `tick`. `memory` in MB, `timeout` in seconds. Defaults are in README.md.
    `instances_max`: how many batches of its queue at once, 2 to 1000. `tick` has one instance, whatever is said here: see `tick_reserved`.
  EOT
  type = map(object({
    memory        = optional(number)
    timeout       = optional(number)
    instances_max = optional(number)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.limits), ["object", "drift", "hook", "tick"])) == 0
    error_message = "limits must be keyed by `object`, `drift`, `hook` or `tick`."
  }

  validation {
    condition     = alltrue([for limit in values(var.limits) : try(limit.instances_max >= 2 && limit.instances_max <= 1000, true)])
    error_message = "limits.*.instances_max must be 2 to 1000."
  }

  validation {
    condition     = alltrue([for limit in values(var.limits) : try(limit.timeout >= 10 && limit.timeout <= 900, true)])
    error_message = "limits.*.timeout must be 10 to 900 seconds."
  }
}

variable "tick_reserved" {
  description = "Whether `tick` has a reserved concurrency of one. Say false in an account whose limit for all functions is too low for that, as in new ones: Lambda refuses a reserve that leaves the others less than their minimum. Several at once are safe, and only compete."
  type        = bool
  default     = true
  nullable    = false
}

variable "log" {
  description = "What the functions log: `info`, `debug` or `trace`, and more of a part by a filter, such as `info,refit_engine=debug`. Less than `info` is refused: alarms count lines of that level."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = can(regex("^(info|debug|trace)(,[A-Za-z0-9_:]+=(off|error|warn|info|debug|trace))*$", var.log)) && !can(regex("refit[A-Za-z0-9_:]*=(off|error|warn)", var.log))
    error_message = "log must begin with `info`, `debug` or `trace`, as `info,refit_engine=debug` does, and silence no part of refit, as alarms count lines of the level info: log=`${var.log}`."
  }
}

variable "log_days" {
  description = "How many days logs are kept."
  type        = number
  default     = 90
  nullable    = false
}

variable "delivery" {
  description = <<-EOT
    How events are delivered. What is not understood is recorded and acknowledged, so only an outage is ever tried again:
    100 attempts, 6 minutes apart, are about 10 hours, after which a message becomes a dead letter. `batch` messages at most come
    at once, gathered for `window` seconds; the whole batch is one write.
  EOT
  type = object({
    attempts_max = optional(number, 100)
    retain_days  = optional(number, 7)
    batch        = optional(number, 100)
    window       = optional(number, 1)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.delivery.attempts_max >= 5 && var.delivery.attempts_max <= 1000
    error_message = "delivery.attempts_max must be 5 to 1000."
  }

  validation {
    condition     = var.delivery.retain_days >= 1 && var.delivery.retain_days <= 13
    error_message = "delivery.retain_days must be 1 to 13: dead letters are kept for 14 days from when they were first sent."
  }

  validation {
    condition     = var.delivery.batch >= 1 && var.delivery.batch <= 1000 && (var.delivery.batch <= 10 || var.delivery.window >= 1)
    error_message = "delivery.batch must be 1 to 1000, and above 10 delivery.window must be a second at least."
  }
}

variable "secrets" {
  description = "The secrets of Secrets Manager that rules refer to as `{ secret: ARN }`, by a key that stays. They are made elsewhere; the reconciler may read them. One under a key of its own needs that key to let the reconciler decrypt."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for secret in values(var.secrets) : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", secret))])
    error_message = "secrets must be ARNs `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME`, whole, without a `*`."
  }
}

variable "google_federation" {
  description = "By what Google lets the reconciler act as a service account, for services of Google: the output `credentials` of the module `google`. It holds no secret. None if null."
  type        = string
  default     = null

  validation {
    condition     = var.google_federation == null || try(jsondecode(var.google_federation).type, "") == "external_account"
    error_message = "google_federation must be JSON of type `external_account`, as the module `google` gives it: never a key."
  }
}

variable "credentials" {
  description = "What rules refer to as `auth: { bearer: { env: NAME } }`: tokens by the name of an environment variable of the reconciler. They are kept in the state, and under `kms` with the function."
  type        = map(string)
  default     = {}
  nullable    = false
  sensitive   = true

  validation {
    condition     = alltrue([for name in keys(var.credentials) : can(regex("^[A-Z][A-Z0-9_]*$", name)) && !can(regex("^(REFIT|AWS|LAMBDA)_", name))])
    error_message = "credentials must be keyed by names in capitals, such as KFP_TOKEN, that begin neither with REFIT_ nor with AWS_."
  }
}

variable "operators" {
  description = "Who may apply rules and give commands (`refit apply`, `pause`, `replay`, …), as names of roles of this account."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "viewers" {
  description = "Who may look (`refit status`, `why`, `audit`, …), as names of roles of this account."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "vpc" {
  description = "The network the functions run in, to reach a pipeline service with a private address; none if null. Its subnets need a way to S3 and Lambda; with `secrets` or `hook_secret_arns` to Secrets Manager; with `google_federation` to Google, for which there is no endpoint in a network, but a NAT."
  type        = object({ subnets = set(string), security_groups = set(string) })
  default     = null
}

variable "kms" {
  description = "The `key` everything is kept under, as its ARN; Amazon's own if null. Its policy must let S3, SNS, CloudWatch Logs and Scheduler use it, and with `alarms.emails` the alarms of CloudWatch, or no mail is ever sent; README.md has the statement."
  type        = object({ key = string })
  default     = null

  validation {
    condition     = var.kms == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-f-]+$", var.kms.key))
    error_message = "kms.key must be the ARN of a key, not of an alias."
  }
}

variable "alarms" {
  description = "Whom alarms are sent to: `emails`, and the ARNs of `topics` of SNS that exist. `enabled = false` makes none. `tick_missing` is how many seconds no pass may have ended, `behind_max` how many an event may be recorded and not decided on."
  type = object({
    enabled      = optional(bool, true)
    emails       = optional(set(string), [])
    topics       = optional(set(string), [])
    tick_missing = optional(number, 600)
    behind_max   = optional(number, 300)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for email in var.alarms.emails : can(regex("^[^@ ]+@[^@ ]+$", email))])
    error_message = "alarms.emails must be addresses of mail."
  }

  validation {
    condition     = var.alarms.tick_missing >= 60 && var.alarms.tick_missing % 60 == 0
    error_message = "alarms.tick_missing must be a multiple of 60 seconds."
  }
}

variable "dashboard" {
  description = "Whether there is a dashboard."
  type        = bool
  default     = true
  nullable    = false
}
