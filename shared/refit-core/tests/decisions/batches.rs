//! How events become batches.

use expect_test::expect;

use crate::check;

#[test]
fn the_four_line_rule_makes_one_run_of_many_uploads() {
    check(
        "rule t bucket=b
         10:00 put in/a#1; put in/b#1
         10:00:30 put in/c#1
         10:01 tick
         10:01:30 tick
         10:02 started b2
         10:05 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 in/a#1 in/b#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:00:30 in/c#1 -> t b2
            10:00:30 b2 held: quiet until 10:01:30
            10:01:30 b2 closed: in/a#1 in/b#1 in/c#1
            10:01:30 b2/1 intended
            10:02 b2/1 started
            10:05 b2/1 ended: succeeded
            10:05 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn a_trickle_fires_at_max_wait() {
    check(
        "rule t bucket=b quiet=60s max_wait=3m
         10:00 put a#1
         10:00:30 put b#1
         10:01 put c#1
         10:01:30 put d#1
         10:02 put e#1
         10:02:30 put f#1
         10:03 put g#1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:00:30 b#1 -> t b2
            10:00:30 b2 held: quiet until 10:01:30
            10:01 c#1 -> t b2
            10:01 b2 held: quiet until 10:02
            10:01:30 d#1 -> t b2
            10:01:30 b2 held: quiet until 10:02:30
            10:02 e#1 -> t b2
            10:02 b2 held: quiet until 10:03
            10:02:30 f#1 -> t b2
            10:03 g#1 -> t b2
            10:03 b2 closed: a#1 b#1 c#1 d#1 e#1 f#1 g#1
            10:03 b2/1 intended
        "#]],
    );
}

#[test]
fn cooldown_and_quiet_together_are_due_when_both_are_over() {
    check(
        "rule t bucket=b quiet=60s cooldown=120s overlap=allow
         09:59 put z#1
         10:00 tick
         10:00:05 put a#1
         10:01:55 put b#1
         10:02:54 tick
         10:02:55 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            09:59 z#1 -> t b2
            09:59 b2 held: quiet until 10:00
            10:00 b2 closed: z#1
            10:00 b2/1 intended
            10:00:05 a#1 -> t b4
            10:00:05 b4 held: quiet until 10:01:05
            10:01:55 b#1 -> t b4
            10:01:55 b4 held: quiet until 10:02:55
            10:02:55 b4 closed: a#1 b#1
            10:02:55 b4/1 intended
        "#]],
    );
}

#[test]
fn min_count_holds_until_reached_but_not_beyond_max_wait() {
    check(
        "rule t bucket=b quiet=1m max_wait=1h min_count=3
         10:00 put a#1
         10:30 put b#1
         10:59:59 tick
         11:00 tick
         12:00 put c#1; put d#1; put e#1
         12:01 started b2
         12:02 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: min_count until 11:00
            10:30 b#1 -> t b2
            11:00 b2 closed: a#1 b#1
            11:00 b2/1 intended
            12:00 c#1 d#1 e#1 -> t b5
            12:00 b5 held: quiet until 12:01
            12:01 b2/1 started
            12:01 b5 held: active_run
            12:02 b2/1 ended: succeeded
            12:02 b2 finished: succeeded
            12:02 b5 closed: c#1 d#1 e#1
            12:02 b5/1 intended
        "#]],
    );
}

#[test]
fn min_bytes_counts_known_sizes() {
    check(
        "rule t bucket=b quiet=1m max_wait=1h min_bytes=100
         10:00 put a#1 size=60
         10:10 put b#1 size=60
         10:11 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: min_bytes until 11:00
            10:10 b#1 -> t b2
            10:10 b2 held: quiet until 10:11
            10:11 b2 closed: a#1 b#1
            10:11 b2/1 intended
        "#]],
    );
}

#[test]
fn max_count_closes_a_batch_and_the_rest_opens_the_next() {
    check(
        "rule t bucket=b quiet=1m max_count=2 overlap=allow
         10:00 put a#1; put b#1; put c#1; put d#1; put e#1
         10:01 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 b#1 -> t b2
            10:00 c#1 d#1 -> t b2.1
            10:00 e#1 -> t b2.2
            10:00 b2 sealed: full
            10:00 b2.1 sealed: full
            10:00 b2 closed: a#1 b#1
            10:00 b2/1 intended
            10:00 b2.1 closed: c#1 d#1
            10:00 b2.1/1 intended
            10:00 b2.2 held: quiet until 10:01
            10:01 b2.2 closed: e#1
            10:01 b2.2/1 intended
        "#]],
    );
}

#[test]
fn the_member_that_fills_a_batch_closes_it() {
    check(
        "rule t bucket=b quiet=1m max_count=2
         10:00:30 put a#1
         10:01 put b#1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00:30 a#1 -> t b2
            10:00:30 b2 held: quiet until 10:01:30
            10:01 b#1 -> t b2
            10:01 b2 closed: a#1 b#1
            10:01 b2/1 intended
        "#]],
    );
}

#[test]
fn full_batches_wait_in_line_and_none_is_lost() {
    check(
        "rule t bucket=b quiet=1m max_count=2
         10:00 put a#1; put b#1; put c#1
         10:01 started b2
         10:02 put d#1; put e#1
         10:05 succeeded b2
         10:06 started b2.1
         10:07 succeeded b2.1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 b#1 -> t b2
            10:00 c#1 -> t b2.1
            10:00 b2 sealed: full
            10:00 b2 closed: a#1 b#1
            10:00 b2/1 intended
            10:00 b2.1 held: quiet until 10:01
            10:01 b2/1 started
            10:01 b2.1 held: active_run
            10:02 d#1 -> t b2.1
            10:02 e#1 -> t b4
            10:02 b2.1 sealed: full
            10:02 b4 held: quiet until 10:03
            10:05 b2/1 ended: succeeded
            10:05 b2 finished: succeeded
            10:05 b2.1 closed: c#1 d#1
            10:05 b2.1/1 intended
            10:05 b4 held: active_run
            10:06 b2.1/1 started
            10:07 b2.1/1 ended: succeeded
            10:07 b2.1 finished: succeeded
            10:07 b4 closed: e#1
            10:07 b4/1 intended
        "#]],
    );
}

#[test]
fn every_key_has_a_batch_of_its_own() {
    check(
        "rule t bucket=b quiet=1m overlap=allow by='object.name.split(\"/\")[0]'
         10:00 put eu/a#1; put us/a#1; put eu/b#1
         10:00:30 put us/b#1
         10:01 tick
         10:01:30 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 eu/a#1 eu/b#1 -> t b2
            10:00 us/a#1 -> t b2.1
            10:00 b2 held: quiet until 10:01
            10:00 b2.1 held: quiet until 10:01
            10:00:30 us/b#1 -> t b2.1
            10:00:30 b2.1 held: quiet until 10:01:30
            10:01 b2 closed: eu/a#1 eu/b#1
            10:01 b2/1 intended
            10:01:30 b2.1 closed: us/a#1 us/b#1
            10:01:30 b2.1/1 intended
        "#]],
    );
}

#[test]
fn a_marker_closes_its_batch_at_once() {
    check(
        "rule t bucket=b suffix=.csv until=_SUCCESS max_wait=24h
         10:00 put day/a.csv#1; put day/b.csv#1
         10:30 put day/_SUCCESS#1 size=0
         10:31 put day/_SUCCESS#2 size=0",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 day/a.csv#1 day/b.csv#1 -> t b2
            10:00 b2 held: marker until 1d10:00
            10:30 day/_SUCCESS#1 refused by t: marker
            10:30 b2 sealed: marker
            10:30 b2 closed: day/a.csv#1 day/b.csv#1
            10:30 b2/1 intended
            10:31 day/_SUCCESS#2 refused by t: marker
        "#]],
    );
}

#[test]
fn a_marker_closes_only_the_batch_of_its_key() {
    check(
        "rule t bucket=b suffix=.csv until=_SUCCESS overlap=allow by='object.name.split(\"/\")[0]'
         10:00 put eu/a.csv#1; put us/a.csv#1
         10:30 put eu/_SUCCESS#1 size=0",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 eu/a.csv#1 -> t b2
            10:00 us/a.csv#1 -> t b2.1
            10:00 b2 held: marker until 11:00
            10:00 b2.1 held: marker until 11:00
            10:30 eu/_SUCCESS#1 refused by t: marker (eu)
            10:30 b2 sealed: marker
            10:30 b2 closed: eu/a.csv#1
            10:30 b2/1 intended
        "#]],
    );
}

#[test]
fn each_event_is_a_run_of_its_own() {
    check(
        "rule t bucket=b each overlap=allow budget=1000/24h
         10:00 put a#1; put b#1; put c#1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b#1 -> t b2.1
            10:00 c#1 -> t b2.2
            10:00 b2 sealed: each
            10:00 b2.1 sealed: each
            10:00 b2.2 sealed: each
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:00 b2.1 closed: b#1
            10:00 b2.1/1 intended
            10:00 b2.2 closed: c#1
            10:00 b2.2/1 intended
        "#]],
    );
}

#[test]
fn the_newest_generation_of_an_object_is_the_member() {
    check(
        "rule t bucket=b quiet=1m zero_bytes
         10:00 put a#1 size=0
         10:00:05 put a#2; put b#1
         10:00:10 delete b#1
         10:01:10 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:00:05 a#2 b#1 -> t b2
            10:00:05 b2 held: quiet until 10:01:05
            10:00:10 b#1 refused: deletion
            10:01:10 b2 closed: a#2 (1 superseded, 1 gone)
            10:01:10 b2/1 intended
        "#]],
    );
}

#[test]
fn a_batch_with_no_members_left_does_not_run() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a#1
         10:00:10 delete a#1
         10:01 tick
         10:01:10 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:00:10 a#1 refused: deletion
            10:01 b2 dropped: empty
        "#]],
    );
}

#[test]
fn empty_objects_and_the_same_bytes_again_are_refused() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a#1 sum=x; put e#1 size=0
         10:00:10 put a#2 sum=x
         10:00:20 put a#3 sum=y
         10:00:30 put a#4 sum=x
         10:01:30 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 e#1 refused by t: zero_bytes
            10:00 b2 held: quiet until 10:01
            10:00:10 a#2 refused by t: identical_bytes
            10:00:20 a#3 -> t b2
            10:00:20 b2 held: quiet until 10:01:20
            10:00:30 a#4 -> t b2
            10:00:30 b2 held: quiet until 10:01:30
            10:01:30 b2 closed: a#4 (2 superseded, 0 gone)
            10:01:30 b2/1 intended
        "#]],
    );
}

#[test]
fn triggers_that_ask_for_them_get_empty_and_identical_objects() {
    check(
        "rule t bucket=b quiet=1m zero_bytes identical
         10:00 put a#1 sum=x; put e#1 size=0
         10:00:10 put a#2 sum=x",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 e#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:00:10 a#2 -> t b2
            10:00:10 b2 held: quiet until 10:01:10
        "#]],
    );
}

#[test]
fn prefix_suffix_and_glob_choose_objects() {
    check(
        "rule t bucket=b prefix=in/ suffix=.csv glob=in/*/2026-*.csv quiet=1m
         10:00 put in/x/2026-1.csv#1; put in/2026-1.csv#1; put out/x/2026-1.csv#1; put in/x/2026-1.txt#1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 in/x/2026-1.csv#1 -> t b2
            10:00 in/2026-1.csv#1 out/x/2026-1.csv#1 in/x/2026-1.txt#1 refused: no_match
            10:00 b2 held: quiet until 10:01
        "#]],
    );
}

#[test]
fn a_condition_refuses_with_its_reason() {
    check(
        "rule t bucket=b quiet=1m when='object.size > 5'
         rule u bucket=b quiet=1m when='object.metadata.team == \"ml\"'
         10:00 put a#1 size=9; put b#1 size=3",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 a#1 -> t b2
            10:00 b#1 refused by t: filtered
            10:00 a#1 b#1 refused by u: filter_error (No such key: team)
            10:00 b2 held: quiet until 10:01
        "#]],
    );
}

#[test]
fn messages_of_any_type_make_batches() {
    check(
        "rule t message=ready quiet=1m when='event.data.rows > 10'
         10:00 message m1 type=ready data={\"rows\":20}; message m2 type=ready data={\"rows\":2}; message m3 type=other
         10:01 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 m1 -> t b2
            10:00 m3 refused: no_match
            10:00 m2 refused by t: filtered
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: m1
            10:01 b2/1 intended
        "#]],
    );
}

#[test]
fn many_parts_of_a_batch_are_merged() {
    let puts = (0..66).map(|n| format!("10:{:02}:{:02} put f{n}#1\n", n / 2, n % 2 * 30));
    let text =
        format!("rule t bucket=b quiet=1m max_wait=5h\n{}10:34 tick", puts.collect::<String>());
    let decided = crate::world::run(&text);
    assert_eq!(decided.matches("b2 merged").count(), 1, "{decided}");
    let closed = decided.lines().find(|line| line.contains("b2 closed")).unwrap();
    let wanted: Vec<String> = (0..66).map(|n| format!("f{n}#1")).collect();
    assert_eq!(closed.split_whitespace().skip(3).collect::<Vec<_>>(), wanted);
}
