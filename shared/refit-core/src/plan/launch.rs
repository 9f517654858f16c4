//! Which batches become runs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Desk, Need, Parameter, ParameterKind, Prepared};
use crate::commit::{AttemptChange, BatchChange, Change, Closed, RunChange, TriggerChange};
use crate::key::{RunKey, sha256_hex};
use crate::member::{Line, Member, Settled, add_told, common_prefix, manifest, settle};
use crate::mutant::{self, Mutant};
use crate::policy::{Case, judge};
use crate::reason::Hold;
use crate::rules::{Overlap, Rules, ServiceProfile, Trigger};
use crate::run::{BatchFacts, Cancel, Run, claim_uri};
use crate::scope::RunFacts;
use crate::state::{Batch, BatchId, Held, Seal, Trouble};
use crate::template::Template;
use crate::time::Span;
use crate::timing::{COMMIT_LAUNCHES_MAX, PARAMETERS_BYTES_MAX, STUCK_TRIES};

/// How long a batch waits that could not be started as it is for several times: little but other rules, which it does not
/// wait for, changes that.
const ALONE_AGAIN: Span = Span::hours(1);

impl Desk<'_> {
    /// Judges every open batch, and starts those nothing holds.
    pub(super) fn launch(&mut self, rules: &Rules) {
        let open = self
            .state
            .triggers
            .iter()
            .flat_map(|(name, standing)| standing.open.keys().map(|id| (name.clone(), *id)));
        for (name, id) in open.collect::<Vec<_>>() {
            match rules.triggers.get(&name) {
                Some(rule) => self.judge_batch(&name, rule, rules, id),
                None => self.hold(&name, id, Held { reason: Hold::TriggerRemoved, until: None }),
            }
        }
    }

    fn judge_batch(&mut self, name: &str, rule: &Trigger, rules: &Rules, id: BatchId) {
        let Some(mut case) = Case::of(&self.state, self.now, (name, rule), id) else {
            return;
        };
        if mutant::is(Mutant::SuccessorStartsEarly) {
            let goes_on = |run: &&Run| run.cancel.is_none();
            case.active = self.state.active_runs(name).filter(goes_on).count();
            case.replaces = false;
        }
        case.replaces &= !mutant::is(Mutant::ReplacementForgotten);
        if mutant::is(Mutant::ReplacesEveryKey) {
            case.alike = case.active;
        }
        match judge(&case) {
            Some(held)
                if held.reason == Hold::ActiveRun && mutant::is(Mutant::ForbidDropsMembers) =>
            {
                self.joining.forget(id);
                self.change_batch(id, BatchChange::Discarded);
            }
            Some(held) => {
                self.act_on_overlap(name, rule, id, held.reason);
                self.hold(name, id, held);
            }
            None if self.launched >= COMMIT_LAUNCHES_MAX => {
                self.hold(name, id, Held { reason: Hold::PassLimit, until: Some(self.now) });
            }
            None => self.start(name, rule, rules, id),
        }
    }

    /// A due batch behind an active run joins the line, or ends the run.
    fn act_on_overlap(&mut self, name: &str, rule: &Trigger, id: BatchId, reason: Hold) {
        match (reason, rule.overlap) {
            (Hold::ActiveRun, Overlap::Queue(places)) => self.queue(name, id, places),
            (Hold::Replacing, Overlap::Replace) => {
                let Some((_, open)) = self.state.open_batch(id) else { return };
                let whole = mutant::is(Mutant::ReplacesEveryKey);
                let is_alike = |run: &&Run| whole || run.key == open.key;
                let active = self.state.active_runs(name).filter(is_alike);
                let active = active.filter(|run| run.cancel.is_none()).map(|run| run.batch);
                for batch in active.collect::<Vec<_>>() {
                    self.change_run(batch, RunChange::CancelAsked(Cancel::ReplacedBy(id)));
                }
            }
            _ => {}
        }
    }

    fn queue(&mut self, name: &str, id: BatchId, places: u32) {
        let Some(standing) = self.state.triggers.get(name) else {
            return;
        };
        if standing.open.get(&id).is_none_or(|batch| batch.sealed.is_some()) {
            return;
        }
        let queued = standing.open.values().filter(|batch| batch.sealed.is_some()).count();
        if queued < places as usize {
            self.change_batch(id, BatchChange::Sealed(Seal::Queued));
        }
    }

    /// Writes down why a batch waits, where it is not known yet.
    fn hold(&mut self, name: &str, id: BatchId, held: Held) {
        held.until.into_iter().for_each(|until| self.wake(until));
        let known = self.state.triggers.get(name).and_then(|standing| standing.open.get(&id)?.held);
        if known != Some(held) {
            self.holdings.push(Change::Batch { batch: id, change: BatchChange::Holding(held) });
        }
    }

    fn start(&mut self, name: &str, rule: &Trigger, rules: &Rules, id: BatchId) {
        let Some(settled) = self.members_of(name, id) else { return };
        if settled.members.is_empty() {
            self.joining.forget(id);
            self.change_batch(id, BatchChange::Emptied);
            return;
        }
        let slot = (rules.revision.clone(), name.to_owned());
        let Some(prepared) = self.inputs.found.prepared.get(&slot) else {
            let (revision, trigger) = slot;
            self.needs.insert(Need::Prepared { revision, trigger });
            return;
        };
        let profile = rules.services.get(&rule.run.service).copied();
        let unknown = || format!("unknown service: name=`{}`", rule.run.service);
        let ready = prepared.as_ref().map_err(String::clone);
        let (prepared, profile) = match ready.and_then(|it| Ok((it, profile.ok_or_else(unknown)?)))
        {
            Ok(ready) => ready,
            Err(message) => return self.trouble(name, id, message),
        };
        let standing = self.state.triggers.get(name);
        if standing.is_some_and(|standing| standing.trouble.is_some()) {
            self.change_trigger(name, TriggerChange::Untroubled);
        }
        let due = Due { name, rule, id, settled };
        match self.prepare_launch(&due, prepared) {
            Ok(launch) => self.close(&due, launch, profile, prepared.target.clone()),
            Err(message) if mutant::is(Mutant::OneHoldsAll) => self.trouble(name, id, message),
            Err(message) => self.trouble_alone(name, id, message),
        }
    }

    /// The members a batch would close with; `None` where its stored lines must be read first.
    fn members_of(&mut self, name: &str, id: BatchId) -> Option<Settled> {
        let mut lines = self.stored_lines(name, id)?;
        if !mutant::is(Mutant::MembersByTimeWindow) {
            let (members, told) = self.joining.of(id);
            lines.extend_from_slice(members);
            add_told(&mut lines, told);
        }
        Some(settle(lines))
    }

    /// The stored lines of a batch. One that took over others by this commit is read by the next.
    pub(super) fn stored_lines(&mut self, name: &str, id: BatchId) -> Option<Vec<Line>> {
        let parts = &self.state.triggers.get(name)?.open.get(&id)?.parts;
        if parts.is_empty() {
            return Some(Vec::new());
        }
        if self.before.open_batch(id).is_none_or(|(_, batch)| batch.parts != *parts) {
            self.wake(self.now);
            return None;
        }
        let found = self.inputs.found.lines.get(&id).cloned();
        if found.is_none() {
            self.needs.insert(Need::Lines(id));
        }
        found
    }

    /// Everything a launch needs, computed before anything is changed.
    fn prepare_launch(&self, due: &Due<'_>, prepared: &Prepared) -> Result<Launch, String> {
        let (name, settled) = (due.name, &due.settled);
        let standing = self.state.triggers.get(name).ok_or("the trigger is gone")?;
        let batch = standing.open.get(&due.id).ok_or("the batch is gone")?;
        let content = manifest(&settled.members);
        let named =
            if mutant::is(Mutant::ManifestNamedByBatch) { name.as_bytes() } else { &content };
        let digest = sha256_hex(named);
        let manifest = (format!("manifests/{:020}-{digest}.jsonl", self.seq), content);
        let is_gathered = batch.sealed != Some(Seal::Each) && settled.members.len() > 1;
        if is_gathered && mentions(due.rule, "member") {
            let count = settled.members.len();
            return Err(format!(
                "`member` is of batches of one, as `each` makes them: members=`{count}`"
            ));
        }
        let facts = facts_of(batch, settled);
        let epoch = self.state.epoch();
        let key = RunKey::new(&epoch, name, &due.id.to_string(), 1);
        let guard = due.rule.run.guard.as_ref().map(|folder| format!("{folder}/{epoch}"));
        let claim = guard.as_ref().map(|guard| claim_uri(guard, due.id, 1));
        let run = RunFacts {
            trigger: name,
            key: &batch.key,
            manifest: &format!("{}/{}", self.inputs.root, manifest.0),
            facts: &facts,
            members: looks_at_members(due.rule).then_some(settled.members.as_slice()),
            run: key,
            claim: claim.as_deref(),
        };
        let parameters = parameters(due.rule, prepared, &run)?;
        Ok(Launch { manifest, facts, guard, key, parameters })
    }

    fn close(&mut self, due: &Due<'_>, launch: Launch, profile: ServiceProfile, target: Value) {
        self.joining.forget(due.id);
        let closed = Closed {
            batch: due.id,
            trigger: due.name.to_owned(),
            manifest: launch.manifest.0.clone(),
            facts: launch.facts,
            service: due.rule.run.service.clone(),
            profile,
            target,
            cache: due.rule.run.cache,
            guard: launch.guard,
        };
        let round = closed.guard.as_ref().map(|_| 1);
        self.record(Change::Closed(Box::new(closed)));
        self.objects.push(launch.manifest);
        self.closing.extend(due.settled.members.iter().flat_map(Member::entries));
        self.intend(due.id, (1, round), launch.key, launch.parameters);
    }

    pub(super) fn intend(
        &mut self,
        batch: BatchId,
        (attempt, round): (u32, Option<u32>),
        key: RunKey,
        parameters: Value,
    ) {
        let digest = sha256_hex(parameters.to_string().as_bytes());
        self.launched += 1;
        let change = AttemptChange::Intended { key, digest, parameters, round };
        self.change_attempt(batch, attempt, change);
    }

    /// Nothing of a trigger can be started for now.
    fn trouble(&mut self, name: &str, id: BatchId, message: String) {
        let known = self.state.triggers.get(name).and_then(|standing| standing.trouble.as_ref());
        let trouble = self.troubled(known, message);
        self.hold(name, id, unprepared(&trouble));
        self.change_trigger(name, TriggerChange::Troubled(trouble));
    }

    /// A batch cannot be started as it is; others of its trigger may be.
    fn trouble_alone(&mut self, name: &str, id: BatchId, message: String) {
        let known = self.state.open_batch(id).and_then(|(_, batch)| batch.trouble.as_ref());
        let mut trouble = self.troubled(known, message);
        if trouble.failures >= STUCK_TRIES {
            trouble.until = trouble.until.max(self.now + ALONE_AGAIN);
        }
        self.hold(name, id, unprepared(&trouble));
        self.change_batch(id, BatchChange::Troubled(trouble));
    }

    fn troubled(&self, known: Option<&Trouble>, message: String) -> Trouble {
        let failures = known.map_or(0, |trouble| trouble.failures) + 1;
        let until = self.now + self.state.timing.backoff(failures);
        Trouble { message, failures, until }
    }
}

fn unprepared(trouble: &Trouble) -> Held {
    Held { reason: Hold::Unprepared, until: Some(trouble.until) }
}

/// A batch nothing holds.
struct Due<'a> {
    name: &'a str,
    rule: &'a Trigger,
    id: BatchId,
    settled: Settled,
}

/// What a launch is made of.
struct Launch {
    manifest: (String, Vec<u8>),
    facts: BatchFacts,
    guard: Option<String>,
    key: RunKey,
    parameters: Value,
}

fn facts_of(batch: &Batch, settled: &Settled) -> BatchFacts {
    BatchFacts {
        count: settled.members.len() as u64,
        bytes: settled.members.iter().filter_map(|member| member.size).fold(0, u64::saturating_add),
        prefix: common_prefix(&settled.members),
        superseded: settled.superseded,
        gone: settled.gone,
        joined: batch.count,
        opened_at: batch.opened_at,
    }
}

fn looks_at_members(rule: &Trigger) -> bool {
    let uses_uris = |template: &Template| template.uses("batch", "uris");
    let of_member = ["member", "model"].iter().any(|variable| mentions(rule, variable));
    of_member || rule.run.parameters.values().any(uses_uris)
}

fn mentions(rule: &Trigger, variable: &str) -> bool {
    rule.run.parameters.values().any(|template| template.mentions(variable))
}

/// The parameters of an attempt, of the types the pipeline declares.
pub(super) fn parameters(
    rule: &Trigger,
    prepared: &Prepared,
    run: &RunFacts<'_>,
) -> Result<Value, String> {
    let scope = run.scope()?;
    let mut values = Map::new();
    for (name, template) in &rule.run.parameters {
        let value =
            template.render(&scope).map_err(|text| format!("{text}: parameter=`{name}`"))?;
        values.insert(name.clone(), value);
    }
    if let Some(declared) = &prepared.parameters {
        check_types(&values, declared)?;
    }
    let values = Value::Object(values);
    match values.to_string().len() <= PARAMETERS_BYTES_MAX {
        true => Ok(values),
        false => Err(format!("the parameters are larger than {PARAMETERS_BYTES_MAX} bytes")),
    }
}

fn check_types(
    values: &Map<String, Value>,
    declared: &BTreeMap<String, Parameter>,
) -> Result<(), String> {
    for (name, value) in values {
        let parameter = declared.get(name).ok_or_else(|| {
            let known = declared.keys().cloned().collect::<Vec<_>>().join(", ");
            format!("the pipeline has no such parameter: parameter=`{name}`, known=`{known}`")
        })?;
        if !fits(value, parameter.kind) {
            let kind = parameter.kind;
            return Err(format!(
                "the pipeline wants another type: parameter=`{name}`, type=`{kind:?}`, value=`{value}`"
            ));
        }
    }
    let missing = declared
        .iter()
        .find(|(name, parameter)| !parameter.optional && !values.contains_key(*name));
    missing.map_or(Ok(()), |(name, _)| {
        Err(format!("the pipeline wants a parameter: parameter=`{name}`"))
    })
}

fn fits(value: &Value, kind: ParameterKind) -> bool {
    match kind {
        ParameterKind::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        ParameterKind::Double => value.is_number(),
        ParameterKind::String => value.is_string(),
        ParameterKind::Boolean => value.is_boolean(),
        ParameterKind::List => value.is_array(),
        ParameterKind::Struct => value.is_object(),
        ParameterKind::Any => true,
    }
}
