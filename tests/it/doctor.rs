//! `refit doctor` on a ledger in S3's stand-in, which others wrote, beside the queues and the functions it has as well. It
//! cannot simulate policies: that is said not to be checked.

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::aws::{LEDGER, REGION, Storage};
use crate::process::program;

const RULES: &str = "
services:
  kfp: { kubeflow: { endpoint: 'http://127.0.0.1:1' } }
triggers:
  churn:
    on: { objects: { bucket: 's3://acme-data', prefix: churn/ } }
    run: { service: kfp, pipeline: churn }
";
/// What is looked at beside AWS.
const ELSEWHERE: [&str; 4] = ["clock", "ledger", "loops", "services"];
const ROLE: &str = "arn:aws:iam::123456789012:role/refit";
const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

/// Sends a form, as some services are asked.
async fn form(storage: &Storage, service: &str, pairs: &[(&str, &str)]) {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    storage.ask(Method::POST, "/", service, &form).await;
}

fn arn(service: &str, name: &str) -> String {
    format!("arn:aws:{service}:{REGION}:123456789012:{name}")
}

/// Makes what the Terraform module makes, of which the mapping is as given.
async fn set_up(storage: &Storage) {
    let (queue, dead) = (arn("sqs", "refit-object"), arn("sqs", "refit-dead"));
    let redrive = json!({ "deadLetterTargetArn": dead, "maxReceiveCount": 100 }).to_string();
    let sends = json!({ "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "s3.amazonaws.com" }, "Action": "sqs:SendMessage",
        "Resource": queue, "Condition": { "ArnEquals": { "aws:SourceArn": "arn:aws:s3:::acme-data" } },
    }] });
    let create = [("Action", "CreateQueue"), ("Version", "2012-11-05")];
    let named = |name| {
        [
            ("QueueName", name),
            ("Attribute.1.Name", "MessageRetentionPeriod"),
            ("Attribute.1.Value", "1209600"),
        ]
    };
    form(storage, "sqs", &[&create[..], &named("refit-dead")].concat()).await;
    let more = [
        ("Attribute.2.Name", "RedrivePolicy"),
        ("Attribute.2.Value", &redrive),
        ("Attribute.3.Name", "Policy"),
        ("Attribute.3.Value", &sends.to_string()),
        ("Attribute.4.Name", "VisibilityTimeout"),
        ("Attribute.4.Value", "360"),
    ];
    form(storage, "sqs", &[&create[..], &named("refit-object"), &more].concat()).await;
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "Service": "lambda.amazonaws.com" },
    }] });
    let role = [("RoleName", "refit"), ("AssumeRolePolicyDocument", &trust.to_string())];
    let create = [("Action", "CreateRole"), ("Version", "2010-05-08")];
    form(storage, "iam", &[create, role].concat()).await;
    for name in ["refit-object", "refit-tick"] {
        let tick = arn("lambda", "function:refit-tick");
        let function = json!({
            "FunctionName": name, "Runtime": "provided.al2023", "Role": ROLE, "Handler": "bootstrap",
            "Timeout": 60, "Code": { "ZipFile": "bm90IHJ1bg==" },
            "Environment": { "Variables": { "REFIT_LEDGER": LEDGER, "REFIT_WAKE": tick } },
        });
        storage.ask(Method::POST, "/2015-03-31/functions", "lambda", &function.to_string()).await;
    }
    let once = json!({ "ReservedConcurrentExecutions": 1 }).to_string();
    let path = "/2017-10-31/functions/refit-tick/concurrency";
    storage.ask(Method::PUT, path, "lambda", &once).await;
    let only_new = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::ledgers/*",
        "Condition": { "Null": { "s3:if-none-match": "true" } },
    }] });
    storage.ask(Method::PUT, "/ledgers?policy", "s3", &only_new.to_string()).await;
    let announced = format!(
        "<NotificationConfiguration><QueueConfiguration><Id>1</Id><Queue>{queue}</Queue>\
         <Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>churn/</Value>\
         </FilterRule></S3Key></Filter></QueueConfiguration></NotificationConfiguration>"
    );
    storage.ask(Method::PUT, "/acme-data?notification", "s3", &announced).await;
}

/// What is found in AWS, and what is not checked.
async fn judged(storage: &Storage) -> (Vec<Value>, Vec<Value>) {
    let folder = TempDir::with_prefix("refit-doctor").unwrap();
    let file = folder.path().join("refit.yaml");
    std::fs::write(&file, RULES).unwrap();
    let place = storage.server.place();
    let variables = storage.variables(place);
    let services = [("AWS_ENDPOINT_URL", format!("http://{place}"))];
    let mut command = Command::new(program("refit"));
    command.args(["doctor", "--json"]).arg(&file).env_clear().envs(variables).envs(services);
    let said = command.output().await.unwrap();
    let report: Value = serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
    let of_aws = |list: &str| {
        let all = report[list].as_array().unwrap().iter();
        let is_elsewhere = |it: &&Value| ELSEWHERE.contains(&it["check"].as_str().unwrap());
        all.filter(|it| !is_elsewhere(it)).cloned().collect()
    };
    (of_aws("findings"), of_aws("not_checked"))
}

/// The checks that found something.
fn checks(found: &[Value]) -> Vec<&str> {
    found.iter().map(|it| it["check"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_around_a_ledger_in_s3_is_found_until_it_is_mended() {
    let test = "doctor::what_is_wrong_around_a_ledger_in_s3_is_found_until_it_is_mended";
    let Some(storage) = Storage::trusting(test).await else { return };
    assert_eq!(checks(&judged(&storage).await.0), ["notifications", "conditional writes"]);
    storage.ask(Method::PUT, "/acme-data", "s3", "").await;
    let (found, _) = judged(&storage).await;
    assert_eq!(checks(&found), ["notifications", "conditional writes"], "{found:#?}");
    assert!(found[0]["what"].as_str().unwrap().contains("no new objects"), "{found:#?}");

    set_up(&storage).await;
    let (found, _) = judged(&storage).await;
    assert_eq!(checks(&found), ["listeners"], "{found:#?}");
    assert!(
        found[0]["cure"].as_str().unwrap().contains("create-event-source-mapping"),
        "{found:#?}"
    );

    let mapping =
        json!({ "EventSourceArn": arn("sqs", "refit-object"), "FunctionName": "refit-object" });
    let made = storage.ask(Method::POST, MAPPINGS, "lambda", &mapping.to_string()).await;
    let (found, _) = judged(&storage).await;
    assert_eq!(checks(&found), ["listeners"], "{found:#?}");
    assert!(found[0]["what"].as_str().unwrap().contains("is lost"), "{found:#?}");

    let id = made.json().unwrap()["UUID"].as_str().unwrap().to_owned();
    let partial = json!({ "FunctionResponseTypes": ["ReportBatchItemFailures"] }).to_string();
    storage.ask(Method::PUT, &format!("{MAPPINGS}/{id}"), "lambda", &partial).await;
    let (found, not_checked) = judged(&storage).await;
    assert!(found.is_empty(), "{found:#?}");
    assert!(not_checked.iter().all(|it| it["check"] == "rights"), "{not_checked:#?}");
}
