//! Expressions: compiled, and tried on a sample, so that what can never be evaluated is found before any event.

use refit_core::drift::DriftReport;
use refit_core::event::{DataRef, Event, Fact, Identity, Message, ObjectChange, ObjectKind};
use refit_core::expression::{Expression, ExpressionError, Scope};
use refit_core::key::{Hash128, RunKey};
use refit_core::member::{Firing, Member};
use refit_core::promotion::{Stage, StageEntry};
use refit_core::rules::{DriftMatch, ObjectMatch, On};
use refit_core::run::BatchFacts;
use refit_core::scope::{
    DRIFT_VARIABLES, EACH_VARIABLES, MESSAGE_VARIABLES, MODEL_RUN_VARIABLES, MODEL_VARIABLES,
    NOTICE_VARIABLES, OBJECT_AND_DRIFT_VARIABLES, OBJECT_VARIABLES, RUN_VARIABLES, RunFacts,
    fields_of, notice_scope, scope_of, scope_of_entry, scope_of_firing,
};
use refit_core::state::BatchId;
use refit_core::template::{Piece, Template};
use refit_core::time::Timestamp;
use serde_json::{Value, json};

use super::super::document::NodeId;
use super::super::likely::{did_you_mean, listed};
use super::super::located::Located;
use super::super::report::Notes;
use crate::notify::sample as sample_letter;

/// Fields whose content no sample can show.
const OPEN: &[(&str, &str)] = &[
    ("object", "metadata"),
    ("event", "data"),
    ("event", "attributes"),
    ("member", "message"),
    ("member", "drift"),
    ("member", "firing"),
    ("member", "model"),
    ("drift", "findings"),
    ("drift", "profile"),
];

/// What an expression may look at, and samples of it.
#[derive(Debug)]
pub(super) struct Scene {
    variables: &'static [&'static str],
    without: &'static [&'static str],
    samples: Vec<Scope>,
}

/// Fields of `event` that only messages have.
const OF_MESSAGES: &[&str] = &["attributes", "data"];

impl Scene {
    /// The scene of `when` and `batch.by`.
    pub(super) fn of_events(on: &[On]) -> Self {
        let objects = on.is_empty() || on.iter().any(|on| matches!(on, On::Objects(_)));
        let messages = on.is_empty() || on.iter().any(|on| matches!(on, On::Message(_)));
        let drift = on.iter().any(|on| matches!(on, On::Drift(_)));
        let models = on.iter().any(|on| matches!(on, On::Model(_)));
        let variables = match (objects, drift) {
            _ if models => MODEL_VARIABLES,
            (true, true) => OBJECT_AND_DRIFT_VARIABLES,
            (true, false) => OBJECT_VARIABLES,
            (false, true) => DRIFT_VARIABLES,
            (false, false) => MESSAGE_VARIABLES,
        };
        let without = if messages { &[] } else { OF_MESSAGES };
        let samples = on.iter().filter_map(|on| sample_scope(on).ok()).collect();
        Self { variables, without, samples }
    }

    /// The scene of parameters.
    pub(super) fn of_runs(each: bool) -> Self {
        let variables = if each { EACH_VARIABLES } else { RUN_VARIABLES };
        let event = sample(object_fact(&ObjectMatch::default()));
        Self::of_member(variables, Member::of(&event))
    }

    /// The scene of parameters of a trigger on models.
    pub(super) fn of_model_runs() -> Self {
        let entry = sample_entry("sample", Stage::Staging);
        let member = Member::of_entry(Hash128(0), &entry, Timestamp::EPOCH);
        Self::of_member(MODEL_RUN_VARIABLES, Some(member))
    }

    fn of_member(variables: &'static [&'static str], member: Option<Member>) -> Self {
        let members: Vec<Member> = member.into_iter().collect();
        let facts =
            BatchFacts { count: 1, bytes: 1000, prefix: "a/".into(), ..BatchFacts::default() };
        let facts = RunFacts {
            trigger: "t",
            key: "k",
            manifest: "gs://bucket/manifests/1",
            facts: &facts,
            members: Some(&members),
            run: RunKey(Hash128(0)),
            claim: Some("gs://bucket/claims/1"),
        };
        Self { variables, without: &[], samples: facts.scope().into_iter().collect() }
    }

    /// The scene of the words of a notice.
    pub(super) fn of_notices() -> Self {
        let (_, letter) = sample_letter("t", Timestamp::EPOCH);
        let samples = letter.notices.iter().filter_map(|notice| notice_scope("l", notice).ok());
        Self { variables: NOTICE_VARIABLES, without: &[], samples: samples.collect() }
    }

    /// The condition of a trigger.
    pub(super) fn condition(
        &self,
        notes: &mut Notes<'_>,
        when: &Located<String>,
    ) -> Option<Expression> {
        let expression = self.compiled(notes, when)?;
        if self.variables.iter().all(|variable| !expression.mentions(variable)) {
            match self.samples.first().map(|sample| expression.eval_bool(sample)) {
                Some(Ok(false)) => notes.refuse(when.at, "this is never true: it can never fire"),
                _ => notes.warn(when.at, "this is the same for every event"),
            };
        }
        let results = || self.samples.iter().map(|sample| expression.eval(sample));
        let answers = results().any(|result| result.is_ok_and(|value| value.is_boolean()));
        if !answers && results().any(|result| result.is_ok()) && !is_open(&expression) {
            let cure = "compare it with something";
            notes.warn(when.at, "this is never true or false").cured_by(cure);
        }
        Some(expression)
    }

    /// The key of batches.
    pub(super) fn key(&self, notes: &mut Notes<'_>, by: &Located<String>) -> Option<Expression> {
        self.compiled(notes, by)
    }

    fn compiled(&self, notes: &mut Notes<'_>, setting: &Located<String>) -> Option<Expression> {
        let source = setting.value.as_ref()?;
        match Expression::compile(source, self.variables) {
            Ok(expression) => {
                self.check(notes, &expression, (setting.at, source));
                Some(expression)
            }
            Err(error) => {
                self.refuse(notes, &error, (setting.at, source));
                None
            }
        }
    }

    /// A template that is one string.
    pub(super) fn check_template(&self, notes: &mut Notes<'_>, at: NodeId, text: &str) {
        match Template::parse(&Value::String(text.to_owned()), self.variables) {
            Ok(template) => {
                for expression in expressions(&template) {
                    self.check(notes, expression, (at, text));
                }
            }
            Err(error) => self.refuse(notes, &error, (at, text)),
        }
    }

    /// The whole of the parameters, each of which was checked.
    pub(super) fn template(&self, value: &Value) -> Option<Template> {
        Template::parse(value, self.variables).ok()
    }

    fn refuse(&self, notes: &mut Notes<'_>, error: &ExpressionError, (at, text): (NodeId, &str)) {
        let offset = name_before(text, error.offset);
        let noted = notes.refuse_word(at, offset, error.message.clone());
        let rest = text.get(offset..).unwrap_or_default();
        let word =
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        if !error.message.starts_with("unknown variable") {
            return;
        }
        let likely = did_you_mean(word, self.variables.iter().copied());
        noted.cured_by(likely.unwrap_or_else(|| format!("known here: {}", listed(self.variables))));
    }

    fn fields_of(&self, variable: &str) -> impl Iterator<Item = &'static str> {
        let without = if variable == "event" { self.without } else { &[] };
        fields_of(variable).iter().copied().filter(|field| !without.contains(field))
    }

    /// Refuses fields that do not exist, and warns of types that do not fit.
    fn check(&self, notes: &mut Notes<'_>, expression: &Expression, (at, text): (NodeId, &str)) {
        let mut complete = true;
        for variable in self.variables {
            let known: Vec<&str> = self.fields_of(variable).collect();
            let used = expression.fields_of(variable);
            for field in used.into_iter().filter(|field| !known.contains(field)) {
                complete = false;
                let cure = did_you_mean(field, known.iter().copied());
                notes
                    .refuse_word(
                        at,
                        find(text, variable, field),
                        format!("`{variable}` has no `{field}`"),
                    )
                    .cured_by(cure.unwrap_or_else(|| format!("it has {}", listed(&known))));
            }
        }
        let mismatches: Vec<String> =
            self.samples.iter().filter_map(|sample| expression.mismatch(sample)).collect();
        let never = !mismatches.is_empty() && mismatches.len() == self.samples.len();
        if let Some(mismatch) =
            mismatches.first().filter(|_| never && complete && !is_open(expression))
        {
            notes.warn(at, format!("this can never be evaluated: {mismatch}"));
        }
    }
}

fn is_open(expression: &Expression) -> bool {
    OPEN.iter().any(|(variable, field)| expression.uses(variable, field))
}

/// The beginning of the name a bracket at `offset` belongs to.
fn name_before(text: &str, offset: usize) -> usize {
    match text.split_at_checked(offset) {
        Some((before, rest)) if rest.starts_with('(') => {
            let is_name = |c: char| c.is_alphanumeric() || c == '_';
            before.trim_end_matches(is_name).len()
        }
        Some(_) | None => offset,
    }
}

/// Where `field` of `variable` stands.
fn find(text: &str, variable: &str, field: &str) -> usize {
    let selected = |between: &str| {
        let written = format!("{variable}{between}{field}");
        text.find(&written).map(|found| found + variable.len() + between.len())
    };
    [".", ".?", "['", "[\""].into_iter().find_map(selected).unwrap_or(0)
}

fn expressions(template: &Template) -> Vec<&Expression> {
    match template {
        Template::Computed(expression) => vec![expression],
        Template::Text(pieces) => pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Computed(expression) => Some(expression),
                Piece::Literal(_) => None,
            })
            .collect(),
        Template::Literal(_) | Template::List(_) | Template::Map(_) => Vec::new(),
    }
}

/// What `on` accepts, with everything it may have.
fn sample_scope(on: &On) -> Result<Scope, String> {
    let fact = match on {
        On::Objects(matching) => object_fact(matching),
        On::Message(matching) => Fact::Message(Message {
            source: matching.source.clone().unwrap_or_else(|| "//sample".to_owned()),
            id: "1".to_owned(),
            ty: matching.ty.clone().unwrap_or_else(|| "sample".to_owned()),
            subject: Some("sample".to_owned()),
            data: json!({}),
            attributes: [].into(),
        }),
        On::Drift(matching) => Fact::Drift(Box::new(report(matching))),
        On::Schedule(schedule) => {
            let slot = schedule.next(Timestamp::EPOCH).ok_or("it never comes")?;
            return scope_of_firing("sample", &Firing { schedule: String::new(), slot });
        }
        On::Model(matching) => {
            return scope_of_entry("sample", &sample_entry(&matching.model, matching.stage));
        }
    };
    scope_of(&sample(fact))
}

fn sample_entry(model: &str, stage: Stage) -> StageEntry {
    StageEntry {
        name: model.to_owned(),
        version: "1".to_owned(),
        stage,
        times: 1,
        uri: "file:///models/1".to_owned(),
        run: BatchId { seq: 1, index: 0 },
    }
}

fn sample(fact: Fact) -> Event {
    Event {
        identity: Identity(vec!["sample".to_owned()]),
        origin: String::new(),
        time: Some(Timestamp::EPOCH),
        delivery: None,
        replay: None,
        fact,
    }
}

fn object_fact(matching: &ObjectMatch) -> Fact {
    Fact::Object(ObjectChange {
        kind: ObjectKind::Finalized,
        object: object(matching),
        overwritten_by: None,
        overwrote: None,
    })
}

/// A report that says everything a report may say.
fn report(matching: &DriftMatch) -> DriftReport {
    let everything = json!({
        "verdict": "drift", "objective": "feature_drift", "severity": "warning",
        "detector": {"tool": "t", "version": "1", "monitor": "m", "run": "r", "url": "u"},
        "model": {"name": matching.model, "version": "1", "deployment": "d", "endpoint": "e"},
        "window": {"start": Timestamp::EPOCH, "end": Timestamp::EPOCH},
        "reference": {"name": "n", "uri": "u", "rows": 1},
        "current": {"name": "n", "uri": "u", "rows": 1},
        "summary": {"columns": 1, "drifted": 1, "share": 1.0, "threshold": 0.5, "score": 0.5},
        "findings": [],
        "raw": {"format": "f", "sha256": "s", "ref": "r"},
    });
    serde_json::from_value(everything).unwrap_or_default()
}

fn object(matching: &ObjectMatch) -> DataRef {
    let (scheme, bucket) = matching.bucket.split_once("://").unwrap_or(("gs", &matching.bucket));
    DataRef {
        scheme: scheme.to_owned(),
        bucket: bucket.to_owned(),
        name: format!("{}sample{}", matching.prefix, matching.suffix),
        generation: Some("1".to_owned()),
        size: Some(1000),
        checksum: Some("md5:1B2M2Y8AsgTpgAmY7PhCfg==".to_owned()),
        created: Some(Timestamp::EPOCH),
        content_type: Some("application/octet-stream".to_owned()),
        ..DataRef::default()
    }
}
