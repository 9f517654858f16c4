//! Whether functions are closed to who shows no token.

use crate::doctor::facts::Facts;
use crate::doctor::report::Notes;

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for (url, answer) in &facts.endpoints {
        match answer {
            // A proxy that asks for a login sends elsewhere.
            Ok(401 | 403 | 300..=399) => notes.fine(url),
            Ok(404) => notes.unchecked(url, "it answers 404 from here, as where only callers from within are let in"),
            Ok(status @ 500..) => notes.unchecked(url, format!("it cannot answer now: status=`{status}`")),
            Ok(status) => notes.error(
                url,
                format!("it answers who shows no token, status {status}: anybody can write into the ledger"),
                cure(facts, url),
            ),
            Err(why) => notes.unchecked(url, why),
        }
    }
}

fn cure(facts: &Facts, url: &str) -> String {
    let (name, region) = facts.at(url).map_or(("NAME", "REGION"), |(_, function)| {
        (function.name.as_str(), function.location.as_str())
    });
    format!(
        "gcloud run services remove-iam-policy-binding {name} --region={region} --member=allUsers --role=roles/run.invoker"
    )
}
