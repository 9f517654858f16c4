//! A Git tag that says something of a version: one that is pushed to GitHub as `refit/approve/MODEL/VERSION[/STAGE]`, or
//! `refit/reject/…`.
//!
//! Only a new tag says something, when it is pushed: who made the commit or the tag says nothing of who pushed it. Who
//! did is the account alone, as with a comment.

use refit_core::promotion::{GITHUB, same_person};
use serde_json::Value;

use super::super::fields::Fields;
use super::super::{Meaning, Rejected};
use super::github::pushed_at;
use super::seconds;
use super::words::{self, Written, ignored};

/// The route.
const ORIGIN: &str = "github.tag";
/// What the names of such tags begin with.
const TAGS: &str = "refs/tags/refit/";
/// How such a tag is called.
const USAGE: &str = "refit/approve|reject/MODEL/VERSION[/STAGE]";

/// What a pushed tag says; nothing where it is no such tag.
pub(super) fn read(push: Fields<'_>, delivery: &str) -> Result<Option<Meaning>, Rejected> {
    let reference = push.text("ref")?.unwrap_or_default();
    let Some(name) = reference.strip_prefix(TAGS) else { return Ok(None) };
    if push.get("created") != Some(&Value::Bool(true)) {
        return Ok(Some(ignored("only a new tag says something")));
    }
    let named = |member: &str, field: &str| {
        push.object(member)?.map(|it| it.text(field)).transpose().map(Option::flatten)
    };
    let (pusher, sender) = (named("pusher", "name")?, named("sender", "login")?);
    let Some(login) = sender.filter(|login| pusher.is_some_and(|name| same_person(name, login)))
    else {
        return Ok(Some(ignored("it is not said which account pushed the tag")));
    };
    let missing = || Rejected::malformed("the push names no repository, commit or time");
    let repository = push.object("repository")?.ok_or_else(missing)?;
    let place = repository.text("full_name")?.ok_or_else(missing)?;
    let sha = push.text("after")?.ok_or_else(missing)?;
    let time = pushed_at(push)?.as_deref().and_then(seconds).ok_or_else(missing)?;
    let which = ["github", "tag", place, reference, sha].map(str::to_owned);
    let written = Written {
        identity: which.into_iter().chain([time.to_string()]).collect(),
        origin: ORIGIN,
        time: Some(time),
        delivery: delivery.to_owned(),
        person: format!("{GITHUB}{login}"),
    };
    Ok(Some(words::command(name.split('/'), USAGE, written)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::tests::{form, refusal};
    use super::*;

    /// What a pushed tag means, its members changed.
    fn pushed(reference: &str, members: &Value) -> Value {
        let mut payload = json!({
            "ref": reference, "before": "0", "after": "abc", "created": true, "deleted": false,
            "repository": {"full_name": "acme/churn", "pushed_at": 1_767_614_400},
            "pusher": {"name": "octocat", "email": "o@acme.example"},
            "sender": {"login": "octocat"},
        });
        for (name, value) in members.as_object().unwrap() {
            payload[name] = value.clone();
        }
        let headers = [
            ("x-github-event", "push"),
            ("x-github-delivery", "72d3"),
            ("content-type", "application/json"),
        ];
        form(&headers, &payload.to_string())
    }

    fn said(reference: &str) -> Value {
        pushed(reference, &json!({}))["events"][0]["command"]["promotion"].clone()
    }

    #[test]
    fn a_new_tag_of_that_name_says_what_a_comment_would() {
        let approved = json!({
            "model": "churn", "version": "3", "says": "approve", "person": "github:octocat",
        });
        assert_eq!(said("refs/tags/refit/approve/churn/3"), approved);
        let staged = said("refs/tags/refit/reject/churn/3/staging");
        assert_eq!((&staged["says"], &staged["stage"]), (&json!("reject"), &json!("staging")));
        let form = pushed("refs/tags/refit/approve/churn/3", &json!({}));
        assert_eq!(
            form["events"][0]["identity"],
            json!([
                "github",
                "tag",
                "acme/churn",
                "refs/tags/refit/approve/churn/3",
                "abc",
                "2026-01-05T12:00:00.000Z",
            ])
        );
        assert_eq!(form["events"][0]["time"], "2026-01-05T12:00:00Z");
    }

    #[test]
    fn other_tags_and_branches_of_that_name_are_pushes() {
        for reference in ["refs/tags/v1", "refs/heads/refit/approve/churn/3", "refs/tags/refit"] {
            assert_eq!(pushed(reference, &json!({}))["events"][0]["kind"], "scm.push");
        }
    }

    #[test]
    fn what_is_not_new_or_of_nobody_says_nothing() {
        let tag = "refs/tags/refit/approve/churn/3";
        let reasons = [
            (pushed(tag, &json!({"created": false})), "only a new tag says something"),
            (
                pushed(tag, &json!({"pusher": {"name": "deploy key"}})),
                "it is not said which account pushed the tag",
            ),
            (pushed(tag, &json!({"sender": null})), "it is not said which account pushed the tag"),
            (
                pushed("refs/tags/refit/promote/churn/3", &json!({})),
                "no command: `refit/approve|reject/MODEL/VERSION[/STAGE]`",
            ),
            (
                pushed("refs/tags/refit/approve/churn", &json!({})),
                "no command: `refit/approve|reject/MODEL/VERSION[/STAGE]`",
            ),
        ];
        for (form, reason) in reasons {
            assert_eq!((&form["outcome"], &form["reason"]), (&json!("ignore"), &json!(reason)));
        }
        let timeless = pushed(tag, &json!({"repository": {"full_name": "acme/churn"}}));
        assert_eq!(refusal(&timeless), "400 the push names no repository, commit or time");
    }
}
