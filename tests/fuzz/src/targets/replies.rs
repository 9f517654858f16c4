//! Answers of pipeline services and of registries, by the recorded exchanges: what is asked stays, what is answered changes.
//!
//! An input is a case of a recording below the lines of its head: what is there, what is asked for, and each answer after a
//! line that begins with `<`. The last answer is given to every further request, as by a service that pages for ever.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use refit_core::plan::Outcome as Answer;
use refit_core::run::ExternalRun;
use refit_wire::call::Step;
use refit_wire::http::{Failure, Reply, Response};
use refit_wire::pipeline::{Launch, PipelineService, ServiceConfig};
use refit_wire::registry::{ModelRegistry, Registration, RegistryConfig, look_up, register};
use serde_json::Value;

use super::{Outcome, Target, texts};

pub(super) const REPLIES: Target =
    Target { name: "replies", about: "answers of services and registries", seeds, give };

/// Requests that one question may take; beyond, it would never end.
const REQUESTS_MAX: usize = 1_000;

/// A recording is a head and cases; each case with the head is an input.
fn seeds() -> Vec<Vec<u8>> {
    let recordings = texts("shared/refit-wire/testdata", ".txt").into_iter();
    let cases = recordings.flat_map(|text| {
        let (head, cases) = text.split_once("\n## ").unwrap_or((&text, ""));
        let with_head = |case: &str| format!("{head}\n## {case}").into_bytes();
        cases.split("\n## ").map(with_head).collect::<Vec<_>>()
    });
    cases.filter(|case| matches!(give(case), Outcome::Understood(_))).collect()
}

/// What answers, and what it was asked: whether each request changes something, and the status it was answered with.
struct Peer<'a> {
    replies: Vec<&'a str>,
    asked: Vec<(bool, u16)>,
}

impl<'a> Peer<'a> {
    fn of(case: &'a str) -> Self {
        let end = |reply: &'a str| {
            let end = ["\n> ", "\n= "].iter().filter_map(|mark| reply.find(mark)).min();
            &reply[..end.unwrap_or(reply.len())]
        };
        let replies = case.split("\n< ").skip(1).map(end).collect();
        Self { replies, asked: Vec::new() }
    }

    fn follow<T>(&mut self, mut step: Step<T>) -> T {
        loop {
            match step {
                Step::Done(result) => return result,
                Step::Send(call) => {
                    let text = self.replies.get(self.asked.len()).or(self.replies.last());
                    let reply = reply(text.copied().unwrap_or("lost"));
                    let is_write = ![Method::GET, Method::HEAD].contains(&call.request.method);
                    let status = reply.as_ref().map_or(0, |response| response.status);
                    self.asked.push((is_write, status));
                    assert!(self.asked.len() <= REQUESTS_MAX, "it asks for ever");
                    step = call.read(reply);
                }
            }
        }
    }
}

/// An answer as recordings have it; what is none never came.
fn reply(text: &str) -> Reply {
    let (line, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut words = line.split(' ');
    let status = match words.next().map(str::trim) {
        Some("refused") => return Err(Failure::NotSent("refused".to_owned())),
        word => word.and_then(|word| word.parse().ok()).filter(|it| (100..1000).contains(it)),
    };
    let Some(status) = status else { return Err(Failure::Unclear("lost".to_owned())) };
    let headers = words.filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
    });
    let headers: HeaderMap = headers.collect();
    Ok(Response { status, headers, body: body.as_bytes().to_vec().into() })
}

fn give(input: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(input);
    let refused = |why: &str| Outcome::Refused(why.to_owned());
    let Some((head, case)) = text.split_once("\n## ") else { return refused("no case") };
    let said = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        serde_json::from_str::<Value>(line).ok()
    };
    let asked = case.lines().nth(1).unwrap_or_default();
    let mut peer = Peer::of(case);
    let service = said("service").and_then(|it| serde_json::from_value::<ServiceConfig>(it).ok());
    let registry =
        said("registry").and_then(|it| serde_json::from_value::<RegistryConfig>(it).ok());
    let answered = match (service.map(|it| it.open()), registry.map(|it| it.open())) {
        (Some(Ok(service)), _) => {
            ask(&mut peer, &*service, &said("launch").unwrap_or_default(), asked)
        }
        (_, Some(Ok(registry))) => Some(ask_registry(&mut peer, &Arc::from(registry), asked)),
        _ => None,
    };
    answered.map_or_else(|| refused("nothing is asked"), Outcome::Understood)
}

fn ask(
    peer: &mut Peer<'_>,
    service: &dyn PipelineService,
    launch: &Value,
    asked: &str,
) -> Option<String> {
    let (verb, input) = asked.split_once(' ').unwrap_or((asked, "{}"));
    let run = ExternalRun { id: input.to_owned(), url: None };
    let answer = match verb {
        "prepare" => {
            let target = serde_json::from_str(input).ok()?;
            return Some(kind(
                "prepare",
                &format!("{:?}", peer.follow(service.prepare(&target)).is_ok()),
            ));
        }
        "start" => Some(started(peer, service, launch)?),
        "find" => peer.follow(Step::Send(service.find(&launch_of(launch)?)?)),
        "status" => peer.follow(Step::Send(service.status(&run))),
        "cancel" => {
            let cancelled = peer.follow(Step::Send(service.cancel(&run)?));
            return Some(kind("cancel", &format!("{:?}", cancelled.is_ok())));
        }
        _ => return None,
    };
    if verb != "start" {
        assert!(peer.asked.iter().all(|(is_write, _)| !is_write), "looking changes nothing");
    }
    Some(kind(verb, &format!("{answer:?}")))
}

/// A start that certainly started nothing was sent by no request that was taken.
fn started(peer: &mut Peer<'_>, service: &dyn PipelineService, launch: &Value) -> Option<Answer> {
    let answer = peer.follow(service.start(&launch_of(launch)?));
    let writes: Vec<u16> =
        peer.asked.iter().filter(|(is_write, _)| *is_write).map(|(_, status)| *status).collect();
    let earlier = &writes[..writes.len().saturating_sub(1)];
    assert!(earlier.iter().all(|it| (400..500).contains(it)), "a start is sent once: {writes:?}");
    let is_start = matches!(
        answer,
        Answer::Started(_)
            | Answer::Found(_)
            | Answer::NotStarted { .. }
            | Answer::Rejected(_)
            | Answer::Unclear(_)
    );
    assert!(is_start, "no answer to a start: {answer:?}");
    Some(answer)
}

fn launch_of(launch: &Value) -> Option<Launch<'_>> {
    Some(Launch {
        key: launch["key"].as_str()?.parse().ok()?,
        trigger: launch["trigger"].as_str()?,
        batch: launch["batch"].as_str()?,
        target: &launch["target"],
        parameters: &launch["parameters"],
        cache: launch["cache"].as_bool()?,
        since: launch["since"].as_str()?.parse().ok()?,
    })
}

fn ask_registry(peer: &mut Peer<'_>, registry: &Arc<dyn ModelRegistry>, asked: &str) -> String {
    let wanted = Registration {
        model: "churn".to_owned(),
        key: "rf-00112233445566778899aabbccddeeff".parse().expect("it is a key"),
        external: "run-7".to_owned(),
        trigger: "churn-new-data".to_owned(),
        batch: "b12".to_owned(),
    };
    let verb = asked.split(' ').next().unwrap_or_default();
    let answer = match verb {
        "find" => format!("{:?}", peer.follow(registry.find(&wanted))),
        "create" => format!("{:?}", peer.follow(registry.create(&wanted))),
        "register" => format!("{:?}", peer.follow(register(registry, &wanted))),
        "look_up" => format!("{:?}", peer.follow(look_up(registry, &wanted))),
        _ => format!("{:?}", peer.follow(registry.stages("churn"))),
    };
    kind(verb, &answer)
}

/// An answer by the names in it, without what they hold.
fn kind(verb: &str, answer: &str) -> String {
    let names: String = answer
        .chars()
        .take_while(|letter| letter.is_ascii_alphabetic() || *letter == '(')
        .collect();
    format!("{verb} {names}")
}
