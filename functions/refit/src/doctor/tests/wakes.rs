//! Wakes, and the topic of reports of drift.

use super::*;

const DRIFT: &str = "
  drift:
    on: { drift: { model: churn } }
    run: { service: vertex, template: gs://acme-pipelines/churn.yaml }
";

/// A world that takes reports of drift as well.
pub(super) fn with_drift() -> World {
    let mut world = sound();
    world.rules.push_str(DRIFT);
    let drift = "serviceAccount:drift@acme.iam.gserviceaccount.com";
    let subscription = json!({
        "topic": "projects/acme/topics/refit-drift", "expirationPolicy": {},
        "deadLetterPolicy": { "deadLetterTopic": "projects/acme/topics/refit-dead" },
        "pushConfig": {
            "pushEndpoint": "https://refit-drift-x.a.run.app/",
            "oidcToken": { "serviceAccountEmail": PUSH },
        },
    });
    let grants = policy(&[("roles/pubsub.subscriber", PUBSUB_AGENT)]);
    let invoker = policy(&[("roles/run.invoker", &format!("serviceAccount:{PUSH}"))]);
    let services = "projects/acme/locations/europe-west4/services";
    for (url, body) in [
        (
            format!("{PUBSUB}/topics/refit-drift/subscriptions"),
            json!({ "subscriptions": ["projects/acme/subscriptions/refit-drift"] }),
        ),
        (format!("{PUBSUB}/topics/refit-drift:getIamPolicy"), json!({})),
        (format!("{PUBSUB}/subscriptions/refit-drift"), subscription),
        (format!("{PUBSUB}/subscriptions/refit-drift:getIamPolicy"), grants),
        (format!("{RUN}/v2/{services}/refit-drift:getIamPolicy"), invoker),
    ] {
        world.answers.insert(url, (200, body));
    }
    world.answers.insert("https://refit-drift-x.a.run.app/".to_owned(), (403, json!({})));
    let grant = |role: &str| json!({ "role": role, "members": [drift] });
    let append = grant("projects/acme/roles/refit_append");
    let publish = grant("roles/pubsub.publisher");
    world
        .edit(&format!("{RUN}/v1/projects/acme/locations/-/services"), |body| {
            body["items"].as_array_mut().unwrap().push(function("drift"));
        })
        .edit(&format!("{STORAGE}/acme-refit/iam"), |body| {
            body["bindings"].as_array_mut().unwrap().push(append);
        })
        .edit(&format!("{PUBSUB}/topics/refit-wake:getIamPolicy"), |body| {
            body["bindings"].as_array_mut().unwrap().push(publish);
        })
}

#[tokio::test]
async fn what_delays_a_run_until_the_next_ping_is_found() {
    let warning = Severity::Warning;
    let topic = &format!("{PUBSUB}/topics/refit-wake");
    let subscription = &format!("{PUBSUB}/subscriptions/refit-wake");
    let functions = &format!("{RUN}/v1/projects/acme/locations/-/services");
    let hook = |body: &mut Value| {
        body["items"][2]["spec"]["template"]["spec"]["containers"][0]["env"].take()
    };
    for expected in [
        sound().edit(&format!("{topic}:getIamPolicy"), |body| {
            body["bindings"].as_array_mut().unwrap().pop();
        }).finds(
            warning,
            "wakes",
            "hook@acme.iam.gserviceaccount.com may not publish the wake",
            "topics add-iam-policy-binding refit-wake --project=acme --member=serviceAccount:hook@",
        ),
        sound().edit(&format!("{topic}/subscriptions"), |body| *body = json!({})).finds(
            warning,
            "wakes",
            "no subscription leads from it to a reconciler",
            "subscriptions create refit-wake --project=acme --topic=refit-wake",
        ),
        sound()
            .edit(subscription, |body| {
                body["pushConfig"]["pushEndpoint"] = json!("https://refit-object-x.a.run.app/");
            })
            .finds(warning, "wakes", "to a reconciler of this ledger", "--push-endpoint=URL"),
        sound()
            .edit(functions, |body| {
                let mut env = hook(body);
                env.as_array_mut().unwrap().pop();
                body["items"][2]["spec"]["template"]["spec"]["containers"][0]["env"] = env;
            })
            .finds(
                warning,
                "wakes",
                "it wakes nobody",
                "services update refit-hook --project=acme --region=europe-west4 --update-env-vars=REFIT_WAKE=projects/acme/topics/refit-wake",
            ),
        sound()
            .edit(subscription, |body| body["expirationPolicy"] = json!({ "ttl": "86400s" }))
            .finds(warning, "wakes", "86400s", "subscriptions update refit-wake"),
        sound().answering(&format!("{topic}/subscriptions"), 404).finds(
            warning,
            "wakes",
            "there is no such topic",
            "topics create refit-wake --project=acme",
        ),
    ] {
        expected.check().await;
    }
}

#[tokio::test]
async fn a_wake_by_address_takes_the_right_to_call_it() {
    let functions = &format!("{RUN}/v1/projects/acme/locations/-/services");
    let tick =
        &format!("{RUN}/v2/projects/acme/locations/europe-west4/services/refit-tick:getIamPolicy");
    let by_url = |world: World| {
        world.edit(functions, |body| {
            for at in [0, 1, 2] {
                body["items"][at]["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] =
                    json!("https://refit-tick-x.a.run.app/");
            }
        })
    };
    let callers = ["object", "hook"].map(|name| {
        let member = format!("serviceAccount:{name}@acme.iam.gserviceaccount.com");
        json!({ "role": "roles/run.invoker", "members": [member] })
    });
    let (both, one) = (json!({ "bindings": callers }), json!({ "bindings": callers[..1] }));
    let (report, _) = by_url(sound()).edit(tick, |body| *body = both).judge().await;
    assert!(report.findings.is_empty() && report.not_checked.is_empty(), "{report}");
    by_url(sound())
        .edit(tick, |body| *body = one)
        .finds(
            Severity::Warning,
            "wakes",
            "hook@acme.iam.gserviceaccount.com may not call it",
            "services add-iam-policy-binding refit-tick",
        )
        .check()
        .await;
}

#[tokio::test]
async fn reports_of_drift_that_would_be_lost_are_found() {
    let error = Severity::Error;
    let topic = &format!("{PUBSUB}/topics/refit-drift");
    let (report, asked) = with_drift().judge().await;
    assert!(report.findings.is_empty() && report.not_checked.is_empty(), "{report}");
    let urls: Vec<_> = asked.iter().map(|request| request.url.as_str()).collect();
    let once: std::collections::BTreeSet<_> = urls.iter().collect();
    assert_eq!(urls.len(), once.len(), "every question is asked once: {urls:#?}");
    for expected in [
        with_drift().answering(&format!("{topic}/subscriptions"), 404).finds(
            error,
            "listeners",
            "nobody can report drift by it",
            "topics create refit-drift --project=acme",
        ),
        with_drift().edit(&format!("{topic}/subscriptions"), |body| *body = json!({})).finds(
            error,
            "listeners",
            "is lost",
            "--topic=refit-drift",
        ),
        with_drift()
            .edit(&format!("{PUBSUB}/subscriptions/refit-drift"), |body| {
                body["pushConfig"]["pushEndpoint"] = json!("https://else.example/");
            })
            .finds(error, "listeners", "none of its subscriptions leads", "create refit-drift"),
    ] {
        expected.check().await;
    }
}
