//! Worlds that are drawn from seeds. Whatever happens in them, every commit that is planned keeps the invariants, as a
//! ledger whose next commit breaks one stands still for good; and once others do what they should, all comes to rest.

use std::collections::BTreeMap;
use std::ops::Range;

use refit_core::promotion::{Promotion, PromotionPhase};
use refit_core::run::{Attempt, Phase};
use refit_core::state::State;
use refit_core::time::Timestamp;

use crate::world::World;

/// Worlds of one test run, where `REFIT_WORLDS` says nothing else.
const WORLDS: u64 = 400;
/// What happens in one.
const STEPS: usize = 60;
/// Half days after which what has begun is over.
const HALF_DAYS_MAX: usize = 400;

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
const SOURCES: [&str; 8] = [
    "bucket=b cron='0 3 * * 1@Europe/Berlin@3'",
    "cron='30 2 * * 0@Europe/Berlin@last'",
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

/// What may lie where a guarded run makes its claim.
const CLAIMS: [(&str, &str); 5] =
    [("claim", ""), ("claim", " x-9"), ("strange", ""), ("unreadable", " away"), ("readable", "")];

/// A rule, as words.
fn rule(dice: &mut Dice, name: &str) -> String {
    let words = [
        dice.one_of(&SOURCES),
        dice.one_of(&BATCHES),
        dice.perhaps(&["overlap=allow", "overlap=replace", "overlap=queue:1"]),
        dice.perhaps(&["budget=2/1h", "budget=1/24h"]),
        dice.perhaps(&["cooldown=10m"]),
        dice.perhaps(&["window=Europe/Berlin@22:00-06:00"]),
        dice.perhaps(&["timeout=1h"]),
        dice.perhaps(&["retry=3/1m/1h"]),
        dice.perhaps(&["class=B", "class=C", "class=C guard=gs://g/x"]),
        dice.perhaps(&["on_unknown=ask"]),
        dice.perhaps(&["pause=hold", "pause=ignore"]),
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
        0..=2 => {
            let replayed = dice.perhaps(&["forced", "again", "forced for=t", "again for=u"]);
            format!("put {object}#{generation} sum={sum} {replayed}")
        }
        3 => format!("delete {object}#{generation}"),
        4 => format!("message m{step}"),
        5 | 6 => format!(
            "drift r{step} verdict={} endpoint=e{generation}",
            dice.one_of(&["drift", "ok"])
        ),
        7 => format!("pause {name} {}", dice.perhaps(&["ignore"])),
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
            if run.guard.is_some() {
                let number = attempt.number;
                all.extend(CLAIMS.map(|(verb, what)| format!("{verb} {name}/{number}{what}")));
            }
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

/// A world that is drawn, and what happened in it.
struct Drawn {
    world: World,
    /// The rules of the file, as words.
    rules: BTreeMap<&'static str, String>,
    minutes: u64,
    lines: Vec<String>,
}

impl Drawn {
    fn of(seed: u64) -> Self {
        let (mut dice, rules) = (Dice(seed), BTreeMap::new());
        let mut drawn = Self { world: World::new(), rules, minutes: 0, lines: Vec::new() };
        drawn.says("receiver ml".to_owned());
        for name in TRIGGERS {
            drawn.writes(name, rule(&mut dice, name));
        }
        drawn.happens("apply");
        for step in 0..STEPS {
            drawn.minutes += dice.one_of(&[0, 1, 1, 2, 6, 11, 31, 61, 700]);
            drawn.step(&mut dice, step);
        }
        drawn
    }

    fn says(&mut self, line: String) {
        self.world.lines(&line);
        self.lines.push(line);
    }

    fn happens(&mut self, line: &str) {
        let (days, hours, minutes) =
            (self.minutes / 1440, self.minutes / 60 % 24, self.minutes % 60);
        self.says(format!("{days}d{hours:02}:{minutes:02} {line}"));
    }

    fn writes(&mut self, name: &'static str, rule: String) {
        self.says(rule.clone());
        self.rules.insert(name, rule);
    }

    fn step(&mut self, dice: &mut Dice, step: usize) {
        if dice.below(8) == 0 {
            let name = dice.one_of(&TRIGGERS);
            if dice.below(2) == 0 {
                self.says(format!("drop {name}"));
                self.rules.remove(name);
            } else {
                self.writes(name, rule(dice, name));
            }
            self.happens(&format!("apply {}", dice.perhaps(&["start"])));
        }
        let line = match dice.below(5) {
            0 | 1 => of_a_run(dice, &self.world.state),
            2 => of_others(dice, &self.world.state),
            _ => None,
        };
        self.happens(&line.unwrap_or_else(|| said(dice, step)));
    }

    /// Nothing is amiss any more, and persons decide what is theirs to decide.
    fn mends(&mut self) {
        for (name, rule) in self.rules.clone() {
            let mut rule = rule;
            for word in
                ["trouble=away", "pause=hold", "pause=ignore", "param='file:${ member.uri }'"]
            {
                rule = rule.replace(word, "");
            }
            self.writes(name, rule);
        }
        self.happens("apply start");
        for name in TRIGGERS {
            let was_there = self.world.state.triggers.contains_key(name);
            if was_there && !self.rules.contains_key(name) {
                self.happens(&format!("resume {name} discard"));
            }
        }
    }

    /// Half a day on, in which everybody does what is asked of them.
    fn goes_on(&mut self) {
        self.minutes += 12 * 60 + 7;
        let standing = |name: &&str| self.world.state.triggers.get(*name);
        let waits = |name: &&str| {
            standing(name).is_some_and(|it| it.paused.is_some() || it.open.values().any(|b| b.ask))
        };
        let waiting = self.rules.keys().copied().filter(waits);
        let mut all: Vec<String> = waiting.map(|name| format!("resume {name} coalesce")).collect();
        all.extend(done_by_services(&self.world.state));
        all.extend(done_by_registries(&self.world.state));
        if self.world.state.outboxes.get("ml").is_some_and(|outbox| !outbox.letters.is_empty()) {
            all.push("delivered ml".to_owned());
        }
        self.happens("tick");
        all.iter().for_each(|line| self.happens(line));
    }

    /// What is not over, of all that began until then.
    fn unfinished(&self, until: Timestamp) -> Vec<String> {
        let state = &self.world.state;
        let runs =
            state.runs.values().filter(|run| run.is_active() && run.facts.opened_at <= until);
        let runs = runs.map(|run| format!("run {}", run.batch));
        let standings = state.triggers.values();
        let open = standings.flat_map(|standing| standing.open.iter());
        let open = open.filter(|(_, batch)| batch.opened_at <= until);
        let open = open.map(|(id, batch)| format!("batch {id}: {:?}", batch.held));
        runs.chain(open).collect()
    }
}

/// The answers of services that work.
fn done_by_services(state: &State) -> Vec<String> {
    let mut all = Vec::new();
    for run in state.runs.values().filter(|run| run.is_active()) {
        let (name, attempt) = (run.batch, run.attempt());
        let number = attempt.number;
        match attempt.phase {
            Phase::Launching => all.push(format!("started {name}/{number}")),
            Phase::Pending | Phase::Running => {
                if run.guard.is_some() {
                    all.push(format!("claim {name}/{number}"));
                }
                all.push(format!("succeeded {name}/{number}"));
            }
            Phase::Uncertain => all.push(format!("settle {name}")),
            // A stranger has made its claim, or it cannot be read: a person lets go of it.
            Phase::Failed | Phase::TimedOut | Phase::Abandoned if is_unclaimed(attempt) => {
                all.push(format!("cancel {name}"));
            }
            _ => {}
        }
    }
    all
}

fn is_unclaimed(attempt: &Attempt) -> bool {
    attempt.message.as_ref().is_some_and(|message| message.contains("claim="))
}

/// The answers of a registry that works.
fn done_by_registries(state: &State) -> Vec<String> {
    let promotions = state.models.values().flat_map(|model| model.promotions.values());
    let answer = |promotion: &Promotion| match promotion.phase {
        PromotionPhase::Registering => Some(format!("registered {} 9", promotion.run)),
        PromotionPhase::Entering => Some(format!("entered {}", promotion.run)),
        _ => None,
    };
    promotions.filter_map(answer).collect()
}

#[expect(clippy::disallowed_methods, reason = "refit-core knows no platform")]
fn seeds() -> Range<u64> {
    0..std::env::var("REFIT_WORLDS").map_or(WORLDS, |worlds| worlds.parse().unwrap())
}

#[test]
fn no_world_stands_still() {
    let mut commits = 0_u64;
    for seed in seeds() {
        let Drawn { world, lines, .. } = Drawn::of(seed);
        assert_eq!(world.violations, [], "seed {seed}:\n{}", lines.join("\n"));
        commits += world.log.len() as u64;
    }
    assert!(commits > 25 * seeds().end, "{commits}");
}

#[test]
fn every_world_comes_to_rest() {
    for seed in seeds() {
        let mut drawn = Drawn::of(seed);
        drawn.mends();
        let ended = drawn.world.state.now;
        let mut half_days = 0;
        while !drawn.unfinished(ended).is_empty() && half_days < HALF_DAYS_MAX {
            drawn.goes_on();
            half_days += 1;
        }
        let lines = drawn.lines.join("\n");
        assert_eq!(drawn.unfinished(ended), [""; 0], "seed {seed}:\n{lines}");
        assert_eq!(drawn.world.violations, [], "seed {seed}:\n{lines}");
    }
}
