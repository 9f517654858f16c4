//! Whether one reconciler runs at a time.

use crate::doctor::facts::Facts;
use crate::doctor::report::Notes;

pub(in super::super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for (name, read) in &facts.aws.reserved {
        let cure = format!(
            "aws lambda put-function-concurrency --function-name {name} --reserved-concurrent-executions 1"
        );
        match read {
            Ok(Some(1)) => notes.fine(name),
            Ok(Some(0)) => {
                notes.error(name, "its reserved concurrency is 0: it never runs, and nothing is decided", cure);
            }
            Ok(_) => notes.warn(
                name,
                "its reserved concurrency is not 1: several run at once, which is safe, and compete",
                cure,
            ),
            Err(why) => notes.unchecked(name, why),
        }
    }
}
