//! Rules that cannot be: refused when they are applied, and those in force stay.

use refit_testkit::fake::kfp::Options;

use crate::world::{Api, World, upload};

const GOOD: &str = "batch: { quiet: 1s, max_wait: 1m }";

/// A condition of four loops within each other, each over that many items.
fn bomb(items: usize) -> String {
    let list = format!("[{}]", vec!["1"; items].join(", "));
    let loops: String = ["a", "b", "c", "d"].map(|name| format!("{list}.all({name}, ")).concat();
    format!("when: \"{loops}object.size > 0))))\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cannot_be_are_refused_and_change_nothing() {
    let world = World::ruled(Options::default(), Api::V2beta1, GOOD).await;
    let in_force = world.state().await.rules;
    let deep = format!("when: \"{}true{}\"", "(".repeat(150), ")".repeat(150));
    for (rule, words) in [
        ("bacth: { quiet: 1s }", "bacth"),
        ("when: object.nmae == 'x'", "nmae"),
        (&bomb(40), "loops within one another"),
        (&bomb(200), "operators"),
        (&deep, "nested too deeply"),
        ("batch: each", "overlap"),
    ] {
        let answer = world.apply(&world.rules(Api::V2beta1, "", rule)).await;
        assert!(!answer.ok, "{rule}: {}", answer.message);
        assert!(answer.message.contains(words), "{words}: {}", answer.message);
    }
    assert_eq!(world.state().await.rules, in_force);
    let reply = world.deliver(&upload("churn/a", 1_767_614_397_000_000, "m1")).await;
    assert_eq!(reply.status, 204);
    world.settle().await;
    assert_eq!(world.runs().len(), 1);
}
