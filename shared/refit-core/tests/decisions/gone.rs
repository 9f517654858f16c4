//! Deletions that are told before the uploads they are of: what becomes of an object does not depend on the order.

use expect_test::expect;

use crate::check;
use crate::world::run;

#[test]
fn what_was_deleted_before_its_upload_is_told_is_in_no_run() {
    check(
        "rule t bucket=b quiet=1m
         10:00 delete a#1 time=09:59
         10:01 put a#1 time=09:59; put b#1
         10:02 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 refused: deletion
            10:01 a#1 b#1 -> t b3
            10:01 b3 held: quiet until 10:02
            10:02 b3 closed: b#1 (0 superseded, 1 gone)
            10:02 b3/1 intended
        "#]],
    );
}

#[test]
fn a_deletion_that_was_told_while_another_batch_was_open_is_not_forgotten() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put b#1
         10:00:10 delete a#1 time=09:59
         10:01 started b2; succeeded b2
         10:02 put a#1 time=09:59
         10:03 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 b#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:00:10 a#1 refused: deletion
            10:01 b2 closed: b#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:02 a#1 -> t b6
            10:02 b6 held: quiet until 10:03
            10:03 b6 dropped: empty
        "#]],
    );
}

/// What runs get of what is told, each in a batch of its own.
fn left(told: &[&str]) -> Vec<String> {
    let lines = told.iter().zip(1..);
    let lines = lines.map(|(event, hour)| format!("1{hour}:00 {event}\n1{hour}:02 tick\n"));
    let text = format!("rule t bucket=b quiet=1m overlap=allow\n{}", lines.collect::<String>());
    let told = run(&text);
    let closed = told.lines().filter_map(|line| Some(line.split_once(" closed: ")?.1.to_owned()));
    closed.collect()
}

#[test]
fn a_deletion_is_of_what_was_uploaded_before_it_and_of_nothing_else() {
    let (first, last) = ("put a seq=01 sum=x time=10:00", "put a seq=03 sum=y time=10:10");
    let gone = "delete a seq=02 time=10:05";
    for (told, expected) in [
        (vec![gone, first], vec![]),
        (vec![gone, last], vec!["a#03"]),
        (vec![gone, first, last], vec!["a#03"]),
        (vec!["delete a#1 time=10:00", "put a#1 time=10:00"], vec![]),
        (vec!["delete a#1 time=10:00", "put a#2 time=10:05"], vec!["a#2"]),
        (vec!["delete a#1 time=10:00", "put b#1 time=10:00"], vec!["b#1"]),
        (vec!["delete a#1 time=10:00", "put a#1 time=10:00 forced"], vec!["a#1"]),
    ] {
        assert_eq!(left(&told), expected, "{told:?}");
    }
}
