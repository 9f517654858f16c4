//! Whether the services of the rules answer, and let this machine's credentials in.

use crate::doctor::facts::{Answered, Facts, Reach};
use crate::doctor::report::Notes;

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for (name, Reach { host, credential, answer }) in &facts.services {
        let at = format!("{name}: {host} with {credential}");
        let look = format!("curl --silent --show-error --head https://{host}/");
        match answer {
            Ok(Answered { is_understood: true, .. } | Answered { status: 400 | 422, .. }) => {
                notes.fine(&at);
            }
            Ok(Answered { status: 401 | 403, .. }) => notes.error(
                &at,
                "the service does not let this credential in",
                "gcloud auth application-default login",
            ),
            Ok(Answered { status: 200..=399, .. }) => notes.error(
                &at,
                "what answers is not the service's API, but perhaps a login page",
                look,
            ),
            Ok(Answered { status: 404, .. }) => {
                notes.warn(&at, "what answers does not know the service's API: status=`404`", look)
            }
            Ok(Answered { status, .. }) => {
                notes.error(&at, format!("the service cannot answer now: status=`{status}`"), look);
            }
            Err(why) => notes.error(&at, format!("the service cannot be reached: {why}"), look),
        }
    }
}
