//! Reads recordings, plays them, and writes them again.

use refit_core::plan::Prepared;
use refit_core::run::ExternalRun;
use refit_testkit::transport::recorded;
use refit_wire::call::Step;
use refit_wire::http::{Auth, Reply, Request};
use refit_wire::pipeline::{Launch, PipelineService, ServiceConfig};
use serde_json::Value;

/// A file of cases that share a service and a launch.
pub(crate) struct Recording<'a> {
    head: &'a str,
    cases: Vec<Case<'a>>,
}

struct Case<'a> {
    title: &'a str,
    ask: &'a str,
    replies: Vec<&'a str>,
}

/// A case as it went.
pub(crate) struct Played {
    pub(crate) title: String,
    pub(crate) verb: String,
    pub(crate) said: Vec<(Request, Reply)>,
}

impl<'a> Recording<'a> {
    pub(crate) fn read(text: &'a str) -> Self {
        let (head, rest) = text.split_once("\n## ").expect("a recording has cases");
        Self { head, cases: rest.split("\n## ").map(Case::read).collect() }
    }

    /// Plays every case; returns the text the file should have.
    pub(crate) fn play(&self) -> (Vec<Played>, String) {
        let head = |name: &str| {
            let line = self.head.lines().find_map(|line| line.strip_prefix(name));
            line.map_or(Value::Null, |json| serde_json::from_str(json).expect("the head is JSON"))
        };
        let config: ServiceConfig = serde_json::from_value(head("service ")).expect("settings");
        let service = config.open().expect("the service opens");
        let launch = head("launch ");
        let (mut all, mut text) = (Vec::new(), self.head.to_owned());
        for case in &self.cases {
            let mut script = Script { replies: case.replies.iter(), said: Vec::new() };
            let (verb, input) = case.ask.split_once(' ').unwrap_or((case.ask, "{}"));
            let result = script.play(&*service, verb, input, &launch);
            assert_eq!(script.replies.next(), None, "{}: an answer is left over", case.title);
            text.push_str(&format!("\n## {}\n{}\n", case.title, case.ask));
            for ((request, _), reply) in script.said.iter().zip(&case.replies) {
                text.push_str(&format!("> {}\n< {reply}\n", shown(request)));
            }
            text.push_str(&format!("= {result}\n"));
            let (title, verb) = (case.title.to_owned(), verb.to_owned());
            all.push(Played { title, verb, said: script.said });
        }
        (all, text)
    }
}

impl<'a> Case<'a> {
    fn read(text: &'a str) -> Self {
        let (title, rest) = text.split_once('\n').expect("a case asks for something");
        let reply = |block: &'a str| {
            let end = ["\n> ", "\n= "].iter().filter_map(|mark| block.find(mark)).min();
            block[..end.unwrap_or(block.len())].trim_end()
        };
        let replies = rest.split("\n< ").skip(1).map(reply).collect();
        Self { title, ask: rest.lines().next().unwrap_or_default(), replies }
    }
}

struct Script<'a> {
    replies: std::slice::Iter<'a, &'a str>,
    said: Vec<(Request, Reply)>,
}

impl Script<'_> {
    fn play(
        &mut self,
        service: &dyn PipelineService,
        verb: &str,
        input: &str,
        launch: &Value,
    ) -> String {
        let run = ExternalRun { id: input.to_owned(), url: None };
        match verb {
            "prepare" => {
                let target: Value = serde_json::from_str(input).expect("a target");
                prepared(self.follow(service.prepare(&target)))
            }
            "start" => {
                let launch = patched(launch, input);
                format!("{:?}", self.follow(service.start(&launch_of(&launch))))
            }
            "find" => {
                let launch = patched(launch, input);
                let call = service.find(&launch_of(&launch)).expect("the service has a look-up");
                format!("{:?}", self.follow(Step::Send(call)))
            }
            "status" => format!("{:?}", self.follow(Step::Send(service.status(&run)))),
            "cancel" => {
                let call = service.cancel(&run).expect("the service can cancel");
                format!("{:?}", self.follow(Step::Send(call)))
            }
            _ => panic!("unknown verb: {verb}"),
        }
    }

    /// Answers every request with the next recorded answer.
    fn follow<T>(&mut self, mut step: Step<T>) -> T {
        loop {
            match step {
                Step::Done(result) => return result,
                Step::Send(call) => {
                    let request = Request::clone(&call.request);
                    let text = self.replies.next();
                    let text = text.unwrap_or_else(|| panic!("not recorded: {}", shown(&request)));
                    self.said.push((request, recorded(text)));
                    step = call.read(recorded(text));
                }
            }
        }
    }
}

fn patched(launch: &Value, patch: &str) -> Value {
    let mut launch = launch.clone();
    let patch: Value = serde_json::from_str(patch).expect("a launch");
    for (name, value) in patch.as_object().into_iter().flatten() {
        launch[name] = value.clone();
    }
    launch
}

fn launch_of(launch: &Value) -> Launch<'_> {
    let text = |field: &str| launch[field].as_str().expect("a text in the launch");
    Launch {
        key: text("key").parse().expect("a run key"),
        trigger: text("trigger"),
        batch: text("batch"),
        target: &launch["target"],
        parameters: &launch["parameters"],
        cache: launch["cache"].as_bool().expect("whether to cache"),
        since: text("since").parse().expect("a time"),
    }
}

fn prepared(result: Result<Prepared, String>) -> String {
    match result {
        Ok(prepared) => format!("{:#}", serde_json::to_value(prepared).expect("it is JSON")),
        Err(message) => format!("Err({message:?})"),
    }
}

fn shown(request: &Request) -> String {
    let mut text = format!("{} {}", request.method, request.url);
    if request.auth != Auth::None {
        text.push_str(&format!(" {:?}", request.auth));
    }
    if !request.body.is_empty() {
        let body: Value = serde_json::from_slice(&request.body).expect("a body is JSON");
        text.push_str(&format!("\n{body:#}"));
    }
    text
}
