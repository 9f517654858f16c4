//! A real browser, Chromium, as WebDriver drives it.
//!
//! The protocol is JSON over HTTP, and what is needed of it is here. The libraries for it were not taken: one sorts the
//! JSON of every test in this workspace differently, by a feature it turns on; the other brings second versions of
//! eight crates.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use refit_core::time::Span;
use refit_engine::port::Transport as _;
use refit_platform::clock::SystemClock;
use refit_platform::transport::{HttpTransport, Options};
use refit_testkit::counterpart::{Counterpart, Kind};
use refit_wire::http::Request;
use serde_json::{Value, json};

/// How long the driver may take over one command.
const WITHIN: Span = Span::secs(60);
/// The name that the protocol gives to the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const ARGUMENTS: &[&str] = &["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"];

pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const TAB: &str = "\u{e004}";

/// A browser with one page, which ends when this is dropped.
pub(crate) struct Browser {
    driver: Counterpart,
    transport: HttpTransport,
    /// The path of the session.
    session: String,
}

impl Drop for Browser {
    /// Tells the driver to end the browser, which would outlive it.
    fn drop(&mut self) {
        let (place, session) = (self.driver.place(), &self.session);
        let Ok(mut stream) = TcpStream::connect(place) else { return };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let _ = write!(stream, "DELETE {session} HTTP/1.1\r\nhost: {place}\r\n\r\n");
        let _ = stream.read(&mut [0; 1]);
    }
}

impl Browser {
    /// `None` where there is no browser, which is said.
    pub(crate) async fn open(test: &str) -> Option<Self> {
        let driver = Kind::Browser.start(test)?;
        let options = json!({"browserName": "chrome", "goog:chromeOptions": {"args": ARGUMENTS}});
        let wanted = json!({"capabilities": {"alwaysMatch": options}});
        let transport = HttpTransport::new(Arc::new(SystemClock), Options::default()).unwrap();
        let mut browser = Self { driver, transport, session: "/session".to_owned() };
        let opened = browser.command(Method::POST, "", Some(wanted)).await;
        browser.session = format!("/session/{}", opened["sessionId"].as_str().unwrap());
        Some(browser)
    }

    /// Sends a command: what the driver answers.
    async fn command(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let url = format!("http://{}{}{path}", self.driver.place(), self.session);
        let request = Request::new(method, url.parse().unwrap());
        let request = body.iter().fold(request, |request, body| request.json(body));
        let reply = self.transport.send(Request { timeout: Some(WITHIN), ..request }).await;
        let reply = reply.unwrap();
        let answer = reply.json().unwrap_or_default();
        assert!(reply.is_success(), "{url}: {answer}");
        answer["value"].clone()
    }

    async fn get(&self, path: &str) -> Value {
        self.command(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.command(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// The id of the first element a selector of CSS selects.
    async fn find(&self, selector: &str) -> String {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.post("/element", wanted).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// What a person reads in an element.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let element = self.find(selector).await;
        let text = self.get(&format!("/element/{element}/text")).await;
        text.as_str().unwrap().to_owned()
    }

    pub(crate) async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.post(&format!("/element/{element}/click"), json!({})).await;
    }

    /// Presses keys with the focus in an element.
    pub(crate) async fn press(&self, selector: &str, keys: &str) {
        let element = self.find(selector).await;
        self.post(&format!("/element/{element}/value"), json!({ "text": keys })).await;
    }

    /// Types into a field, over what is in it.
    pub(crate) async fn enter(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        self.post(&format!("/element/{element}/clear"), json!({})).await;
        self.post(&format!("/element/{element}/value"), json!({ "text": text })).await;
    }

    /// The value of an expression of JavaScript.
    pub(crate) async fn ask(&self, expression: &str) -> Value {
        let script = json!({"script": format!("return {expression}"), "args": []});
        self.post("/execute/sync", script).await
    }

    /// Tells the browser itself, rather than the page.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) {
        let command = json!({"cmd": command, "params": parameters});
        self.post("/goog/cdp/execute", command).await;
    }

    /// Keeps a picture of the page, to be looked at.
    pub(crate) async fn picture(&self, path: &Path) {
        let picture = self.get("/screenshot").await;
        std::fs::write(path, STANDARD.decode(picture.as_str().unwrap()).unwrap()).unwrap();
    }
}
