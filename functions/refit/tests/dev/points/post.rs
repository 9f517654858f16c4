//! Those who are told: a server of the test that takes every letter and notes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use refit_core::commit::Change;
use refit_core::notice::OutboxChange;
use refit_engine::layout;
use refit_engine::record::read_commit;
use refit_testkit::fake::server::{Answer, Reacting, Reaction, Request, Server, Site};
use serde_json::Value;

use super::PROGRAMS;

/// A letter: to whom, and its id.
type Letter = (String, String);

/// The server.
pub(super) struct Post {
    server: Server,
    arrived: Arc<Arrived>,
}

/// What arrived: where, and what it said.
#[derive(Default)]
struct Arrived(Mutex<Vec<(Vec<String>, Value)>>);

impl Site for Arrived {
    fn react(self: Arc<Self>, request: Request) -> Reacting {
        let told = (request.path.clone(), request.json());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        Box::pin(async { Reaction::Answer(Answer::text(204, "text/plain", "")) })
    }
}

impl Post {
    pub(super) fn open() -> Self {
        let post = Self { server: Server::new(), arrived: Arc::default() };
        post.server.open(Arc::<Arrived>::clone(&post.arrived));
        post
    }

    /// Where those are told who want to know of this folder.
    pub(super) fn of(&self, folder: &Path) -> String {
        format!("http://{}/{}", self.server.place(), name(folder))
    }

    /// Demands that every letter of the ledger has arrived, whole, and the same under one id however often it did: how
    /// many arrived again.
    pub(super) fn prove(&self, folder: &Path, of: &str) -> usize {
        let arrived = self.arrived(folder);
        for (letter, times) in &arrived {
            assert!(times.iter().all(|it| *it == times[0]), "{of}: {letter:?} changed: {times:#?}");
        }
        let told: BTreeMap<_, _> = arrived
            .iter()
            .map(|(letter, times)| (letter.clone(), notices(letter, &times[0])))
            .collect();
        assert_eq!(told, raised(folder), "{of}: every letter of the ledger was told");
        arrived.values().map(|times| times.len() - 1).sum()
    }

    /// What arrived from a folder, by letter.
    fn arrived(&self, folder: &Path) -> BTreeMap<Letter, Vec<Value>> {
        let all = self.arrived.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut letters = BTreeMap::<_, Vec<_>>::new();
        for (path, said) in all.iter().filter(|(path, _)| path[0] == name(folder)) {
            let id = said["id"].as_str().unwrap().to_owned();
            letters.entry((path[1].clone(), id)).or_default().push(said.clone());
        }
        letters
    }
}

fn name(folder: &Path) -> &str {
    folder.file_name().unwrap().to_str().unwrap()
}

/// The ids of the notices in a letter; what a program is told of is one, and bears its id.
fn notices((receiver, id): &Letter, said: &Value) -> Vec<String> {
    if receiver == PROGRAMS {
        return vec![id.clone()];
    }
    let ids = said["notices"].as_array().unwrap().iter().map(|notice| &notice["id"]);
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// The letters that the commits of a ledger raise, with the ids of their notices.
fn raised(folder: &Path) -> BTreeMap<Letter, Vec<String>> {
    let log = folder.join(".refit").join(layout::LOG);
    let files = fs::read_dir(&log).unwrap().map(|file| file.unwrap().file_name());
    let named = files.map(|name| format!("{}{}", layout::LOG, name.to_str().unwrap()));
    let mut seqs: Vec<u64> = named.filter_map(|name| layout::commit_seq(&name)).collect();
    seqs.sort_unstable();
    let mut raised = BTreeMap::<_, Vec<_>>::new();
    for seq in seqs {
        let body = fs::read(folder.join(".refit").join(layout::commit(seq))).unwrap();
        for change in read_commit(seq, &body).unwrap().changes {
            let Change::Outbox { receiver, change } = change else { continue };
            let OutboxChange::Raised { letter, notice, .. } = change else { continue };
            raised.entry((receiver, letter.to_string())).or_default().push(notice.id.to_string());
        }
    }
    raised
}
