//! Worlds that are drawn from seeds: whatever happens in them, every commit that is planned keeps the invariants, as a
//! ledger whose next commit breaks one stands still for good.

use refit_core::promotion::PromotionPhase;
use refit_core::run::Phase;
use refit_core::state::State;

use crate::world::World;

/// Worlds of one test run.
const WORLDS: u64 = 400;
/// What happens in one.
const STEPS: usize = 60;

/// Numbers that follow from a seed, by splitmix64.
struct Dice(u64);

impl Dice {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.number() % limit as u64).unwrap()
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// Any of these, or none, which is likelier.
    fn perhaps(&mut self, all: &[&'static str]) -> &'static str {
        if self.below(3) == 0 { self.one_of(all) } else { "" }
    }
}

const TRIGGERS: [&str; 3] = ["t", "u", "v"];
const SOURCES: [&str; 6] = [
    "bucket=b",
    "bucket=b identical",
    "message",
    "drift=churn",
    "drift=churn consecutive=2",
    "model=churn:staging",
];
const BATCHES: [&str; 7] = [
    "quiet=0s",
    "quiet=5m",
    "quiet=1h max_wait=2h",
    "quiet=1m min_count=2 max_wait=3h",
    "quiet=1h max_count=2",
    "quiet=5m by='object.name'",
    "each param='file:${ member.uri }'",
];
const PROMOTIONS: [&str; 4] = [
    "promote='churn'",
    "promote='churn manual staging=1 production=1!'",
    "promote='churn gate=auc:min:0.5'",
    "promote='churn acceptance=v'",
];

/// A rule, as words.
fn rule(dice: &mut Dice, name: &str) -> String {
    let words = [
        dice.one_of(&SOURCES),
        dice.one_of(&BATCHES),
        dice.perhaps(&["overlap=allow", "overlap=replace", "overlap=queue:1"]),
        dice.perhaps(&["budget=2/1h", "budget=1/24h"]),
        dice.perhaps(&["cooldown=10m"]),
        dice.perhaps(&["timeout=1h"]),
        dice.perhaps(&["retry=3/1m/1h"]),
        dice.perhaps(&["class=B", "class=C", "class=C guard=gs://g/x"]),
        dice.perhaps(&["on_unknown=ask"]),
        dice.perhaps(&["pause=hold"]),
        dice.perhaps(&["trouble=away"]),
        dice.perhaps(&["notify=ml"]),
        dice.perhaps(&PROMOTIONS),
    ];
    format!("rule {name} {}", words.join(" "))
}

/// What a person, a sender or time does.
fn said(dice: &mut Dice, step: usize) -> String {
    let (name, object) = (dice.one_of(&TRIGGERS), dice.one_of(&["a", "b", "c"]));
    let (generation, sum) = (dice.below(4) + 1, dice.one_of(&["x", "y"]));
    let held = dice.one_of(&["", "coalesce", "discard"]);
    let person = dice.one_of(&["ann", "bob"]);
    let says = dice.one_of(&["request", "approve", "reject", "rollback"]);
    match dice.below(12) {
        0..=2 => format!("put {object}#{generation} sum={sum}"),
        3 => format!("delete {object}#{generation}"),
        4 => format!("message m{step}"),
        5 | 6 => format!(
            "drift r{step} verdict={} endpoint=e{generation}",
            dice.one_of(&["drift", "ok"])
        ),
        7 => format!("pause {name}"),
        8 => format!("resume {name} {held}"),
        9 => format!("{says} churn {} {person}", dice.below(3) + 1),
        _ => "tick".to_owned(),
    }
}

/// What a service says of one of its runs, or a person does with it.
fn of_a_run(dice: &mut Dice, state: &State) -> Option<String> {
    let mut all = Vec::new();
    for run in state.runs.values().filter(|run| run.is_active() || run.is_watched()) {
        let name = run.batch;
        for attempt in &run.attempts {
            let answers: &[&str] = match attempt.phase {
                Phase::Launching => &["started", "busy", "unclear", "absent", "found", "rejected"],
                Phase::Pending | Phase::Running => {
                    &["running", "succeeded", "failed", "vanished", "cancelled"]
                }
                Phase::Abandoned => &["found", "absent", "cancelled", "succeeded"],
                _ => &["found"],
            };
            all.extend(answers.iter().map(|answer| format!("{answer} {name}/{}", attempt.number)));
        }
        all.extend([
            format!("cancel {name}"),
            format!("settle {name}"),
            format!("settle {name} x-9"),
        ]);
    }
    (!all.is_empty()).then(|| dice.one_of(&all))
}

/// What a registry says of a version, or what came of a letter.
fn of_others(dice: &mut Dice, state: &State) -> Option<String> {
    let mut all = Vec::new();
    for promotion in state.models.values().flat_map(|model| model.promotions.values()) {
        let run = promotion.run;
        match promotion.phase {
            PromotionPhase::Registering => {
                let version = run.seq % 3 + 1;
                all.push(format!("registered {run} {version} auc=0.{}", version + 3));
                all.push(format!("undone {run}"));
            }
            PromotionPhase::Entering => {
                all.extend(
                    ["entered", "undone", "denied", "unseen"].map(|word| format!("{word} {run}")),
                );
            }
            _ => {}
        }
    }
    let waits = state.outboxes.get("ml").is_some_and(|outbox| !outbox.letters.is_empty());
    if waits {
        all.extend(["delivered ml", "lost ml", "refused ml"].map(str::to_owned));
    }
    (!all.is_empty()).then(|| dice.one_of(&all))
}

/// A world of a seed, and what happened in it.
fn world(seed: u64) -> (World, Vec<String>) {
    let (mut dice, mut world, mut lines) = (Dice(seed), World::new(), Vec::new());
    let mut minutes = 0;
    let mut happens = |world: &mut World, line: String| {
        world.lines(&line);
        lines.push(line);
    };
    happens(&mut world, "receiver ml".to_owned());
    for name in TRIGGERS {
        let rule = rule(&mut dice, name);
        happens(&mut world, rule);
    }
    happens(&mut world, "0d00:00 apply".to_owned());
    for step in 0..STEPS {
        minutes += dice.one_of(&[0, 1, 1, 2, 6, 11, 31, 61, 700]);
        let time = format!("{}d{:02}:{:02}", minutes / 1440, minutes / 60 % 24, minutes % 60);
        if dice.below(8) == 0 {
            let name = dice.one_of(&TRIGGERS);
            let line =
                if dice.below(2) == 0 { format!("drop {name}") } else { rule(&mut dice, name) };
            happens(&mut world, line);
            let start = dice.perhaps(&["start"]);
            happens(&mut world, format!("{time} apply {start}"));
        }
        let line = match dice.below(5) {
            0 | 1 => of_a_run(&mut dice, &world.state),
            2 => of_others(&mut dice, &world.state),
            _ => None,
        };
        let line = line.unwrap_or_else(|| said(&mut dice, step));
        happens(&mut world, format!("{time} {line}"));
    }
    (world, lines)
}

#[test]
fn no_world_stands_still() {
    let mut commits = 0;
    for seed in 0..WORLDS {
        let (world, lines) = world(seed);
        assert_eq!(world.violations, [], "seed {seed}:\n{}", lines.join("\n"));
        commits += world.log.len();
    }
    assert!(commits > 10_000, "{commits}");
}
