//! Two reconcilers that plan from the same state: the log takes the commit of one, and the other starts over.

use refit_core::commit::{Change, TriggerChange};
use refit_core::fold::fold;
use refit_core::plan::Plan;

use crate::world::World;

fn fired(planned: &Plan) -> usize {
    let changes = planned.commit.iter().flat_map(|commit| &commit.changes);
    let fired = |change: &&Change| {
        matches!(change, Change::Trigger { change: TriggerChange::Fired { .. }, .. })
    };
    changes.filter(fired).count()
}

#[test]
fn reconcilers_that_race_act_on_a_time_once() {
    let mut world = World::new();
    world.lines("rule t cron='0 6 * * *@UTC' quiet=0s\n05:00 tick");
    let (winner, loser) = (world.planned("06:00"), world.planned("06:01"));
    assert_eq!((fired(&winner), fired(&loser)), (1, 1));
    let commit = winner.commit.unwrap();
    assert_eq!(
        Some(commit.seq),
        loser.commit.map(|commit| commit.seq),
        "the log takes one of them"
    );
    fold(&mut world.state, &commit);
    assert_eq!(fired(&world.planned("06:01")), 0);
    assert_eq!(fired(&world.planned("06:00")), 0, "with a clock that is behind as well");
}

#[test]
fn the_next_time_is_when_to_come_again() {
    let mut world = World::new();
    world.lines("rule t cron='0 6 * * *@UTC' quiet=0s\n05:00 tick");
    let next = |planned: Plan| planned.next.unwrap().to_string();
    assert_eq!(next(world.planned("05:30")), "2026-03-01T06:00:00.000Z");
    world.lines("06:00 tick");
    assert_eq!(next(world.planned("06:30")), "2026-03-02T06:00:00.000Z");
}
