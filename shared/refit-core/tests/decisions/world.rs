//! A world in text: rules and timed events in, what was decided out.
//!
//! ```text
//! rule t bucket=b quiet=1m          a trigger; `drop t` takes it out again
//! 10:00 apply                       puts the rules above in force (done at 00:00 if not said)
//! 10:00 put in/a#1 size=3           an object; several may be separated by `;`
//! 10:02 started b2                  an answer of the service to the newest attempt of a run
//! 10:03 running b2 of=x-1           the same, of a run that was followed when it was asked
//! 10:03 running b2 early            the same, asked before it ended or was reopened
//! 10:03 superseded b2 y-1           the service made this run in place of that of the attempt
//! 10:03 tick                        nothing but time
//! receiver ml on=failure            somebody to be told; `notify=ml` in a rule names it
//! 10:04 delivered ml; lost ml       what came of the oldest letter to it
//! 10:04 claim b2/1              what a guard has written: see `guard.rs`
//! 10:05 registered b2 3 auc=0.9     an answer of a registry of models: see `models.rs`
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use refit_core::commit::{Change, Commit, Decision, RunChange};
use refit_core::event::{Command, Event, Fact, Held, Identity, PauseMode, Replay, ReplayMode};
use refit_core::fold::fold;
use refit_core::invariants::{Violation, check};
use refit_core::key::Hash128;
use refit_core::member::{read_manifest, stored_lines};
use refit_core::notice::{Delivery, OutboxChange};
use refit_core::plan::{
    Deleted, Found, Inputs, Listing, Need, Observation, Outcome, Plan, Prepared, RegistryReport,
    Segment, plan,
};
use refit_core::rules::{Idempotency, ObjectMatch, On, Rules, ServiceProfile, Trigger};
use refit_core::run::{ExternalRun, Phase};
use refit_core::state::{BatchId, State};
use refit_core::time::{Span, Timestamp};
use refit_core::timing::Timing;
use serde_json::{Value, json};

use crate::drift::report;
use crate::facts::{message, object, which};
use crate::guard::{Read, claim};
use crate::models::{entry_text, model_text, promotion_text, report_of, statement};
use crate::post::{delivery, outbox_text, receiver};
use crate::settings::{run_rule, set};
use crate::texts::{attempt_text, batch_text, stored_run, trigger_text};

pub(crate) struct World {
    pub(crate) state: State,
    draft: Rules,
    pub(crate) revisions: BTreeMap<String, Arc<Rules>>,
    objects: BTreeMap<String, Vec<u8>>,
    names: BTreeMap<String, Vec<String>>,
    /// Letters, in the order they were opened.
    letters: Vec<Hash128>,
    deliveries: Vec<Delivery>,
    /// What guards have written, by its URI.
    claims: BTreeMap<String, Read>,
    reports: Vec<RegistryReport>,
    now: Timestamp,
    commits: u64,
    full: bool,
    pub(crate) log: Vec<Commit>,
    pub(crate) violations: Vec<Violation>,
    out: String,
}

/// Runs the text and answers with what was decided, all of which obeys the invariants.
pub(crate) fn run(text: &str) -> String {
    let mut world = World::new();
    world.lines(text);
    assert_eq!(world.violations, [], "{}", world.out);
    world.out
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            state: State::new("ledger".into(), Timing::default()),
            draft: Rules::default(),
            revisions: BTreeMap::new(),
            objects: BTreeMap::new(),
            names: BTreeMap::new(),
            letters: Vec::new(),
            deliveries: Vec::new(),
            claims: BTreeMap::new(),
            reports: Vec::new(),
            now: Timestamp::EPOCH,
            commits: 0,
            full: false,
            log: Vec::new(),
            violations: Vec::new(),
            out: String::new(),
        }
    }

    pub(crate) fn lines(&mut self, text: &str) {
        let lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
        lines.for_each(|line| self.line(line));
    }

    /// How many bytes all objects have that commits refer to.
    pub(crate) fn stored_bytes(&self) -> usize {
        self.objects.values().map(Vec::len).sum()
    }

    /// What is decided of these lines.
    pub(crate) fn shown(&mut self, text: &str) -> &str {
        let before = self.out.len();
        self.lines(text);
        &self.out[before..]
    }

    /// What a reconciler would decide at that time, without deciding it.
    pub(crate) fn planned(&mut self, time: &str) -> Plan {
        self.now = clock(time);
        self.plan(&[], &[])
    }

    fn line(&mut self, line: &str) {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first {
            "rule" => self.rule(rest),
            "receiver" => self.draft.receivers.extend([receiver(&words(rest))]),
            "dismiss" => drop(self.draft.receivers.remove(rest)),
            "drop" => drop(self.draft.triggers.remove(rest)),
            _ => {
                if self.state.rules.is_none() && !rest.starts_with("apply") {
                    self.at("00:00", "apply");
                }
                self.at(first, rest);
            }
        }
    }

    fn rule(&mut self, text: &str) {
        let words = words(text);
        let (name, settings) = words.split_first().expect("a rule has a name");
        let mut rule = Trigger::new(Vec::new(), run_rule(name));
        let mut objects = ObjectMatch::default();
        let mut profile = ServiceProfile { class: Idempotency::A, finds: true, cancels: true };
        for setting in settings {
            set(setting, &mut rule, &mut objects, &mut profile);
        }
        let timed = rule.schedules().next().is_some() && !objects.bucket.is_empty();
        if rule.on.is_empty() || timed {
            rule.on.push(On::Objects(objects));
        }
        rule.run.service.clone_from(name);
        self.draft.services.insert(name.clone(), profile);
        self.draft.triggers.insert(name.clone(), rule);
    }

    fn at(&mut self, time: &str, actions: &str) {
        self.now = clock(time);
        let mut events = Vec::new();
        let mut observations = Vec::new();
        for action in actions.split(';').map(str::trim) {
            let words = words(action);
            let (verb, args) = words.split_first().expect("an action has a verb");
            match verb.as_str() {
                "tick" => {}
                "put" | "delete" | "message" | "drift" => events.push(event(verb, args, self.now)),
                "apply" | "pause" | "resume" | "cancel" | "settle" => {
                    let command = self.command(verb, args);
                    events.push(commanded(command, self.commits, events.len()));
                }
                "request" | "approve" | "reject" | "rollback" => {
                    let command = Command::Promotion(statement(verb, args));
                    let time = args.iter().find_map(|arg| arg.strip_prefix("time="));
                    let event = commanded(command, self.commits, events.len());
                    events.push(Event { time: time.map(clock), ..event });
                }
                "registered" | "entered" | "undone" | "denied" | "unseen" | "stages" => {
                    let seen = std::mem::take(&mut observations);
                    self.pass(time, std::mem::take(&mut events), &seen);
                    self.reports.push(report_of(&self.state, verb, args));
                }
                "delivered" | "lost" | "busy-for-10m" | "refused" => {
                    self.deliveries.push(delivery(&self.state, verb, &args[0]));
                }
                "claim" | "strange" | "unreadable" | "readable" => {
                    self.claims.extend([claim(&self.state, verb, args)]);
                }
                answer => {
                    // Time passes first, so that what is due exists to be answered.
                    self.pass(time, std::mem::take(&mut events), &[]);
                    observations.push(self.observation(answer, args));
                }
            }
        }
        self.pass(time, events, &observations);
    }

    fn command(&mut self, verb: &str, args: &[String]) -> Command {
        let has = |flag: &str| args.iter().any(|arg| arg == flag);
        let first = || args[0].clone();
        match verb {
            "apply" if has("again") => {
                let revision = self.state.rules.clone().expect("rules are in force");
                Command::Apply { revision, replaces: None, start: has("start") }
            }
            "apply" => {
                self.draft.revision = format!("rev{}", self.revisions.len() + 1);
                let rules = Arc::new(self.draft.clone());
                self.revisions.insert(rules.revision.clone(), Arc::clone(&rules));
                let replaces = self.state.rules.clone().filter(|_| !has("stale"));
                Command::Apply { revision: rules.revision.clone(), replaces, start: has("start") }
            }
            "pause" => {
                let mode = if has("ignore") { PauseMode::Ignore } else { PauseMode::Hold };
                Command::Pause { trigger: first(), mode }
            }
            "resume" => {
                let held = match (has("coalesce"), has("discard")) {
                    (true, _) => Held::Coalesce,
                    (_, true) => Held::Discard,
                    _ => Held::Ask,
                };
                Command::Resume { trigger: first(), held }
            }
            "cancel" => Command::Cancel { run: first() },
            _ => Command::Settle { run: first(), started: args.get(1).cloned() },
        }
    }

    fn observation(&self, answer: &str, args: &[String]) -> Observation {
        let (batch, attempt) = match args[0].split_once('/') {
            Some((batch, attempt)) => (batch.parse().unwrap(), attempt.parse().unwrap()),
            None => {
                let batch: BatchId = args[0].parse().unwrap();
                (batch, self.state.runs[&batch].attempt().number)
            }
        };
        let external = || ExternalRun { id: format!("x-{batch}-{attempt}"), url: None };
        let status = |phase| Outcome::Status { phase, message: None };
        let outcome = match answer {
            "started" => Outcome::Started(external()),
            "found" => Outcome::Found(external()),
            "busy" => Outcome::NotStarted { after: None, message: "busy".into() },
            "rejected" => Outcome::Rejected("no such pipeline".into()),
            "unclear" => Outcome::Unclear("timed out".into()),
            "absent" => Outcome::Absent,
            "nolookup" => Outcome::NoLookUp,
            "superseded" => Outcome::Superseded(ExternalRun { id: args[1].clone(), url: None }),
            "vanished" => Outcome::Vanished,
            "barred" => Outcome::Unseen("the token has expired".into()),
            "running" => status(Phase::Running),
            "succeeded" => status(Phase::Succeeded),
            "failed" => status(Phase::Failed),
            "cancelled" => status(Phase::Cancelled),
            other => panic!("unknown action: {other}"),
        };
        let asked = self.state.runs[&batch].attempt_numbered(attempt).unwrap();
        let is_early = args.iter().any(|arg| arg == "early");
        let basis = if is_early { asked.intent } else { asked.basis() };
        let said = args.get(1).and_then(|arg| arg.strip_prefix("of=")).map(str::to_owned);
        let known = asked.external.clone().unwrap_or_else(external);
        Observation { batch, attempt, basis, external: Some(said.unwrap_or(known.id)), outcome }
    }

    fn pass(&mut self, time: &str, events: Vec<Event>, observations: &[Observation]) {
        self.commits += 1;
        let name = format!("{}-{}", self.now.compact(), self.commits);
        let segment = Segment { name, created: self.now, events };
        let labels: Vec<String> = segment.events.iter().map(label).collect();
        let segments: Vec<Segment> = if segment.events.is_empty() { vec![] } else { vec![segment] };
        let mut planned = self.plan(&segments, observations);
        // A pass goes on while the plan says that more can be decided at once.
        let mut rounds = 0;
        while let Some(commit) = planned.commit.take() {
            self.objects.extend(planned.objects.drain(..));
            self.print(time, &commit, &labels);
            let before = self.state.clone();
            fold(&mut self.state, &commit);
            let rules = self.state.rules.as_ref().and_then(|revision| self.revisions.get(revision));
            self.violations.extend(check(&before, &commit, rules.map(|rules| &**rules)));
            self.log.push(commit);
            rounds += 1;
            self.deliveries.clear();
            self.reports.clear();
            if planned.next != Some(self.now) || rounds > 50 {
                break;
            }
            planned = self.plan(&[], &[]);
        }
        self.reports.clear();
    }

    fn plan(&mut self, segments: &[Segment], observations: &[Observation]) -> Plan {
        let mut found = Found::default();
        let nonce = format!("n{}", self.log.len());
        let now = self.now;
        let listing = Listing { now, fast: now, full: now, long: self.full, more: false };
        loop {
            let deleted = Deleted::default();
            let inputs = Inputs {
                root: "mem://ledger",
                nonce: &nonce,
                listing,
                segments,
                observations,
                reports: &self.reports,
                deliveries: &self.deliveries,
                deleted: &deleted,
                found: &found,
            };
            let planned = plan(&self.state, &inputs);
            if planned.needs.is_empty() {
                return planned;
            }
            for need in planned.needs {
                self.satisfy(need, &mut found);
            }
        }
    }

    fn satisfy(&self, need: Need, found: &mut Found) {
        match need {
            Need::Rules(revision) => {
                let rules =
                    self.revisions.get(&revision).cloned().ok_or("no such revision".to_owned());
                found.rules.insert(revision, rules);
            }
            Need::Lines(batch) => {
                let object = |name: &str| self.objects.get(name).map(Vec::as_slice);
                found.lines.extend(stored_lines(&self.state, [batch], object).unwrap());
            }
            Need::Prepared { revision, trigger } => {
                let target = &self.revisions[&revision].triggers[&trigger].run.target;
                let prepared = match target.get("trouble") {
                    Some(text) => Err(text.as_str().unwrap().to_owned()),
                    None => Ok(Prepared { target: json!({}), parameters: None }),
                };
                found.prepared.insert((revision, trigger), prepared);
            }
            Need::Claim(uri) => {
                let claim = self.claims.get(&uri).cloned().unwrap_or(Ok(None));
                found.claims.insert(uri, claim);
            }
            Need::SeenRun(name) => {
                let run = stored_run(&self.objects[&name]);
                found.runs.insert(name, Arc::new(run));
            }
        }
    }

    fn print(&mut self, time: &str, commit: &Commit, labels: &[String]) {
        for closed in commit.changes.iter().filter_map(|change| match change {
            Change::Closed(closed) => Some(closed),
            _ => None,
        }) {
            let members = read_manifest(&self.objects[&closed.manifest]).unwrap();
            let of = |member: refit_core::member::Member| match member.uri {
                Some(uri) => {
                    let which = which(member.generation.as_deref(), member.sequencer);
                    format!("{}#{which}", &uri["gs://b/".len()..])
                }
                None => match (member.message, member.firing, member.model) {
                    (Some(message), ..) => message.id,
                    (None, Some(firing), _) => firing.slot.civil,
                    (None, None, Some(entry)) => entry_text(&entry),
                    (None, None, None) => member.drift.unwrap().name(),
                },
            };
            self.names.insert(closed.batch.to_string(), members.into_iter().map(of).collect());
        }
        for decision in &commit.decisions {
            let line = decision_text(decision, labels);
            writeln!(self.out, "{time} {line}").unwrap();
        }
        for change in &commit.changes {
            if let Change::Outbox { change: OutboxChange::Raised { letter, .. }, .. } = change
                && !self.letters.contains(letter)
            {
                self.letters.push(*letter);
            }
            if let Some(line) = self.change_text(change) {
                writeln!(self.out, "{time} {line}").unwrap();
            }
        }
    }

    fn change_text(&self, change: &Change) -> Option<String> {
        match change {
            Change::Trigger { trigger, change } => trigger_text(trigger, change),
            Change::Batch { batch, change } => batch_text(*batch, change),
            Change::Closed(closed) => {
                let facts = &closed.facts;
                let names = self.names[&closed.batch.to_string()].join(" ");
                let mut text = format!("{} closed: {names}", closed.batch);
                if facts.superseded + facts.gone > 0 {
                    write!(text, " ({} superseded, {} gone)", facts.superseded, facts.gone)
                        .unwrap();
                }
                Some(text)
            }
            Change::Run { run, change } => match change {
                RunChange::CancelAsked(why) => {
                    Some(format!("{run} to be cancelled: {}", snake(why)))
                }
                RunChange::Finished(finished) => {
                    Some(format!("{run} finished: {}", finished.phase.text()))
                }
                RunChange::Archived => None,
            },
            Change::Attempt { run, attempt, change } => {
                Some(format!("{run}/{attempt} {}", attempt_text(change)))
            }
            Change::Outbox { receiver, change } => {
                Some(format!("{receiver} {}", outbox_text(&self.letters, change)))
            }
            Change::Promotion { model, run, change } => {
                Some(format!("{model} {run} {}", promotion_text(change)))
            }
            Change::Model { model, change } => Some(format!("{model} {}", model_text(change))),
            Change::Created { .. }
            | Change::Inbox(_)
            | Change::Applied { .. }
            | Change::Stored { .. }
            | Change::Memory(_) => None,
        }
    }
}

fn decision_text(decision: &Decision, labels: &[String]) -> String {
    let of = |events: &refit_core::commit::EventSet| {
        let held = labels
            .iter()
            .enumerate()
            .filter(|(at, _)| events.contains(0, u32::try_from(*at).unwrap()));
        held.map(|(_, label)| label.clone()).collect::<Vec<_>>().join(" ")
    };
    match decision {
        Decision::Accepted { trigger, batch, events } => {
            format!("{} -> {trigger} {batch}", of(events))
        }
        Decision::Refused { trigger, reason, detail, events } => {
            let who = trigger.as_ref().map_or(String::new(), |trigger| format!(" by {trigger}"));
            let detail = detail.as_ref().map_or(String::new(), |text| format!(" ({text})"));
            format!("{} refused{who}: {}{detail}", of(events), snake(reason))
        }
        Decision::Answered { ok, message, .. } => {
            format!("{}: {message}", if *ok { "ok" } else { "no" })
        }
    }
}

pub(crate) fn snake(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value).unwrap() {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Splits at spaces outside single quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `10:00`, `10:00:30` or `3d10:00`, on a fixed day.
pub(crate) fn clock(text: &str) -> Timestamp {
    let (days, time) =
        text.split_once('d').map_or((0, text), |(days, time)| (days.parse().unwrap(), time));
    let full = if time.len() == 5 { format!("{time}:00") } else { time.to_owned() };
    let start: Timestamp = format!("2026-03-01T{full}Z").parse().unwrap();
    start + Span::days(days)
}

pub(crate) fn hour(time: Timestamp) -> String {
    let day = time.since(clock("00:00")).as_millis() / 86_400_000;
    let text = time.to_string();
    let clock = text[11..19].trim_end_matches(":00").to_owned();
    let clock = if clock.len() < 5 { text[11..16].to_owned() } else { clock };
    if day > 0 { format!("{day}d{clock}") } else { clock }
}

fn label(event: &Event) -> String {
    match &event.fact {
        Fact::Object(change) => {
            let object = &change.object;
            format!("{}#{}", object.name, which(object.generation.as_deref(), object.sequencer))
        }
        Fact::Message(message) => message.id.clone(),
        Fact::Drift(_) => event.identity.0[1].clone(),
        Fact::Command(_) | Fact::Invalid(_) => String::new(),
    }
}

fn commanded(command: Command, commit: u64, place: usize) -> Event {
    Event {
        identity: Identity(vec!["command".into(), format!("{commit}.{place}")]),
        origin: "test".into(),
        time: None,
        delivery: None,
        replay: None,
        fact: Fact::Command(command),
    }
}

fn event(verb: &str, args: &[String], now: Timestamp) -> Event {
    let mut settings: BTreeMap<&str, &str> = BTreeMap::new();
    for arg in &args[1..] {
        let (key, value) = arg.split_once('=').unwrap_or((arg, ""));
        settings.insert(key, value);
    }
    let time = settings.get("time").map_or(now, |time| clock(time));
    let replay = match (settings.contains_key("forced"), settings.contains_key("again")) {
        (true, _) => Some(ReplayMode::Forced),
        (_, true) => Some(ReplayMode::Again),
        _ => None,
    };
    let trigger = settings.get("for").map(|name| (*name).to_owned());
    let replay = replay.map(|mode| Replay { mode, trigger });
    let (mut identity, fact) = match verb {
        "message" => message(&args[0], &settings),
        "drift" => report(&args[0], &settings),
        _ => object(verb, &args[0], &settings, time),
    };
    if replay.as_ref().is_some_and(|replay| replay.mode == ReplayMode::Forced) {
        identity.push(format!("forced-{}", now.compact()));
    }
    Event {
        identity: Identity(identity),
        origin: "test".into(),
        time: Some(time),
        delivery: None,
        replay,
        fact,
    }
}
