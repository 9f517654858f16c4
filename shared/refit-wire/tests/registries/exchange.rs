//! Reads recordings, plays them, and writes them again.

use std::fmt::Debug;
use std::sync::Arc;

use refit_testkit::transport::recorded;
use refit_wire::call::Step;
use refit_wire::http::{Reply, Request};
use refit_wire::registry::{
    ModelRegistry, Registration, RegistryConfig, enter, has_stage, look_up, register,
};

use crate::said::shown;

/// A file of cases that share a registry.
pub(crate) struct Recording<'a> {
    head: &'a str,
    cases: Vec<&'a str>,
}

/// A case as it went.
pub(crate) struct Played {
    pub(crate) title: String,
    pub(crate) verb: String,
    pub(crate) said: Vec<(Request, Reply)>,
}

struct Script<'a> {
    replies: std::vec::IntoIter<&'a str>,
    said: Vec<(Request, Reply)>,
    shown: String,
}

impl<'a> Recording<'a> {
    pub(crate) fn read(text: &'a str) -> Self {
        let (head, rest) = text.split_once("\n## ").expect("a recording has cases");
        Self { head, cases: rest.split("\n## ").collect() }
    }

    /// Plays every case; returns the text the file should have.
    pub(crate) fn play(&self) -> (Vec<Played>, String) {
        let line = self.head.lines().find_map(|line| line.strip_prefix("registry "));
        let config: RegistryConfig =
            serde_json::from_str(line.expect("a registry")).expect("settings");
        let registry: Arc<dyn ModelRegistry> = Arc::from(config.open().expect("it opens"));
        let (mut all, mut text) = (Vec::new(), self.head.to_owned());
        for case in &self.cases {
            let (title, rest) = case.split_once('\n').expect("a case asks for something");
            let ask = rest.lines().next().unwrap_or_default();
            let replies: Vec<&str> = rest.split("\n< ").skip(1).map(block).collect();
            let (replies, said) = (replies.into_iter(), Vec::new());
            let mut script = Script { replies, said, shown: String::new() };
            let result = script.ask(&registry, ask);
            assert_eq!(script.replies.next(), None, "{title}: an answer is left over");
            text.push_str(&format!("\n## {title}\n{ask}\n{}= {result}\n", script.shown));
            let verb = ask.split(' ').next().unwrap_or_default().to_owned();
            all.push(Played { title: title.to_owned(), verb, said: script.said });
        }
        (all, text)
    }
}

/// An answer up to the next request or the result.
fn block(text: &str) -> &str {
    let end = ["\n> ", "\n= "].iter().filter_map(|mark| text.find(mark)).min();
    text[..end.unwrap_or(text.len())].trim_end()
}

fn wanted() -> Registration {
    Registration {
        model: "churn".to_owned(),
        key: "rf-00112233445566778899aabbccddeeff".parse().expect("a run key"),
        external: "run-7".to_owned(),
        trigger: "churn-new-data".to_owned(),
        batch: "b12".to_owned(),
    }
}

impl Script<'_> {
    /// Does what a line says, such as `enter 3 staging`.
    fn ask(&mut self, registry: &Arc<dyn ModelRegistry>, ask: &str) -> String {
        let mut words = ask.split(' ');
        let verb = words.next().unwrap_or_default();
        let mut word = || words.next().unwrap_or_default();
        match verb {
            "find" => self.follow(registry.find(&wanted())),
            "create" => self.follow(registry.create(&wanted())),
            "stages" => self.follow(registry.stages("churn")),
            "register" => self.follow(register(registry, &wanted())),
            "look_up" => self.follow(look_up(registry, &wanted())),
            "enter" => {
                let (version, stage) = (word(), word());
                let stage = stage.parse().expect("a stage");
                self.follow(enter(registry, ("churn", version, stage)))
            }
            "has_stage" => {
                let (version, stage) = (word(), word());
                let stage = stage.parse().expect("a stage");
                self.follow(has_stage(registry, ("churn", version, stage)))
            }
            _ => panic!("unknown verb: {verb}"),
        }
    }

    /// Answers every request with the next recorded answer.
    fn follow<T: Debug>(&mut self, mut step: Step<T>) -> String {
        loop {
            match step {
                Step::Done(result) => return format!("{result:?}"),
                Step::Send(call) => {
                    let request = Request::clone(&call.request);
                    let text = self.replies.next();
                    let text = text.unwrap_or_else(|| panic!("not recorded: {}", shown(&request)));
                    self.shown.push_str(&format!("> {}\n< {text}\n", shown(&request)));
                    self.said.push((request, recorded(text)));
                    step = call.read(recorded(text));
                }
            }
        }
    }
}
