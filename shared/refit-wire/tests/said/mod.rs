//! Recordings: cases of what is asked for, with every request, its answer, and what is made of it.

use refit_testkit::fields::partial;
use refit_testkit::recording::answers;
use refit_testkit::transport::recorded;
use refit_wire::call::Step;
use refit_wire::http::{Auth, Reply, Request};
use serde_json::Value;

/// A case as it went.
pub(crate) struct Played {
    pub(crate) title: String,
    pub(crate) verb: String,
    pub(crate) said: Vec<(Request, Reply)>,
}

/// The answers recorded with a case, and what was said so far.
pub(crate) struct Script<'a> {
    replies: std::vec::IntoIter<&'a str>,
    said: Vec<(Request, Reply)>,
    shown: String,
}

/// Has every case of a recording asked for; returns the text the file should have as well.
pub(crate) fn play(
    text: &str,
    mut ask: impl FnMut(&mut Script<'_>, &str) -> String,
) -> (Vec<Played>, String) {
    let mut cases = text.split("\n## ");
    let mut again = cases.next().expect("a recording has a head").to_owned();
    let mut all = Vec::new();
    for case in cases {
        let (title, rest) = case.split_once('\n').expect("a case asks for something");
        let asked = rest.lines().next().unwrap_or_default();
        let mut script = Script::of(rest);
        let result = ask(&mut script, asked);
        assert_eq!(script.replies.next(), None, "{title}: an answer is left over");
        again.push_str(&format!("\n## {title}\n{asked}\n{}= {result}\n", script.shown));
        let verb = asked.split(' ').next().unwrap_or_default().to_owned();
        all.push(Played { title: title.to_owned(), verb, said: script.said });
    }
    (all, again)
}

impl<'a> Script<'a> {
    fn of(case: &'a str) -> Self {
        Self { replies: answers(case).into_iter(), said: Vec::new(), shown: String::new() }
    }

    /// Answers every request with the next recorded answer, or with the fields of it that were asked for.
    pub(crate) fn follow<T>(&mut self, mut step: Step<T>) -> T {
        loop {
            match step {
                Step::Done(result) => return result,
                Step::Send(call) => {
                    let request = Request::clone(&call.request);
                    let text = self.replies.next();
                    let text = text.unwrap_or_else(|| panic!("not recorded: {}", shown(&request)));
                    self.shown.push_str(&format!("> {}\n< {text}\n", shown(&request)));
                    step = call.read(partial(&request, recorded(text)));
                    self.said.push((request, recorded(text)));
                }
            }
        }
    }
}

/// A request: its line, the credential it names, and its body.
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
