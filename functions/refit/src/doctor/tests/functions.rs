//! What functions are, by their names and variables, and the rights that follow.

use super::wakes::with_drift;
use super::*;

/// A world whose `drift` reads reports in a bucket, on which this is granted.
fn reading_reports(grants: Value) -> World {
    let services = format!("{RUN}/v1/projects/acme/locations/-/services");
    let reports = json!({ "name": "REFIT_REPORTS", "value": "gs://acme-reports/evidently" });
    let mut world = with_drift().edit(&services, |body| {
        let functions = body["items"].as_array_mut().unwrap();
        let drift = functions.last_mut().unwrap();
        let env = &mut drift["spec"]["template"]["spec"]["containers"][0]["env"];
        env.as_array_mut().unwrap().push(reports);
    });
    for (url, body) in [
        (format!("{STORAGE}/acme-reports"), json!({ "projectNumber": "42" })),
        (format!("{STORAGE}/acme-reports/iam"), grants),
    ] {
        world.answers.insert(url, (200, body));
    }
    world
}

#[tokio::test]
async fn whoever_reads_reports_needs_to_read_their_bucket() {
    reading_reports(json!({}))
        .finds(
            Severity::Error,
            "rights",
            "drift@acme.iam.gserviceaccount.com lacks storage.objects.get, storage.objects.list",
            "gs://acme-reports --member=serviceAccount:drift@acme.iam.gserviceaccount.com --role=roles/storage.objectViewer",
        )
        .check()
        .await;
    let drift = "serviceAccount:drift@acme.iam.gserviceaccount.com";
    let (report, _) =
        reading_reports(policy(&[("roles/storage.objectViewer", drift)])).judge().await;
    assert!(report.findings.is_empty() && report.not_checked.is_empty(), "{report}");
    assert!(report.to_string().contains("fine: rights of refit-drift on gs://acme-reports"));
}

#[tokio::test]
async fn a_function_of_another_name_is_taken_for_no_program() {
    let services = &format!("{RUN}/v1/projects/acme/locations/-/services");
    for (number, name) in [(0, "refit-object"), (1, "refit-tick")] {
        let other = format!("{name}-eu");
        let renamed = json!(other);
        let mut world =
            sound().edit(services, |body| body["items"][number]["metadata"]["name"] = renamed);
        let place = format!("{RUN}/v2/projects/acme/locations/europe-west4/services");
        let invoker = world.answers[&format!("{place}/{name}:getIamPolicy")].clone();
        world.answers.insert(format!("{place}/{other}:getIamPolicy"), invoker);
        let (report, _) = world.judge().await;
        assert!(report.findings.is_empty(), "{report}");
        let words = format!("not checked: rights of {other}: which program it runs is not known");
        assert!(report.to_string().contains(&words), "{report}");
    }
}

#[tokio::test]
async fn with_a_right_that_is_lacking_it_is_said_whose_grants_were_not_read() {
    let words = "whether a folder or the organisation grants it is not read";
    let none = |body: &mut Value| *body = json!({});
    let wake = format!("{PUBSUB}/topics/refit-wake:getIamPolicy");
    let data = format!("{STORAGE}/acme-data/iam");
    let topic = format!("{PUBSUB}/topics/refit-object:getIamPolicy");
    for url in [wake, data, topic] {
        let (report, _) = sound().edit(&url, none).judge().await;
        assert!(!report.findings.is_empty(), "{url}");
        assert!(report.findings.iter().all(|found| found.what.ends_with(words)), "{report}");
    }
}
