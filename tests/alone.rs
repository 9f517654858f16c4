//! A function by itself, as a process: a test of each package in `functions/`, so that `cargo test --workspace` builds
//! its program, which the tests of `refit-tests` then use.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;

#[test]
fn without_a_ledger_it_ends_and_says_what_it_lacks() {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join(env!("CARGO_PKG_NAME"));
    let ended = Command::new(&program).env_clear().output().unwrap();
    let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("REFIT_LEDGER is not set"), "{said}");
    assert!(said.contains(concat!("\"service\":\"", env!("CARGO_PKG_NAME"), "\"")), "{said}");
}
