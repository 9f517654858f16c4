//! What the server of Kubeflow Pipelines answers fits the published descriptions.

use refit_testkit::fake::client::call;
use refit_testkit::fake::kfp::{Kfp, Options};
use refit_testkit::shared::shared_data;
use refit_testkit::spec::{Asked, Swagger};
use serde_json::{Value, json};

const ID: &str = "00112233-4455-6677-8899-aabbccddeeff";

struct Conversation {
    kfp: Kfp,
    api: &'static str,
    swagger: Swagger,
    checked: usize,
}

impl Conversation {
    /// Asks, and checks question and answer against the description.
    async fn ask(&mut self, method: &str, path: &str, body: Option<Value>) -> Value {
        let place = self.kfp.url().replace("http://", "");
        let path = format!("/apis/{}/{path}", self.api);
        let bytes = body.as_ref().map(Value::to_string).unwrap_or_default();
        let reply = call(&place, &format!("{method} {path}"), "", bytes.as_bytes()).await.unwrap();
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body);
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let query: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let asked = Asked { method, path, query: &query, body: body.as_ref() };
        let faults = self.swagger.check_request(asked)
            + &self.swagger.check_answer(asked, 200, &reply.json());
        assert!(faults.is_empty(), "{method} {path}\n{}\n{faults}", reply.body);
        self.checked += 1;
        reply.json()
    }
}

fn conversation(test: &str, api: &'static str) -> Option<Conversation> {
    let specs = shared_data(test, "specs")?;
    let kfp = Kfp::start(Options { looks: Some(2), ..Options::default() });
    kfp.add_pipeline("churn", &[("manifest", "STRING")]);
    let swagger = Swagger::read(&specs.join(format!("kfp-{api}.swagger.json")));
    Some(Conversation { kfp, api, swagger, checked: 0 })
}

#[tokio::test]
async fn answers_of_v2beta1_are_as_described() {
    let Some(mut it) = conversation("answers_of_v2beta1_are_as_described", "v2beta1") else {
        return;
    };
    it.ask("GET", "pipelines/names/churn", None).await;
    it.ask("GET", "pipelines/p-1", None).await;
    it.ask("GET", "pipelines/p-1/versions?page_size=1&sort_by=created_at+desc", None).await;
    let version = it.ask("GET", "pipelines/p-1/versions/v-1", None).await;
    it.ask("GET", "experiments", None).await;
    it.ask("POST", "experiments", Some(json!({ "display_name": "Default" }))).await;
    it.ask("GET", "experiments", None).await;
    let start = json!({
        "run_id": ID,
        "experiment_id": "e-1",
        "display_name": "churn 1",
        "pipeline_spec": version["pipeline_spec"],
        "runtime_config": { "parameters": { "manifest": "gs://a/b" } },
    });
    it.ask("POST", "runs", Some(start)).await;
    it.ask("GET", "runs?experiment_id=e-1", None).await;
    it.ask("GET", &format!("runs/{ID}"), None).await;
    it.ask("POST", &format!("runs/{ID}:terminate"), None).await;
    it.ask("GET", &format!("runs/{ID}"), None).await;
    assert_eq!(it.checked, 12);
}

#[tokio::test]
async fn answers_of_v1beta1_are_as_described() {
    let Some(mut it) = conversation("answers_of_v1beta1_are_as_described", "v1beta1") else {
        return;
    };
    it.ask("GET", "pipelines", None).await;
    it.ask("GET", "pipeline_versions?resource_key.type=PIPELINE&resource_key.id=p-1", None).await;
    it.ask("GET", "pipeline_versions/v-1/templates", None).await;
    it.ask("POST", "experiments", Some(json!({ "name": "Default" }))).await;
    it.ask("GET", "experiments", None).await;
    let reference = |kind: &str, id: &str, relationship: &str| json!({ "key": { "type": kind, "id": id }, "relationship": relationship });
    let start = json!({
        "name": "churn 1",
        "pipeline_spec": { "parameters": [{ "name": "manifest", "value": "gs://a/b" }] },
        "resource_references": [
            reference("EXPERIMENT", "e-1", "OWNER"),
            reference("PIPELINE_VERSION", "v-1", "CREATOR"),
        ],
    });
    let run = it.ask("POST", "runs", Some(start)).await["run"]["id"].clone();
    let run = run.as_str().unwrap();
    it.ask("GET", "runs", None).await;
    it.ask("GET", &format!("runs/{run}"), None).await;
    it.ask("POST", &format!("runs/{run}/terminate"), None).await;
    it.ask("GET", &format!("runs/{run}"), None).await;
    assert_eq!(it.checked, 10);
}
