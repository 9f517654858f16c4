//! Recorded exchanges with those who are told: what is sent, what is answered, and what is made of it.
//!
//! A file below `testdata/<notifier>` holds cases as text. `>` is what is sent, `<` the answer, `=` the receipt;
//! `UPDATE_EXPECT=1` writes what is sent and receipts anew. `lost` is an answer that never came, `refused` a
//! connection that was not taken. The answers are those the services document; none was asked.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod events;
mod letters;
mod settings;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use refit_core::notice::Receipt;
use refit_testkit::transport::recorded;
use refit_wire::http::Auth;
use refit_wire::notify::{NotifierConfig, Teller};
use refit_wire::outgoing::Outgoing;
use serde_json::Value;

use crate::letters::{id, letter};

pub(crate) fn teller(config: &Value, text: Option<&str>) -> Teller {
    let config: NotifierConfig = serde_json::from_value(config.clone()).unwrap();
    let text = text.map(|text| {
        let text = Value::String(text.to_owned());
        refit_core::template::Template::parse(&text, refit_core::scope::NOTICE_VARIABLES).unwrap()
    });
    Teller::new(config.open().unwrap(), text)
}

fn file(kind: &str) -> PathBuf {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    testdata.join(kind).join("letters.txt")
}

/// Plays everything recorded with a notifier, and returns the receipts.
fn play(kind: &str) -> Vec<Receipt> {
    let recording = fs::read_to_string(file(kind)).unwrap();
    let (head, cases) = recording.split_once("\n## ").unwrap();
    let line = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let config: Value = serde_json::from_str(line("notifier ").unwrap()).unwrap();
    let teller = teller(&config, line("text "));
    let (mut receipts, mut again) = (Vec::new(), head.to_owned());
    for case in cases.split("\n## ") {
        let mut lines = case.lines();
        let (title, asked) = (lines.next().unwrap(), lines.next().unwrap());
        let letter = letter(asked);
        let sending = teller.tell("ledger-1", id(&letter), &letter, None);
        let (_, answer) = case.split_once("\n< ").unwrap();
        let answer = answer.split("\n= ").next().unwrap().trim_end();
        let receipt = (sending.read)(recorded(answer));
        let shown = shown(&sending.outgoing);
        again.push_str(&format!("\n## {title}\n{asked}\n> {shown}\n< {answer}\n= {receipt:?}\n"));
        receipts.push(receipt);
    }
    expect_file![file(kind)].assert_eq(&again);
    receipts
}

fn shown(outgoing: &Outgoing) -> String {
    match outgoing {
        Outgoing::Http(request) => {
            let auth = match &request.auth {
                Auth::None => String::new(),
                auth => format!(" {auth:?}"),
            };
            let kind = request.headers["content-type"].to_str().unwrap();
            let id =
                request.headers.get("webhook-id").map(|id| format!(" id={}", id.to_str().unwrap()));
            let id = id.unwrap_or_default();
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            format!("{} {}{auth} {kind}{id}\n{body:#}", request.method, request.url)
        }
        Outgoing::Mail(mail) => format!(
            "{}:{} {:?}\nFrom: {}\nTo: {}\nSubject: {}\nMessage-ID: <{}>\n\n{}",
            mail.host,
            mail.port,
            mail.login,
            mail.from,
            mail.to.join(", "),
            mail.subject,
            mail.id,
            mail.text.trim_end()
        ),
        Outgoing::Publish(message) => {
            let data: Value = serde_json::from_slice(&message.data).unwrap();
            format!("{} {:?}\n{data:#}", message.topic, message.attributes)
        }
    }
}

/// Every kind has recordings in which it is taken, is to be sent again, and, where it can be, is refused for good.
#[test]
fn letters_are_put_and_answers_understood_as_recorded() {
    for (kind, _) in NotifierConfig::about() {
        let receipts = play(kind);
        let any = |test: fn(&Receipt) -> bool| receipts.iter().any(test);
        assert!(any(|it| *it == Receipt::Delivered), "{kind}: never taken");
        assert!(any(|it| matches!(it, Receipt::Failed { .. })), "{kind}: never sent again");
        assert!(any(|it| matches!(it, Receipt::Refused(_))), "{kind}: never refused");
    }
}
