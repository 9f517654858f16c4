//! Where the guard of a pipeline makes its claims.

use refit_core::rules::{Idempotency, RunRule};

use super::super::located::given;
use super::super::report::Notes;
use super::super::v1;
use super::Service;
use crate::claim;

/// The folder of the claims, where the run has a guard that can work.
pub(super) fn folder(
    notes: &mut Notes<'_>,
    run: &v1::Run,
    rule: &RunRule,
    service: Option<&Service>,
) -> Option<String> {
    let makes = |field| rule.parameters.values().any(|template| template.uses("run", field));
    let Some((folder, at)) = given(&run.guard) else {
        if let Some((_, at)) = given(&run.parameters).filter(|_| makes("claim")) {
            let cure = "add such as `guard: gs://BUCKET/FOLDER` to `run`, or leave it out";
            notes.refuse(at, "there is no `run.claim` without a guard").cured_by(cure);
        }
        return None;
    };
    if !claim::is_readable(folder) || folder.contains("${") {
        let message = format!("claims cannot be read there: guard=`{folder}`");
        let cure = "write `gs://BUCKET/FOLDER` or `s3://BUCKET/FOLDER`";
        notes.refuse(at, message).cured_by(cure);
    }
    if service.is_some_and(|service| service.profile.class == Idempotency::A) {
        let message = format!("`{}` starts no run twice: there is nothing to guard", rule.service);
        notes.refuse(at, message).cured_by("leave it out");
    } else if !makes("claim") {
        let cure = "add such as `claim: ${ run.claim }` to `parameters`";
        notes.refuse(at, "no parameter says which claim is to be made").cured_by(cure);
    }
    Some(folder.clone())
}
