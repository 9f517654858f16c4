//! Recorded exchanges with pipeline services and registries, as text: a head, whose lines say what is there, and cases below
//! lines that begin with `##`, each with what is asked for, and every answer after a line that begins with `<`.

use http::{HeaderMap, HeaderName, HeaderValue};
use refit_wire::http::{Failure, Reply, Response};
use refit_wire::pipeline::Launch;
use refit_wire::registry::Registration;
use serde_json::Value;

/// What a line of the head says, by its first word.
#[must_use]
pub fn head<'a>(recording: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = recording.split_once("\n## ")?;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}

/// The answers of a case, each as [`answer`] reads it.
#[must_use]
pub fn answers(case: &str) -> Vec<&str> {
    let end_of = |block: &str| ["\n> ", "\n= "].iter().filter_map(|mark| block.find(mark)).min();
    let blocks = case.split("\n< ").skip(1);
    blocks.map(|block| block[..end_of(block).unwrap_or(block.len())].trim_end()).collect()
}

/// An answer: a status and headers (`429 retry-after=7`), then the body. `lost` is an answer that never came, `refused` a
/// connection that was not taken. None if it is none.
#[must_use]
pub fn answer(text: &str) -> Option<Reply> {
    let (line, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut words = line.split(' ');
    let status: u16 = match words.next()? {
        "lost" => return Some(Err(Failure::Unclear("the connection was reset".to_owned()))),
        "refused" => return Some(Err(Failure::NotSent("the connection was refused".to_owned()))),
        status => status.parse().ok().filter(|status| (100..1000).contains(status))?,
    };
    let headers = words.map(|word| {
        let (name, value) = word.split_once('=')?;
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
    });
    let headers: HeaderMap = headers.collect::<Option<_>>()?;
    Some(Ok(Response { status, headers, body: body.as_bytes().to_vec().into() }))
}

/// The launch that a head says; none if it is none.
#[must_use]
pub fn launch(said: &Value) -> Option<Launch<'_>> {
    Some(Launch {
        key: said["key"].as_str()?.parse().ok()?,
        trigger: said["trigger"].as_str()?,
        batch: said["batch"].as_str()?,
        target: &said["target"],
        parameters: &said["parameters"],
        cache: said["cache"].as_bool()?,
        since: said["since"].as_str()?.parse().ok()?,
    })
}

/// The version every recording of a registry asks for.
///
/// # Panics
/// Never: the key is one.
#[must_use]
pub fn registration() -> Registration {
    Registration {
        model: "churn".to_owned(),
        key: "rf-00112233445566778899aabbccddeeff".parse().expect("it is a run key"),
        external: "run-7".to_owned(),
        trigger: "churn-new-data".to_owned(),
        batch: "b12".to_owned(),
    }
}
