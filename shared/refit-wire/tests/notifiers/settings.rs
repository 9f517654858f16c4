//! Settings that cannot be, words that are one's own, and letters that are too long.

use std::collections::BTreeSet;

use http::HeaderMap;
use refit_core::notice::Receipt;
use refit_core::promotion::Stage;
use refit_core::time::Span;
use refit_wire::http::{Auth, Response, Secret};
use refit_wire::link::{HEADER, Link, ledger_at};
use refit_wire::notify::{Links, NotifierConfig};
use refit_wire::outgoing::Outgoing;
use refit_wire::pipeline::endpoint::Endpoint;
use serde_json::{Value, json};

use crate::letters::{id, letter};
use crate::teller;

#[test]
fn settings_that_cannot_be_are_refused() {
    let env = json!({ "env": "X" });
    let mail =
        json!({ "smtp": "mail.acme.example", "from": "a@acme.example", "to": ["b@acme.example"] });
    let mail = |name: &str, value: Value| {
        let mut mail = mail.clone();
        mail[name] = value;
        json!({ "email": mail })
    };
    let cases = [
        (json!({"slack": {}}), "missing field `webhook`"),
        (json!({"slack": {"webhook": {"env": "https://hooks.slack.com/x"}}}), "never its value"),
        (json!({"slack": {"webhook": "https://hooks.slack.com/x"}}), "unknown variant"),
        (json!({"teams": {"webhook": {"secret": "x"}}}), "never the secret"),
        (json!({"discord": {"webhook": env, "name": "x"}}), "unknown field `name`"),
        (json!({"telegram": {"token": env, "chat": "acme"}}), "a number or @NAME"),
        (json!({"telegram": {"token": env, "chat": "-"}}), "a number or @NAME"),
        (json!({"opsgenie": {"key": env, "priority": "p9"}}), "unknown variant `p9`"),
        (json!({"webhook": {}}), "say where"),
        (json!({"webhook": {"secret_url": env}}), "say where"),
        (json!({"webhook": {"url": "https://a.example"}}), "say with `auth`"),
        (json!({"webhook": {"url": "http://a.example", "auth": "none"}}), "private hosts"),
        (json!({"webhook": {"secret_url": env, "host": "a.example", "auth": "none"}}), "its own"),
        (json!({"webhook": {"secret_url": env, "host": "a b"}}), "not the name of a host"),
        (json!({"pubsub": {"topic": "t"}}), "projects/P/topics/T"),
        (json!({"events": {}}), "one of `url` and `topic`"),
        (json!({"events": {"topic": "projects/p/topics/"}}), "projects/P/topics/T"),
        (json!({"events": {"topic": "projects/p/topics/t", "auth": "google"}}), "for `url`"),
        (mail("to", json!([])), "1 to 50"),
        (mail("to", json!(["b"])), "not an address"),
        (mail("from", json!("a@b>, c@d")), "not an address"),
        (mail("smtp", json!("mail.acme.example:25")), "name of a host"),
        (mail("smtp", json!("metadata.google.internal")), "metadata server"),
        (mail("smtp", json!("2852039166")), "metadata server"),
        (mail("user", json!("u")), "belong together"),
        (json!({"pager": {}}), "unknown variant `pager`"),
    ];
    for (written, fault) in cases {
        let read = serde_json::from_value::<NotifierConfig>(written.clone());
        let error = match read {
            Ok(config) => config.open().map(|_| ()).unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(fault), "{written}: {error}");
    }
}

fn said(config: &Value, text: Option<&str>, asked: &str) -> Value {
    let letter = letter(asked);
    let sending = teller(config, text).tell("ledger-1", id(&letter), &letter, None);
    match sending.outgoing {
        Outgoing::Http(request) => serde_json::from_slice(&request.body).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn webhook() -> Value {
    json!({ "webhook": { "url": "http://localhost/", "auth": "none" } })
}

#[test]
fn a_template_says_it_in_its_own_words_and_a_mistake_in_it_keeps_nothing_back() {
    let text =
        "${ notice.trigger }: ${ notice.what }, ${ notice.count } files in ${ notice.ledger }";
    let told = said(&webhook(), Some(text), "one {}");
    assert_eq!(told["text"], "churn: a run failed, 20 files in ledger-1");
    let told = said(&webhook(), Some("${ notice.count + notice.what }"), "one {}");
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("its template failed") && text.contains("step <train>"), "{text}");
    let empty = said(&webhook(), Some("[${ notice.url }]"), "one {\"url\": null}");
    assert_eq!(empty["text"], "[]");
}

#[test]
fn what_is_too_long_is_cut_and_keeps_its_id() {
    let secret = json!({ "env": "X" });
    let cases = [
        (json!({"slack": {"webhook": secret}}), "/text", 4200),
        (json!({"discord": {"webhook": secret}}), "/content", 2000),
        (json!({"telegram": {"token": secret, "chat": "1"}}), "/text", 4096),
        (json!({"opsgenie": {"key": secret}}), "/description", 15_000),
    ];
    for (config, pointer, most) in cases {
        let told = said(&config, None, "long 20000");
        let text = told.pointer(pointer).unwrap().as_str().unwrap();
        assert!(text.chars().count() <= most, "{config}: {}", text.chars().count());
        assert!(text.contains('…'));
        let id = "00112233445566778899aabbccddeeff";
        assert!(text.ends_with(id) || told["alias"] == id, "{config}");
    }
    let card = said(&json!({"teams": {"webhook": secret}}), None, "long 20000");
    assert!(card.to_string().len() < 28_000);
}

#[test]
fn a_secret_is_named_and_never_in_what_is_sent() {
    let letter = letter("one {}");
    let config = json!({ "telegram": { "token": { "env": "BOT" }, "chat": "-7" } });
    let sending = teller(&config, None).tell("ledger-1", id(&letter), &letter, None);
    let Outgoing::Http(request) = sending.outgoing else { panic!("no request") };
    assert_eq!(request.url.as_str(), "https://api.telegram.org/");
    assert!(matches!(request.auth, Auth::Url { .. }));
    let answer = Response { status: 500, ..Response::default() };
    assert!(matches!((sending.read)(Ok(answer)), Receipt::Failed { .. }));
}

#[test]
fn what_waits_for_a_persons_approval_is_told_to_them_with_a_link_and_nothing_else_is() {
    let key = "0123456789abcdef0123456789abcdef";
    let links = Links {
        place: Endpoint::new("https://hook.acme.example/refit").unwrap(),
        secret: Secret::Env("LINKS".to_owned()),
        valid: Span::days(3),
        person: "ann".to_owned(),
        models: BTreeSet::from(["churn".to_owned()]),
    };
    let teller = teller(&webhook(), None).with_links(links);
    let told = |fields: &str, key: Option<&str>| {
        let letter = letter(&format!("one {fields}"));
        let is_asked = teller.secret(&letter).is_some();
        let signed = key.map(|key| (key, ledger_at("gs://acme-refit/prod")));
        let sending = teller.tell("ledger-1", id(&letter), &letter, signed);
        let Outgoing::Http(request) = sending.outgoing else { panic!("it is sent over HTTP") };
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let text = body["text"].as_str().unwrap().to_owned();
        (is_asked, text.split_once("reject: ").map(|(_, link)| link.to_owned()))
    };
    let waits = r#"{"kind": "requested", "model": "churn", "version": "3", "stage": "production", "request": 2}"#;
    let (is_asked, link) = told(waits, Some(&format!("{key} an-older-one")));
    let (place, token) = link.as_deref().unwrap().split_once("?link=").unwrap();
    assert_eq!((is_asked, place), (true, "https://hook.acme.example/refit/approve"));
    assert_eq!(told(waits, Some(key)).1, link, "it is the same however often it is sent");
    let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), token.parse().unwrap())]);
    let expected = Link {
        ledger: ledger_at("gs://acme-refit/prod"),
        model: "churn".to_owned(),
        version: "3".to_owned(),
        stage: Stage::Production,
        request: 2,
        person: "ann".to_owned(),
        until: "2026-11-24T09:30:00Z".parse().unwrap(),
    };
    assert_eq!(Link::of(&headers), Some(expected));
    assert_eq!(
        told(waits, Some("short")),
        (true, None),
        "a secret that could be guessed signs none"
    );
    assert_eq!(told(&waits.replace("churn", "fraud"), Some(key)), (false, None));
    assert_eq!(told(&waits.replace("requested", "promoted"), Some(key)), (false, None));
}
