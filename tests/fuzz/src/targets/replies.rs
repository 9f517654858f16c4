//! Answers of pipeline services and of registries, by the recorded exchanges: what is asked stays, what is answered changes.
//!
//! An input is a case of a recording below the lines of its head: what is there, what is asked for, and each answer after a
//! line that begins with `<`. The last answer is given to every further request, as by a service that pages for ever.

use std::sync::Arc;

use http::Method;
use refit_core::plan::Outcome as Answer;
use refit_core::run::ExternalRun;
use refit_testkit::recording::{answer, answers, head, launch as read_launch, registration};
use refit_wire::call::Step;
use refit_wire::http::Failure;
use refit_wire::pipeline::{PipelineService, ServiceConfig};
use refit_wire::registry::{ModelRegistry, RegistryConfig, look_up, register};
use serde_json::Value;

use super::{Outcome, Target, texts};

pub(super) const REPLIES: Target =
    Target { name: "replies", about: "answers of services and registries", seeds, give };

/// Requests that one question may take; beyond, it would never end.
const REQUESTS_MAX: usize = 1_000;

/// A recording is a head and cases; each case with the head is an input.
fn seeds() -> Vec<Vec<u8>> {
    let is_asked =
        |text: &String| ["service", "registry"].iter().any(|it| head(text, it).is_some());
    let recordings = texts("shared/refit-wire/testdata", ".txt").into_iter().filter(is_asked);
    let cases = recordings.flat_map(|text| {
        let (head, cases) = text.split_once("\n## ").unwrap_or((&text, ""));
        let with_head = |case: &str| format!("{head}\n## {case}").into_bytes();
        cases.split("\n## ").map(with_head).collect::<Vec<_>>()
    });
    cases.collect()
}

/// What answers, and what it was asked: whether each request must not be made twice, and the status it was answered with.
struct Peer<'a> {
    replies: Vec<&'a str>,
    asked: Vec<(bool, u16)>,
}

impl<'a> Peer<'a> {
    fn of(case: &'a str) -> Self {
        Self { replies: answers(case), asked: Vec::new() }
    }

    fn follow<T>(&mut self, mut step: Step<T>) -> T {
        loop {
            match step {
                Step::Done(result) => return result,
                Step::Send(call) => {
                    let text = self.replies.get(self.asked.len()).or(self.replies.last());
                    // What is no answer never came.
                    let lost = || Err(Failure::Unclear("lost".to_owned()));
                    let reply = text.and_then(|text| answer(text)).unwrap_or_else(lost);
                    // What came before a deployment is taken out by whoever follows that, as often as it may be.
                    let is_write = ![Method::GET, Method::HEAD].contains(&call.request.method)
                        && !call.request.url.path().ends_with(":undeployModel");
                    let status = reply.as_ref().map_or(0, |response| response.status);
                    self.asked.push((is_write, status));
                    assert!(self.asked.len() <= REQUESTS_MAX, "it asks for ever");
                    step = call.read(reply);
                }
            }
        }
    }
}

fn give(input: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(input);
    let refused = |why: &str| Outcome::Refused(why.to_owned());
    let Some((_, case)) = text.split_once("\n## ") else { return refused("no case") };
    let said = |name: &str| serde_json::from_str::<Value>(head(&text, name)?).ok();
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
            let prepared = peer.follow(service.prepare(&target));
            return Some(kind("prepare", &format!("{:?}", prepared.is_ok())));
        }
        "start" => Some(started(peer, service, launch)?),
        "find" => peer.follow(Step::Send(service.find(&read_launch(launch)?)?)),
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

/// A start is sent once, or again after one that was refused; what came of it is one of the answers to a start.
fn started(peer: &mut Peer<'_>, service: &dyn PipelineService, launch: &Value) -> Option<Answer> {
    let answer = peer.follow(service.start(&read_launch(launch)?));
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

fn ask_registry(peer: &mut Peer<'_>, registry: &Arc<dyn ModelRegistry>, asked: &str) -> String {
    let wanted = registration();
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
