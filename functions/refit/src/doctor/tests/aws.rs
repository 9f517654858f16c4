//! What is set up in AWS. Its services are a fake of ours: answers in the forms that Amazon documents.

use refit_wire::cloud::aws::Aws;

use super::*;

const RULES: &str = "
services:
  vertex: { vertex: { project: acme, location: europe-west4, pipeline_root: gs://acme-pipelines/root } }
triggers:
  churn:
    on: { objects: { bucket: 's3://acme-data', prefix: churn/ } }
    run: { service: vertex, template: gs://acme-pipelines/churn.yaml }
";
const QUEUE: &str = "arn:aws:sqs:eu-central-1:1:refit-object";
const DEAD: &str = "arn:aws:sqs:eu-central-1:1:refit-dead";
const TICK: &str = "arn:aws:lambda:eu-central-1:1:function:refit-tick";
const LISTED: &str = "lambda/2015-03-31/functions";
const MAPPED: &str = "lambda/2015-03-31/event-source-mappings";
const RESERVED: &str = "lambda/2019-09-30/functions/refit-tick/concurrency";
const RIGHTS: &str = "iam/";
const POLICY: &str = "s3/acme-ledger?policy";
const LIFECYCLE: &str = "s3/acme-ledger?lifecycle";
const ANNOUNCED: &str = "s3/acme-data?notification";
const SENT: &str = "sqs/refit-object";
const KEPT: &str = "sqs/refit-dead";

/// What is answered, by service, path and query; of queues by their names.
struct Amazon(BTreeMap<String, (u16, String)>);

#[async_trait]
impl Transport for Amazon {
    async fn send(&self, request: Request) -> Reply {
        let url = &request.url;
        let Auth::Aws { service, .. } = &request.auth else {
            return Ok(Response { status: 403, ..Response::default() });
        };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let asked: Option<Value> = serde_json::from_slice(&request.body).ok();
        let queue =
            asked.and_then(|body| Some(body["QueueUrl"].as_str()?.rsplit_once('/')?.1.to_owned()));
        let key = match queue {
            Some(name) => format!("{service}/{name}"),
            None => format!("{service}{}{query}", url.path()),
        };
        let (status, body) = self.0.get(&key).cloned().unwrap_or((404, String::new()));
        Ok(Response { status, body: body.into(), ..Response::default() })
    }
}

fn lambda(program: &str) -> Value {
    json!({
        "FunctionName": format!("refit-{program}"), "Timeout": 60,
        "FunctionArn": format!("arn:aws:lambda:eu-central-1:1:function:refit-{program}"),
        "Role": format!("arn:aws:iam::1:role/refit-{program}"),
        "Environment": { "Variables": { "REFIT_LEDGER": "s3://acme-ledger/prod", "REFIT_WAKE": TICK } },
    })
}

fn listed(functions: &[Value]) -> String {
    json!({ "Functions": functions }).to_string()
}

fn mapped(changes: &Value) -> String {
    let mut mapping = json!({
        "UUID": "7", "EventSourceArn": QUEUE, "FunctionArn": lambda("object")["FunctionArn"],
        "State": "Enabled", "FunctionResponseTypes": ["ReportBatchItemFailures"],
    });
    for (name, value) in changes.as_object().unwrap() {
        mapping[name] = value.clone();
    }
    json!({ "EventSourceMappings": [mapping] }).to_string()
}

fn queue(changes: &Value) -> String {
    let statement = json!({
        "Effect": "Allow", "Principal": { "Service": "s3.amazonaws.com" }, "Action": "sqs:SendMessage",
        "Resource": QUEUE, "Condition": { "ArnEquals": { "aws:SourceArn": "arn:aws:s3:::acme-data" } },
    });
    let mut told = json!({
        "QueueArn": QUEUE, "VisibilityTimeout": "360", "MessageRetentionPeriod": "345600",
        "Policy": json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string(),
        "RedrivePolicy": json!({ "deadLetterTargetArn": DEAD, "maxReceiveCount": 100 }).to_string(),
    });
    for (name, value) in changes.as_object().unwrap() {
        told[name] = value.clone();
    }
    json!({ "Attributes": told }).to_string()
}

fn announced(event: &str, prefix: &str) -> String {
    format!(
        "<NotificationConfiguration><QueueConfiguration><Id>1</Id><Queue>{QUEUE}</Queue><Event>{event}</Event>\
         <Filter><S3Key><FilterRule><Name>prefix</Name><Value>{prefix}</Value></FilterRule></S3Key></Filter>\
         </QueueConfiguration></NotificationConfiguration>"
    )
}

fn policy_of(statement: &Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

fn lifecycle(prefix: &str, does: &str) -> String {
    format!(
        "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Prefix>{prefix}</Prefix></Filter>{does}\
         </Rule></LifecycleConfiguration>"
    )
}

fn judged(action: &str, decision: &str) -> String {
    format!(
        "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults><member>\
         <EvalActionName>{action}</EvalActionName><EvalDecision>{decision}</EvalDecision></member>\
         </EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )
}

fn sound() -> BTreeMap<String, (u16, String)> {
    let only_new = json!({
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::acme-ledger/*",
        "Condition": { "Null": { "s3:if-none-match": "true" } },
    });
    let nothing = |code: &str| (404, format!("<Error><Code>{code}</Code></Error>"));
    let good = |body: String| (200, body);
    let answers = [
        (POLICY, good(policy_of(&only_new))),
        (LIFECYCLE, nothing("NoSuchLifecycleConfiguration")),
        (ANNOUNCED, good(announced("s3:ObjectCreated:*", "churn/"))),
        (LISTED, good(listed(&[lambda("object"), lambda("tick"), lambda("hook")]))),
        (MAPPED, good(mapped(&json!({})))),
        (RESERVED, good(json!({ "ReservedConcurrentExecutions": 1 }).to_string())),
        ("lambda/2021-10-31/functions/refit-object/url", nothing("ResourceNotFoundException")),
        ("lambda/2021-10-31/functions/refit-tick/url", nothing("ResourceNotFoundException")),
        (SENT, good(queue(&json!({})))),
        (KEPT, good(queue(&json!({ "QueueArn": DEAD, "MessageRetentionPeriod": "1209600" })))),
        (RIGHTS, good(judged("s3:PutObject", "allowed"))),
    ];
    answers.map(|(key, answer)| (key.to_owned(), answer)).into()
}

/// What is told of a world with these answers instead.
async fn report(changes: &[(&str, u16, String)]) -> Report {
    let mut answers = sound();
    for (key, status, body) in changes {
        assert!(answers.insert((*key).to_owned(), (*status, body.clone())).is_some(), "{key}");
    }
    let (config, found) = config::read(RULES);
    let config = config.unwrap_or_else(|| panic!("{found:?}"));
    let mut facts = Facts { config: Some(Ok(config)), ..Facts::default() };
    facts.ledger.location = "s3://acme-ledger/prod".to_owned();
    let transport: Arc<dyn Transport> = Arc::new(Amazon(answers));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let caller = Caller { transport: &transport, clock: &clock, limit: Span::secs(5) };
    let aws = Aws::new("eu-central-1", |_| None).unwrap();
    let look = Look { caller, buckets: &Buckets::default(), aws: Some(&aws) };
    look.gather(&mut facts, &[]).await;
    let mut report = examine(&facts);
    // The pipeline service is none of AWS.
    report.findings.retain(|finding| finding.check != "services");
    report
}

#[tokio::test]
async fn where_all_is_well_in_aws_nothing_is_found() {
    let report = report(&[]).await;
    assert!(report.findings.is_empty() && report.not_checked.is_empty(), "{report}");
    let fine: std::collections::BTreeSet<_> = report.fine.iter().map(|fine| fine.check).collect();
    let checked = ["lifecycle", "conditional writes", "notifications", "listeners"];
    let checked = checked.into_iter().chain(["dead letters", "wakes", "concurrency", "rights"]);
    for check in checked {
        assert!(fine.contains(check), "{check}: {report}");
    }
}

/// What is answered instead.
type Change = (&'static str, u16, String);

/// Asserts that this check finds each of these with its answer, and no other check anything.
async fn finds<const N: usize>(check: &str, rows: [(Severity, &str, &str, Change); N]) {
    for (severity, words, cure, change) in rows {
        let report = report(std::slice::from_ref(&change)).await;
        let found = report.findings.iter().find(|it| it.what.contains(words));
        let found = found.unwrap_or_else(|| panic!("{words}: {report}"));
        assert_eq!((found.severity, found.cure.contains(cure)), (severity, true), "{found:#?}");
        assert!(report.findings.iter().all(|it| it.check == check), "{report}");
    }
}

#[tokio::test]
async fn what_harms_a_ledger_in_s3_is_found() {
    let error = Severity::Error;
    let days = "<Expiration><Days>9</Days></Expiration>";
    let cold = "<Transition><Days>9</Days><StorageClass>GLACIER</StorageClass></Transition>";
    let (deletes, freezes) = (lifecycle("prod/log/", days), lifecycle("", cold));
    finds(
        "lifecycle",
        [
            (error, "deletes in the ledger", "delete-bucket-lifecycle", (LIFECYCLE, 200, deletes)),
            (error, "cannot be read", "--bucket acme-ledger", (LIFECYCLE, 200, freezes)),
        ],
    )
    .await;
    let none = (POLICY, 404, "<Code>NoSuchBucketPolicy</Code>".to_owned());
    let row = (Severity::Warning, "does not demand", "put-bucket-policy", none);
    finds("conditional writes", [row]).await;
    let elsewhere = report(&[(LIFECYCLE, 200, lifecycle("other/", days))]).await;
    assert!(elsewhere.findings.is_empty(), "{elsewhere}");
}

#[tokio::test]
async fn uploads_to_s3_that_are_not_announced_are_found() {
    let (error, warning) = (Severity::Error, Severity::Warning);
    let told = |event: &str, prefix: &str| (ANNOUNCED, 200, announced(event, prefix));
    let (all, put) = ("s3:ObjectCreated:*", "s3:ObjectCreated:Put");
    let gone = (ANNOUNCED, 404, String::new());
    finds(
        "notifications",
        [
            (error, "no new objects", "put-bucket-notification", told("s3:ObjectRemoved:*", "")),
            (error, "other prefixes", QUEUE, told(all, "other/")),
            (warning, "only a part", "churn/", told(all, "churn/eu/")),
            (warning, "some ways to upload", all, told(put, "")),
            (error, "no such bucket", "create-bucket", gone),
        ],
    )
    .await;
}

#[tokio::test]
async fn messages_that_no_function_records_are_found() {
    let (error, warning) = (Severity::Error, Severity::Warning);
    let sent = |changes: Value| (SENT, 200, queue(&changes));
    let taken = |changes: Value| (MAPPED, 200, mapped(&changes));
    let gone = (SENT, 400, r#"{"__type":"x#QueueDoesNotExist"}"#.to_owned());
    let whole = taken(json!({ "FunctionResponseTypes": [] }));
    let other = taken(json!({ "FunctionArn": "arn:aws:lambda:eu-central-1:1:function:other" }));
    finds(
        "listeners",
        [
            (error, "no such queue", "create-queue --queue-name refit-object", gone),
            (error, "S3 may not send", "aws:SourceArn", sent(json!({ "Policy": null }))),
            (warning, "again after 30s", "360", sent(json!({ "VisibilityTimeout": "30" }))),
            (error, "no function of this ledger", "create-event-source-mapping", other),
            (error, "not invoked", "--uuid 7 --enabled", taken(json!({ "State": "Disabled" }))),
            (error, "could not record is lost", "ReportBatchItemFailures", whole),
        ],
    )
    .await;
}

#[tokio::test]
async fn messages_of_sqs_that_are_not_kept_are_found() {
    let warning = Severity::Warning;
    let gone = (KEPT, 400, r#"{"__type":"x#QueueDoesNotExist"}"#.to_owned());
    let none = (SENT, 200, queue(&json!({ "RedrivePolicy": null })));
    let short = (KEPT, 200, queue(&json!({ "MessageRetentionPeriod": "60" })));
    finds(
        "dead letters",
        [
            (warning, "no dead letters", "RedrivePolicy", none),
            (Severity::Error, "no such queue", "--queue-name refit-dead", gone),
            (warning, "too old already", "MessageRetentionPeriod=1209600", short),
        ],
    )
    .await;
}

#[tokio::test]
async fn reconcilers_that_are_not_woken_or_crowd_are_found() {
    let warning = Severity::Warning;
    let waking = |target: &Value| {
        let mut object = lambda("object");
        object["Environment"]["Variables"]["REFIT_WAKE"] = target.clone();
        (LISTED, 200, listed(&[object, lambda("tick"), lambda("hook")]))
    };
    let nobody = waking(&json!(""));
    let hook = waking(&lambda("hook")["FunctionArn"]);
    finds(
        "wakes",
        [
            (warning, "wakes nobody", TICK, nobody),
            (warning, "no reconciler of this ledger", TICK, hook),
        ],
    )
    .await;
    let reserved =
        |many: Value| (RESERVED, 200, json!({ "ReservedConcurrentExecutions": many }).to_string());
    finds(
        "concurrency",
        [
            (warning, "not 1", "--function-name refit-tick", reserved(json!(null))),
            (Severity::Error, "never runs", "executions 1", reserved(json!(0))),
        ],
    )
    .await;
}

#[tokio::test]
async fn rights_that_a_role_lacks_are_found_and_mended_at_once() {
    let refused = judged("s3:PutObject", "implicitDeny");
    let report = report(&[(RIGHTS, 200, refused)]).await;
    assert!(report.findings.iter().all(|it| it.check == "rights"), "{report}");
    let found = report.findings.iter().find(|it| it.at == "refit-object").unwrap();
    assert_eq!(found.severity, Severity::Error);
    assert!(
        found.what.contains("s3:PutObject on arn:aws:s3:::acme-ledger/prod/inbox/*"),
        "{found:#?}"
    );
    assert!(found.what.contains(QUEUE) && found.what.contains(TICK), "{found:#?}");
    assert!(found.cure.contains("put-role-policy --role-name refit-object"), "{found:#?}");
}

#[tokio::test]
async fn what_cannot_be_read_in_aws_is_said_and_never_taken_for_well() {
    let denied = "<Code>AccessDenied</Code>".to_owned();
    for key in sound().keys() {
        let report = report(&[(key, 403, denied.clone())]).await;
        assert!(report.findings.is_empty(), "{key}: {report}");
        assert!(!report.not_checked.is_empty(), "{key}: {report}");
    }
    let by_eventbridge =
        "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
    let report = report(&[(ANNOUNCED, 200, by_eventbridge.to_owned())]).await;
    assert!(report.to_string().contains("whose rules are not looked at"), "{report}");
}
