//! Whether functions on Lambda wake a reconciler of this ledger. Where they do not, the next ping finds what was recorded.

use refit_wire::cloud::aws::functions::Lambda;

use crate::doctor::facts::{Facts, is_function, reconciles, takes_events, wakes};
use crate::doctor::report::Notes;

pub(in super::super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    let ours = facts.lambdas();
    let reconciler = ours.iter().find(|it| reconciles(&it.function));
    for lambda in ours.iter().filter(|it| takes_events(&it.function)) {
        let name = &lambda.function.name;
        let cure = cure(lambda, reconciler.map_or("ARN_OF_TICK", |it| it.arn.as_str()));
        match wakes(&lambda.function) {
            None => notes.warn(name, "it wakes nobody: what it records waits for the next ping", cure),
            Some(target) if !is_function(target) => {
                notes.unchecked(name, format!("it wakes what is no function on Lambda: {target}"));
            }
            Some(target) => match facts.lambda(target) {
                Some(woken) if ours.contains(&woken) && reconciles(&woken.function) => notes.fine(name),
                _ => notes.warn(
                    name,
                    format!("it wakes {target}, which is no reconciler of this ledger: what it records waits for the next ping"),
                    cure,
                ),
            },
        }
    }
}

/// Its variables are set all at once.
fn cure(lambda: &Lambda, target: &str) -> String {
    let name = &lambda.function.name;
    format!(
        "aws lambda get-function-configuration --function-name {name} --query Environment | jq '.Variables.REFIT_WAKE = \"{target}\"' > environment.json && aws lambda update-function-configuration --function-name {name} --environment file://environment.json"
    )
}
