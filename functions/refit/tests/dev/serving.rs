//! What `refit dev` makes of a pipeline's `serve`: the model of the demo, from the registry to a prediction.

use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::process::{Dev, ask, send};
use crate::promotion::demo_unpromoted;

/// The registry of a world, and a token it takes.
struct Registry {
    place: String,
    authorization: String,
}

impl Registry {
    fn of(place: &str) -> Self {
        let path = "GET /computeMetadata/v1/instance/service-accounts/default/token";
        let (_, token) = ask(place, path, &[("Metadata-Flavor", "Google")]);
        let token: Value = serde_json::from_str(&token).unwrap();
        let authorization = format!("Bearer {}", token["access_token"].as_str().unwrap());
        Self { place: place.to_owned(), authorization }
    }

    fn ask(&self, request: &str, body: &Value) -> Value {
        let headers = [("Authorization", self.authorization.as_str())];
        let (status, answer) = send(&self.place, request, &headers, &body.to_string());
        assert_eq!(status, 200, "{request}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Registers what the newest run made, under a key, and puts it into Production.
    fn promote(&self, number: u32) {
        let runs = self.ask("GET /apis/local/v1/runs", &json!(null));
        let asked = json!({"key": format!("rf-{number:032x}"), "run": runs["runs"][0]["id"]});
        let model = "/registry/models/breast-cancer";
        let version = self.ask(&format!("POST {model}/versions"), &asked);
        assert_eq!(version["version"], number.to_string());
        assert_eq!(version["metrics"]["true_positives"], 50);
        let asked = json!({"version": number.to_string()});
        self.ask(&format!("PUT {model}/stages/production"), &asked);
    }
}

/// Where a version is served, once it is.
fn served(dev: &mut Dev, version: &str) -> String {
    let words = format!("version {version} of the model breast-cancer is served at http://");
    let line = dev.says(&words);
    let (_, place) = line.split_once(&words).unwrap();
    let place = place.trim_end_matches('/').to_owned();
    let (_, about) = ask(&place, "GET /version", &[]);
    let about: Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["version"], version);
    place
}

/// The first tumour of the data set, which was malignant.
fn tumour() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path.join("../../examples/breast-cancer/data/part-1.csv"));
    let text = text.unwrap();
    let [names, values] = [0, 1].map(|line| text.lines().nth(line).unwrap().split(','));
    let pairs = names.zip(values).take(30);
    pairs.map(|(name, value)| (name.to_owned(), json!(value.parse::<f64>().unwrap()))).collect()
}

#[test]
fn the_version_in_production_predicts_and_the_next_one_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(&demo_unpromoted(folder.path()), &[]);
    let registry = Registry::of(&dev.listening());
    dev.says("watching");
    registry.promote(1);
    let place = served(&mut dev, "1");
    let (status, said) = send(&place, "POST /predict", &[], &tumour().to_string());
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((status, &said["prediction"]), (200, &json!("malignant")), "{said}");
    assert!(said["probability"].as_f64().unwrap() > 0.99, "{said}");
    registry.promote(2);
    let place = served(&mut dev, "2");
    assert!(dev.terminate().success());
    assert!(TcpStream::connect(&place).is_err(), "it ended with the world");
}
