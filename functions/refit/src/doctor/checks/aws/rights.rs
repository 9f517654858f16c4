//! Whether the roles of functions on Lambda may do what these have to.

use std::collections::{BTreeMap, BTreeSet};

use refit_wire::cloud::Read;
use serde_json::{Value, json};

use crate::doctor::checks::functions::UNKNOWN_PROGRAM;
use crate::doctor::facts::{Facts, INVOKE, Needed};
use crate::doctor::report::Notes;

/// What is said with every right that is lacking.
const ELSEWHERE: &str = "what the policy of a bucket or a queue grants is not read";

pub(in super::super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    if let Some(Err(why)) = &facts.aws.lambdas {
        notes.unchecked("functions on Lambda", why);
    }
    for lambda in facts.lambdas() {
        if lambda.function.program().is_none() {
            notes.unchecked(&lambda.function.name, UNKNOWN_PROGRAM);
        }
    }
    let mut roles: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (needed, read) in &facts.aws.refused {
        roles.entry(&needed.role).or_default().push((needed, read));
    }
    for (role, all) in roles {
        judge(role.rsplit('/').next().unwrap_or_default(), &all, notes);
    }
}

/// What a role may not do is told at once, as one policy mends it.
fn judge(role: &str, all: &[(&Needed, &Read<BTreeSet<String>>)], notes: &mut Notes<'_>) {
    let (mut lacks, mut statements): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut is_wake_alone = true;
    for (Needed { thing, actions, .. }, read) in all {
        match read {
            Err(why) => notes.unchecked(role, why),
            Ok(refused) if refused.is_empty() => notes.fine(&format!("{role} on {thing}")),
            Ok(refused) => {
                let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
                lacks.push(format!("{} on {thing}", refused.join(", ")));
                let statement = json!({ "Effect": "Allow", "Action": refused, "Resource": thing });
                statements.push(statement);
                is_wake_alone &= *actions == INVOKE;
            }
        }
    }
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    let cure = format!(
        "aws iam put-role-policy --role-name {role} --policy-name refit-doctor --policy-document '{policy}'"
    );
    let what = format!("it lacks {}; {ELSEWHERE}", lacks.join("; "));
    match (lacks.is_empty(), is_wake_alone) {
        (true, _) => {}
        (false, true) => notes.warn(role, what, cure),
        (false, false) => notes.error(role, what, cure),
    }
}
