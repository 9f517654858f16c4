//! What becomes of what persons say of versions.

use super::Desk;
use crate::mutant::{self, Mutant};
use crate::promotion::{
    MLFLOW, Model, PromoteRule, Promotion, PromotionChange, PromotionPhase, Says, Stage, Statement,
    WORDS_BYTES_MAX, same_person,
};
use crate::rules::Rules;
use crate::time::{Span, Timestamp};

/// GitHub leaves out the fractions of a second.
const ACCOUNT_TICK: Span = Span::secs(1);

impl Desk<'_> {
    /// Takes in what a person says of a version, or says why not.
    pub(super) fn hear(
        &mut self,
        rules: &Rules,
        said: &Statement,
        said_at: Option<Timestamp>,
    ) -> Result<String, String> {
        if said.person.trim().is_empty() {
            return Err("nobody is named who says so".to_owned());
        }
        if said.person.len() > WORDS_BYTES_MAX || said.reason.len() > WORDS_BYTES_MAX {
            return Err(format!("the name or the reason is longer than {WORDS_BYTES_MAX} bytes"));
        }
        let known = || self.state.models.keys().cloned().collect::<Vec<_>>().join(", ");
        let model = self.state.models.get(&said.model).ok_or_else(|| {
            format!(
                "no version of such a model is known: model=`{}`, known=`{}`",
                said.model,
                known()
            )
        })?;
        let version = model.version(&said.version);
        if let (Some(at), Some(version)) = (said_at, version)
            && said.is_of_account()
        {
            after_the_newest(version, at)?;
        }
        let rule = version.and_then(|it| it.rule(rules, &said.model));
        if let (Some(rule), Some(version)) = (rule, version) {
            by_somebody_known(rule, version, said)?;
        }
        let said = &in_their_name(rule, said)?;
        if let (Some(about), Some(version)) = (said.request, version) {
            about_the_newest(version, about)?;
        }
        let (run, change) = match said.says {
            Says::Rollback => rollback(rules, model, said)?,
            Says::Request => request(rules, version_of(model, said)?, said)?,
            Says::Approve => approve(rules, version_of(model, said)?, said)?,
            Says::Reject => reject(version_of(model, said)?, said)?,
        };
        self.change_promotion(&said.model, run, change);
        Ok(self.heard(said, run))
    }

    fn heard(&self, said: &Statement, run: crate::state::BatchId) -> String {
        let promotion = self.state.models.get(&said.model).and_then(|it| it.promotions.get(&run));
        let name = promotion.and_then(Promotion::name).unwrap_or_default();
        let word = match said.says {
            Says::Request => "requested",
            Says::Approve => "approved",
            Says::Reject => "rejected",
            Says::Rollback => "to be in production again",
        };
        let stage = promotion.and_then(Promotion::request).map(|request| request.stage);
        let stage = stage.map(|stage| format!(", stage=`{stage}`")).unwrap_or_default();
        format!("{word}: model=`{}`, version=`{name}`{stage}, person=`{}`", said.model, said.person)
    }
}

/// The run of a version, and what changes of it.
type Heard = (crate::state::BatchId, PromotionChange);

fn version_of<'a>(model: &'a Model, said: &Statement) -> Result<&'a Promotion, String> {
    let names = || {
        let names = model.promotions.values().filter_map(Promotion::name);
        names.collect::<Vec<_>>().join(", ")
    };
    model.version(&said.version).ok_or_else(|| {
        format!("no such version is known: version=`{}`, known=`{}`", said.version, names())
    })
}

/// What was said, under the name the rule has for whoever said it. A link speaks for whom the rule still names.
fn in_their_name(rule: Option<&PromoteRule>, said: &Statement) -> Result<Statement, String> {
    let person = said.person.as_str();
    if let Some(name) = rule.and_then(|rule| rule.approver(person)) {
        return Ok(Statement { person: name.to_owned(), ..said.clone() });
    }
    if said.is_of_account() {
        return Err(format!("no approver of the rule has this account: person=`{person}`"));
    }
    if said.request.is_some() {
        return Err(format!("the rule does not name whom the link was for: person=`{person}`"));
    }
    if said.says == Says::Approve && rule.is_some_and(|rule| !rule.lets(person)) {
        return Err(format!(
            "the rule names who may approve, and not this person: person=`{person}`"
        ));
    }
    Ok(said.clone())
}

/// Whoever may write at MLflow may be who asked, or who approved already.
fn by_somebody_known(
    rule: &PromoteRule,
    promotion: &Promotion,
    said: &Statement,
) -> Result<(), String> {
    let is_apart = rule.tells_persons_apart(promotion.request());
    if said.person == MLFLOW && said.says == Says::Approve && is_apart {
        let message = "it is not said who wrote this, and a stage takes more than one person";
        return Err(stands(promotion, message));
    }
    Ok(())
}

/// A word on a request is no word on a later one.
fn about_the_newest(promotion: &Promotion, request: u32) -> Result<(), String> {
    if request == promotion.current() || mutant::is(Mutant::EarlierRequestApproved) {
        return Ok(());
    }
    Err(stands(promotion, "what this is about is no longer asked for"))
}

/// What is said by an account names no request: a word from before the newest, that arrives late, is none on it.
fn after_the_newest(promotion: &Promotion, at: Timestamp) -> Result<(), String> {
    match promotion.request() {
        Some(request) if at + ACCOUNT_TICK <= request.at => {
            Err(stands(promotion, "this was said before what is asked for now was asked for"))
        }
        _ => Ok(()),
    }
}

/// What the rules in force say of the versions of a model: without it, nothing that is asked for could come true.
fn rule_of<'r>(
    rules: &'r Rules,
    promotion: &Promotion,
    said: &Statement,
) -> Result<&'r PromoteRule, String> {
    promotion.rule(rules, &said.model).ok_or_else(|| {
        let model = &said.model;
        format!("no trigger of the rules in force promotes this model: apply rules with one that does: model=`{model}`")
    })
}

fn request(rules: &Rules, promotion: &Promotion, said: &Statement) -> Result<Heard, String> {
    if promotion.phase == PromotionPhase::Requested {
        return Err(stands(promotion, "it is asked for already"));
    }
    let next = promotion.next();
    let next = next.ok_or_else(|| stands(promotion, "no stage can be asked for it now"))?;
    if said.stage.is_some_and(|stage| stage != next) {
        return Err(stands(promotion, &format!("the stage that comes next is {next}")));
    }
    let takes = rule_of(rules, promotion, said)?.stage(next);
    let (stage, person, reason) = (next, Some(said.person.clone()), said.reason.clone());
    let (rollback, leaves) = (false, None);
    let change = PromotionChange::Requested { stage, person, reason, rollback, leaves, takes };
    Ok((promotion.run, change))
}

fn approve(rules: &Rules, promotion: &Promotion, said: &Statement) -> Result<Heard, String> {
    let request = promotion.request().filter(|_| promotion.phase == PromotionPhase::Requested);
    let Some(request) = request else {
        return Err(stands(promotion, "nothing is asked for it that could be approved"));
    };
    if said.stage.is_some_and(|stage| stage != request.stage) {
        return Err(stands(promotion, &format!("what is asked for is {}", request.stage)));
    }
    let mut approvals = promotion.approvals.iter().filter(|it| it.request == promotion.current());
    let again = approvals.any(|it| same_person(&it.person, &said.person));
    if again && !mutant::is(Mutant::ApprovalCountsTwice) {
        return Err(format!("this person has approved it already: person=`{}`", said.person));
    }
    if rule_of(rules, promotion, said)?.wants_four_eyes(request) && promotion.is_bound(&said.person)
    {
        let message = "it takes another person than who asked for it or approved it before";
        return Err(format!("{message}: person=`{}`", said.person));
    }
    let (person, reason) = (said.person.clone(), said.reason.clone());
    Ok((promotion.run, PromotionChange::Approved { person, reason }))
}

fn reject(promotion: &Promotion, said: &Statement) -> Result<Heard, String> {
    let phase = promotion.phase;
    if phase == PromotionPhase::Promoted {
        return Err(stands(promotion, "it is in production: roll back"));
    }
    if phase.is_over() || phase == PromotionPhase::Entering {
        return Err(stands(promotion, "it cannot be rejected now"));
    }
    if said.request.is_some() && phase != PromotionPhase::Requested {
        return Err(stands(promotion, "nothing is asked for it that could be rejected"));
    }
    let newest = promotion.request().map_or(Stage::Staging, |request| request.stage);
    if said.stage.is_some_and(|stage| stage != newest) {
        return Err(stands(promotion, &format!("the stage it is about now is {newest}")));
    }
    let (person, reason) = (Some(said.person.clone()), said.reason.clone());
    Ok((promotion.run, PromotionChange::Rejected { person, reason }))
}

/// The version that leaves is named, so that two who roll back at the same time go back once.
fn rollback(rules: &Rules, model: &Model, said: &Statement) -> Result<Heard, String> {
    let holder = model.holders.get(&Stage::Production).map(|holder| holder.version.as_str());
    if holder != Some(said.version.as_str()) {
        let holder = holder.unwrap_or("none");
        return Err(format!(
            "conflict: another version is in production: version=`{}`, production=`{holder}`",
            said.version
        ));
    }
    let former = model.former.last().and_then(|run| model.promotions.get(run));
    let Some(promotion) = former else {
        return Err("no version is known that was in production before".to_owned());
    };
    if matches!(promotion.phase, PromotionPhase::Requested | PromotionPhase::Entering) {
        return Err(stands(promotion, "it is asked for already"));
    }
    let (person, reason) = (Some(said.person.clone()), said.reason.clone());
    let stage = Stage::Production;
    let takes = rule_of(rules, promotion, said)?.stage(stage);
    let (rollback, leaves) = (true, Some(said.version.clone()));
    let change = PromotionChange::Requested { stage, person, reason, rollback, leaves, takes };
    Ok((promotion.run, change))
}

fn stands(promotion: &Promotion, message: &str) -> String {
    let name = promotion.name().unwrap_or_default();
    format!("{message}: version=`{name}`, phase=`{}`", promotion.phase.text())
}
