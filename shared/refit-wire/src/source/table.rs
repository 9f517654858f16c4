//! What is understood, as a table for people: `docs/events.md` is written from it.

/// One kind of delivery.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What it is.
    pub what: &'static str,
    /// How it comes.
    pub by: &'static str,
    /// What it is recorded as; a ping is not recorded.
    pub kind: &'static str,
    /// What makes two deliveries the same fact.
    pub identity: &'static str,
    /// A sample of it in `events/`.
    pub sample: &'static str,
}

const fn row([what, by, kind, identity, sample]: [&'static str; 5]) -> Row {
    Row { what, by, kind, identity, sample }
}

const GCS: &str = "`gs`, bucket, name, generation, kind";
const S3: &str =
    "`s3`, bucket, name, sequencer, kind; without a sequencer the version, else the tag and time";
const CLOUDEVENT: &str = "source, id";
const PUBSUB: &str = "subscription, message id";
const BACKGROUND: &str = "topic, message id";
const VERTEX_V2: &str = "job, objective, statistic, time of the alert";
const TICK: &str = "job, scheduled time";
const ALARM: &str = "alarm, time of the change, state";
const TOLD: &str = "what it says; without a time, also the message it came in";
const PUSH: &str = "repository, ref, commit before, commit after, time of the push";
const TAG: &str = "repository, ref, commit after, time of the push";
const WORKFLOW: &str = "repository, run, attempt";
const PIPELINE: &str = "project, region, run, status";

/// Every kind of delivery that is understood.
pub const TABLE: &[Row] = &[
    row([
        "Object in Cloud Storage",
        "Eventarc, binary",
        "object.finalized",
        GCS,
        "gcs/eventarc-finalized",
    ]),
    row(["", "Eventarc, structured", "object.finalized", GCS, "gcs/eventarc-structured"]),
    row(["", "Eventarc, batch", "object.finalized", GCS, "gcs/eventarc-batch"]),
    row(["", "Pub/Sub notification", "object.finalized", GCS, "gcs/pubsub-finalized"]),
    row(["", "the same without its wrapper", "object.finalized", GCS, "gcs/pubsub-unwrapped"]),
    row(["", "the same without a payload", "object.finalized", GCS, "gcs/pubsub-attributes-only"]),
    row(["", "background form", "object.finalized", GCS, "gcs/background-finalized"]),
    row(["Object in S3", "notification", "object.finalized", S3, "s3/notification"]),
    row(["", "notification through SNS", "object.finalized", S3, "s3/through-sns"]),
    row(["", "notification through SQS", "object.finalized", S3, "s3/through-sqs"]),
    row(["", "notification through SNS and SQS", "object.finalized", S3, "s3/through-sns-and-sqs"]),
    row(["", "EventBridge", "object.finalized", S3, "s3/eventbridge"]),
    row(["CloudEvent of any type", "HTTP, binary", "cloudevent", CLOUDEVENT, "cloudevents/binary"]),
    row(["", "HTTP, structured", "cloudevent", CLOUDEVENT, "cloudevents/structured"]),
    row(["", "HTTP, batch", "cloudevent", CLOUDEVENT, "cloudevents/batch"]),
    row(["", "Pub/Sub, binary", "cloudevent", CLOUDEVENT, "pubsub/cloudevent-binary"]),
    row(["", "Pub/Sub, structured", "cloudevent", CLOUDEVENT, "pubsub/cloudevent-structured"]),
    row(["Pub/Sub message", "push", "message", PUBSUB, "pubsub/wrapped"]),
    row(["", "push without its wrapper", "message", PUBSUB, "pubsub/unwrapped"]),
    row(["", "Eventarc", "message", PUBSUB, "pubsub/eventarc"]),
    row(["", "background form", "message", BACKGROUND, "pubsub/background"]),
    row(["EventBridge event", "Lambda", "message", "id", "eventbridge/custom"]),
    row([
        "Drift report, `refit.drift/v1`",
        "CloudEvent",
        "drift",
        CLOUDEVENT,
        "drift/native-cloudevent",
    ]),
    row(["", "Pub/Sub, SNS, SQS, webhook", "drift", TOLD, "drift/native-pubsub"]),
    row([
        "Vertex AI Model Monitoring v1",
        "log sink to Pub/Sub",
        "drift",
        "job, model, objective, end of the window",
        "drift/vertex-anomaly",
    ]),
    row([
        "Vertex AI Model Monitoring v2",
        "alert in any message",
        "drift",
        VERTEX_V2,
        "drift/vertex-v2-alert",
    ]),
    row([
        "Cloud Monitoring incident",
        "Pub/Sub, webhook",
        "drift",
        "incident, state",
        "drift/monitoring-open",
    ]),
    row(["CloudWatch alarm", "SNS", "drift", ALARM, "drift/cloudwatch-sns"]),
    row(["", "EventBridge", "drift", ALARM, "drift/cloudwatch-eventbridge"]),
    row(["", "invocation of a Lambda function", "drift", ALARM, "drift/cloudwatch-direct"]),
    row(["Evidently", "any message", "drift", TOLD, "drift/evidently-report"]),
    row([
        "Evidently, older reports",
        "any message",
        "drift",
        TOLD,
        "drift/evidently-legacy-report",
    ]),
    row(["Evidently, older suites", "any message", "drift", TOLD, "drift/evidently-legacy-suite"]),
    row(["NannyML", "any message", "drift", TOLD, "drift/nannyml"]),
    row(["whylogs", "any message", "drift", TOLD, "drift/whylogs-possible"]),
    row(["SageMaker Model Monitor", "any message", "drift", TOLD, "drift/sagemaker-quality"]),
    row(["", "end of its job, EventBridge", "drift", "job, status", "drift/sagemaker-job"]),
    row(["Azure Machine Learning v1", "Event Grid", "drift", "monitor, run", "drift/azureml"]),
    row(["Azure Machine Learning v2", "Event Grid", "drift", "run, status", "drift/azureml-v2"]),
    row(["Databricks", "any message", "drift", TOLD, "drift/databricks"]),
    row([
        "Any of these reports as a file",
        "object in `REFIT_REPORTS`, announced by any route",
        "object.finalized",
        "that of the object, for it and for the `drift` recorded beside it",
        "s3/notification",
    ]),
    row([
        "Pipeline of SageMaker",
        "EventBridge",
        "run.status",
        "execution, status",
        "eventbridge/sagemaker-pipeline",
    ]),
    row([
        "Build of Cloud Build",
        "its topic",
        "run.status",
        "project, run, status",
        "pubsub/cloud-build",
    ]),
    row([
        "Pipeline of Vertex AI",
        "log sink to Pub/Sub",
        "run.status",
        PIPELINE,
        "pubsub/vertex-pipeline",
    ]),
    row([
        "Execution of a Cloud Run job",
        "log sink to Pub/Sub",
        "run.status",
        PIPELINE,
        "pubsub/cloud-run-execution",
    ]),
    row(["GitHub push", "webhook", "scm.push", PUSH, "webhook/github-push"]),
    row(["GitHub workflow", "webhook", "run.status", WORKFLOW, "webhook/github-workflow-run"]),
    row(["GitHub comment", "webhook", "command", "comment", "webhook/github-comment"]),
    row(["GitHub tag", "webhook", "command", TAG, "webhook/github-tag"]),
    row(["MLflow registry", "webhook", "registry", "delivery", "webhook/mlflow"]),
    row(["", "webhook, a word on a version", "command", "delivery", "webhook/mlflow-approve"]),
    row(["Standard Webhooks", "webhook", "webhook", "webhook id", "webhook/standard"]),
    row(["Cloud Scheduler", "HTTP", "tick", TICK, "scheduler/ping"]),
    row(["EventBridge clock", "Lambda", "tick", TICK, "eventbridge/schedule"]),
];
