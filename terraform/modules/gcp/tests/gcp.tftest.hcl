# What the module makes, against a provider that knows everything's form and does nothing.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

# Accounts that are told apart below.
override_resource {
  target          = google_service_account.push["object"]
  override_during = plan
  values          = { email = "push-object@x", member = "serviceAccount:push-object@x", name = "push-object" }
}

override_resource {
  target          = google_service_account.push["wake"]
  override_during = plan
  values          = { email = "push-wake@x", member = "serviceAccount:push-wake@x", name = "push-wake" }
}

override_resource {
  target          = google_service_account.push["drift"]
  override_during = plan
  values          = { email = "push-drift@x", member = "serviceAccount:push-drift@x", name = "push-drift" }
}

override_resource {
  target          = module.intake["drift"].google_service_account.this
  override_during = plan
  values          = { email = "drift@x", member = "serviceAccount:drift@x", name = "drift" }
}

override_resource {
  target          = module.intake["hook"].google_service_account.this
  override_during = plan
  values          = { email = "hook@x", member = "serviceAccount:hook@x", name = "hook" }
}

override_resource {
  target          = google_service_account.eventarc["this"]
  override_during = plan
  values          = { email = "eventarc@x", member = "serviceAccount:eventarc@x", name = "eventarc" }
}

override_resource {
  target          = google_service_account.ping
  override_during = plan
  values          = { email = "ping@x", member = "serviceAccount:ping@x", name = "ping" }
}

override_resource {
  target          = module.intake["object"].google_service_account.this
  override_during = plan
  values          = { email = "object@x", member = "serviceAccount:object@x", name = "object" }
}

override_resource {
  target          = module.reconciler.google_service_account.this
  override_during = plan
  values          = { email = "tick@x", member = "serviceAccount:tick@x", name = "tick" }
}

override_resource {
  target          = google_project_iam_custom_role.append
  override_during = plan
  values          = { id = "projects/acme-ml/roles/refit_append" }
}

override_resource {
  target          = google_project_iam_custom_role.reconcile
  override_during = plan
  values          = { id = "projects/acme-ml/roles/refit_reconcile" }
}

override_resource {
  target          = google_project_iam_custom_role.tidy
  override_during = plan
  values          = { id = "projects/acme-ml/roles/refit_tidy" }
}

override_resource {
  target          = google_project_iam_custom_role.sweep
  override_during = plan
  values          = { id = "projects/acme-ml/roles/refit_sweep" }
}

override_resource {
  target          = google_project_iam_custom_role.reports[0]
  override_during = plan
  values          = { id = "projects/acme-ml/roles/refit_reports" }
}

override_resource {
  target          = google_service_account.worker[0]
  override_during = plan
  values          = { email = "worker@x", member = "serviceAccount:worker@x", name = "worker" }
}

override_resource {
  target          = google_project_iam_custom_role.vertex[0]
  override_during = plan
  values          = { id = "projects/acme-ml/roles/refit_vertex" }
}

override_data {
  target          = data.google_storage_project_service_account.other["acme-labs"]
  override_during = plan
  values          = { member = "serviceAccount:service-210987654321@gs-project-accounts.iam.gserviceaccount.com" }
}

variables {
  project = "acme-ml"
  region  = "europe-west4"
  images = {
    object = "europe-west4-docker.pkg.dev/acme-ml/refit/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    tick   = "europe-west4-docker.pkg.dev/acme-ml/refit/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002"
  }
  data = { churn = { bucket = "acme-data", prefixes = ["churn/", "fraud/"] } }
}

run "defaults" {
  command = plan

  assert {
    condition     = google_storage_bucket.ledger[0].uniform_bucket_level_access && google_storage_bucket.ledger[0].public_access_prevention == "enforced"
    error_message = "the ledger must never be public"
  }

  assert {
    condition     = length(google_storage_bucket.ledger[0].lifecycle_rule) == 0 && length(google_storage_bucket.ledger[0].retention_policy) == 0
    error_message = "nobody but the reconciler deletes in the ledger, and it must be able to"
  }

  assert {
    condition     = google_storage_bucket.ledger[0].soft_delete_policy[0].retention_duration_seconds == 2592000 && !google_storage_bucket.ledger[0].force_destroy
    error_message = "what is deleted in the ledger by mistake must be restorable"
  }

  assert {
    condition     = toset([for n in google_storage_notification.object : "${n.bucket} ${n.object_name_prefix} ${join(",", n.event_types)} ${n.payload_format}"]) == toset(["acme-data churn/ OBJECT_FINALIZE JSON_API_V1", "acme-data fraud/ OBJECT_FINALIZE JSON_API_V1"])
    error_message = "a bucket must announce new objects under its prefixes, and nothing else"
  }

  assert {
    condition     = google_pubsub_subscription.events["object"].push_config[0].oidc_token[0].service_account_email == "push-object@x" && google_pubsub_subscription.events["object"].push_config[0].oidc_token[0].audience == "https://mock-uc.a.run.app"
    error_message = "events must be delivered with a token of the account that may, for the service alone"
  }

  assert {
    condition     = google_pubsub_subscription.events["object"].dead_letter_policy[0].max_delivery_attempts == 100 && google_pubsub_subscription.dead["object"].expiration_policy[0].ttl == "" && google_pubsub_subscription.events["object"].expiration_policy[0].ttl == ""
    error_message = "events must become dead letters that somebody keeps, and no subscription may expire"
  }

  assert {
    condition     = google_pubsub_subscription.wake[0].push_config[0].oidc_token[0].service_account_email == "push-wake@x" && google_pubsub_subscription.wake[0].push_config[0].push_endpoint == "https://mock-uc.a.run.app/"
    error_message = "wakes must reach tick, with a token"
  }

  assert {
    condition     = google_cloud_scheduler_job.ping.http_target[0].oidc_token[0].service_account_email == "ping@x" && google_cloud_scheduler_job.ping.http_target[0].http_method == "POST"
    error_message = "the ping must carry a token"
  }

  assert {
    condition     = { for key, it in module.reconciler.invokers : key => it.member } == { ping = "serviceAccount:ping@x", push-wake = "serviceAccount:push-wake@x" }
    error_message = "tick must be called by the scheduler and the wake alone"
  }

  assert {
    condition     = { for key, it in module.intake["object"].invokers : key => it.member } == { push-object = "serviceAccount:push-object@x" }
    error_message = "object must be called by its subscription alone"
  }

  assert {
    condition     = module.reconciler.service.template[0].scaling[0].max_instance_count == 1
    error_message = "tick must have one instance at most"
  }

  assert {
    condition     = alltrue([for service in [module.reconciler.service, module.intake["object"].service] : service.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" && !service.invoker_iam_disabled])
    error_message = "services must be private"
  }

  assert {
    condition     = alltrue([for key, it in google_service_account_iam_member.push_token : it.service_account_id == "push-${key}" && it.member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"])
    error_message = "Pub/Sub must be able to make tokens of the push accounts, and of no other"
  }

  assert {
    condition     = google_project_iam_custom_role.append.permissions == toset(["storage.objects.create"])
    error_message = "who appends must not read, and must not delete, or it could overwrite"
  }

  assert {
    condition     = { for key, it in google_storage_bucket_iam_member.intake : key => "${it.member} ${it.condition[0].expression}" } == { object = "serviceAccount:object@x resource.name.startsWith(\"projects/_/buckets/acme-ml-refit-ledger/objects/prod/inbox/\")" }
    error_message = "object must create in the inbox alone"
  }

  assert {
    condition     = { for key, it in google_pubsub_topic_iam_member.waker : key => "${it.member} ${it.topic} ${it.role}" } == { object = "serviceAccount:object@x refit-wake roles/pubsub.publisher" }
    error_message = "object must publish the wake alone"
  }

  assert {
    condition     = google_project_iam_custom_role.reconcile.permissions == toset(["storage.objects.get"]) && google_storage_bucket_iam_member.reconcile.condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/acme-ml-refit-ledger/objects/prod/\")"
    error_message = "tick must read its own ledger, and no other in the bucket"
  }

  assert {
    condition     = google_storage_bucket_iam_member.commit.role == google_project_iam_custom_role.append.id && length(regexall("inbox/|log/|manifests/|parts/|seen/|snapshot/", google_storage_bucket_iam_member.commit.condition[0].expression)) == 6 && length(regexall("rules/", google_storage_bucket_iam_member.commit.condition[0].expression)) == 0 && google_storage_bucket_iam_member.list.role == google_project_iam_custom_role.sweep.id
    error_message = "tick must append to its own ledger, and put no rules in force"
  }

  assert {
    condition     = google_monitoring_alert_policy.missing[0].conditions[0].condition_threshold[0].evaluation_missing_data == "EVALUATION_MISSING_DATA_ACTIVE" && strcontains(google_monitoring_alert_policy.missing[0].conditions[0].condition_threshold[0].filter, "logging.googleapis.com/user/refit-passes") && strcontains(google_logging_metric.line["passes"].filter, "jsonPayload.message = \"a pass has ended\"") && strcontains(google_logging_metric.line["unpinged"].filter, "resource.labels.job_id = \"refit-ping\" AND severity >= ERROR")
    error_message = "passes that do not end must raise an alert, whatever pings are answered, and so must pings that never worked"
  }

  assert {
    condition     = google_monitoring_alert_policy.threshold["refused"].conditions[0].condition_threshold[0].aggregations[0].group_by_fields == tolist(["resource.labels.service_name"]) && google_monitoring_alert_policy.threshold["refused"].conditions[0].condition_threshold[0].denominator_aggregations[0].group_by_fields == tolist(["resource.labels.service_name"])
    error_message = "requests that fail must be looked at for each function"
  }

  assert {
    condition     = length([for text in regexall("\\[\\]|\"[xy]Pos\":0", google_monitoring_dashboard.this[0].dashboard_json) : text]) == 0
    error_message = "the dashboard must say nothing that Google leaves out of its answer"
  }

  assert {
    condition     = google_project_iam_custom_role.sweep.permissions == toset(["storage.objects.list"]) && { for key, it in google_storage_bucket_iam_member.sweep : key => "${it.member} ${it.bucket} ${it.role}" } == { churn = "serviceAccount:tick@x acme-data projects/acme-ml/roles/refit_sweep" }
    error_message = "tick must list the watched buckets, and read nothing in them"
  }

  assert {
    condition     = google_project_iam_custom_role.tidy.permissions == toset(["storage.objects.delete"]) && length(regexall("inbox/|manifests/|parts/|seen/|snapshot/", google_storage_bucket_iam_member.tidy.condition[0].expression)) == 5 && length(regexall("log/|rules/", google_storage_bucket_iam_member.tidy.condition[0].expression)) == 0
    error_message = "nobody must delete in the log or the rules"
  }
}

run "single_service" {
  command = plan
  variables {
    single_service = true
    drift_enabled  = true
    drift_reports  = { bucket = "acme-data", folder = "reports" }
    images         = { refit = "europe-west4-docker.pkg.dev/acme-ml/refit/refit@sha256:0000000000000000000000000000000000000000000000000000000000000003" }
    data = {
      churn = { bucket = "acme-data", prefixes = ["churn/"] }
      logs  = { bucket = "acme-logs", events = "eventarc", location = "EU" }
    }
    callers = { monitor = "/drift=monitor@acme-ml.iam.gserviceaccount.com" }
  }

  assert {
    condition     = length(module.intake) == 0 && module.reconciler.service.name == "refit-refit" && module.reconciler.service.template[0].containers[0].args == tolist(["serve"])
    error_message = "everything must be in `refit serve`"
  }

  assert {
    condition     = sort(keys(module.reconciler.invokers)) == tolist(["caller-monitor", "eventarc", "ping", "push-drift", "push-object", "push-wake"]) && module.reconciler.invokers["caller-monitor"].member == "serviceAccount:monitor@acme-ml.iam.gserviceaccount.com"
    error_message = "the one service must be called by every push, Eventarc, the ping and whoever is named"
  }

  assert {
    condition     = one([for env in module.reconciler.service.template[0].containers[0].env : env.value if env.name == "REFIT_OIDC_CALLERS"]) == "/=eventarc@x /=push-drift@x /=push-object@x /drift=monitor@acme-ml.iam.gserviceaccount.com /tick=ping@x /tick=push-wake@x"
    error_message = "who delivers events must not be able to wake, nor who wakes to deliver"
  }

  assert {
    condition     = google_cloud_scheduler_job.ping.http_target[0].uri == "https://mock-uc.a.run.app/tick" && google_pubsub_subscription.wake[0].push_config[0].push_endpoint == "https://mock-uc.a.run.app/tick" && google_pubsub_subscription.events["object"].push_config[0].push_endpoint == "https://mock-uc.a.run.app/"
    error_message = "pings and wakes must go to /tick, events to /"
  }

  assert {
    condition     = google_storage_bucket_iam_member.reports[0].member == google_storage_bucket_iam_member.sweep["churn"].member && length(google_storage_bucket_iam_member.reports_list) == 0
    error_message = "a grant must not be in the state twice: who takes one away takes both"
  }
}

run "everything" {
  command = plan
  variables {
    images = {
      object = "europe-west4-docker.pkg.dev/acme-ml/refit/object@sha256:0000000000000000000000000000000000000000000000000000000000000001"
      tick   = "europe-west4-docker.pkg.dev/acme-ml/refit/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002"
      drift  = "europe-west4-docker.pkg.dev/acme-ml/refit/drift@sha256:0000000000000000000000000000000000000000000000000000000000000004"
      hook   = "europe-west4-docker.pkg.dev/acme-ml/refit/hook@sha256:0000000000000000000000000000000000000000000000000000000000000005"
    }
    data = {
      churn = { bucket = "acme-data", prefixes = ["churn/"] }
      fraud = { bucket = "acme-fraud", create = true, location = "EU" }
      labs  = { bucket = "acme-labs-data", project = "acme-labs" }
      logs  = { bucket = "acme-logs", events = "eventarc", location = "EU" }
    }
    drift_enabled = true
    drift_vertex  = true
    drift_reports = { bucket = "acme-monitoring", folder = "reports" }
    notify_topics = { runs = "projects/acme-ops/topics/runs" }
    hook = {
      public  = true
      callers = { approvers = "group:ml@acme.example" }
      secrets = { REFIT_HOOK_GITHUB = { secret = "projects/acme-ml/secrets/webhooks", version = "3" } }
    }
    drift_publishers = { monitor = "serviceAccount:monitor@acme-ml.iam.gserviceaccount.com" }
    vertex = {
      accounts     = { train = "train@acme-ml.iam.gserviceaccount.com" }
      repositories = { pipelines = { location = "europe-west4", repository = "pipelines" } }
      buckets      = ["acme-pipelines"]
    }
    secrets   = { github = "projects/acme-ml/secrets/github" }
    guards    = ["acme-guards"]
    operators = ["group:ml@acme.example"]
    viewers   = ["group:everybody@acme.example"]
    limits    = { object = { instances_max = 3, memory = "256Mi" }, tick = { instances_max = 9, cpu = "2" } }
    vpc       = { network = "acme", subnetwork = "acme-west4" }
    kms       = { key = "projects/acme-ml/locations/europe-west4/keyRings/refit/cryptoKeys/ledger" }
    alerts    = { emails = ["ml@acme.example"] }
  }

  assert {
    condition     = module.reconciler.service.template[0].scaling[0].max_instance_count == 1 && module.reconciler.service.template[0].containers[0].resources[0].limits == tomap({ cpu = "2", memory = "1Gi" })
    error_message = "limits must be taken, but for the one instance of tick"
  }

  assert {
    condition     = module.intake["object"].service.template[0].scaling[0].max_instance_count == 3 && module.intake["object"].service.template[0].containers[0].resources[0].limits == tomap({ cpu = "1", memory = "256Mi" })
    error_message = "limits that are not given must keep their defaults"
  }

  assert {
    condition     = google_eventarc_trigger.object["logs"].location == "eu" && google_eventarc_trigger.object["logs"].destination[0].cloud_run_service[0].service == "refit-object" && sort(keys(module.intake["object"].invokers)) == tolist(["eventarc", "push-object"])
    error_message = "eventarc must deliver to object, from where the bucket is"
  }

  assert {
    condition     = { for key, it in google_project_iam_member.eventarc_agent : key => "${it.role} ${it.member}" } == { this = "roles/eventarc.serviceAgent serviceAccount:service-123456789012@gcp-sa-eventarc.iam.gserviceaccount.com" }
    error_message = "a trigger must not wait for Google to grant its agent what it needs"
  }

  assert {
    condition     = { for key, it in google_pubsub_topic_iam_member.storage_other : key => it.member } == { acme-labs = "serviceAccount:service-210987654321@gs-project-accounts.iam.gserviceaccount.com" }
    error_message = "a bucket of another project is announced by the agent of that"
  }

  assert {
    condition     = { for key, it in google_pubsub_subscription.events : key => google_pubsub_topic.dead[key].name } == { drift = "refit-drift-dead", object = "refit-object-dead" } && toset(keys(google_pubsub_subscription.dead)) == toset(keys(google_pubsub_topic.dead))
    error_message = "what could not be delivered must be kept apart by function"
  }

  assert {
    condition     = toset(keys(google_kms_crypto_key_iam_member.agent)) == toset(["storage", "pubsub", "run"]) && google_storage_bucket.ledger[0].encryption[0].default_kms_key_name == var.kms.key && alltrue([for topic in google_pubsub_topic.events : topic.kms_key_name == var.kms.key])
    error_message = "everything kept must be kept under the key, and the agents must be able to use it"
  }

  assert {
    condition     = google_service_account_iam_member.vertex["train"].service_account_id == "projects/acme-ml/serviceAccounts/train@acme-ml.iam.gserviceaccount.com" && google_service_account_iam_member.vertex["train"].member == "serviceAccount:tick@x"
    error_message = "tick must be able to act as the pipelines' account"
  }

  assert {
    condition     = { for key, it in google_storage_bucket_iam_member.guard : key => "${it.member} ${it.bucket} ${it.role}" } == { acme-guards = "serviceAccount:tick@x acme-guards roles/storage.objectViewer" }
    error_message = "tick must read claims, and make none"
  }

  assert {
    condition     = alltrue([for service in concat([module.reconciler.service], [for it in module.intake : it.service]) : !contains([for env in service.template[0].containers[0].env : env.name], "REFIT_OIDC_CALLERS")])
    error_message = "functions that are apart are told apart by IAM"
  }

  assert {
    condition     = module.intake["hook"].service.invoker_iam_disabled && module.intake["hook"].service.ingress == "INGRESS_TRAFFIC_ALL" && alltrue([for name in ["drift", "object"] : !module.intake[name].service.invoker_iam_disabled && module.intake[name].service.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"])
    error_message = "hook alone must be reachable from the internet, and by senders without an account"
  }

  assert {
    condition     = { for key, it in module.intake["hook"].invokers : key => it.member } == { caller-approvers = "group:ml@acme.example" }
    error_message = "hook must be called by those who are named"
  }

  assert {
    condition     = one([for env in module.intake["hook"].service.template[0].containers[0].env : "${one(env.value_source[0].secret_key_ref).secret} ${one(env.value_source[0].secret_key_ref).version}" if env.name == "REFIT_HOOK_GITHUB"]) == "projects/acme-ml/secrets/webhooks 3"
    error_message = "hook must get its secret by reference"
  }

  assert {
    condition     = google_storage_bucket_iam_member.intake["hook"].role == google_project_iam_custom_role.append.id && google_pubsub_topic_iam_member.waker["hook"].role == "roles/pubsub.publisher"
    error_message = "hook must create in the ledger and publish the wake"
  }

  assert {
    condition     = google_logging_project_sink.model_monitoring["this"].filter == "logName = \"projects/acme-ml/logs/aiplatform.googleapis.com%2Fmodel_monitoring_anomaly\"" && google_logging_project_sink.model_monitoring["this"].destination == "pubsub.googleapis.com/projects/acme-ml/topics/mock" && google_logging_project_sink.model_monitoring["this"].unique_writer_identity && google_pubsub_topic_iam_member.model_monitoring["this"].topic == "refit-drift"
    error_message = "anomalies must reach the topic of drift reports, and their writer be allowed to"
  }

  assert {
    condition     = one([for env in module.intake["drift"].service.template[0].containers[0].env : env.value if env.name == "REFIT_REPORTS"]) == "gs://acme-monitoring/reports" && length([for env in module.intake["object"].service.template[0].containers[0].env : env if env.name == "REFIT_REPORTS"]) == 0
    error_message = "drift alone must know where reports come as files"
  }

  assert {
    condition     = google_storage_notification.reports[0].object_name_prefix == "reports/" && google_project_iam_custom_role.reports[0].permissions == toset(["storage.objects.get"]) && google_storage_bucket_iam_member.reports[0].member == "serviceAccount:drift@x" && google_storage_bucket_iam_member.reports[0].condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/acme-monitoring/objects/reports/\")"
    error_message = "reports must be announced, and drift must read them and nothing else"
  }

  assert {
    condition     = [for it in google_storage_bucket_iam_member.reports_list : "${it.member} ${it.bucket} ${it.role} ${length(it.condition)}"] == ["serviceAccount:drift@x acme-monitoring ${google_project_iam_custom_role.sweep.id} 0"]
    error_message = "drift must be told that a report is gone, which takes the right to list the bucket"
  }

  assert {
    condition     = { for key, it in google_storage_bucket_iam_member.sweep : key => it.role if it.role != google_project_iam_custom_role.sweep.id } == { labs = "roles/storage.legacyBucketReader" }
    error_message = "a bucket of another project takes no role of this one"
  }

  assert {
    condition     = google_pubsub_topic_iam_member.notify["runs"].project == "acme-ops" && google_pubsub_topic_iam_member.notify["runs"].topic == "runs" && google_pubsub_topic_iam_member.notify["runs"].member == "serviceAccount:tick@x"
    error_message = "tick must be able to publish to the topics that rules notify"
  }

  assert {
    condition     = { for key, it in google_monitoring_alert_policy.line : key => it.severity } == { error = "WARNING", pending = "ERROR", quarantine = "WARNING", unknown = "ERROR" } && strcontains(google_monitoring_alert_policy.line["pending"].conditions[0].condition_matched_log[0].filter, "jsonPayload.behind_s > 300")
    error_message = "what waits and what nobody knows must raise an alert"
  }

  assert {
    condition     = !strcontains(google_monitoring_alert_policy.line["error"].conditions[0].condition_matched_log[0].filter, "worker_pool")
    error_message = "no worker must be listened to where there is none"
  }

  assert {
    condition     = !strcontains(google_storage_bucket_iam_member.operator["group:ml@acme.example"].condition[0].expression, "log/")
    error_message = "people must not write the log"
  }
}

run "worker" {
  command = plan
  variables {
    images = { tick = "europe-west4-docker.pkg.dev/acme-ml/refit/tick@sha256:0000000000000000000000000000000000000000000000000000000000000002" }
    worker = { image = "europe-west4-docker.pkg.dev/acme-ml/refit/refit@sha256:0000000000000000000000000000000000000000000000000000000000000003", instances = 2 }
  }

  assert {
    condition     = length(module.intake) == 0 && length(google_pubsub_subscription.events["object"].push_config) == 0 && length(google_pubsub_subscription.events["object"].dead_letter_policy) == 1
    error_message = "what the worker pulls must not be pushed, and keep its dead letters"
  }

  assert {
    condition     = google_cloud_run_v2_worker_pool.this[0].scaling[0].manual_instance_count == 2 && slice(google_cloud_run_v2_worker_pool.this[0].template[0].containers[0].args, 0, 2) == tolist(["worker", "--subscription"])
    error_message = "the worker must pull with so many instances"
  }

  assert {
    condition     = !contains(google_cloud_run_v2_worker_pool.this[0].template[0].containers[0].env[*].name, "REFIT_CALLERS")
    error_message = "nobody calls the worker"
  }

  assert {
    condition     = google_pubsub_subscription_iam_member.worker[0].member == "serviceAccount:worker@x" && google_pubsub_topic_iam_member.worker[0].topic == "refit-wake" && google_storage_bucket_iam_member.worker[0].condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/acme-ml-refit-ledger/objects/prod/inbox/\")"
    error_message = "the worker must pull, append to the inbox and publish the wake, and nothing else"
  }

  assert {
    condition     = alltrue([for it in google_monitoring_alert_policy.line : startswith(it.conditions[0].condition_matched_log[0].filter, "((resource.type = \"cloud_run_revision\" AND resource.labels.service_name = (\"refit-tick\")) OR (resource.type = \"cloud_run_worker_pool\" AND resource.labels.worker_pool_name = \"refit-worker\")) AND ")])
    error_message = "what the worker says must raise an alert as well"
  }
}

run "wake_by_url" {
  command = plan
  variables {
    wake    = "url"
    ingress = "all"
    alerts  = { enabled = false }
    ledger  = { create = false, bucket = "acme-ledger" }
  }

  assert {
    condition     = length(google_pubsub_topic.wake) == 0 && length(google_pubsub_topic_iam_member.waker) == 0 && module.reconciler.invokers["object"].member == "serviceAccount:object@x"
    error_message = "object must call tick, and nothing must be published"
  }

  assert {
    condition     = one([for env in module.intake["object"].service.template[0].containers[0].env : env.value if env.name == "REFIT_WAKE"]) == "https://mock-uc.a.run.app/"
    error_message = "object must know the URL"
  }

  assert {
    condition     = length(google_storage_bucket.ledger) == 0 && output.ledger == "gs://acme-ledger/prod"
    error_message = "a ledger that exists must be left as it is"
  }
}
