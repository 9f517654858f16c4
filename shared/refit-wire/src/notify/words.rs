//! A letter in words.

use std::fmt::Write as _;

use refit_core::key::hash128;
use refit_core::notice::{Letter, Notice, NoticeKind};
use refit_core::scope::notice_scope;
use refit_core::template::{self, Template};
use refit_core::time::Timestamp;

/// Notices a letter spells out.
const SPELT_MAX: usize = 10;

/// A letter in words.
pub(super) struct Words {
    pub(super) title: String,
    pub(super) text: String,
}

impl Words {
    /// `link` finds the link of a notice, which stands in a line of its own.
    pub(super) fn of(
        ledger: &str,
        letter: &Letter,
        template: Option<&Template>,
        link: &dyn Fn(&Notice) -> Option<String>,
    ) -> Self {
        let worded = |notice: &Notice| match template.map(|template| said(template, ledger, notice))
        {
            Some(Ok(text)) => text,
            // A mistake in a template must not keep an alert from being sent.
            Some(Err(fault)) => format!("{}\n(its template failed: {fault})", usual(notice)),
            None => usual(notice),
        };
        let said = |notice: &Notice| match link(notice) {
            Some(link) => format!("{}\napprove or reject: {link}", worded(notice)),
            None => worded(notice),
        };
        match letter.notices.as_slice() {
            [notice] if letter.beyond == 0 => Self { title: title(notice), text: said(notice) },
            notices => {
                let mut text = String::new();
                for notice in notices.iter().take(SPELT_MAX) {
                    let _ = writeln!(text, "{}\n{}\n", title(notice), said(notice));
                }
                let rest = letter.count().saturating_sub(SPELT_MAX as u64);
                if rest > 0 {
                    let _ = writeln!(text, "and {rest} more; see `refit status`");
                }
                Self { title: format!("{} notices within a minute", letter.count()), text }
            }
        }
    }
}

fn said(template: &Template, ledger: &str, notice: &Notice) -> Result<String, String> {
    let value = template.render(&notice_scope(ledger, notice)?)?;
    Ok(template::text(&value))
}

fn title(notice: &Notice) -> String {
    let what = notice.kind.text();
    let what = format!("{}{}", what[..1].to_uppercase(), &what[1..]);
    notice.trigger.as_ref().map_or(what.clone(), |trigger| format!("{what}: {trigger}"))
}

fn usual(notice: &Notice) -> String {
    let mut lines = Vec::new();
    lines.extend(notice.message.clone());
    lines.extend(notice.until.map(|until| format!("until {until}")));
    lines.extend(notice.batch.map(|batch| {
        let key = if notice.key.is_empty() { String::new() } else { format!(" ({})", notice.key) };
        let members = notice.count.map_or(String::new(), |count| format!(", members: {count}"));
        let attempt = notice.attempt.map_or(String::new(), |number| format!(", attempt {number}"));
        format!("batch {batch}{key}{members}{attempt}; see `refit why {batch}`")
    }));
    if notice.kind == NoticeKind::Quarantine {
        lines.extend(notice.count.map(|count| format!("events: {count}")));
    }
    lines.extend(notice.service.as_ref().map(|service| match &notice.run {
        Some(run) => format!("service {service}, run {run}"),
        None => format!("service {service}"),
    }));
    lines.extend(notice.url.clone());
    lines.push(format!("at {}", notice.at));
    lines.join("\n")
}

/// The letter of a test, about nothing.
#[must_use]
pub fn sample(receiver: &str, now: Timestamp) -> (refit_core::key::Hash128, Letter) {
    let id = hash128(["test", receiver, &now.to_string()]);
    let notice = Notice {
        trigger: Some("test".to_owned()),
        message: Some(format!("this is a test of `{receiver}`: nothing happened")),
        ..Notice::new(id, NoticeKind::Failure, now)
    };
    let letter = Letter {
        notices: vec![notice],
        beyond: 0,
        owner: String::new(),
        due: now,
        tries: 0,
        message: None,
    };
    (id, letter)
}
