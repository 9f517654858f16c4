//! The service that predicts, as a process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use breast_cancer::data::{self, COLUMNS, FEATURES, Row};
use breast_cancer::model::Model;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

fn rows() -> Vec<Row> {
    data::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/part-1.csv")).unwrap()
}

fn measurements(row: &Row) -> Map<String, Value> {
    let pairs = COLUMNS[..FEATURES].iter().zip(row.features);
    pairs.map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
}

/// A folder as the registry makes it for a version.
fn version(model: &Model) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("artifacts")).unwrap();
    let text = serde_json::to_vec(model).unwrap();
    fs::write(folder.path().join("artifacts/model.json"), text).unwrap();
    let registered = json!({
        "v": 1, "version": "7", "key": "rf-1", "run": "rf-1", "created": "2026-11-21T09:00:00Z",
        "metrics": {"accuracy": 0.97},
    });
    fs::write(folder.path().join("version.json"), registered.to_string()).unwrap();
    folder
}

fn model() -> Model {
    Model::train(&rows(), 1.0).unwrap()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breast-cancer"));
    command.env_clear().args(["serve", "--model"]).arg(folder).stdin(Stdio::null());
    command
}

/// A service that runs; killed when it is dropped.
struct Service {
    child: Child,
    place: String,
    greeting: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    fn of(folder: &Path) -> Self {
        let mut child =
            command(folder).args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting = lines.next().unwrap().unwrap();
        let listening = lines.next().unwrap().unwrap();
        let place = listening.strip_prefix("listening on http://").unwrap();
        Self { child, place: place.trim_end_matches('/').to_owned(), greeting }
    }

    /// Asks: the status, the head, and the body.
    fn ask(&self, request: &str, body: &[u8]) -> (u16, String, String) {
        let place = &self.place;
        let mut stream = TcpStream::connect(place).unwrap();
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    }

    fn predict(&self, body: &str) -> (u16, Value) {
        let (status, _, answer) = self.ask("POST /predict", body.as_bytes());
        (status, serde_json::from_str(&answer).unwrap())
    }
}

fn fails(folder: &Path, arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = command(folder).args(arguments).output().unwrap();
    assert_eq!(status.code(), Some(1));
    String::from_utf8(stderr).unwrap()
}

#[test]
fn a_tumour_is_predicted_as_the_model_scores_it_and_by_which_version() {
    let model = model();
    let folder = version(&model);
    let service = Service::of(folder.path());
    assert_eq!(service.greeting, "model version 7");
    for row in rows() {
        let (status, said) = service.predict(&json!(measurements(&row)).to_string());
        let probability = model.probability(&row);
        let word = if probability >= 0.5 { "malignant" } else { "benign" };
        assert_eq!(
            (status, &said["prediction"], &said["version"]),
            (200, &json!(word), &json!("7"))
        );
        assert_eq!(said["probability"], json!(probability));
    }
    let (status, _, about) = service.ask("GET /version", b"");
    let about: Value = serde_json::from_str(&about).unwrap();
    assert_eq!(
        (status, &about["version"], &about["rows"]),
        (200, &json!("7"), &json!(rows().len()))
    );
    assert_eq!(about["metrics"], json!({"accuracy": 0.97}));
    assert_eq!(service.ask("GET /healthz", b"").0, 200);
}

#[test]
fn what_is_wrong_with_a_request_is_said_of_each_measurement() {
    let folder = version(&model());
    let service = Service::of(folder.path());
    let good = measurements(&rows()[0]);
    let wrong = |changes: Value| {
        let mut given = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(given.remove(name)),
                value => drop(given.insert(name.clone(), value.clone())),
            }
        }
        let (status, answer) = service.predict(&json!(given).to_string());
        assert_eq!(status, 400, "{answer}");
        answer
    };
    let answer = wrong(json!({
        "radius_mean": null, "texture_mean": "many", "area_se": -1, "area_worst": 1e7, "radius": 1,
    }));
    let fields = json!({
        "radius_mean": "is missing", "texture_mean": "is not a number", "area_se": "is negative",
        "area_worst": "is too large", "radius": "is not a measurement",
    });
    assert_eq!(answer["fields"], fields);
    let said = answer["error"].as_str().unwrap();
    assert!(said.contains("`radius_mean` is missing, `texture_mean` is not a number"), "{said}");
    for body in ["", "[]", "{", "\"x\"", "{\"radius_mean\": 1e999}"] {
        let (status, answer) = service.predict(body);
        let said = answer["error"].as_str().unwrap();
        assert!(status == 400 && said.contains("not a JSON object of 30 measurements"), "{said}");
    }
    let large = " ".repeat((64 << 10) + 1);
    assert_eq!(service.predict(&large).0, 413);
    assert_eq!(service.ask("GET /nothing", b"").0, 404);
    assert_eq!(service.ask("GET /predict", b"").0, 405);
}

#[test]
fn the_page_has_a_labelled_field_for_every_measurement_and_nothing_from_elsewhere() {
    let folder = version(&model());
    let service = Service::of(folder.path());
    let (status, head, page) = service.ask("GET /", b"");
    assert_eq!(status, 200);
    let first = rows()[0].features;
    for (name, value) in COLUMNS[..FEATURES].iter().zip(first) {
        assert!(page.contains(&format!("<label for=\"{name}\">")), "{name}");
        assert!(
            page.contains(&format!("id=\"{name}\" name=\"{name}\" value=\"{value}\"")),
            "{name}"
        );
    }
    assert!(page.contains("model version 7") && !page.contains("{{"), "{page}");
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    let assets = [page, service.ask("GET /page.css", b"").2, service.ask("GET /page.js", b"").2];
    for asset in assets {
        assert!(!asset.contains("://") && !asset.is_empty(), "{asset}");
    }
}

#[test]
fn what_keeps_it_from_serving_is_said() {
    let folder = tempfile::tempdir().unwrap();
    assert!(fails(folder.path(), &["--port", "0"]).contains("there is no model in"));
    let file = folder.path().join("model.json");
    let mut model = model();
    let check = |model: &Model, words: &str| {
        fs::write(&file, serde_json::to_vec(model).unwrap()).unwrap();
        let said = fails(folder.path(), &["--port", "0"]);
        assert!(said.contains(words), "{said}");
    };
    model.features[0].deviation = 0.0;
    check(&model, "never varies");
    model.features.swap(0, 1);
    check(&model, "other measurements");
    model.v = 2;
    check(&model, "another form: v=`2`");
    fs::write(&file, "{}").unwrap();
    assert!(fails(folder.path(), &["--port", "0"]).contains("not a model"));
    let good = version(&self::model());
    let service = Service::of(good.path());
    let port = service.place.rsplit_once(':').unwrap().1;
    assert!(fails(good.path(), &["--port", port]).contains("cannot listen on 127.0.0.1"));
}

#[test]
fn told_to_end_it_ends_and_a_model_of_a_run_needs_no_registry() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.json"), serde_json::to_vec(&model()).unwrap()).unwrap();
    let mut service = Service::of(folder.path());
    assert!(service.greeting.ends_with(", which is not registered"), "{}", service.greeting);
    let (_, said) = service.predict(&json!(measurements(&rows()[0])).to_string());
    assert_eq!((&said["version"], said["sha256"].as_str().unwrap().len()), (&Value::Null, 64));
    let id = service.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(service.child.wait().unwrap().success());
}
