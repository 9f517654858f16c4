//! Every target for some seconds, with the same inputs every time.
#![expect(clippy::print_stdout, reason = "how much was tried is part of the result")]

use refit_fuzz::targets::{ALL, Outcome};
use refit_fuzz::work::{Bound, Summary, run};

const SEED: u64 = 1;

/// Changed inputs for each target: as many as take a few seconds in a build that is not optimised.
fn inputs(target: &str) -> u64 {
    match target {
        "expressions" => 2_000,
        "rules" => 1_500,
        "commits" | "snapshots" | "tokens" => 3_000,
        _ => 15_000,
    }
}

fn fuzz(name: &str) {
    let target = ALL.iter().find(|target| target.name == name).expect("it is a target");
    let summary = run(target, SEED, Bound::Inputs(inputs(name)), |_| {});
    let Summary { given, understood, outcomes, .. } = summary;
    println!("{name}: {given} inputs, {understood} understood, {outcomes} outcomes");
    let refused = given - understood;
    assert!(summary.understood > 50 && refused > 50, "most went one way: {understood} of {given}");
}

#[test]
fn every_seed_is_understood() {
    for target in
        ALL.iter().filter(|target| !["expressions", "events", "pulled"].contains(&target.name))
    {
        for seed in (target.seeds)() {
            let outcome = (target.give)(&seed);
            let text = String::from_utf8_lossy(&seed);
            assert!(
                matches!(outcome, Outcome::Understood(_)),
                "{}: {outcome:?}: {text}",
                target.name
            );
        }
    }
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(#[test] fn $name() { fuzz(stringify!($name)); })*

        #[test]
        fn every_target_is_tried() {
            let tried = [$(stringify!($name)),*];
            let all: Vec<_> = ALL.iter().map(|target| target.name).collect();
            assert_eq!(all, tried);
        }
    };
}

targets!(
    events,
    pulled,
    replies,
    buckets,
    links,
    tokens,
    traces,
    credentials,
    expressions,
    rules,
    segments,
    commits,
    snapshots,
    manifests
);
