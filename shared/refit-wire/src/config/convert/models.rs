//! What becomes of the models that runs make, and what listens to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use refit_core::promotion::{
    Approver, Asking, GITHUB, Gate, Limits, MLFLOW, PromoteRule, StageRule,
};
use refit_core::rules::ModelMatch;

use super::super::document::NodeId;
use super::super::likely::did_you_mean;
use super::super::located::{Located, given, named};
use super::super::report::Notes;
use super::super::v1;
use super::{Service, checked_name};
use crate::registry::{ModelRegistry, RegistryConfig};

/// Persons who must approve, at the most.
const APPROVALS_MAX: u32 = 20;
/// What production takes where a rule does not say.
const PRODUCTION: StageRule = StageRule { approvals: 1, four_eyes: false };

/// A registry that can be opened.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    pub(super) config: RegistryConfig,
    pub(super) adapter: Arc<dyn ModelRegistry>,
}

/// The registries by name; those that are wrong without what they are.
pub(super) type Registries = BTreeMap<String, Option<Registry>>;

pub(super) fn registries(notes: &mut Notes<'_>, file: &v1::File) -> Registries {
    let mut registries = Registries::new();
    for (name, config) in named(&file.registries) {
        let Some(key) = checked_name(notes, name) else { continue };
        let settings = config.value.as_ref();
        let registry = settings.and_then(|settings| registry(notes, settings, config.at));
        registries.insert(key, registry);
    }
    registries
}

fn registry(notes: &mut Notes<'_>, config: &RegistryConfig, at: NodeId) -> Option<Registry> {
    match config.open() {
        Ok(adapter) => Some(Registry { config: config.clone(), adapter: Arc::from(adapter) }),
        Err(message) => {
            let kind = notes.document.entry(at, config.kind());
            notes.refuse(kind.map_or(at, |kind| kind.value), message);
            None
        }
    }
}

/// The entry of `on` that stands at `at`.
pub(super) fn entry(notes: &mut Notes<'_>, on: &v1::OnModel, at: NodeId) -> Option<ModelMatch> {
    if on.model.is_none() {
        notes.refuse_missing(at, "model", "name it, such as `model: churn`");
    }
    if on.stage.is_none() {
        notes.refuse_missing(at, "stage", "write `stage: staging` or `stage: production`");
    }
    let model = model_name(notes, &on.model)?;
    let (stage, _) = given(&on.stage)?;
    Some(ModelMatch { model, stage: stage.name() })
}

/// What becomes of what runs of the trigger make; `service` is where they run.
pub(super) fn promote(
    notes: &mut Notes<'_>,
    registries: &Registries,
    setting: &Option<Located<v1::Promote>>,
    service: Option<&Service>,
) -> Option<PromoteRule> {
    let (promote, at) = given(setting)?;
    if promote.model.is_none() {
        notes.refuse_missing(at, "model", "name it, such as `model: churn`");
    }
    let model = model_name(notes, &promote.model);
    let asked = service.zip(model.as_deref());
    let registry = registry_named(notes, registries, &promote.registry, (at, asked));
    let staging = stage(notes, &promote.staging, StageRule::default());
    if let Some((rule, at)) = given(&promote.staging)
        && staging.four_eyes
        && staging.approvals == 0
    {
        let at = rule.four_eyes.as_ref().map_or(at, |setting| setting.at);
        let cure = "add `approvals: 1`";
        notes.refuse(at, "nobody has to approve, so it has no effect").cured_by(cure);
    }
    let production = stage(notes, &promote.production, PRODUCTION);
    let gate = gate(notes, &promote.gate);
    let kind = registry.as_ref().and_then(|name| registries.get(name)?.as_ref());
    let unsaid = why_unsaid(kind.map(|registry| registry.config.kind()), [staging, production]);
    Some(PromoteRule {
        registry: registry?,
        model: model?,
        gate,
        request: match given(&promote.request) {
            Some((v1::Asking::Manual, _)) => Asking::Manual,
            Some((v1::Asking::Automatic, _)) | None => Asking::Automatic,
        },
        staging,
        acceptance: given(&promote.acceptance).map(|(name, _)| name.clone()),
        production,
        approvers: approvers(notes, &promote.approvers, unsaid),
    })
}

fn registry_named(
    notes: &mut Notes<'_>,
    registries: &Registries,
    setting: &Option<Located<String>>,
    (promote, asked): (NodeId, Option<(&Service, &str)>),
) -> Option<String> {
    let Some(setting) = setting else {
        let cure = match registries.keys().next() {
            Some(name) => format!("add `registry: {name}`"),
            None => "name a registry of the map `registries`".to_owned(),
        };
        notes.refuse_missing(promote, "registry", cure);
        return None;
    };
    let name = setting.value.as_ref()?;
    let Some(registry) = registries.get(name) else {
        let known = registries.keys().map(String::as_str);
        let cure = did_you_mean(name, known).unwrap_or_else(|| {
            "add it to the map `registries`, such as `registries: { models: { local: {} } }`"
                .to_owned()
        });
        notes.refuse(setting.at, format!("there is no registry `{name}`")).cured_by(cure);
        return None;
    };
    if let (Some(registry), Some((service, model))) = (registry, asked)
        && let Err(message) = registry.config.takes(service.config.kind(), model)
    {
        notes.refuse(setting.at, message);
    }
    Some(name.clone())
}

/// A name that every registry takes, also as that of a folder.
fn model_name(notes: &mut Notes<'_>, setting: &Option<Located<String>>) -> Option<String> {
    let (text, at) = given(setting)?;
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || text.len() > 100 || !text.chars().all(legal) {
        let message = "a model is named by A-Z, a-z, 0-9, `.`, `_` and `-`, begins with a letter or a digit, and has \
                       at most 100 characters";
        notes.refuse(at, message);
        return None;
    }
    Some(text.clone())
}

fn stage(
    notes: &mut Notes<'_>,
    setting: &Option<Located<v1::StageRule>>,
    usual: StageRule,
) -> StageRule {
    let Some((rule, _)) = given(setting) else { return usual };
    let approvals = given(&rule.approvals).map_or(usual.approvals, |(count, at)| {
        if *count > APPROVALS_MAX {
            notes.refuse(at, format!("this is too many: most=`{APPROVALS_MAX}`"));
        }
        *count
    });
    let four_eyes = given(&rule.four_eyes).is_some_and(|(four_eyes, _)| *four_eyes);
    StageRule { approvals, four_eyes }
}

/// Why nothing that is written at MLflow can be a person's word, if it cannot.
fn why_unsaid(registry: Option<&str>, stages: [StageRule; 2]) -> Option<&'static str> {
    if registry.is_some_and(|kind| kind != "mlflow") {
        return Some("the registry is not MLflow, so it has no effect");
    }
    let takes_two = stages.iter().any(StageRule::takes_two);
    takes_two.then_some("MLflow does not say who wrote, and a stage takes more than one person")
}

fn approvers(
    notes: &mut Notes<'_>,
    setting: &Option<Located<super::super::located::Named<v1::Approver>>>,
    unsaid: Option<&str>,
) -> BTreeMap<String, Approver> {
    if let Some((all, at)) = given(setting)
        && all.0.is_empty()
    {
        notes.refuse(at, "nobody is named: nobody could approve");
    }
    let mut approvers = BTreeMap::new();
    for (name, written) in named(setting) {
        let (Some(person), Some(written)) = (&name.value, &written.value) else { continue };
        if person.trim().is_empty() || person.starts_with(GITHUB) || person == MLFLOW {
            let cure = "write such as `ann: { github: octocat }`";
            notes.refuse(name.at, "a name is wanted, not an account").cured_by(cure);
        }
        let github = given(&written.github).map(|(login, at)| {
            if !is_login(login) {
                notes.refuse(at, "a login at GitHub is made of A-Z, a-z, 0-9 and `-`");
            }
            login.clone()
        });
        let receiver = given(&written.receiver).map(|(receiver, _)| receiver.clone());
        let mlflow = given(&written.mlflow).filter(|(is_theirs, _)| **is_theirs);
        if let Some((why, (_, at))) = unsaid.zip(mlflow) {
            notes.refuse(at, why);
        }
        let mlflow = mlflow.is_some();
        approvers.insert(person.clone(), Approver { github, receiver, mlflow });
    }
    approvers
}

fn is_login(text: &str) -> bool {
    // The accounts of companies that manage their users have a `_` before the company's code.
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

fn gate(
    notes: &mut Notes<'_>,
    setting: &Option<Located<super::super::located::Named<v1::Limits>>>,
) -> Gate {
    let mut gate = Gate::default();
    for (name, limits) in named(setting) {
        let (Some(metric), Some(written)) = (&name.value, &limits.value) else { continue };
        let limits_ = Limits {
            min: number(notes, &written.min, f64::MIN),
            max: number(notes, &written.max, f64::MIN),
            drop: number(notes, &written.drop, 0.0),
            rise: number(notes, &written.rise, 0.0),
        };
        if limits_ == Limits::default() {
            let cure = "add at least one of them, such as `min: 0.9`";
            let message = "a metric is limited by `min`, `max`, `drop` or `rise`";
            notes.refuse(limits.at, message).cured_by(cure);
        }
        if limits_.min.zip(limits_.max).is_some_and(|(min, max)| min > max) {
            notes.refuse(limits.at, "`min` is above `max`: no version is ever good enough");
        }
        gate.0.insert(metric.clone(), limits_);
    }
    gate
}

fn number(notes: &mut Notes<'_>, setting: &Option<Located<f64>>, least: f64) -> Option<f64> {
    let (number, at) = given(setting)?;
    if !number.is_finite() {
        notes.refuse(at, "expected a number that is not infinite");
        return None;
    }
    if *number < least {
        notes.refuse(at, format!("this is too little: least=`{least}`"));
    }
    Some(*number)
}
