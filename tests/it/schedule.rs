//! A schedule from a rule file to a run of Kubeflow's stand-in, which is ours, at a time that moves when it is told to.

use refit_core::time::Span;
use refit_engine::port::Clock as _;
use refit_testkit::fake::kfp::{Kfp, Options};
use refit_wire::listing::Buckets;

use crate::patience::call;
use crate::uploads::Still;

const NIGHTLY: &str = r#"
triggers:
  nightly:
    on: { schedule: { cron: "30 2 * * *", zone: UTC } }
    run: { service: kfp, pipeline: churn, parameters: { manifest: "${ batch.manifest }" } }
"#;

/// How long it is from a time until the next half past two.
fn until_half_past_two(still: &Still) -> Span {
    let day = Span::days(1).as_millis();
    let since = (still.clock.now() - Span::mins(150)).as_millis() % day;
    Span::from_millis(day - since)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_starts_one_run_at_its_time_and_nothing_starts_it_again() {
    let kfp = Kfp::start(Options::default());
    kfp.add_pipeline("churn", &[("manifest", "STRING")]);
    let mut still = Still::with(Buckets::default()).await;
    let services =
        format!("services: {{ kfp: {{ kubeflow: {{ endpoint: \"{}\" }} }} }}", kfp.url());
    still.apply(&format!("{services}{NIGHTLY}")).await;
    let wait = until_half_past_two(&still);
    still.after(Span::from_millis(wait.as_millis() - 1)).await;
    assert!(kfp.runs().is_empty(), "it is not half past two");
    still.after(Span::from_millis(1)).await;
    for _ in 0..4 {
        still.after(Span::mins(1)).await;
    }
    assert_eq!(kfp.runs().len(), 1);
    // The clock of the cloud says nothing of its own; a new process has only the log to go by.
    let ping = "x-cloudscheduler: true\r\nx-cloudscheduler-jobname: nightly\r\n";
    let reply = call(&still.place, "POST /", ping, b"").await.unwrap();
    assert_eq!(reply.status, 204);
    still.restart();
    for _ in 0..23 {
        still.after(Span::hours(1)).await;
    }
    assert_eq!(kfp.runs().len(), 1, "once a day");
    for _ in 0..4 {
        still.after(Span::mins(30)).await;
    }
    assert_eq!(kfp.runs().len(), 2, "and again the day after");
}
