//! Whether functions are closed to who shows no token.

use refit_wire::cloud::Read;
use url::Url;

use crate::doctor::facts::Facts;
use crate::doctor::report::Notes;

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for (name, read) in &facts.aws.urls {
        if let Err(why) = read {
            notes.unchecked(name, why);
        }
    }
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
    if let Some(name) = on_lambda(facts, url) {
        return format!(
            "aws lambda update-function-url-config --function-name {name} --auth-type AWS_IAM"
        );
    }
    let (name, region) = facts.at(url).map_or(("NAME", "REGION"), |(_, function)| {
        (function.name.as_str(), function.location.as_str())
    });
    format!(
        "gcloud run services remove-iam-policy-binding {name} --region={region} --member=allUsers --role=roles/run.invoker"
    )
}

/// The function on Lambda that answers there.
fn on_lambda<'f>(facts: &'f Facts, url: &str) -> Option<&'f str> {
    let answers = |read: &Read<Option<String>>| {
        let address = read.as_ref().ok().and_then(|it| Url::parse(it.as_ref()?).ok());
        address.is_some_and(|it| it.as_str() == url)
    };
    let mut urls = facts.aws.urls.iter();
    urls.find(|(_, read)| answers(read)).map(|(name, _)| name.as_str())
}
