//! What a trigger does with the models its runs make.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::{GITHUB, MLFLOW, Request, Stage, same_person};
use crate::mutant::{self, Mutant};

/// How the versions its runs make get through their stages.
#[derive(Clone, Debug, PartialEq)]
pub struct PromoteRule {
    /// The registry, by name.
    pub registry: String,
    /// The model.
    pub model: String,
    /// What must be measured of a version.
    pub gate: Gate,
    /// Who asks for the stages.
    pub request: Asking,
    /// What staging takes.
    pub staging: StageRule,
    /// The trigger whose run decides, in staging, whether a version is accepted; every version is where there is none.
    pub acceptance: Option<String>,
    /// What production takes.
    pub production: StageRule,
    /// Who may approve, by name; everybody where nobody is named.
    pub approvers: BTreeMap<String, Approver>,
}

/// By what somebody is known who may approve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approver {
    /// The login at GitHub.
    pub github: Option<String>,
    /// The receiver of notices that is this person's alone: there, a link approves or rejects in their name.
    pub receiver: Option<String>,
    /// Whether what is written at the registry of MLflow is said in this person's name.
    pub mlflow: bool,
}

/// Who asks for the stages of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// The rule.
    Automatic,
    /// A person.
    Manual,
}

/// What a stage takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRule {
    /// Persons who must approve.
    #[serde(default)]
    pub approvals: u32,
    /// Whether those count only who had no say before.
    #[serde(default)]
    pub four_eyes: bool,
}

/// What must be measured of a version, by metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate(pub BTreeMap<String, Limits>);

/// The limits of one metric.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// It must not be less.
    pub min: Option<f64>,
    /// It must not be more.
    pub max: Option<f64>,
    /// It must not be less than that of the version in production by more than this.
    pub drop: Option<f64>,
    /// It must not be more than that of the version in production by more than this.
    pub rise: Option<f64>,
}

/// What was measured of a version, by metric.
type Metrics = BTreeMap<String, Number>;

impl PromoteRule {
    /// What a stage takes.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> StageRule {
        match stage {
            Stage::Staging => self.staging,
            Stage::Production => self.production,
        }
    }

    /// The approver whose name or account this is, by the rule's name of them.
    #[must_use]
    pub fn approver(&self, person: &str) -> Option<&str> {
        let is_theirs = |(name, approver): &(&String, &Approver)| match person.strip_prefix(GITHUB)
        {
            Some(login) => {
                approver.github.as_deref().is_some_and(|known| same_person(known, login))
            }
            None if person == MLFLOW => approver.mlflow,
            None => same_person(name, person),
        };
        self.approvers.iter().find(is_theirs).map(|(name, _)| name.as_str())
    }

    /// Whether somebody may approve.
    #[must_use]
    pub fn lets(&self, person: &str) -> bool {
        self.approvers.is_empty()
            || self.approver(person).is_some()
            || mutant::is(Mutant::AnybodyApproves)
    }

    /// How many persons must approve a request. A rollback waits for nobody, unless production takes four eyes.
    #[must_use]
    pub fn needed(&self, request: &Request) -> u32 {
        let before = taken(request);
        match request.rollback {
            true => u32::from(self.wants_four_eyes(request)),
            false => self.stage(request.stage).approvals.max(before.approvals),
        }
    }

    /// Whether a stage wants more persons than one, by this rule or by that of the request: then each has to be known.
    #[must_use]
    pub fn tells_persons_apart(&self, request: Option<&Request>) -> bool {
        let mut stages = [self.staging, self.production].into_iter().chain(request.map(taken));
        stages.any(|stage| stage.takes_two())
    }

    /// Whether those alone may approve a request who had no say before.
    #[must_use]
    pub fn wants_four_eyes(&self, request: &Request) -> bool {
        self.stage(request.stage).four_eyes || taken(request).four_eyes
    }
}

impl StageRule {
    /// Whether it takes two persons, so that each has to be known.
    #[must_use]
    pub fn takes_two(&self) -> bool {
        self.approvals > 1 || self.four_eyes
    }
}

/// What a request took when it was made.
fn taken(request: &Request) -> StageRule {
    match mutant::is(Mutant::AppliedRulesPromote) {
        true => StageRule::default(),
        false => request.takes,
    }
}

impl Gate {
    /// What is wrong with a version, one line each. What is not known is never good enough; only that nothing is in
    /// production yet is no fault.
    #[must_use]
    pub fn faults(&self, metrics: &Metrics, production: Option<&Metrics>) -> Vec<String> {
        let faults = self.0.iter().map(|(name, limits)| match number(metrics, name) {
            Some(value) => limits.faults(name, value, production),
            None => vec![format!("it was not measured: metric=`{name}`")],
        });
        faults.flatten().collect()
    }
}

impl Limits {
    fn faults(&self, name: &str, value: f64, production: Option<&Metrics>) -> Vec<String> {
        let fault = |what: &str, bound: f64| {
            format!("it is {what}: metric=`{name}`, value=`{value}`, limit=`{bound}`")
        };
        let mut faults = Vec::new();
        if let Some(min) = self.min.filter(|min| value < *min) {
            faults.push(fault("too low", min));
        }
        if let Some(max) = self.max.filter(|max| value > *max) {
            faults.push(fault("too high", max));
        }
        let compares = self.drop.is_some() || self.rise.is_some();
        let Some(production) = production.filter(|_| compares) else { return faults };
        let Some(current) = number(production, name) else {
            faults.push(format!("it was not measured in production: metric=`{name}`"));
            return faults;
        };
        if let Some(least) = self.drop.map(|drop| current - drop).filter(|least| value < *least) {
            faults.push(fault("lower than in production by too much", least));
        }
        if let Some(most) = self.rise.map(|rise| current + rise).filter(|most| value > *most) {
            faults.push(fault("higher than in production by too much", most));
        }
        faults
    }
}

fn number(metrics: &Metrics, name: &str) -> Option<f64> {
    metrics.get(name).and_then(Number::as_f64).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(pairs: &[(&str, f64)]) -> Metrics {
        let number = |value| Number::from_f64(value).unwrap();
        pairs.iter().map(|(name, value)| ((*name).to_owned(), number(*value))).collect()
    }

    fn gate(limits: Limits) -> Gate {
        Gate([("auc".to_owned(), limits)].into())
    }

    #[test]
    fn a_version_passes_where_every_metric_is_within_its_limits() {
        let limits = |min, max, drop, rise| Limits { min, max, drop, rise };
        let current = measured(&[("auc", 0.9)]);
        let other = measured(&[("loss", 0.1)]);
        let cases = [
            (limits(Some(0.9), None, None, None), 0.9, None, ""),
            (limits(Some(0.9), None, None, None), 0.89, None, "too low"),
            (limits(None, Some(0.4), None, None), 0.4, None, ""),
            (limits(None, Some(0.4), None, None), 0.41, None, "too high"),
            (limits(None, None, Some(0.01), None), 0.5, None, ""),
            (limits(None, None, Some(0.01), None), 0.895, Some(&current), ""),
            (limits(None, None, Some(0.01), None), 0.885, Some(&current), "lower than in"),
            (limits(None, None, None, Some(0.02)), 0.95, Some(&current), "higher than in"),
            (limits(None, None, Some(0.0), None), 0.9, Some(&current), ""),
            (limits(None, None, Some(0.01), None), 0.99, Some(&other), "not measured in"),
            (limits(Some(0.1), None, None, None), 0.99, Some(&other), ""),
        ];
        for (limits, value, production, fault) in cases {
            let faults = gate(limits).faults(&measured(&[("auc", value)]), production);
            assert_eq!(faults.is_empty(), fault.is_empty(), "{limits:?} {value}: {faults:?}");
            assert!(faults.iter().all(|found| found.contains(fault)), "{faults:?}");
        }
    }

    #[test]
    fn what_was_not_measured_is_never_good_enough() {
        let faults = gate(Limits::default()).faults(&measured(&[("loss", 0.1)]), None);
        assert_eq!(faults, ["it was not measured: metric=`auc`"]);
    }
}
