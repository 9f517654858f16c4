//! What is wrong between those who approve and those who are told.

use std::collections::BTreeMap;

use refit_core::promotion::{Approver, PromoteRule, same_person};

use super::super::convert::{Receivers, Triggers};
use super::super::likely::did_you_mean;
use super::super::report::Notes;
use super::super::v1;
use super::models::{Place, setting};

/// Checks that whoever approves by links is told of what waits, in a place that is one person's.
pub(in super::super) fn approvers(
    notes: &mut Notes<'_>,
    triggers: &Triggers,
    (receivers, file): (&Receivers, &v1::File),
) {
    let mut owners: BTreeMap<&String, &String> = BTreeMap::new();
    for (name, at, rule) in triggers {
        let Some(promote) = &rule.promote else { continue };
        for (person, approver) in &promote.approvers {
            let Some(receiver) = &approver.receiver else { continue };
            let at = setting(notes, (name, *at), &["promote", "approvers", person, "receiver"]);
            let owner = *owners.entry(receiver).or_insert(person);
            if !same_person(owner, person) {
                let message =
                    format!("`{receiver}` is told to `{owner}`, whose links answer in that name");
                notes.refuse(at, message).cured_by("give each person a receiver of their own");
            } else if !receivers.contains_key(receiver) {
                let known = receivers.keys().map(String::as_str);
                let cure = did_you_mean(receiver, known).unwrap_or_else(|| {
                    "add it to the map `notify` at the top of the file".to_owned()
                });
                notes.refuse(at, format!("there is nobody `{receiver}` to tell")).cured_by(cure);
            } else if receivers[receiver].as_ref().is_some_and(|told| !told.receiver.groups) {
                let message = format!("`{receiver}` tells programs, and links are for persons");
                notes.refuse(at, message).cured_by("name a receiver of mail or of a chat");
            } else if file.links.is_none() {
                let cure =
                    "add `links: { url: https://…, secret: { secret: … } }` at the top of the file";
                notes.refuse(at, "links are not set up").cured_by(cure);
            } else if !rule.notify.contains(receiver) {
                let cure = format!("add `{receiver}` to `notify` of `{name}`");
                notes.refuse(at, format!("`{name}` does not tell `{receiver}`")).cured_by(cure);
            }
        }
        check_names(notes, (name, *at), promote);
    }
}

/// Checks that each account is one person's, that one person at most speaks for a registry, and that those who may are enough.
fn check_names(notes: &mut Notes<'_>, place: Place<'_>, promote: &PromoteRule) {
    let persons: Vec<(&String, &Approver)> = promote.approvers.iter().collect();
    for (index, (person, approver)) in persons.iter().enumerate() {
        let is_same = |(other, known): &&(&String, &Approver)| {
            let accounts = known.github.as_deref().zip(approver.github.as_deref());
            same_person(other, person)
                || (known.mlflow && approver.mlflow)
                || accounts.is_some_and(|(one, other)| same_person(one, other))
        };
        if let Some((other, _)) = persons[..index].iter().find(is_same) {
            let at = setting(notes, place, &["promote", "approvers", person]);
            notes.refuse(at, format!("this is `{other}` once more: a person counts once"));
        }
    }
    let most = promote.staging.approvals.max(promote.production.approvals) as usize;
    if !persons.is_empty() && persons.len() < most {
        let at = setting(notes, place, &["promote", "approvers"]);
        let message =
            format!("a stage takes more approvals than persons are named: approvals=`{most}`");
        notes.refuse(at, message);
    }
}
