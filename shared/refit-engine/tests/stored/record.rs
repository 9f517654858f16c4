//! What is stored, read back.

use refit_core::key::hash128;
use refit_core::memory::{Fresh, StoredRun};
use refit_core::state::{State, VERSION};
use refit_core::timing::Timing;
use refit_engine::record::{read_commit, read_run, read_segment, read_snapshot, write_snapshot};

#[test]
fn a_snapshot_is_read_back_and_a_damaged_one_is_not() {
    let state = State::new("ledger".into(), Timing::default());
    let body = write_snapshot(&state).unwrap();
    assert_eq!(read_snapshot("s", &body).unwrap(), state);
    for at in [0, 63, 64, 70, body.len() - 1] {
        let mut damaged = body.to_vec();
        damaged[at] ^= 1;
        assert!(read_snapshot("s", &damaged).is_err(), "byte {at}");
    }
    assert!(read_snapshot("s", &body[..10]).is_err());
}

#[test]
fn a_newer_version_is_said_to_be_one() {
    let readable = br#"{"v":2,"seq":1,"nonce":"n","now":"2026-11-22T00:00:00Z","changes":[]}"#;
    for body in [&br#"{"v":2,"anything":[]}"#[..], readable] {
        let error = read_commit(1, body).unwrap_err();
        assert!(error.to_string().contains("newer version"), "{error}");
    }
    assert!(read_segment("s", b"{").is_err());
    let none = read_segment("s", br#"{"v":0,"events":[]}"#).unwrap_err();
    assert!(none.to_string().contains("of no version there is"), "{none}");
}

#[test]
fn a_run_of_the_memory_says_its_version_and_is_read_strictly() {
    let entries = Fresh { identities: vec![(hash128(["a"]), true)], objects: Vec::new() };
    let run = StoredRun { v: VERSION, entries };
    let body = serde_json::to_string(&run).unwrap();
    assert!(body.starts_with(r#"{"v":1,"#), "{body}");
    assert_eq!(read_run("seen/1", body.as_bytes()).unwrap(), run.entries);
    let bare = serde_json::to_string(&run.entries).unwrap();
    let error = read_run("seen/1", bare.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("name=`seen/1`"), "{error}");
    for (newer, said) in [
        (body.replace(r#""v":1"#, r#""v":2"#), "newer version"),
        (body.replace(r#""v":1"#, r#""v":1,"more":0"#), "cannot be read"),
    ] {
        let error = read_run("seen/1", newer.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}
