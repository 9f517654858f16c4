//! What notifications missed, found in a bucket of Cloud Storage's stand-in, which others wrote, by the pass of a day.

use refit_core::member::read_manifest;
use refit_core::time::Span;
use refit_engine::port::Store as _;
use refit_testkit::counterpart::Kind;
use refit_testkit::fake::kfp::{Kfp, Options};
use refit_wire::listing::Buckets;
use serde_json::json;

use crate::patience::call;
use crate::uploads::{FOUR_LINES, Still};
use crate::world::upload;

/// Uploads an object, and answers with its generation.
async fn put(server: &str, name: &str) -> u64 {
    let line = format!("POST /upload/storage/v1/b/acme-data/o?uploadType=media&name={name}");
    let (text, body) = ("content-type: text/plain\r\n", name.as_bytes());
    let resource = call(server, &line, text, body).await.unwrap().json();
    resource["generation"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_notifications_missed_is_found_within_a_day_and_nothing_older_than_its_trigger() {
    let test =
        "sweep::what_notifications_missed_is_found_within_a_day_and_nothing_older_than_its_trigger";
    let Some(storage) = Kind::CloudStorage.start(test) else { return };
    let server = storage.place();
    let bucket = json!({ "name": "acme-data" }).to_string();
    let json = "content-type: application/json\r\n";
    let made = call(server, "POST /storage/v1/b?project=p", json, bucket.as_bytes()).await.unwrap();
    assert_eq!(made.status, 200);
    put(server, "older-than-the-trigger").await;
    let kfp = Kfp::start(Options::default());
    kfp.add_pipeline("churn", &[("manifest", "STRING")]);
    let mut still = Still::with(Buckets::stand_in(server).unwrap()).await;
    let services =
        format!("services: {{ kfp: {{ kubeflow: {{ endpoint: \"{}\" }} }} }}", kfp.url());
    still.apply(&format!("{services}{FOUR_LINES}")).await;
    let missed = put(server, "missed").await;
    let told = put(server, "told").await;
    let body = upload("told", told, "1").to_string();
    let reply = call(&still.place, "POST /", "", body.as_bytes()).await.unwrap();
    assert_eq!(reply.status, 204);
    still.after(Span::ZERO).await;
    still.after(Span::mins(2)).await;
    assert_eq!(kfp.runs().len(), 1, "of what was told");

    still.after(Span::hours(25)).await;
    let inbox = || async { still.store.list("inbox/", "", 1000).await.unwrap().entries.len() };
    assert_eq!(inbox().await, 3, "the rules, what was told, and what was missed");
    still.after(Span::ZERO).await;
    for _ in 0..4 {
        still.after(Span::mins(2)).await;
    }
    let runs = kfp.runs();
    let [_, run] = &runs[..] else { panic!("not two runs: {runs:#?}") };
    let uri = run.parameters["manifest"].as_str().unwrap();
    let manifest = still.store.get(uri.strip_prefix("memory://").unwrap()).await.unwrap().unwrap();
    let members = read_manifest(&manifest).unwrap();
    let [member] = &members[..] else { panic!("not one member: {members:#?}") };
    assert_eq!(member.uri.as_deref(), Some("gs://acme-data/missed"));
    assert_eq!(member.generation, Some(missed.to_string()));

    still.after(Span::hours(25)).await;
    let inbox = still.store.list("inbox/", "", 1000).await.unwrap().entries.len();
    assert_eq!(inbox, 3, "what was found once is known the next day");
}
