//! GitHub: pushes, runs of workflows, and whatever else a webhook is set up for.
//!
//! A push names the files it touches, so that a rule can wait for `*.dvc` and `dvc.lock`. Its commits may be years
//! old, so its time is that of the push: it also tells apart pushes that lead from the same commit to the same again.
//!
//! Only the body is signed. So a push, a run, a comment and a tag are facts by what the body says; of other events the
//! name and the delivery are what the headers say.

use std::collections::{BTreeMap, BTreeSet};

use refit_core::event::{Event, Fact, Identity, Message};
use refit_core::time::Timestamp;
use serde_json::{Value, json};

use super::super::fields::Fields;
use super::super::payload::is_json;
use super::super::{Delivery, Meaning, Rejected};
use super::words::ignored;
use super::{Claim, comment, header, refused, seconds, tag};

/// The route.
const ORIGIN: &str = "github.webhook";
/// What the identity begins with.
const SCHEME: &str = "github";
/// The header that holds the signature, and what it begins with.
const SIGNATURE: (&str, &str) = ("x-hub-signature-256", "sha256=");

/// What the signature says: there is one, of the body alone.
pub(super) fn claim(delivery: &Delivery<'_>) -> Result<Claim, Rejected> {
    let (name, prefix) = SIGNATURE;
    let text = header(delivery.headers, name);
    let text = text.ok_or_else(|| refused("the webhook has no signature"))?;
    let signature = text.strip_prefix(prefix).and_then(unhex);
    let signature = signature.ok_or_else(|| refused("the signature cannot be read"))?;
    Ok(Claim {
        signed: delivery.body.to_vec(),
        signatures: vec![signature],
        sent: None,
        until: None,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(std::str::from_utf8);
    pairs.map(|pair| u8::from_str_radix(pair.ok()?, 16).ok()).collect()
}

/// What a delivery says.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Meaning, Rejected> {
    let event = header(delivery.headers, "x-github-event").unwrap_or_default();
    if event == "ping" {
        return Ok(ignored("the ping GitHub sends when a webhook is set up"));
    }
    let content_type = header(delivery.headers, "content-type");
    if !content_type.is_some_and(is_json) {
        let reason = "set the content type of the webhook to `application/json`";
        return Err(Rejected::unsupported(reason));
    }
    let payload: Value = serde_json::from_slice(delivery.body)
        .map_err(|_| Rejected::malformed("the webhook is not JSON"))?;
    let fields =
        Fields::of(&payload).ok_or_else(|| Rejected::malformed("the webhook is no JSON object"))?;
    let id = header(delivery.headers, "x-github-delivery");
    let id = id.ok_or_else(|| Rejected::malformed("the webhook has no delivery id"))?;
    if event == "issue_comment"
        && let Some(command) = comment::read(fields, id)?
    {
        return Ok(command);
    }
    if event == "push"
        && let Some(command) = tag::read(fields, id)?
    {
        return Ok(command);
    }
    match event {
        "push" => push(fields, id),
        "workflow_run" => workflow_run(fields, id),
        other => {
            let action = fields.text("action")?.map(|action| format!(".{action}"));
            let ty = format!("github.{other}{}", action.unwrap_or_default());
            if fields.get("before").is_some() && fields.get("after").is_some() {
                return Err(Rejected::malformed("a push comes under the name of another event"));
            }
            let repository = repository(fields)?;
            let message = message(&ty, id, repository, (payload.clone(), BTreeMap::new()));
            Ok(record(vec![id.to_owned()], None, message))
        }
    }
}

fn push(payload: Fields<'_>, id: &str) -> Result<Meaning, Rejected> {
    let text = |name: &str| Ok::<_, Rejected>(payload.text(name)?.unwrap_or_default().to_owned());
    if payload.get("deleted") == Some(&Value::Bool(true)) {
        return Ok(ignored("a branch or a tag was deleted"));
    }
    let (reference, sha) = (text("ref")?, text("after")?);
    if reference.is_empty() || sha.is_empty() {
        return Err(Rejected::malformed("the push names no ref or no commit"));
    }
    let repository = repository(payload)?;
    let attributes = [("ref", &reference), ("repository", &repository), ("sha", &sha)]
        .map(|(name, value)| (name.to_owned(), value.clone()));
    let before = text("before")?;
    let pushed_at = pushed_at(payload)?;
    let time = pushed_at.as_deref().and_then(seconds);
    let which = ["push", &repository, &reference, &before, &sha].map(str::to_owned);
    let which = which.into_iter().chain(pushed_at);
    let data = json!({
        "ref": reference, "before": before, "after": sha,
        "paths": touched(payload, &["added", "modified"]),
        "removed": touched(payload, &["removed"]),
    });
    let message = message("github.push", id, repository, (data, BTreeMap::from(attributes)));
    Ok(record(which.collect(), time, Message { subject: Some(reference), ..message }))
}

/// When the push was made, in seconds since 1970: so GitHub writes it in pushes alone, and others who send them may not.
pub(super) fn pushed_at(payload: Fields<'_>) -> Result<Option<String>, Rejected> {
    let pushed_at = payload.object("repository")?.and_then(|it| it.get("pushed_at")?.as_i64());
    Ok(pushed_at.map(|seconds| seconds.to_string()))
}

/// The files that commits of the push name in these lists.
fn touched(payload: Fields<'_>, lists: &[&str]) -> BTreeSet<String> {
    let commits = payload.get("commits").and_then(Value::as_array).into_iter().flatten();
    let commits = commits.chain(payload.get("head_commit"));
    let named = commits.flat_map(|commit| lists.iter().filter_map(|list| commit.get(list)));
    let files = named.filter_map(Value::as_array).flatten();
    files.filter_map(|file| file.as_str().map(str::to_owned)).collect()
}

/// Only a run that is over is of concern.
fn workflow_run(payload: Fields<'_>, id: &str) -> Result<Meaning, Rejected> {
    if payload.text("action")? != Some("completed") {
        return Ok(ignored("the run of the workflow is not over"));
    }
    let missing = || Rejected::malformed("the webhook names no run of a workflow");
    let run = payload.object("workflow_run")?.ok_or_else(missing)?;
    let number = |name: &str| Ok::<_, Rejected>(run.int64(name)?.ok_or_else(missing)?.to_string());
    let text = |name: &str| Ok::<_, Rejected>(run.text(name)?.unwrap_or_default().to_owned());
    let conclusion = text("conclusion")?;
    let status = match conclusion.as_str() {
        "success" => "succeeded",
        "failure" | "timed_out" | "startup_failure" => "failed",
        other => other,
    };
    let repository = repository(payload)?;
    let (number, attempt) = (number("id")?, number("run_attempt")?);
    let which = ["run", &repository, &number, &attempt].map(str::to_owned);
    let attributes = [
        ("run", number),
        ("attempt", attempt),
        ("status", status.to_owned()),
        ("repository", repository.clone()),
        ("sha", text("head_sha")?),
    ];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
    let data = json!({
        "path": text("path")?, "event": text("event")?, "branch": text("head_branch")?,
        "conclusion": conclusion, "url": text("html_url")?,
    });
    let ty = "github.workflow_run.completed";
    let message = message(ty, id, repository, (data, BTreeMap::from(attributes)));
    let message = Message { subject: Some(text("path")?), ..message };
    Ok(record(which.to_vec(), run.time("updated_at")?, message))
}

/// The repository; webhooks of an organisation may be about none.
fn repository(payload: Fields<'_>) -> Result<String, Rejected> {
    let repository = payload.object("repository")?;
    let name = repository.map(|repository| repository.text("full_name")).transpose()?.flatten();
    Ok(name.unwrap_or_default().to_owned())
}

fn message(
    ty: &str,
    id: &str,
    repository: String,
    (data, attributes): (Value, BTreeMap<String, String>),
) -> Message {
    Message {
        source: repository,
        id: id.to_owned(),
        ty: ty.to_owned(),
        subject: None,
        data,
        attributes,
    }
}

/// The message, which is a fact by these parts.
fn record(which: Vec<String>, time: Option<Timestamp>, message: Message) -> Meaning {
    Meaning::record(Event {
        identity: Identity([vec![SCHEME.to_owned()], which].concat()),
        origin: ORIGIN.to_owned(),
        time,
        delivery: Some(message.id.clone()),
        replay: None,
        fact: Fact::Message(message),
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{event, form, refusal};
    use super::*;

    fn sent(event: &str, payload: &Value) -> Value {
        sent_as(event, "72d3", payload)
    }

    fn sent_as(event: &str, delivery: &str, payload: &Value) -> Value {
        let headers = [
            ("x-github-event", event),
            ("x-github-delivery", delivery),
            ("content-type", "application/json"),
        ];
        form(&headers, &payload.to_string())
    }

    fn pushed(members: Value) -> Value {
        let mut payload = json!({
            "ref": "refs/heads/main", "before": "0", "after": "abc",
            "repository": {"full_name": "acme/churn"},
            "commits": [
                {"added": ["data/train.csv.dvc"], "modified": ["README.md"], "removed": []},
                {"added": [], "modified": ["dvc.lock", "README.md"], "removed": ["old.dvc"]},
            ],
            "head_commit": null,
        });
        let Value::Object(members) = members else { panic!("members are wanted") };
        for (name, value) in members {
            payload[name] = value;
        }
        sent("push", &payload)
    }

    #[test]
    fn a_push_names_the_files_it_touches() {
        let form = pushed(json!({}));
        let event = event(&form);
        assert_eq!(event["kind"], "scm.push");
        assert_eq!(event["data"]["paths"], json!(["README.md", "data/train.csv.dvc", "dvc.lock"]));
        assert_eq!(event["data"]["removed"], json!(["old.dvc"]));
        assert_eq!(event["time"], "RECEIVED_AT", "its commits may be years old");
    }

    #[test]
    fn a_branch_that_is_forced_there_and_back_and_there_again_was_pushed_three_times() {
        let at = |pushed_at: i64| json!({"repository": {"full_name": "acme/churn", "pushed_at": pushed_at}});
        let [there, again] = [1_767_614_400, 1_767_614_460].map(|it| pushed(at(it)));
        assert_eq!(event(&there)["identity"][6], "1767614400");
        assert_eq!(event(&there)["time"], "2026-01-05T12:00:00Z");
        assert_ne!(event(&there)["identity"], event(&again)["identity"]);
        let text = json!({"repository": {"full_name": "acme/churn", "pushed_at": "2026-01-05"}});
        assert_eq!(event(&pushed(text))["identity"], event(&pushed(json!({})))["identity"]);
    }

    /// The signature covers the body alone.
    #[test]
    fn the_same_body_is_the_same_push_or_run_whatever_its_headers_say() {
        let push = json!({
            "ref": "refs/heads/main", "before": "b", "after": "abc",
            "repository": {"full_name": "acme/churn"},
        });
        let run = json!({
            "action": "completed", "repository": {"full_name": "acme/churn"},
            "workflow_run": {"id": 7, "run_attempt": 2, "conclusion": "success"},
        });
        let pushed = json!(["github", "push", "acme/churn", "refs/heads/main", "b", "abc"]);
        let ran = json!(["github", "run", "acme/churn", "7", "2"]);
        for (name, payload, expected) in [("push", &push, pushed), ("workflow_run", &run, ran)] {
            for delivery in ["72d3", "another"] {
                let form = sent_as(name, delivery, payload);
                assert_eq!(event(&form)["identity"], expected, "{name}");
                assert_eq!(event(&form)["delivery_id"], delivery);
            }
        }
        for other in ["release", "deployment", "issue_comment"] {
            let refused = refusal(&sent(other, &push));
            assert_eq!(refused, "400 a push comes under the name of another event", "{other}");
        }
        assert_eq!(sent("workflow_run", &push)["outcome"], "ignore");
        assert_eq!(refusal(&sent("push", &run)), "400 the push names no ref or no commit");
    }

    #[test]
    fn what_is_no_news_means_nothing() {
        assert_eq!(pushed(json!({"deleted": true}))["outcome"], "ignore");
        assert_eq!(sent("ping", &json!({"zen": "x"}))["outcome"], "ignore");
        assert_eq!(sent("workflow_run", &json!({"action": "requested"}))["outcome"], "ignore");
    }

    #[test]
    fn other_events_are_messages_by_their_name_and_action() {
        let form = sent("release", &json!({"action": "published"}));
        assert_eq!(event(&form)["type"], "github.release.published");
        assert_eq!(event(&form)["kind"], "message");
    }

    #[test]
    fn webhooks_that_are_broken_say_how() {
        let unread = |headers: &[(&str, &str)]| refusal(&form(headers, "payload=%7B%7D"));
        let coded =
            [("x-github-event", "push"), ("content-type", "application/x-www-form-urlencoded")];
        assert!(unread(&coded).starts_with("415 set the content type"));
        let unnamed = [("x-github-event", "push"), ("content-type", "application/json")];
        assert_eq!(refusal(&form(&unnamed, "{}")), "400 the webhook has no delivery id");
        assert_eq!(
            refusal(&pushed(json!({"ref": null}))),
            "400 the push names no ref or no commit"
        );
        let run = sent("workflow_run", &json!({"action": "completed"}));
        assert_eq!(refusal(&run), "400 the webhook names no run of a workflow");
    }
}
