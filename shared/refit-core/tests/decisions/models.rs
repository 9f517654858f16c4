//! Models in a world: how their versions are promoted, and what registries and persons say.
//!
//! ```text
//! promote='churn staging=1 production=1! gate=auc:min:0.9 acceptance=test manual'   a setting; `!` is four eyes
//! 10:05 registered b2 3 auc=0.93 production=2:auc=0.9    the registry has the version of run b2
//! 10:05 entered b2; undone b2; denied b2; unseen b2      what came of what was to be done for it
//! 10:05 stages churn production=2                        who has which stage
//! 10:06 approve churn 3 ann stage=staging request=1 why='looks good' time=10:05
//! ```

use std::collections::BTreeMap;

use refit_core::plan::{RegistryOutcome, RegistryReport};
use refit_core::promotion::{
    Approver, Asking, Gate, Limits, ModelChange, PromoteRule, PromotionChange, Says, StageEntry,
    StageRule, Stages, Statement, Version,
};
use refit_core::state::{BatchId, State};
use serde_json::Number;

use crate::world::hour;

pub(crate) fn promote(text: &str) -> PromoteRule {
    let mut words = text.split(' ');
    let mut rule = PromoteRule {
        registry: "models".into(),
        model: words.next().unwrap().to_owned(),
        gate: Gate::default(),
        request: Asking::Automatic,
        staging: StageRule::default(),
        acceptance: None,
        production: StageRule::default(),
        approvers: BTreeMap::new(),
    };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("staging", value) => rule.staging = stage_rule(value),
            ("production", value) => rule.production = stage_rule(value),
            ("acceptance", value) => rule.acceptance = Some(value.to_owned()),
            ("approvers", value) => rule.approvers = value.split(',').map(approver).collect(),
            ("gate", value) => limit(&mut rule.gate, value),
            _ => rule.request = Asking::Manual,
        }
    }
    rule
}

/// `ann:octocat`, with the login at GitHub; `ann@mlflow`, who speaks for the registry.
fn approver(text: &str) -> (String, Approver) {
    let (text, mlflow) = text.strip_suffix("@mlflow").map_or((text, false), |text| (text, true));
    let (name, login) = text.split_once(':').unwrap_or((text, ""));
    let github = Some(login.to_owned()).filter(|login| !login.is_empty());
    (name.to_owned(), Approver { github, receiver: None, mlflow })
}

fn stage_rule(text: &str) -> StageRule {
    let approvals = text.trim_end_matches('!').parse().unwrap();
    StageRule { approvals, four_eyes: text.ends_with('!') }
}

/// `auc:min:0.9`
fn limit(gate: &mut Gate, text: &str) {
    let parts: Vec<&str> = text.split(':').collect();
    let limits: &mut Limits = gate.0.entry(parts[0].to_owned()).or_default();
    let value = parts.get(2).map(|value| value.parse().unwrap());
    match parts[1] {
        "min" => limits.min = value,
        "max" => limits.max = value,
        "drop" => limits.drop = value,
        _ => limits.rise = value,
    }
}

fn metrics<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<String, Number> {
    let pairs = words.filter_map(|word| word.split_once('='));
    let number = |value: &str| Number::from_f64(value.parse().unwrap()).unwrap();
    pairs.map(|(name, value)| (name.to_owned(), number(value))).collect()
}

fn version(name: &str, metrics: BTreeMap<String, Number>) -> Version {
    let uri = Some(format!("file:///models/{name}"));
    Version { name: name.to_owned(), uri, metrics, twins: Vec::new() }
}

/// Who has which stage: `production=2:auc=0.9`.
fn stages(args: &[String]) -> Stages {
    let is_stage = |arg: &&String| arg.starts_with("staging=") || arg.starts_with("production=");
    let stage = |arg: &String| {
        let (stage, held) = arg.split_once('=').unwrap();
        let (name, measured) = held.split_once(':').unwrap_or((held, ""));
        (stage.parse().unwrap(), version(name, metrics(measured.split(','))))
    };
    args.iter().filter(is_stage).map(stage).collect()
}

pub(crate) fn report_of(state: &State, verb: &str, args: &[String]) -> RegistryReport {
    if verb == "stages" {
        let basis = state.models[&args[0]].changed;
        let outcome = RegistryOutcome::Stages(stages(&args[1..]));
        return RegistryReport { model: args[0].clone(), run: None, basis, outcome };
    }
    let run: BatchId = args[0].parse().unwrap();
    let (model, promotion) = state
        .models
        .iter()
        .find_map(|(name, model)| Some((name, model.promotions.get(&run)?)))
        .expect("the version is followed");
    let outcome = match verb {
        "registered" => {
            let stages = stages(&args[2..]);
            let measured = args[2..].iter().map(String::as_str);
            let measured = measured.filter(|word| !word.contains(':'));
            RegistryOutcome::Registered { version: version(&args[1], metrics(measured)), stages }
        }
        "entered" => RegistryOutcome::Entered,
        "undone" => RegistryOutcome::NotDone { after: None, message: "busy".into() },
        "denied" => RegistryOutcome::Refused("no such version".into()),
        _ => RegistryOutcome::Absent,
    };
    let basis = promotion.intent.as_ref().map_or(0, |intent| intent.commit);
    RegistryReport { model: model.clone(), run: Some(run), basis, outcome }
}

/// `approve churn 3 ann stage=staging why=good`
pub(crate) fn statement(verb: &str, args: &[String]) -> Statement {
    let setting = |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name));
    Statement {
        model: args[0].clone(),
        version: args[1].clone(),
        says: match verb {
            "request" => Says::Request,
            "approve" => Says::Approve,
            "reject" => Says::Reject,
            _ => Says::Rollback,
        },
        stage: setting("stage=").map(|stage| stage.parse().unwrap()),
        request: setting("request=").map(|number| number.parse().unwrap()),
        person: args[2].clone(),
        reason: setting("why=").unwrap_or_default().to_owned(),
    }
}

pub(crate) fn entry_text(entry: &StageEntry) -> String {
    let StageEntry { name, version, stage, times, .. } = entry;
    format!("{name}/{version} {stage} x{times}")
}

pub(crate) fn model_text(change: &ModelChange) -> String {
    let ModelChange::Moved { stage, version } = change;
    format!("moved: {stage} is {}", version.as_deref().unwrap_or("nobody's"))
}

pub(crate) fn promotion_text(change: &PromotionChange) -> String {
    let by = |person: &Option<String>| {
        person.as_ref().map(|person| format!(" by {person}")).unwrap_or_default()
    };
    match change {
        PromotionChange::Begun { .. } => "to be registered".into(),
        PromotionChange::Retaken => "to be tried again".into(),
        PromotionChange::Postponed { until, .. } => format!("postponed until {}", hour(*until)),
        PromotionChange::Unclear(_) => "unclear".into(),
        PromotionChange::Registered(version) => format!("registered as {}", version.name),
        PromotionChange::Refused(faults) => format!("refused: {}", faults.join("; ")),
        PromotionChange::Requested { stage, person, rollback, .. } => {
            let back = if *rollback { " again" } else { "" };
            format!("{stage}{back} requested{}", by(person))
        }
        PromotionChange::Approved { person, .. } => format!("approved by {person}"),
        PromotionChange::Rejected { person, reason } => format!("rejected{}: {reason}", by(person)),
        PromotionChange::Entering => "to enter".into(),
        PromotionChange::Entered => "entered".into(),
        PromotionChange::TestedBy(batch) => format!("tested by {batch}"),
        PromotionChange::Accepted(None) => "accepted without a test".into(),
        PromotionChange::Accepted(Some(test)) => format!("accepted by {test}"),
        PromotionChange::Failed(message) => format!("failed: {message}"),
        PromotionChange::Forgotten => "forgotten".into(),
    }
}
