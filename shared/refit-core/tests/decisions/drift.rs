//! What drift reports come to.

use std::collections::BTreeMap;

use expect_test::expect;
use refit_core::drift::{Detector, DriftReport, Finding, Model, Role, Summary, Window};
use refit_core::event::Fact;
use refit_core::timing::STREAKS_MAX;
use serde_json::json;

use crate::check;
use crate::world::{clock, run};

#[test]
fn only_drift_starts_anything_and_what_is_unknown_is_not_fine() {
    check(
        "rule t drift=churn quiet=1m
         10:00 drift r1 verdict=ok; drift r2 verdict=resolved; drift r3 verdict=possible
         10:01 drift r4 verdict=unknown; drift r5 model=other; put a#1
         10:02 drift r6; drift r6
         10:03 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 r1 refused by t: no_drift (verdict=`ok`)
            10:00 r3 refused by t: no_drift (verdict=`possible`)
            10:00 r2 refused by t: no_drift (verdict=`resolved`)
            10:01 r5 a#1 refused: no_match
            10:01 r4 refused by t: undecided
            10:02 r6 -> t b4
            10:02 r6 refused: duplicate
            10:02 b4 held: quiet until 10:03
            10:03 b4 closed: test#churn
            10:03 b4/1 intended
        "#]],
    );
}

#[test]
fn a_report_must_be_about_enough_columns_or_the_right_ones() {
    check(
        "rule t drift=churn min_share=0.3 quiet=1m
         rule u drift=churn features=age,income quiet=1m
         10:00 drift r1 share=0.25 drifted=age
         10:01 drift r2 share=0.3 drifted=country
         10:02 drift r3 drifted=country open=age
         10:03 drift r4 share=0.9",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 r1 -> u b2
            10:00 r1 refused by t: below_share (share=`0.250`, min_share=`0.3`)
            10:00 b2 held: quiet until 10:01
            10:01 r2 -> t b3
            10:01 r2 refused by u: other_features
            10:01 b2 closed: test#churn
            10:01 b2/1 intended
            10:01 b3 held: quiet until 10:02
            10:02 r3 refused by t: undecided (it states no share of columns)
            10:02 r3 refused by u: undecided (it leaves the features open)
            10:02 b3 closed: test#churn
            10:02 b3/1 intended
            10:03 r4 -> t b5
            10:03 r4 refused by u: undecided (it leaves the features open)
            10:03 b5 held: quiet until 10:04
        "#]],
    );
}

#[test]
fn a_report_that_names_no_column_neither_counts_in_a_row_nor_ends_it() {
    check(
        "rule t drift=churn features=age consecutive=2 quiet=1m
         10:00 drift r1 drifted=age
         10:10 drift r2
         10:20 drift r3 condition=distance
         10:30 drift r4 open=country
         10:40 drift r5 drifted=age
         10:50 drift r6 drifted=age
         11:00 drift r7 condition=distance drifted=country
         11:10 drift r8 drifted=age",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 r1 refused by t: unconfirmed (1 of 2 consecutive)
            10:10 r2 refused by t: undecided (it leaves the features open)
            10:20 r3 refused by t: undecided (it leaves the features open)
            10:30 r4 refused by t: undecided (it leaves the features open)
            10:40 r5 -> t b6
            10:40 b6 held: quiet until 10:41
            10:50 r6 refused by t: unconfirmed (1 of 2 consecutive)
            10:50 b6 closed: test#churn
            10:50 b6/1 intended
            11:00 r7 refused by t: other_features
            11:10 r8 refused by t: unconfirmed (1 of 2 consecutive)
        "#]],
    );
}

#[test]
fn the_condition_of_a_monitor_can_be_asked_for_by_its_name() {
    check(
        "rule t drift=churn features=distance quiet=1m
         10:00 drift r1 condition=distance",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 r1 -> t b2
            10:00 b2 held: quiet until 10:01
        "#]],
    );
}

#[test]
fn a_condition_is_about_the_whole_report() {
    check(
        "rule t drift=churn when='drift.window.end.startsWith(\"2026\") && drift.model.name == \"churn\"' quiet=1m
         10:00 drift r1 end=09:00; drift r2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 r1 -> t b2
            10:00 r2 refused by t: filter_error (No such key: window)
            10:00 b2 held: quiet until 10:01
        "#]],
    );
}

#[test]
fn so_many_reports_in_a_row_are_waited_for_and_used_up() {
    check(
        "rule t drift=churn consecutive=3 quiet=1m cooldown=1h
         10:00 drift r1
         10:10 drift r2; drift r2
         10:20 drift r3
         10:30 drift r4
         10:40 drift r5
         10:50 drift r6
         12:00 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 r1 refused by t: unconfirmed (1 of 3 consecutive)
            10:10 r2 refused: duplicate
            10:10 r2 refused by t: unconfirmed (2 of 3 consecutive)
            10:20 r3 -> t b4
            10:20 b4 held: quiet until 10:21
            10:30 r4 refused by t: unconfirmed (1 of 3 consecutive)
            10:30 b4 closed: test#churn
            10:30 b4/1 intended
            10:40 r5 refused by t: unconfirmed (2 of 3 consecutive)
            10:50 r6 -> t b7
            10:50 b7 held: quiet until 10:51
        "#]],
    );
}

#[test]
fn a_row_ends_with_a_report_without_drift_and_not_with_one_that_leaves_it_open() {
    check(
        "rule t drift=churn consecutive=2 quiet=1m
         10:00 drift r1
         10:10 drift r2 verdict=unknown
         10:20 drift r3
         10:30 drift r4
         10:40 drift r5 verdict=ok
         10:50 drift r6
         11:00 drift r7 verdict=possible
         11:10 drift r8",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 r1 refused by t: unconfirmed (1 of 2 consecutive)
            10:10 r2 refused by t: undecided
            10:20 r3 -> t b4
            10:20 b4 held: quiet until 10:21
            10:30 r4 refused by t: unconfirmed (1 of 2 consecutive)
            10:30 b4 closed: test#churn
            10:30 b4/1 intended
            10:40 r5 refused by t: no_drift (verdict=`ok`)
            10:50 r6 refused by t: unconfirmed (1 of 2 consecutive)
            11:00 r7 refused by t: no_drift (verdict=`possible`)
            11:10 r8 refused by t: unconfirmed (1 of 2 consecutive)
        "#]],
    );
}

#[test]
fn a_row_is_of_times_whatever_the_order_the_reports_arrive_in() {
    check(
        "rule t drift=churn consecutive=2 quiet=1m
         10:00 drift r1 end=09:00
         10:01 drift r2 end=09:00
         10:02 drift r3 end=08:00 verdict=ok
         10:03 drift r4 end=10:00",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 r1 refused by t: unconfirmed (1 of 2 consecutive)
            10:01 r2 refused by t: outdated
            10:02 r3 refused by t: outdated
            10:03 r4 -> t b5
            10:03 b5 held: quiet until 10:04
        "#]],
    );
}

#[test]
fn rows_of_different_models_and_triggers_do_not_mix() {
    check(
        "rule t drift=churn consecutive=2 quiet=1m
         rule u drift=fraud consecutive=2 quiet=1m
         10:00 drift r1
         10:01 drift r2 model=fraud
         10:02 drift r3 model=fraud verdict=ok
         10:03 drift r4",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 r1 refused by t: unconfirmed (1 of 2 consecutive)
            10:01 r2 refused by u: unconfirmed (1 of 2 consecutive)
            10:02 r3 refused by u: no_drift (verdict=`ok`)
            10:03 r4 -> t b5
            10:03 b5 held: quiet until 10:04
        "#]],
    );
}

#[test]
fn drift_that_goes_on_is_held_by_the_cooldown() {
    check(
        "rule t drift=churn cooldown=1d quiet=1m
         10:00 drift r1
         10:01 started b2; succeeded b2
         11:00 drift r2
         12:00 drift r3
         1d10:02 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 r1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: test#churn
            10:01 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            11:00 r2 -> t b5
            11:00 b5 held: quiet until 11:01
            12:00 r3 -> t b5
            12:00 b5 held: cooldown until 1d10:01
            1d10:02 b5 closed: test#churn test#churn
            1d10:02 b5/1 intended
        "#]],
    );
}

/// More rows than are kept: the oldest are forgotten, and begin anew.
#[test]
fn a_row_that_is_forgotten_begins_anew_in_the_same_commit() {
    let reports = |night: &str| {
        let one = |at: usize| format!("drift {night}{at} endpoint=e{at}");
        (0..STREAKS_MAX + 2).map(one).collect::<Vec<_>>().join("; ")
    };
    let (first, second) = (reports("a"), reports("b"));
    let decided = run(&format!(
        "rule t drift=churn consecutive=2 quiet=1m
         10:00 {first}
         11:00 {second}
         11:01 tick"
    ));
    assert!(decided.contains("unconfirmed (1 of 2 consecutive)"), "{decided}");
}

/// `drift r1 verdict=ok model=churn share=0.5 drifted=age open=country condition=c end=10:00 endpoint=e`
pub(crate) fn report(id: &str, settings: &BTreeMap<&str, &str>) -> (Vec<String>, Fact) {
    let text = |name: &str| settings.get(name).copied();
    let finding = |role, drifted| {
        move |name: &str| Finding { name: name.to_owned(), role, drifted, ..Finding::default() }
    };
    let listed = |name: &str| text(name).into_iter().flat_map(|names| names.split(','));
    let drifted = listed("drifted").map(finding(None, Some(true)));
    let named = listed("condition").map(finding(Some(Role::Dataset), Some(true)));
    let findings = drifted.chain(listed("open").map(finding(None, None))).chain(named).collect();
    let verdict = json!(text("verdict").unwrap_or("drift"));
    let report = DriftReport {
        verdict: serde_json::from_value(verdict).unwrap(),
        detector: Detector { tool: "test".into(), ..Detector::default() },
        model: Model {
            name: Some(text("model").unwrap_or("churn").into()),
            endpoint: text("endpoint").map(str::to_owned),
            ..Model::default()
        },
        window: Window { start: None, end: text("end").map(clock) },
        summary: Summary {
            share: text("share").map(|share| serde_json::from_str(share).unwrap()),
            ..Summary::default()
        },
        findings,
        ..DriftReport::default()
    };
    (vec!["drift".into(), id.to_owned()], Fact::Drift(Box::new(report)))
}
