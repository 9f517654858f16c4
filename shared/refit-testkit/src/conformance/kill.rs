//! A writer that is killed in the middle of its work.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures::future::join_all;
use refit_engine::port::Store;

use super::{list_all, read};

/// What a line of the writer begins with.
const TOLD: &str = "created ";
/// Creates a writer has under way at a time.
const WRITERS: usize = 8;
/// Writers that are killed, one after another, each when it has told of one object more than the one before.
const KILLS: usize = 20;

/// Creates objects without end and tells of each, once it is created, in a line of the standard output. To be
/// run in a process of its own, which [`killed_writers_leave_only_whole_objects`] starts and kills.
///
/// # Panics
/// If an object cannot be created, or nobody reads the output any more.
pub async fn write_until_killed(store: &dyn Store) {
    join_all((0..WRITERS).map(|writer| write(store, writer))).await;
}

async fn write(store: &dyn Store, writer: usize) {
    for number in 0_usize.. {
        let name = format!("inbox/{}-{writer}-{number:06}", std::process::id());
        store.create(&name, body_of(&name)).await.expect("the store can be written");
        writeln!(std::io::stdout(), "{TOLD}{name}").expect("the parent reads");
    }
}

/// A body made from the name, long enough for the writer to be killed in the middle of it.
fn body_of(name: &str) -> Bytes {
    name.repeat(10_000).into()
}

/// Starts processes that call [`write_until_killed`], kills each in the middle, and looks at what they left: all they
/// told of is there, and everything there is whole.
///
/// # Panics
/// If that is not so.
pub async fn killed_writers_leave_only_whole_objects(
    store: &dyn Store,
    writer: impl Fn() -> Command,
) {
    let told: Vec<String> = (1..=KILLS).flat_map(|objects| kill_after(objects, writer())).collect();
    let entries = list_all(store, "", 1000).await;
    for name in &told {
        assert!(entries.iter().any(|entry| entry.name == *name), "told of, yet lost: {name}");
    }
    for entry in entries {
        let body = read(store, &entry.name).await;
        assert!(body == Some(body_of(&entry.name)), "{} is not whole", entry.name);
    }
}

/// Kills a writer when it has told of so many objects, and says of which it told in all.
fn kill_after(objects: usize, mut writer: Command) -> Vec<String> {
    let mut child = writer.stdout(Stdio::piped()).spawn().expect("the writer can be started");
    let output = BufReader::new(child.stdout.take().expect("its output is piped"));
    let mut told = Vec::new();
    for line in output.lines() {
        let line = line.expect("its output is text");
        told.extend(line.strip_prefix(TOLD).map(str::to_owned));
        if told.len() == objects {
            child.kill().expect("it can be killed");
        }
    }
    child.wait().expect("it is waited for");
    assert!(told.len() >= objects, "the writer ended by itself after {} objects", told.len());
    told
}
