//! The page of the demo's predictions, in a real browser: Chromium, driven over WebDriver.

use std::path::Path;

use breast_cancer::data::{self, COLUMNS, FEATURES, Row};
use breast_cancer::model::Model;
use breast_cancer::serve::Serve;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::{Browser, ENTER, TAB};
use crate::patience::soon;

/// A browser on the page of a service whose model is version 7.
struct Session {
    browser: Browser,
    _version: TempDir,
}

fn rows() -> Vec<Row> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/breast-cancer/data");
    data::read(&folder.join("part-1.csv")).unwrap()
}

/// A folder as the registry makes it for a version.
fn version() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::train(&rows(), 1.0).unwrap();
    let text = serde_json::to_vec(&model).unwrap();
    std::fs::write(folder.path().join("model.json"), text).unwrap();
    std::fs::write(folder.path().join("version.json"), r#"{"version": "7"}"#).unwrap();
    folder
}

impl Session {
    /// `None` where there is no browser, which is said.
    async fn open(test: &str) -> Option<Self> {
        let browser = Browser::open(test).await?;
        let version = version();
        let serve = Serve {
            model: version.path().to_owned(),
            port: Some(0),
            address: [127, 0, 0, 1].into(),
        };
        let service = serve.open().await.unwrap();
        let url = format!("http://{}/", service.address().unwrap());
        tokio::spawn(service.run());
        browser.goto(&url).await;
        Some(Self { browser, _version: version })
    }

    /// Waits until an element says that.
    async fn says(&self, selector: &str, words: &str) -> String {
        let said = async {
            loop {
                let text = self.browser.text(selector).await;
                if text.contains(words) {
                    return text;
                }
            }
        };
        soon(words, said).await
    }

    /// The field that has the focus.
    async fn focus(&self) -> Value {
        self.browser.ask("document.activeElement.id").await
    }

    /// Makes the screen that of a phone, in the dark, or that of a desk.
    async fn screen(&self, (width, height): (u32, u32), scheme: &str) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.browser.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        self.browser.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// Keeps a picture of the screen, to be looked at.
    async fn picture(&self, name: &str) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        self.browser.picture(&path).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_types_measurements_and_sees_the_prediction_and_the_version() {
    let test = "page::a_person_types_measurements_and_sees_the_prediction_and_the_version";
    let Some(session) = Session::open(test).await else { return };
    let browser = &session.browser;
    session.screen((1000, 900), "light").await;
    assert_eq!(browser.text("#about").await, "model version 7");
    browser.press("#radius_mean", ENTER).await;
    let said = session.says("#prediction", "likely to be malignant").await;
    assert!(said.starts_with("Malignant: more than 99"), "{said}");
    session.picture("page-malignant.png").await;

    let benign = rows().into_iter().find(|row| !row.malignant).unwrap();
    browser.ask("document.querySelectorAll('details').forEach(it => it.open = true)").await;
    for (name, value) in COLUMNS[..FEATURES].iter().zip(benign.features) {
        // As it is written in half of the world.
        browser.enter(&format!("#{name}"), &value.to_string().replace('.', ",")).await;
    }
    browser.click("button").await;
    let said = session.says("#prediction", "Benign").await;
    assert!(said.ends_with("% likely to be malignant"), "{said}");
    assert_eq!(browser.text("#about").await, "model version 7");
    session.picture("page-benign.png").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_at_its_field_which_gets_the_focus() {
    let test = "page::what_is_wrong_is_said_at_its_field_which_gets_the_focus";
    let Some(session) = Session::open(test).await else { return };
    let browser = &session.browser;
    browser.enter("#texture_mean", "many").await;
    browser.enter("#area_mean", "").await;
    browser.click("button").await;
    session.says("#prediction", "2 measurements cannot be used").await;
    assert_eq!(browser.text("#texture_mean-wrong").await, "is not a number");
    assert_eq!(browser.text("#area_mean-wrong").await, "is missing");
    assert_eq!(session.focus().await, "texture_mean");
    session.picture("page-wrong.png").await;
    browser.enter("#texture_mean", "17.77").await;
    browser.enter("#area_mean", "1326").await;
    browser.ask("document.getElementById('area_worst').value = '-1'").await;
    browser.press("#area_mean", ENTER).await;
    session.says("#prediction", "One measurement cannot be used").await;
    session.says("#area_worst-wrong", "is negative").await;
    assert_eq!(session.focus().await, "area_worst", "and what hid it is open");
    assert_eq!(browser.text("#texture_mean-wrong").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_fits_a_phone_has_labels_and_can_be_used_by_keyboard_alone() {
    let test = "page::the_page_fits_a_phone_has_labels_and_can_be_used_by_keyboard_alone";
    let Some(session) = Session::open(test).await else { return };
    let browser = &session.browser;
    session.screen((360, 740), "dark").await;
    let fits = "document.documentElement.scrollWidth <= window.innerWidth";
    assert_eq!(browser.ask(fits).await, json!(true));
    let labels =
        "[...document.querySelectorAll('input')].map(it => it.labels[0]?.textContent ?? '')";
    let labels = browser.ask(labels).await;
    let labels: Vec<_> = labels.as_array().unwrap().iter().filter(|it| **it != "").collect();
    assert_eq!(labels.len(), FEATURES);
    let seen = "[...document.querySelectorAll('input')].filter(it => it.checkVisibility()).length";
    assert_eq!(browser.ask(seen).await, json!(10), "the means come first, the others on demand");
    let paper = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.ask(paper).await, "rgb(18, 23, 29)", "it is dark");
    browser.press("body", TAB).await;
    assert_eq!(session.focus().await, "radius_mean");
    for _ in 0..12 {
        browser.press(":focus", TAB).await;
    }
    assert_eq!(browser.ask("document.activeElement.tagName").await, "BUTTON");
    browser.press(":focus", " ").await;
    session.says("#prediction", "Malignant").await;
    session.picture("page-phone.png").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_be_reached_is_told_of() {
    let test = "page::a_service_that_cannot_be_reached_is_told_of";
    let Some(session) = Session::open(test).await else { return };
    let gone = json!({
        "offline": true, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
    });
    session.browser.devtools("Network.enable", json!({})).await;
    session.browser.devtools("Network.emulateNetworkConditions", gone).await;
    session.browser.click("button").await;
    session.says("#prediction", "The service does not answer").await;
}
