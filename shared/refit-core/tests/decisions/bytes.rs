//! The same bytes again: which generation a batch holds, and when they are new data.

use expect_test::expect;

use crate::check;

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
