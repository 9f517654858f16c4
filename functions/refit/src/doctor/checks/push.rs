//! Whether Pub/Sub can prove who pushes, and whether that account may call the function.

use std::collections::BTreeSet;

use super::dead_letters::pubsub;
use crate::doctor::cures::let_call;
use crate::doctor::facts::{Facts, Thing, project_of};
use crate::doctor::report::Notes;

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    let (mut provers, mut callers) = (BTreeSet::new(), BTreeSet::new());
    for (name, read) in facts.pushing_subscriptions() {
        let push = read.as_ref().ok().and_then(|subscription| subscription.push.as_ref());
        let Some(push) = push else { continue };
        let Some(account) = &push.account else { continue };
        provers.insert((project_of(name), account));
        callers.insert((&push.endpoint, account));
    }
    for (project, account) in provers {
        proves(facts, (project, account), notes);
    }
    for (endpoint, account) in callers {
        calls(facts, (endpoint, account), notes);
    }
}

/// Without this right Pub/Sub delivers nothing, and says nothing.
fn proves(facts: &Facts, (project, account): (&str, &str), notes: &mut Notes<'_>) {
    let agent = match facts.number(project) {
        Ok(number) => pubsub(number),
        Err(why) => return notes.unchecked(account, why),
    };
    let on = [Thing::Account(account.to_owned()), Thing::Project(project.to_owned())];
    let what = format!(
        "the agent of Pub/Sub may not make tokens of it: what {project} pushes as it is not delivered"
    );
    let cure = format!(
        "gcloud iam service-accounts add-iam-policy-binding {account} --member={agent} --role=roles/iam.serviceAccountTokenCreator"
    );
    let may = facts.may(&agent, "iam.serviceAccounts.getOpenIdToken", &on);
    notes.right(account, may, (what, cure));
}

fn calls(facts: &Facts, (endpoint, account): (&str, &str), notes: &mut Notes<'_>) {
    let Some((project, function)) = facts.at(endpoint) else {
        return notes.unchecked(endpoint, "what answers there is not known");
    };
    let name = &function.name;
    let member = format!("serviceAccount:{account}");
    let what = format!("{account}, as which messages are pushed, may not call it");
    let cure = let_call((project, function), &member);
    notes.right(name, facts.may_call(&member, (project, function)), (what, cure));
}
