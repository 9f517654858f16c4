//! Whether the reconciler learns at once of what was recorded: whom functions wake, whether they may, and whether that
//! leads to a reconciler. Where it does not, the next ping finds what was recorded.

use refit_core::diagnostics::Severity;
use refit_wire::cloud::Unread;
use refit_wire::cloud::functions::Function;

use super::functions::{UNKNOWN_PROGRAM, acts_as};
use super::listeners::look_at;
use crate::doctor::cures::{create_topic, let_call, let_publish, subscribe_function};
use crate::doctor::facts::{Facts, is_topic, reconciles, takes_events, wakes};
use crate::doctor::report::Notes;
use crate::doctor::rights::May;

/// What a function that wakes nobody is told.
const TOPIC: &str = "projects/PROJECT/topics/refit-wake";

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    let functions = facts.functions();
    let intakes = functions.into_iter().filter(|(_, function)| takes_events(function));
    for (project, function) in intakes {
        match wakes(function) {
            None => wakes_nobody(facts, (project, function), notes),
            Some(topic) if is_topic(topic) => publishes(facts, (function, topic), notes),
            Some(url) => calls(facts, (function, url), notes),
        }
    }
    for topic in &facts.wake_topics() {
        leads(facts, topic, notes);
    }
}

fn wakes_nobody(facts: &Facts, (project, function): (&str, &Function), notes: &mut Notes<'_>) {
    let topic = facts.wake_topics().into_iter().next().unwrap_or_else(|| TOPIC.to_owned());
    let cure = format!(
        "gcloud run services update {} --project={project} --region={} --update-env-vars=REFIT_WAKE={topic}",
        function.name, function.location
    );
    notes.warn(&function.name, "it wakes nobody: what it records waits for the next ping", cure);
}

/// Whether a function may publish the wake.
fn publishes(facts: &Facts, (function, topic): (&Function, &str), notes: &mut Notes<'_>) {
    let at = format!("{} on {topic}", function.name);
    let Some((account, member)) = acts_as(function, &at, notes) else { return };
    let what =
        format!("{account} may not publish the wake: what it records waits for the next ping");
    delays(notes, &at, facts.may_publish(&member, topic), (what, let_publish(topic, &member)));
}

/// Whether a function may call what it wakes.
fn calls(facts: &Facts, (function, url): (&Function, &str), notes: &mut Notes<'_>) {
    let at = format!("{} on {url}", function.name);
    let Some((account, member)) = acts_as(function, &at, notes) else { return };
    let Some(woken) = facts.at(url) else {
        return notes.unchecked(&at, "what answers there is not known");
    };
    let what = format!("{account} may not call it: what it records waits for the next ping");
    delays(notes, &at, facts.may_call(&member, woken), (what, let_call(woken, &member)));
}

/// Whether what is published to a topic reaches a reconciler of this ledger.
fn leads(facts: &Facts, topic: &str, notes: &mut Notes<'_>) {
    match facts.listeners.get(topic) {
        Some(Err(Unread::Missing)) => notes.warn(
            topic,
            "there is no such topic, although functions wake by it: what they record waits for the next ping",
            create_topic(topic),
        ),
        Some(Err(why)) => notes.unchecked(topic, why),
        Some(Ok(_)) if woken(facts, topic).into_iter().any(reconciles) => notes.fine(topic),
        Some(Ok(_)) if woken(facts, topic).into_iter().any(|it| it.program().is_none()) => {
            notes.unchecked(topic, UNKNOWN_PROGRAM);
        }
        Some(Ok(_)) if facts.heard_by(topic).iter().any(|(_, read)| read.is_err()) => {
            notes.unchecked(topic, "not all of its subscriptions can be read");
        }
        Some(Ok(_)) => notes.warn(
            topic,
            "no subscription leads from it to a reconciler of this ledger: what is recorded waits for the next ping",
            subscribe_function(topic),
        ),
        None => {}
    }
    for (name, read) in facts.heard_by(topic) {
        look_at(name, read, notes);
    }
}

/// The functions of this ledger that a topic is pushed to.
fn woken<'f>(facts: &'f Facts, topic: &str) -> Vec<&'f Function> {
    let ours = facts.functions();
    let heard = facts.heard_by(topic);
    let pushes = heard.iter().filter_map(|(_, read)| read.as_ref().ok()?.push.as_ref());
    let woken = pushes.filter_map(|push| facts.at(&push.endpoint));
    woken.filter(|found| ours.contains(found)).map(|(_, function)| function).collect()
}

/// A right without which events are decided on later, and none is lost.
fn delays(notes: &mut Notes<'_>, at: &str, may: May, wrong: (String, String)) {
    notes.right_or(Severity::Warning, (at, may), wrong);
}
