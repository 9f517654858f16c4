variable "project" {
  description = "The project's id."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be the id of a project, not its name or number: project=`${var.project}`."
  }
}

variable "region" {
  description = "The region of the functions, and of the ledger unless it says otherwise, such as `europe-west4`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as `europe-west4`, not a zone or a multi-region: region=`${var.region}`."
  }
}

variable "name" {
  description = "What the names of everything here begin with. Two installations in a project need two."
  type        = string
  default     = "refit"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,15}[a-z0-9])?$", var.name))
    error_message = "name must be at most 17 small letters, digits and `-`, with a letter first, as service accounts are named after it: name=`${var.name}`."
  }
}

variable "labels" {
  description = "Labels of everything that can have labels."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "images" {
  description = "The images of the programs, by digest: `object` and `tick`, `drift` with `drift_enabled`, `hook` with `hook`; or `refit` alone with `single_service`."
  type = object({
    object = optional(string)
    tick   = optional(string)
    drift  = optional(string)
    hook   = optional(string)
    refit  = optional(string)
  })
  nullable = false

  validation {
    condition = alltrue([
      for image in values(var.images) : image == null || can(regex("^[a-z0-9][^@ ]*@sha256:[0-9a-f]{64}$", image))
    ])
    error_message = "images must be given by digest, as `REGISTRY/NAME@sha256:…` with 64 hex digits: a tag can be moved to another program after it was reviewed. `docker push` prints the digest."
  }

  validation {
    condition     = var.single_service ? var.images.refit != null : (var.images.object != null || var.worker != null) && var.images.tick != null
    error_message = "images must hold `object`, unless there is a worker, and `tick`, or with single_service `refit`."
  }
}

variable "single_service" {
  description = "Whether everything is one service, `refit serve`: fewer parts, but its one account has all the rights."
  type        = bool
  default     = false
  nullable    = false
}

variable "callers" {
  description = "With `single_service`: who may call it beside what is made here, by a key that stays, each as `PATH=ACCOUNT` such as `/drift=monitor@acme.iam.gserviceaccount.com`. Nobody else may call another path than is his, whatever IAM lets him."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.callers) == 0 || var.single_service
    error_message = "callers needs single_service: functions that are apart have callers of their own."
  }

  validation {
    condition = alltrue([
      for caller in values(var.callers) : can(regex("^/(object|drift|tick)?=[a-z0-9-]+@[a-z0-9.-]+\\.gserviceaccount\\.com$", caller))
    ])
    error_message = "callers must be `PATH=ACCOUNT` with a path of `/`, `/object`, `/drift` or `/tick` and the email of a service account."
  }
}

variable "drift_enabled" {
  description = "Whether there is a topic for drift reports. With functions apart, `images.drift` receives them."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.drift_enabled || var.single_service || var.images.drift != null
    error_message = "drift_enabled needs `images.drift`, or single_service."
  }
}

variable "drift_publishers" {
  description = "Who may report drift, by a key that stays: members such as `serviceAccount:monitor@acme.iam.gserviceaccount.com`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.drift_publishers) == 0 || var.drift_enabled
    error_message = "drift_publishers needs drift_enabled."
  }
}

variable "drift_reports" {
  description = <<-EOT
    The folder that monitoring tools write reports into as files; none if null. `bucket`: an existing bucket of Cloud Storage, in this
    project, with uniform bucket-level access, without which it takes no grant with a condition.
    `folder`: in it, without a slash at its end. New files there are announced to the topic of drift reports, and the function
    that receives them may read them.
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
    condition     = var.drift_reports == null || can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", var.drift_reports.bucket))
    error_message = "drift_reports.bucket must be the name of a bucket, without `gs://`."
  }

  validation {
    condition     = var.drift_reports == null || can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", var.drift_reports.folder))
    error_message = "drift_reports.folder must be such as `reports` or `ml/reports`: letters, digits, `.`, `_` and `-`, without a slash at either end."
  }

  validation {
    condition     = var.drift_reports == null || try(var.drift_reports.bucket, "") != coalesce(var.ledger.bucket, "${var.project}-${var.name}-ledger")
    error_message = "drift_reports must not be in the ledger's bucket."
  }
}

variable "drift_vertex" {
  description = "Whether the anomalies that Vertex AI Model Monitoring logs in this project are drift reports."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.drift_vertex || var.drift_enabled
    error_message = "drift_vertex needs drift_enabled."
  }
}

variable "hook" {
  description = <<-EOT
    The function for webhooks and approvals, which can be reached from the internet; none if null.
    `public`: whether senders without a Google account may call it, such as GitHub: then nothing but their signatures, which the
    function checks, tells them from others. `callers`: who may call it otherwise, by a key that stays, as members.
    `secrets`: what it checks signatures with, by the name of the environment variable (`REFIT_HOOK_GITHUB`, `…_MLFLOW`, `…_STANDARD`, `…_LINK`): `secret`, as `projects/PROJECT/secrets/SECRET`,
    and its `version`, a number.
  EOT
  type = object({
    public  = optional(bool, false)
    callers = optional(map(string), {})
    secrets = optional(map(object({ secret = string, version = string })), {})
  })
  default = null

  validation {
    condition     = var.hook == null || (!var.single_service && var.images.hook != null)
    error_message = "hook needs `images.hook`, and functions apart: with single_service the internet would reach what may start runs."
  }

  validation {
    condition     = var.hook == null || try(var.hook.public || length(var.hook.callers) > 0, false)
    error_message = "hook needs `public` or `callers`: nobody could call it."
  }

  validation {
    condition = alltrue([
      for member in values(try(var.hook.callers, {})) : can(regex("^(user|group|serviceAccount|principal|principalSet):.+", member))
    ])
    error_message = "hook.callers must be members such as `group:…` or `serviceAccount:…`; whoever has no account is let in by `public`."
  }

  validation {
    condition     = length(setsubtract(keys(try(var.hook.secrets, {})), ["REFIT_HOOK_GITHUB", "REFIT_HOOK_MLFLOW", "REFIT_HOOK_STANDARD", "REFIT_HOOK_LINK"])) == 0
    error_message = "hook.secrets must be keyed by REFIT_HOOK_GITHUB, REFIT_HOOK_MLFLOW, REFIT_HOOK_STANDARD or REFIT_HOOK_LINK."
  }

  validation {
    condition = alltrue([
      for it in values(try(var.hook.secrets, {})) : can(regex("^projects/[a-z0-9-]+/secrets/[A-Za-z0-9_-]+$", it.secret)) && can(regex("^[1-9][0-9]*$", it.version))
    ])
    error_message = "hook.secrets must be a `secret` as `projects/PROJECT/secrets/SECRET` and a `version` that is a number: what `latest` is changes without anybody's doing."
  }
}

variable "ledger" {
  description = <<-EOT
    Where everything is recorded: a bucket of its own, and a folder in it.
    `bucket`: its name, PROJECT-NAME-ledger by default. `create`: whether it is made here. `location`: the region by default;
    a multi-region or dual-region costs more and survives a region. One that exists must be of this project, as others take none of
    the roles that are made here, and have uniform bucket-level access, without which Cloud Storage takes no grants with conditions. `soft_delete_days`: how long a deleted object can be restored, 7 to 90.
  EOT
  type = object({
    bucket           = optional(string)
    create           = optional(bool, true)
    folder           = optional(string, "prod")
    location         = optional(string)
    soft_delete_days = optional(number, 30)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.ledger.soft_delete_days >= 7 && var.ledger.soft_delete_days <= 90
    error_message = "ledger.soft_delete_days must be 7 to 90: soft deletion is what a mistake in the ledger is undone by."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", var.ledger.folder))
    error_message = "ledger.folder must be letters, digits, `.`, `_` and `-`, with `/` between and neither first nor last: folder=`${var.ledger.folder}`."
  }

  validation {
    condition     = var.ledger.create || var.ledger.bucket != null
    error_message = "ledger.bucket must name the bucket where ledger.create is false."
  }

  validation {
    condition     = var.kms == null || !var.ledger.create || lower(coalesce(var.ledger.location, var.region)) == var.region
    error_message = "ledger.location must be the region where there is a kms: the key of a bucket must be where the bucket is, and that of a service where the service is, and there is one key for both."
  }
}

variable "data" {
  description = <<-EOT
    The buckets whose new objects are events, by a key that stays.
    `create`: whether the bucket is made here; an existing one is left as it is. `project`: whose it is, this project by default; whoever applies this
    needs `storage.buckets.update`, `storage.buckets.getIamPolicy` and `storage.buckets.setIamPolicy` there. `location`: where it is; needed with `create` and with `eventarc`.
    `prefixes`: only objects whose name begins with one of them are announced; all by default.
    `events`: `notification` (default), or `eventarc`, which knows no prefixes, keeps undelivered events for a day only and has no dead letters.
  EOT
  type = map(object({
    bucket   = string
    create   = optional(bool, false)
    project  = optional(string)
    location = optional(string)
    prefixes = optional(set(string), [""])
    events   = optional(string, "notification")
  }))
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.data) : can(regex("^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$", key))])
    error_message = "data must be keyed by at most 22 small letters, digits and `-`."
  }

  validation {
    condition = alltrue([
      for data in values(var.data) : can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", data.bucket))
    ])
    error_message = "data.*.bucket must be the name of a bucket, without `gs://`."
  }

  validation {
    condition     = length(distinct([for data in values(var.data) : data.bucket])) == length(var.data)
    error_message = "data must name a bucket once: give one entry several prefixes."
  }

  validation {
    condition     = alltrue([for data in values(var.data) : contains(["notification", "eventarc"], data.events)])
    error_message = "data.*.events must be `notification` or `eventarc`."
  }

  validation {
    condition = alltrue([
      for data in values(var.data) : data.location != null || !(data.create || data.events == "eventarc")
    ])
    error_message = "data.*.location is needed with `create`, and with `eventarc`, whose trigger must be where the bucket is."
  }

  validation {
    condition     = alltrue([for data in values(var.data) : data.events != "eventarc" || coalesce(data.project, var.project) == var.project])
    error_message = "data.*.project cannot be another with `eventarc`, whose trigger must be in the project of the bucket: say `notification`."
  }

  validation {
    condition     = alltrue([for data in values(var.data) : data.events != "eventarc" || data.prefixes == toset([""])])
    error_message = "data.*.prefixes cannot be given with `eventarc`, which announces every object: say it in the rules."
  }

  validation {
    condition     = alltrue([for data in values(var.data) : length(data.prefixes) >= 1 && length(data.prefixes) <= 10])
    error_message = "data.*.prefixes must be 1 to 10, as a bucket has at most 10 notifications of a kind: watch a shorter prefix and say the rest in the rules."
  }

  validation {
    condition = alltrue(flatten([
      for data in values(var.data) : [
        for a in data.prefixes : [for b in data.prefixes : a == b || !startswith(b, a)]
      ]
    ]))
    error_message = "data.*.prefixes must not begin with one another: every object of the longer would be announced twice."
  }

  validation {
    condition = alltrue([
      for data in values(var.data) : data.bucket != coalesce(var.ledger.bucket, "${var.project}-${var.name}-ledger")
    ])
    error_message = "data must not name the ledger's bucket: every record would be an event, which is recorded."
  }
}

variable "wake" {
  description = "How the reconciler learns that there is something to do: `topic` (default), through Pub/Sub, or `url`, by a call to it. The ping finds what neither said."
  type        = string
  default     = "topic"
  nullable    = false

  validation {
    condition     = contains(["topic", "url"], var.wake)
    error_message = "wake must be `topic` or `url`: wake=`${var.wake}`."
  }

  validation {
    condition     = var.wake == "topic" || var.single_service || var.ingress == "all" || try(var.vpc.egress, "") == "ALL_TRAFFIC"
    error_message = "wake = `url` needs ingress = `all`, or a vpc with egress = `ALL_TRAFFIC`: otherwise Cloud Run turns the call of one service to another away."
  }
}

variable "ping" {
  description = "The scheduler's ping: the net under wakes, and how exactly times are kept. `schedule` is unix-cron."
  type = object({
    schedule  = optional(string, "* * * * *")
    time_zone = optional(string, "Etc/UTC")
    paused    = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = length(split(" ", var.ping.schedule)) == 5
    error_message = "ping.schedule must have the five fields of unix-cron: schedule=`${var.ping.schedule}`."
  }
}

variable "worker" {
  description = <<-EOT
    A worker pool of Cloud Run that pulls events, in place of the pushes to `object` or `refit`; none if null. It is for
    networks that let nothing in. `image`: that of the program `refit`, by digest. `instances`: how many there always are. `cpu`, `memory`: of
    each. It pulls new objects; drift reports are pushed as before.
  EOT
  type = object({
    image     = string
    instances = optional(number, 1)
    cpu       = optional(string, "1")
    memory    = optional(string, "512Mi")
  })
  default = null

  validation {
    condition     = var.worker == null || can(regex("^[a-z0-9][^@ ]*@sha256:[0-9a-f]{64}$", var.worker.image))
    error_message = "worker.image must be given by digest, as `REGISTRY/NAME@sha256:…` with 64 hex digits."
  }

  validation {
    condition     = var.worker == null || try(var.worker.instances >= 1 && var.worker.instances <= 100, false)
    error_message = "worker.instances must be 1 to 100."
  }

  validation {
    condition     = var.worker == null || !local.has_eventarc
    error_message = "worker pulls what buckets announce: say `events = \"notification\"` for all data."
  }

  validation {
    condition     = var.worker == null || var.wake == "topic"
    error_message = "worker needs wake = \"topic\"."
  }
}

variable "limits" {
  description = <<-EOT
    What an instance of a function gets, by its name: `object`, `drift`, `hook`, `tick` or `refit`. Defaults are in README.md.
    `tick` has one instance at most, whatever is said here: more are safe, and only compete.
  EOT
  type = map(object({
    cpu           = optional(string)
    memory        = optional(string)
    concurrency   = optional(number)
    instances_min = optional(number)
    instances_max = optional(number)
    timeout       = optional(string)
    cpu_idle      = optional(bool)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.limits), ["object", "drift", "hook", "tick", "refit"])) == 0
    error_message = "limits must be keyed by `object`, `drift`, `hook`, `tick` or `refit`."
  }
}

variable "log" {
  description = "What the functions log: `info`, `debug` or `trace`, and more of a part by a filter, such as `info,refit_engine=debug`. Less than `info` is refused: alerts go by lines of that level."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = can(regex("^(info|debug|trace)(,[A-Za-z0-9_:]+=(off|error|warn|info|debug|trace))*$", var.log)) && !can(regex("refit[A-Za-z0-9_:]*=(off|error|warn)", var.log))
    error_message = "log must begin with `info`, `debug` or `trace`, as `info,refit_engine=debug` does, and silence no part of refit, as alerts go by lines of the level info: log=`${var.log}`."
  }
}

variable "delivery" {
  description = <<-EOT
    How events are delivered. What is not understood is recorded and acknowledged, so only an outage is ever tried again:
    100 attempts with waits of 10 s to 10 min are about 15 hours, after which a message becomes a dead letter.
  EOT
  type = object({
    attempts_max = optional(number, 100)
    backoff_min  = optional(string, "10s")
    backoff_max  = optional(string, "600s")
    ack_deadline = optional(number, 60)
    retain_days  = optional(number, 7)
    dead_days    = optional(number, 31)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.delivery.attempts_max >= 5 && var.delivery.attempts_max <= 100
    error_message = "delivery.attempts_max must be 5 to 100."
  }

  validation {
    condition     = var.delivery.ack_deadline >= 10 && var.delivery.ack_deadline <= 600
    error_message = "delivery.ack_deadline must be 10 to 600 seconds."
  }

  validation {
    condition     = alltrue([for days in [var.delivery.retain_days, var.delivery.dead_days] : days >= 1 && days <= 31])
    error_message = "delivery.retain_days and delivery.dead_days must be 1 to 31."
  }
}

variable "vertex" {
  description = <<-EOT
    What the reconciler may do in Vertex AI Pipelines; nothing if null.
    `project`: where the pipelines run, this project by default. `accounts`: the service accounts the steps run as, by a key that stays.
    `repositories`: where compiled pipelines are, by a key that stays. `buckets`: the same, as files in buckets.
  EOT
  type = object({
    project      = optional(string)
    accounts     = map(string)
    repositories = optional(map(object({ project = optional(string), location = string, repository = string })), {})
    buckets      = optional(set(string), [])
  })
  default = null

  validation {
    condition = alltrue([
      for email in values(try(var.vertex.accounts, {})) : can(regex("^[a-z0-9-]+@[a-z0-9-]+\\.iam\\.gserviceaccount\\.com$", email))
    ])
    error_message = "vertex.accounts must be emails NAME@PROJECT.iam.gserviceaccount.com: the default account of Compute Engine may do too much to be handed to a pipeline."
  }
}

variable "guards" {
  description = "The buckets in which the first step of a pipeline makes its claim (`run.guard`), which exist. The reconciler may read them; that step needs to create and to read there, which is granted elsewhere."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for bucket in var.guards : can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", bucket))])
    error_message = "guards must be names of buckets, without `gs://`."
  }

  validation {
    condition     = !contains(var.guards, coalesce(var.ledger.bucket, "${var.project}-${var.name}-ledger"))
    error_message = "guards must not be the ledger's bucket: steps of pipelines have no right there."
  }
}

variable "secrets" {
  description = "The secrets that rules refer to, by a key that stays: `projects/PROJECT/secrets/SECRET`. They are made, and their versions added, elsewhere; the reconciler may read them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for secret in values(var.secrets) : can(regex("^projects/[a-z0-9-]+/secrets/[A-Za-z0-9_-]+$", secret))])
    error_message = "secrets must be `projects/PROJECT/secrets/SECRET`, without a version: the rules say which."
  }
}

variable "notify_topics" {
  description = "The topics of Pub/Sub that rules notify, by a key that stays: `projects/PROJECT/topics/TOPIC`. They are made elsewhere; the reconciler may publish to them. Secrets of other receivers are in `secrets`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for topic in values(var.notify_topics) : can(regex("^projects/[a-z0-9-]+/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$", topic))])
    error_message = "notify_topics must be `projects/PROJECT/topics/TOPIC`."
  }
}

variable "operators" {
  description = "Who may apply rules and give commands (`refit apply`, `pause`, `replay`, …), as members such as `group:ml@acme.example`."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for member in var.operators : can(regex("^(user|group|serviceAccount|principal|principalSet):.+", member))
    ])
    error_message = "operators must be members such as `user:…`, `group:…` or `serviceAccount:…`; allUsers is none."
  }
}

variable "viewers" {
  description = "Who may look (`refit status`, `why`, `audit`, …), as members."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for member in var.viewers : can(regex("^(user|group|serviceAccount|principal|principalSet):.+", member))
    ])
    error_message = "viewers must be members such as `user:…`, `group:…` or `serviceAccount:…`; allUsers is none."
  }
}

variable "ingress" {
  description = "Where requests may come from: `internal` (default; Pub/Sub, Eventarc and Scheduler of the same project, and its VPC) or `all`. IAM is asked either way."
  type        = string
  default     = "internal"
  nullable    = false

  validation {
    condition     = contains(["internal", "all"], var.ingress)
    error_message = "ingress must be `internal` or `all`: ingress=`${var.ingress}`."
  }
}

variable "vpc" {
  description = "The subnetwork the functions send requests through, to reach a pipeline service with a private address; none if null. Its subnetwork needs Private Google Access."
  type = object({
    network    = string
    subnetwork = string
    egress     = optional(string, "PRIVATE_RANGES_ONLY")
    tags       = optional(list(string), [])
  })
  default = null
}

variable "kms" {
  description = "The `key` the ledger, the messages and the images are kept under, `projects/…/locations/…/keyRings/…/cryptoKeys/…` in the region; Google's own if null. Data buckets that are made here are under Google's own."
  type        = object({ key = string })
  default     = null

  validation {
    condition     = var.kms == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms.key))
    error_message = "kms.key must be `projects/…/locations/…/keyRings/…/cryptoKeys/…`, without a version."
  }
}

variable "alerts" {
  description = "Whom alerts are sent to: `emails`, and the names of notification `channels` that exist. `enabled = false` makes none. `tick_missing` is how long no pass may have ended, in whole minutes, two at least, `behind_max` how many seconds an event may be recorded and not decided on."
  type = object({
    enabled      = optional(bool, true)
    emails       = optional(set(string), [])
    channels     = optional(set(string), [])
    tick_missing = optional(string, "600s")
    behind_max   = optional(number, 300)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for email in var.alerts.emails : can(regex("^[^@ ]+@[^@ ]+$", email))])
    error_message = "alerts.emails must be addresses of mail."
  }

  validation {
    condition     = try(tonumber(trimsuffix(var.alerts.tick_missing, "s")) >= 120 && tonumber(trimsuffix(var.alerts.tick_missing, "s")) % 60 == 0, false) && can(regex("^[0-9]+s$", var.alerts.tick_missing))
    error_message = "alerts.tick_missing must be whole minutes in seconds, two at least, such as `600s`: tick_missing=`${var.alerts.tick_missing}`."
  }
}

variable "dashboard" {
  description = "Whether there is a dashboard."
  type        = bool
  default     = true
  nullable    = false
}

variable "enable_apis" {
  description = "Whether the APIs that are needed are enabled here. They stay enabled when this is destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "patience" {
  description = "How many seconds to wait until Google knows everywhere of APIs that were enabled and grants that were made here, where the next step would be refused meanwhile. It runs `sleep` on the machine that applies this; once each, and again when there are others."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.patience >= 0 && var.patience <= 600
    error_message = "patience must be 0 to 600 seconds: patience=`${var.patience}`."
  }
}
