//! A comment on GitHub that says something of a version: `/refit approve MODEL VERSION [STAGE] [REASON]`, or `reject`.
//!
//! What was written first counts: an edited or deleted comment says nothing. Who says it is the account alone, which is
//! nobody unless the rule names it among its approvers. How it is associated with the repository is not looked at: GitHub
//! tells that of members as of strangers where their membership is private.

use refit_core::promotion::GITHUB;

use super::super::fields::Fields;
use super::super::{Meaning, Rejected};
use super::words::{self, Written};

/// The route.
const ORIGIN: &str = "github.comment";
/// What the identity begins with.
const SCHEME: [&str; 2] = ["github", "comment"];
/// The word a command begins with.
const WORD: &str = "/refit";
/// How a command is written.
const USAGE: &str = "/refit approve|reject MODEL VERSION [STAGE] [REASON]";

/// What a new comment says; nothing where it is no command.
pub(super) fn read(payload: Fields<'_>, delivery: &str) -> Result<Option<Meaning>, Rejected> {
    let Some(comment) = payload.object("comment")? else { return Ok(None) };
    let body = comment.text("body")?.unwrap_or_default();
    let line = body.lines().next().unwrap_or_default();
    let mut words = line.split_whitespace();
    let is_command = words.next() == Some(WORD);
    if payload.text("action")? != Some("created") || !is_command {
        return Ok(None);
    }
    let missing = || Rejected::malformed("the webhook names no comment, or nobody who wrote it");
    let login = comment.object("user")?.map(|user| user.text("login")).transpose()?.flatten();
    let login = login.ok_or_else(missing)?;
    let id = comment.int64("id")?.ok_or_else(missing)?.to_string();
    let written = Written {
        identity: SCHEME.into_iter().chain([id.as_str()]).map(str::to_owned).collect(),
        origin: ORIGIN,
        time: comment.time("created_at")?,
        delivery: delivery.to_owned(),
        person: format!("{GITHUB}{login}"),
    };
    Ok(Some(words::command(words, USAGE, written)))
}

#[cfg(test)]
mod tests {
    use refit_core::event::{Command, Fact};
    use refit_core::promotion::Statement;
    use serde_json::{Value, json};

    use super::super::super::Understood;
    use super::*;

    fn read_of(action: &str, body: &str) -> Result<Option<Meaning>, Rejected> {
        let payload: Value = json!({
            "action": action,
            "comment": {
                "id": 1_234_567_890_u64, "body": body, "author_association": "NONE",
                "user": { "login": "octocat" }, "created_at": "2026-01-05T12:00:00Z",
            },
        });
        read(Fields::of(&payload).unwrap(), "72d3")
    }

    /// What a comment says, in a line.
    fn said(action: &str, body: &str) -> String {
        match read_of(action, body).unwrap() {
            None => "a message".to_owned(),
            Some(Meaning::Means(Understood::Ignore { reason })) => format!("nothing: {reason}"),
            Some(Meaning::Means(Understood::Record(events))) => {
                assert_eq!(events[0].identity.0, ["github", "comment", "1234567890"]);
                let Fact::Command(Command::Promotion(said)) = &events[0].fact else { panic!() };
                let Statement { model, version, says, stage, person, reason, .. } = said;
                let stage = stage.map(|stage| format!(" {stage}")).unwrap_or_default();
                format!("{person} {says:?} {model} {version}{stage} '{reason}'")
            }
            Some(_) => panic!("a comment holds nothing else"),
        }
    }

    #[test]
    fn a_new_comment_that_begins_with_the_word_is_a_command() {
        let usage = "nothing: no command: `/refit approve|reject MODEL VERSION [STAGE] [REASON]`";
        for (action, body, expected) in [
            ("created", "/refit approve churn 3", "github:octocat Approve churn 3 ''"),
            (
                "created",
                "/refit approve churn 3 production\r\nlooked at the curves",
                "github:octocat Approve churn 3 production ''",
            ),
            (
                "created",
                "  /refit  reject churn 3 staging wrong table",
                "github:octocat Reject churn 3 staging 'wrong table'",
            ),
            (
                "created",
                "/refit reject churn 3 staged on a Friday",
                "github:octocat Reject churn 3 'staged on a Friday'",
            ),
            ("edited", "/refit approve churn 3", "a message"),
            ("deleted", "/refit approve churn 3", "a message"),
            ("created", "looks good\n/refit approve churn 3", "a message"),
            ("created", "> /refit approve churn 3", "a message"),
            ("created", "/refitted approve churn 3", "a message"),
            ("created", "", "a message"),
            ("created", "/refit", usage),
            ("created", "/refit approve churn", usage),
            ("created", "/refit rollback churn 3", usage),
            ("created", "/refit Approve churn 3", usage),
        ] {
            assert_eq!(said(action, body), expected, "{action} {body}");
        }
        let long = format!("/refit reject churn 3 {}", "x".repeat(1001));
        assert_eq!(said("created", &long), "nothing: the reason is longer than 1000 bytes");
    }

    #[test]
    fn a_comment_of_nobody_is_refused() {
        let payload = json!({"action": "created", "comment": {"body": "/refit approve churn 3"}});
        let refused = read(Fields::of(&payload).unwrap(), "1").err().map(|it| it.status);
        assert_eq!(refused, Some(400));
    }
}
