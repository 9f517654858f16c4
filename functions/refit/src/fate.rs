//! What became of events, batches and runs, in words.

use refit_core::commit::{AttemptChange, BatchChange, Change, Closed, RunChange, TriggerChange};
use refit_core::event::DataRef;
use refit_core::notice::OutboxChange;
use refit_core::promotion::{PromotionChange, Version};
use refit_core::reason::{Hold, Refusal};
use refit_core::rules::{ObjectMatch, On, Rules};
use refit_core::run::{Cancel, ExternalRun};
use refit_core::state::{Held, Seal, Trouble};
use refit_engine::explain::{Kept, Verdict};

use crate::words::count;

/// Why a batch waits, with what the trouble is where it is that.
pub(crate) fn held_because(held: Held, trouble: Option<&str>) -> String {
    let cause = trouble.filter(|_| held.reason == Hold::Unprepared);
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{}{cause}", self::held(held))
}

/// What a change did to its batch or run; nothing where only the keeping of it changed.
pub(crate) fn episode(change: &Change) -> Option<String> {
    match change {
        Change::Batch { change, .. } => batch(change),
        Change::Closed(closed) => Some(self::closed(closed)),
        Change::Run { change, .. } => run(change),
        Change::Attempt { attempt, change, .. } => {
            Some(format!("attempt {attempt} {}", self::attempt(change)?))
        }
        Change::Trigger { change: TriggerChange::Fired { firing, .. }, .. } => {
            Some(format!("{} came, by `{}`", firing.slot.civil, firing.schedule))
        }
        Change::Trigger { change: TriggerChange::Staged { entry, .. }, .. } => {
            Some(format!("{} {} was given {}", entry.name, entry.version, entry.stage))
        }
        Change::Promotion { model, change, .. } => {
            Some(format!("its version of {model} {}", promotion(change)?))
        }
        Change::Outbox { receiver, change } => told(receiver, change),
        Change::Created { .. }
        | Change::Inbox(_)
        | Change::Applied { .. }
        | Change::Trigger { .. }
        | Change::Stored { .. }
        | Change::Model { .. }
        | Change::Memory(_) => None,
    }
}

/// What became of telling somebody.
fn told(receiver: &str, change: &OutboxChange) -> Option<String> {
    Some(match change {
        OutboxChange::Raised { notice, .. } => {
            format!("{receiver} is to be told: {}", notice.kind.text())
        }
        OutboxChange::Delivered(_) => format!("{receiver} was told"),
        OutboxChange::Failed { until, message, .. } => {
            format!("{receiver} could not be told, next try at {until}: {message}")
        }
        OutboxChange::GivenUp { message, .. } => {
            format!("{receiver} could not be told, and is not: {message}")
        }
        OutboxChange::Counted(_) | OutboxChange::Sealed(_) | OutboxChange::Closed => return None,
    })
}

/// What a verdict says.
pub(crate) fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accepted { trigger, batch } => format!("{trigger}: accepted into batch {batch}"),
        Verdict::Refused { trigger, reason, detail } => {
            let trigger = trigger.as_deref().unwrap_or("every trigger");
            let detail = detail.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            let again = judged_again(*reason);
            format!("{trigger}: refused because {}{detail}; {again}", reason.text())
        }
    }
}

/// What is no longer known of an event, where something is not.
pub(crate) fn lost(kept: &Kept) -> Option<&'static str> {
    match kept {
        Kept::Event(_) => None,
        // Times of schedules and versions that were given a stage are members alone.
        Kept::Member(member) if member.firing.is_some() || member.model.is_some() => None,
        Kept::Member(_) => {
            Some("the event itself is no longer kept, only what it became a member of")
        }
        Kept::Nothing { accepted: Some(true) } => Some(
            "the event is no longer kept, and no manifest has it: it was overwritten, deleted or dropped before there was a run",
        ),
        Kept::Nothing { accepted: Some(false) } => {
            Some("it became a member of no batch; the event, and why, are no longer kept")
        }
        Kept::Nothing { accepted: None } => Some(
            "the event is no longer kept, and no batch has it: it was refused, or overwritten, deleted or dropped before \
             there was a run",
        ),
    }
}

/// What has a refused event judged again: no time does.
fn judged_again(reason: Refusal) -> &'static str {
    match reason {
        Refusal::Command => "it is not judged again",
        Refusal::Invalid => "only `refit quarantine replay` has it read again",
        Refusal::Duplicate | Refusal::Late => "only `refit replay --force` has it judged again",
        _ => "only `refit replay` has it judged again",
    }
}

/// Why a batch waits, and until when: a time, or what is waited for; of runs also when they have taken too long.
pub(crate) fn held(held: Held) -> String {
    let until = match (awaited(held.reason), held.until) {
        (Some(awaited), Some(at)) => format!(" until {awaited} (it times out at {at}),"),
        (Some(awaited), None) => format!(" until {awaited},"),
        (None, Some(at)) => format!(" until {at}"),
        (None, None) => String::new(),
    };
    format!("held{until} because {}", held.reason.text())
}

/// What ends a hold that no time ends.
pub(crate) fn awaited(reason: Hold) -> Option<&'static str> {
    match reason {
        Hold::Ask | Hold::TriggerRemoved => Some("somebody decides"),
        Hold::Paused => Some("somebody resumes it"),
        Hold::ActiveRun => Some("that run has ended"),
        Hold::Replacing => Some("that one has ended"),
        Hold::MinCount
        | Hold::MinBytes
        | Hold::Quiet
        | Hold::Marker
        | Hold::Unprepared
        | Hold::Cooldown
        | Hold::Window
        | Hold::Budget
        | Hold::PassLimit => None,
    }
}

fn batch(change: &BatchChange) -> Option<String> {
    Some(match change {
        BatchChange::Joined { count: number, .. } => {
            format!("{} joined", count(*number, "member", "members"))
        }
        BatchChange::Merged(_) => return None,
        BatchChange::Sealed(seal) => format!("takes no more members: {}", sealed(*seal)),
        BatchChange::Asked => "waits for a decision: resume its trigger or discard it".to_owned(),
        BatchChange::Answered => "was decided to go on".to_owned(),
        BatchChange::Holding(why) => held(*why),
        BatchChange::Troubled(Trouble { message, .. }) => {
            format!("cannot be started as it is: {message}")
        }
        BatchChange::Discarded => "was discarded".to_owned(),
        BatchChange::Emptied => "ended, for nothing was left in it".to_owned(),
        BatchChange::MovedTo(to) => format!("handed its members over to {to}"),
    })
}

fn sealed(seal: Seal) -> &'static str {
    match seal {
        Seal::Full => "it has as many as it may",
        Seal::Marker => "its marker arrived",
        Seal::Each => "every event is a batch of its own",
        Seal::Queued => "it waits in line",
        Seal::Asked => "it waits for a decision",
    }
}

fn closed(closed: &Closed) -> String {
    let facts = &closed.facts;
    let left_out = [(facts.superseded, "superseded"), (facts.gone, "gone")];
    let left_out = left_out.into_iter().filter(|(number, _)| *number > 0);
    let left_out: String = left_out.map(|(number, why)| format!(", {number} {why}")).collect();
    let members = count(facts.count, "member", "members");
    format!("became a run on {} with {members}{left_out}: {}", closed.service, closed.manifest)
}

fn run(change: &RunChange) -> Option<String> {
    match change {
        RunChange::CancelAsked(Cancel::Asked) => {
            Some("is to be cancelled: somebody asked".to_owned())
        }
        RunChange::CancelAsked(Cancel::TimedOut) => {
            Some("is to be cancelled: it takes too long".to_owned())
        }
        RunChange::CancelAsked(Cancel::ReplacedBy(by)) => {
            Some(format!("is to be cancelled: {by} replaces it"))
        }
        RunChange::Finished(finished) => Some(format!("is over: {}", finished.phase.text())),
        RunChange::Archived => None,
    }
}

fn attempt(change: &AttemptChange) -> Option<String> {
    let word = |message: &Option<String>| {
        message.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
    };
    Some(match change {
        AttemptChange::Intended { key, .. } => format!("is to be started as {key}"),
        AttemptChange::Retaken => "is to be started again under the same key".to_owned(),
        AttemptChange::Postponed { until, message } => {
            format!("was not started, and is tried again at {until}: {message}")
        }
        AttemptChange::Unclear(message) => format!("may have been started: {message}"),
        AttemptChange::Started { external, created: true } => {
            format!("was started: {}", named(external))
        }
        AttemptChange::Started { external, created: false } => {
            format!("was found to be started: {}", named(external))
        }
        AttemptChange::LookedUp => "was looked up and not found".to_owned(),
        AttemptChange::Abandoned(until) => format!("was given up; it is looked up until {until}"),
        AttemptChange::Uncertain(message) => {
            format!("may or may not have been started, `refit settle` decides: {message}")
        }
        AttemptChange::Progressed { phase, message } => {
            format!("is {}{}", phase.text(), word(message))
        }
        AttemptChange::Ended { phase, message, .. } => format!("{}{}", phase.text(), word(message)),
        AttemptChange::Reopened(external) => {
            format!("goes on, as its service started it again: {}", named(external))
        }
        AttemptChange::LateTwin(external) => {
            format!("appeared after it was given up, and is cancelled: {}", named(external))
        }
        AttemptChange::Claimed { external, .. } => {
            format!("made the claim, and is the run that counts: {}", named(external))
        }
        AttemptChange::ClaimUnknown(why) => {
            format!("is not believed before it is known who made its claim: {why}")
        }
        AttemptChange::Unwatched => return None,
        AttemptChange::Stuck(message) => format!("does not go on: {message}"),
    })
}

/// What became of a version; nothing where only the keeping of it changed.
pub(crate) fn promotion(change: &PromotionChange) -> Option<String> {
    let because = |reason: &String| match reason.is_empty() {
        true => String::new(),
        false => format!(": {reason}"),
    };
    let by = |person: &Option<String>| person.clone().unwrap_or_else(|| "the rule".to_owned());
    Some(match change {
        PromotionChange::Begun { registry, .. } => format!("is to be registered at {registry}"),
        PromotionChange::Retaken => "is taken up again at its registry".to_owned(),
        PromotionChange::Postponed { until, message } => {
            format!("has to wait for its registry until {until}: {message}")
        }
        PromotionChange::Unclear(message) => {
            format!("may or may not be at its registry: {message}")
        }
        PromotionChange::Registered(version) if version.twins.is_empty() => {
            format!("is registered as {}", version.name)
        }
        PromotionChange::Registered(Version { name, twins, .. }) => {
            let twins = twins.join(", ");
            format!("is registered as {name}; the registry has others under its key: {twins}")
        }
        PromotionChange::Requested { stage, person, reason, rollback, .. } => {
            let again = if *rollback { " again" } else { "" };
            format!("is to be in {stage}{again}, asks {}{}", by(person), because(reason))
        }
        PromotionChange::Approved { person, reason } => {
            format!("was approved by {person}{}", because(reason))
        }
        PromotionChange::Entering => "has what its stage takes, and is to be given it".to_owned(),
        PromotionChange::Entered => "has its stage".to_owned(),
        PromotionChange::TestedBy(batch) => format!("is tested by {batch}"),
        PromotionChange::Accepted(Some(test)) => format!("was accepted by {test}"),
        PromotionChange::Accepted(None) => "needs no acceptance test".to_owned(),
        PromotionChange::Refused(_)
        | PromotionChange::Rejected { .. }
        | PromotionChange::Failed(_)
        | PromotionChange::Forgotten => return change.against(),
    })
}

fn named(external: &ExternalRun) -> String {
    let url = external.url.as_ref().map(|url| format!(", {url}")).unwrap_or_default();
    format!("{}{url}", external.id)
}

/// The trigger that comes nearest to watching an object, and the condition that fails; none where one watches it,
/// or none watches objects.
pub(crate) fn nearest(rules: &Rules, object: &DataRef) -> Option<(String, String)> {
    let matches = rules.triggers.iter().flat_map(|(name, rule)| {
        rule.on.iter().filter_map(move |on| match on {
            On::Objects(matching) => Some((name, matching)),
            On::Message(_) | On::Drift(_) | On::Schedule(_) | On::Model(_) => None,
        })
    });
    let faults: Option<Vec<_>> = matches
        .map(|(name, matching)| {
            matching.fault(object).map(|fault| (passed(matching, object), name.clone(), fault))
        })
        .collect();
    let best =
        faults?.into_iter().reduce(|best, other| if other.0 > best.0 { other } else { best });
    best.map(|(_, name, fault)| (name, fault))
}

/// How many conditions an object meets before the first it fails.
fn passed(matching: &ObjectMatch, object: &DataRef) -> usize {
    let bucket = ObjectMatch { bucket: matching.bucket.clone(), ..ObjectMatch::default() };
    let prefix = ObjectMatch { prefix: matching.prefix.clone(), ..bucket.clone() };
    let suffix = ObjectMatch { suffix: matching.suffix.clone(), ..prefix.clone() };
    [bucket, prefix, suffix].iter().take_while(|part| part.matches(object)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_says_until_when_or_until_what() {
        let at = "2026-01-05T12:00:00Z".parse().unwrap();
        for (reason, until, expected) in [
            (
                Hold::Quiet,
                Some(at),
                "held until 2026-01-05T12:00:00.000Z because data may still be arriving",
            ),
            (Hold::Paused, None, "held until somebody resumes it, because the trigger is paused"),
            (
                Hold::ActiveRun,
                Some(at),
                "held until that run has ended (it times out at 2026-01-05T12:00:00.000Z), because a run is active",
            ),
            (
                Hold::Replacing,
                None,
                "held until that one has ended, because the run it replaces has not ended",
            ),
        ] {
            assert_eq!(held(Held { reason, until }), expected);
        }
        for reason in Hold::ALL.iter().copied() {
            let until = awaited(reason).is_none().then_some(at);
            assert!(held(Held { reason, until }).starts_with("held until "), "{reason:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_has_it_judged_again() {
        let says = |reason| verdict(&Verdict::Refused { trigger: None, reason, detail: None });
        assert_eq!(
            says(Refusal::ZeroBytes),
            "every trigger: refused because the object is empty; only `refit replay` has it judged again"
        );
        assert_eq!(
            says(Refusal::Late),
            "every trigger: refused because it is older than the ledger remembers; only `refit replay --force` has it judged again"
        );
        assert_eq!(
            says(Refusal::Command),
            "every trigger: refused because it is a command; it is not judged again"
        );
    }

    #[test]
    fn the_nearest_trigger_is_the_one_that_fails_last() {
        let text = "services: { local: { local: {} } }\ntriggers:\n".to_owned()
            + &["a: { bucket: other }", "b: { bucket: b, prefix: in/ }", "c: { bucket: b, prefix: in/, suffix: .csv }"]
                .map(|on| {
                    let (name, objects) = on.split_once(": ").unwrap();
                    format!("  {name}:\n    on: {{ objects: {objects} }}\n    run: {{ service: local, pipeline: p }}\n")
                })
                .concat();
        let rules = refit_wire::config::read(&text).0.unwrap().rules;
        let of = |name: &str| {
            let object = DataRef {
                scheme: "gs".into(),
                bucket: "b".into(),
                name: name.into(),
                ..DataRef::default()
            };
            nearest(&rules, &object).map(|(trigger, fault)| format!("{trigger}: {fault}"))
        };
        assert_eq!(of("out/x.csv").unwrap(), "b: the name does not begin with `in/`");
        assert_eq!(of("in/x.txt"), None, "one watches it");
    }
}
