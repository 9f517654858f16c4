//! What arrives twice, late, out of order, or with other bytes.

use refit_core::reason::Refusal;
use refit_core::rules::Overlap;
use refit_core::time::Timestamp;
use refit_engine::layout;
use refit_engine::record::write_segment;
use refit_sim::script::{Opening, Script, generation, object, uploaded};
use refit_sim::world::{BEGIN, wall};

use super::{batches, is_clean, launched, trigger};

const DAY: f64 = 86_400.0;

/// 2: three producers store at once and become visible out of order; all are in one manifest.
#[test]
fn segments_that_become_visible_out_of_order_are_all_read() {
    let mut script = Script::new(trigger());
    for (seen_at, named, name) in [(10, 130, "late/1"), (20, -110, "early/2"), (30, 30, "now/3")] {
        script.play(f64::from(seen_at));
        let time = Timestamp::from_millis(BEGIN + named * 1000);
        let segment = layout::segment_object(&layout::segment(time, name.split_at(3).0));
        script.put(&segment, write_segment(&[uploaded(object(name))]));
    }
    script.play(600.0);
    // Nothing woke the reconciler: it read them at pings, and counts from when they were stored.
    assert_eq!(launched(&script), batches(&[(90.0, &["early/2", "late/1", "now/3"])]));
    is_clean(&script);
}

/// 5: two events in the same millisecond are two members.
#[test]
fn events_of_the_same_millisecond_are_two() {
    let mut script = Script::new(trigger());
    script.uploads(10.0, &["x", "y"]);
    script.play(600.0);
    assert_eq!(launched(&script), batches(&[(70.0, &["x", "y"])]));
    is_clean(&script);
}

/// 8: an event whose time is ahead of our clock counts, and fires by the time it arrived.
#[test]
fn an_event_from_the_future_counts_now() {
    let mut script = Script::new(trigger());
    let ahead = refit_core::event::DataRef { created: Some(wall(3_600_000, 0)), ..object("x") };
    script.upload(10.0, ahead);
    script.play(600.0);
    assert_eq!(launched(&script), batches(&[(70.0, &["x"])]));
    is_clean(&script);
}

/// 14: an older generation arrives while the commit of the newer one is under way: the newer is kept, the older
/// still counted as a member that was superseded, wherever the one commit stands.
#[test]
fn an_older_event_beside_a_commit_under_way_is_kept_in_its_place() {
    for seed in 0..100 {
        let mut script = Script::open(Opening { seed, ..Opening::with(trigger()) });
        script.faults(|faults| faults.delay_max = 400);
        let newer = generation("x", 2, 9);
        let older = generation("x", 1, 5);
        script.upload(10.0, refit_core::event::DataRef { created: Some(wall(9_000, 0)), ..newer });
        script.upload(10.4, refit_core::event::DataRef { created: Some(wall(8_000, 0)), ..older });
        script.uploads(10.6, &["y"]);
        script.play(600.0);
        let [batch] = &script.launched()[..] else { panic!("seed {seed}: one batch") };
        assert_eq!((&batch.members[..], batch.joined), (&["x#2".into(), "y".into()][..], 3));
        is_clean(&script);
    }
}

/// 16: a duplicate three minutes later and three days later is ignored.
#[test]
fn a_duplicate_is_one_after_days() {
    let mut script = Script::new(trigger());
    let event = uploaded(object("x"));
    for at in [10.0, 190.0, 3.0 * DAY] {
        script.send(at, vec![event.clone()]);
    }
    script.play(3.0 * DAY + 600.0);
    assert_eq!(launched(&script), batches(&[(70.0, &["x"])]));
    assert_eq!(script.refused(Refusal::Duplicate), 2);
    is_clean(&script);
}

/// 17: the same object twice in one request is one member; corrected data, a new generation, is a new run.
#[test]
fn the_same_key_twice_is_one_and_corrected_data_is_new() {
    let mut script = Script::new(trigger());
    script.runs_take(30.0);
    let event = uploaded(generation("x", 1, 9));
    script.send(10.0, vec![event.clone(), event]);
    script.upload(300.0, generation("x", 2, 9));
    script.play(900.0);
    assert_eq!(launched(&script), batches(&[(70.0, &["x"]), (360.0, &["x#2"])]));
    assert_eq!(script.refused(Refusal::Duplicate), 1);
    is_clean(&script);
}

/// 20: the first generation is empty, the second has the data: one member, the second.
#[test]
fn an_empty_generation_before_the_full_one_is_no_member() {
    let mut script = Script::new(trigger());
    script.upload(10.0, generation("x", 1, 0));
    script.upload(11.0, generation("x", 2, 9));
    script.play(600.0);
    assert_eq!(launched(&script), batches(&[(71.0, &["x#2"])]));
    assert_eq!(script.refused(Refusal::ZeroBytes), 1);
    is_clean(&script);
}

/// 21: an overwrite with the same bytes is refused with that reason, one with new bytes is a new member.
#[test]
fn an_overwrite_counts_by_its_bytes() {
    let mut trigger = trigger();
    trigger.overlap = Overlap::Allow;
    let mut script = Script::new(trigger);
    let same =
        refit_core::event::DataRef { generation: Some("2".to_owned()), ..generation("x", 1, 9) };
    script.upload(10.0, generation("x", 1, 9));
    script.upload(300.0, same);
    script.upload(600.0, generation("x", 3, 9));
    script.play(1200.0);
    assert_eq!(launched(&script), batches(&[(70.0, &["x"]), (660.0, &["x#3"])]));
    assert_eq!(script.refused(Refusal::IdenticalBytes), 1);
    is_clean(&script);
}

/// 22: the storage service tells of one change twice, under two message ids: one member.
#[test]
fn a_duplicate_under_another_message_id_is_one() {
    let mut script = Script::new(trigger());
    for (at, delivery) in [(10.0, "1"), (12.0, "2")] {
        let delivery = Some(delivery.to_owned());
        script.send(at, vec![refit_core::event::Event { delivery, ..uploaded(object("x")) }]);
    }
    script.play(600.0);
    assert_eq!(launched(&script), batches(&[(70.0, &["x"])]));
    assert_eq!(script.refused(Refusal::Duplicate), 1);
    is_clean(&script);
}
