//! `refit notify --test`, to a server of ours.

use std::sync::{Arc, Mutex};

use refit_testkit::fake::server::{Answer, Reacting, Reaction, Request, Server, Site};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::process::{Ended, refit};

/// Answers everything alike.
struct Post {
    status: u16,
    heard: Mutex<Vec<Request>>,
}

impl Site for Post {
    fn react(self: Arc<Self>, request: Request) -> Reacting {
        self.heard.lock().unwrap().push(request);
        let answer = Answer::text(self.status, "text/plain", "");
        Box::pin(async { Reaction::Answer(answer) })
    }
}

/// Tells somebody whose server answers so; what the server heard as well.
fn told(status: u16, name: &str) -> (Ended, Vec<Request>) {
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    let (server, post) = (Server::new(), Arc::new(Post { status, heard: Mutex::default() }));
    server.open(Arc::<Post>::clone(&post));
    let folder = TempDir::new().unwrap();
    let rules = format!(
        "services: {{ local: {{ local: {{}} }} }}\n\
         notify: {{ us: {{ webhook: {{ url: \"http://{}/hook\" }} }} }}\n\
         triggers:\n  a: {{ on: {{ objects: {{ bucket: b }} }}, run: {{ service: local, pipeline: p }}, notify: [us] }}\n",
        server.place()
    );
    std::fs::write(folder.path().join("refit.yaml"), rules).unwrap();
    let ended = refit(folder.path(), &format!("notify --test {name} --json"));
    let heard = post.heard.lock().unwrap().clone();
    (ended, heard)
}

#[test]
fn a_letter_about_nothing_is_sent_once_under_the_id_that_is_shown() {
    let (ended, heard) = told(204, "us");
    let shown = ended.ends(0).json();
    assert_eq!((&shown["receiver"], &shown["kind"]), (&"us".into(), &"webhook".into()));
    let [request] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(request.target, "/hook");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["id"], shown["id"]);
    assert_eq!(request.headers["webhook-id"], *shown["id"].as_str().unwrap());
    assert_eq!(body["ledger"], "test", "nobody is to take it for a real one");
}

#[test]
fn a_letter_that_is_not_taken_is_said_to_be_so() {
    let (ended, heard) = told(410, "us");
    ended.ends(4).says("it was refused");
    assert_eq!(heard.len(), 1);
    let (ended, heard) = told(503, "us");
    ended.ends(5).says("it may not have arrived");
    assert_eq!(heard.len(), 1, "a test is not tried again");
    let (ended, heard) = told(204, "them");
    ended.ends(6).says("known=`us`");
    assert!(heard.is_empty());
}
