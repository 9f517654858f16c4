//! The same bytes again: which generation a batch holds, and when they are new data.

use expect_test::expect;

use crate::check;
use crate::world::run;

pub(crate) const OVERWRITTEN: &str = "rule t bucket=b quiet=1m
     10:00 put a#1 sum=x
     10:00:10 put a#2 sum=x; delete a#1 time=10:00 overwritten=2
     10:01 tick";

const OVERWRITTEN_TOLD_FIRST: &str = "rule t bucket=b quiet=1m
     10:00 put a#1 sum=x
     10:00:10 delete a#1 time=10:00 overwritten=2
     10:00:20 put a#2 sum=x
     10:01:20 tick";

pub(crate) const DELETED: &str = "rule t bucket=b quiet=1m
     10:00 put a#1 sum=x
     10:00:10 delete a#1 time=10:00
     10:01 tick
     10:02 put a#2 sum=x
     10:03 tick";

#[test]
fn a_batch_holds_the_generation_that_has_its_bytes_now() {
    check(
        OVERWRITTEN,
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:00:10 a#1 refused: deletion
            10:00:10 a#2 refused by t: identical_bytes
            10:01 b2 closed: a#2
            10:01 b2/1 intended
        "#]],
    );
    check(
        OVERWRITTEN_TOLD_FIRST,
        &expect![[r#"
        00:00 ok: applied: triggers=`1`, added=`t`
        10:00 a#1 -> t b2
        10:00 b2 held: quiet until 10:01
        10:00:10 a#1 refused: deletion
        10:00:20 a#2 -> t b2
        10:00:20 b2 held: quiet until 10:01:20
        10:01:20 b2 closed: a#2 (1 superseded, 0 gone)
        10:01:20 b2/1 intended
    "#]],
    );
}

#[test]
fn what_was_deleted_and_uploaded_again_is_new() {
    check(
        DELETED,
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:00:10 a#1 refused: deletion
            10:01 b2 dropped: empty
            10:02 a#2 -> t b5
            10:02 b5 held: quiet until 10:03
            10:03 b5 closed: a#2
            10:03 b5/1 intended
        "#]],
    );
}

#[test]
fn overwriting_what_a_run_has_with_the_same_bytes_is_no_news() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a#1 sum=x
         10:01 started b2; succeeded b2
         11:00 delete a#1 time=10:00 overwritten=2
         11:01 put a#2 sum=x",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            11:00 a#1 refused: deletion
            11:01 a#2 refused by t: identical_bytes
        "#]],
    );
}

#[test]
fn a_batch_of_another_key_learns_which_generation_has_its_bytes() {
    check(
        "rule t bucket=b quiet=1h by='object.created.split(\"T\")[0]'
         23:59 put a#1 sum=x
         1d00:01 put a#2 sum=x; delete a#1 time=23:59 overwritten=2
         1d01:00 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            23:59 a#1 -> t b2
            23:59 b2 held: quiet until 1d00:59
            1d00:01 a#1 refused: deletion
            1d00:01 a#2 refused by t: identical_bytes
            1d01:00 b2 closed: a#2
            1d01:00 b2/1 intended
        "#]],
    );
}

#[test]
fn what_is_deleted_while_its_trigger_is_out_of_the_rules_is_in_no_run() {
    check(
        "rule t bucket=b quiet=1h
         rule u bucket=z
         10:00 put a#1; put b#1
         drop t
         10:01 apply
         10:02 delete a#1 time=10:00
         rule t bucket=b quiet=1h
         10:03 apply
         10:04 resume t coalesce
         11:03 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 a#1 b#1 -> t b2
            10:00 b2 held: quiet until 11:00
            10:01 ok: applied: triggers=`1`, removed=`t`
            10:01 b2 held: trigger_removed
            10:02 a#1 refused: deletion
            10:03 ok: applied: triggers=`2`, added=`t`; batches that wait for a decision: count=`1`
            10:03 b2 asks
            10:03 b2 held: ask
            10:04 ok: resumed: trigger=`t`
            10:04 b2 may go on
            10:04 b2 held: quiet until 11:00
            11:03 b2 closed: b#1 (0 superseded, 1 gone)
            11:03 b2/1 intended
        "#]],
    );
}

#[test]
fn a_removed_trigger_that_watched_something_else_makes_nothing_new() {
    check(
        "rule t bucket=b quiet=1m
         rule u message quiet=1h
         10:00 put a#1 sum=x; message m1
         10:01 started b2; succeeded b2
         drop u
         10:30 apply
         11:00 delete a#1 time=10:00 overwritten=2
         11:01 put a#2 sum=x",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 a#1 -> t b2
            10:00 m1 -> u b2.1
            10:00 b2 held: quiet until 10:01
            10:00 b2.1 held: quiet until 11:00
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:30 ok: applied: triggers=`1`, removed=`u`
            10:30 b2.1 held: trigger_removed
            11:00 a#1 refused: deletion
            11:01 a#2 refused by t: identical_bytes
        "#]],
    );
}

/// Uploads and a deletion of one name in S3, all in one second; each is a commit.
fn within_a_second(events: &[&str]) -> String {
    let lines = events.iter().enumerate();
    let lines = lines.map(|(at, event)| format!("10:00:1{at} {event} time=10:00:05\n"));
    format!("rule t bucket=b quiet=1m\n{}10:02 tick", lines.collect::<String>())
}

#[test]
fn an_upload_after_a_deletion_in_the_same_second_stays_in_whatever_order_they_are_told() {
    for sums in [["x", "x"], ["x", "y"]] {
        let [first, last] = [("01", sums[0]), ("03", sums[1])]
            .map(|(sequencer, sum)| format!("put a seq={sequencer} sum={sum}"));
        let [first, gone, last] = [first.as_str(), "delete a seq=02", last.as_str()];
        for order in [
            [first, gone, last],
            [first, last, gone],
            [gone, first, last],
            [gone, last, first],
            [last, first, gone],
            [last, gone, first],
        ] {
            let told = run(&within_a_second(&order));
            let closed = told.lines().find_map(|line| Some(line.split_once(" closed: ")?.1));
            let member = closed.map(|text| text.split(' ').next().unwrap());
            assert_eq!(member, Some("a#03"), "{order:?}\n{told}");
        }
    }
}

/// One route tells milliseconds, the other does not.
#[test]
fn a_deletion_that_is_told_without_its_milliseconds_is_of_the_upload_before_it() {
    let told = run("rule t bucket=b quiet=1m
         10:00:06 put a seq=01 time=10:00:05.400
         10:00:07 delete a seq=02 time=10:00:05
         10:02 tick");
    assert!(told.contains("b2 dropped: empty"), "{told}");
}

#[test]
fn what_was_overwritten_within_a_second_is_not_the_bytes_of_the_object() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a seq=02 sum=y
         10:00:10 put a seq=01 sum=x time=10:00
         10:01:10 started b2; succeeded b2
         11:00 put a seq=03 sum=y
         11:01 put a seq=04 sum=x",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#02 -> t b2
            10:00 b2 held: quiet until 10:01
            10:00:10 a#01 -> t b2
            10:00:10 b2 held: quiet until 10:01:10
            10:01:10 b2 closed: a#02 (1 superseded, 0 gone)
            10:01:10 b2/1 intended
            10:01:10 b2/1 started
            10:01:10 b2/1 ended: succeeded
            10:01:10 b2 finished: succeeded
            11:00 a#03 refused by t: identical_bytes
            11:01 a#04 -> t b7
            11:01 b7 held: quiet until 11:02
        "#]],
    );
}
