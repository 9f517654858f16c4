//! `docs/events.md`: what is understood, and what is answered. `UPDATE_EXPECT=1` writes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use expect_test::expect_file;
use refit_core::event::Fact;
use refit_wire::normal_form::normal_form;
use refit_wire::sample::Sample;
use refit_wire::source::{TABLE, Understood, understand};

use crate::{identities, own};

const HEAD: &str = "\
# Events

What `refit` understands, by whatever door it comes. The same fact has the same identity by every route, so it is
recorded as often as it arrives and counts once. `refit inspect` shows what a delivery means, without recording it.

<!-- Written by `UPDATE_EXPECT=1 cargo test -p refit-wire --test samples` from `source/table.rs`. -->

| what | by | kind | identity | sample |
| --- | --- | --- | --- | --- |
";

const TAIL: &str = "
Which of two uploads of an object is the newer one, and which a deletion is of, does not depend on the order of arrival.
In Cloud Storage the time of creation and the generation say it; in S3 the sequencer does, which orders the changes of one
name and says nothing between names, and the time where one of the two events has none. An upload whose deletion was told
before it is left out of its run, unless notifications come without a payload or the bucket is one of S3 that keeps
versions.

Verdicts of drift reports are `drift`, `possible`, `ok`, `resolved` or `unknown`; what cannot be told is `unknown`, never
`ok`, and starts nothing. Events that mean nothing (a test of a notification, a tag that was set, a run that is not
over) are acknowledged and not recorded.

The data of a CloudEvent of type `dev.refit.drift.v1` may be a report of any of these tools. A job of SageMaker says that
there are violations and not of what, so it is `possible`; its file says which are drift.

A report that has no time of its own is a fact by the message it came in. By itself, over HTTP or as the payload of an
invocation, it would be the same fact as any equal one on whatever day: it is not understood then, and goes into quarantine.

Monitoring tools also write reports as files. With `REFIT_REPORTS=s3://acme-monitoring/reports`, `drift` reads what
lands there when it is told of it, and records the reports beside the object; it needs to read that folder then, and to
list its bucket, as nobody else is told that a file is gone. The object is recorded first; while it cannot be read, 503
is answered, so that the announcement comes again. It is read as it was announced: a file that was written over by then
says nothing any more, unless a bucket of Cloud Storage keeps versions. What is JSON by its name or its type goes into
quarantine where it cannot be read as such, or has more than 1 MiB.

## Answers

| situation | `object`, `drift` over HTTP | `hook` | AWS Lambda | batch of SQS |
| --- | --- | --- | --- | --- |
| recorded, duplicate, ignored | 204 | 204 | ok | not in the list of failures |
| not understood | 204, in quarantine | 400 or 415 with the reason | ok, in quarantine | not in the list, in quarantine |
| the ledger did not take it | 503 | 503 | error: made again | in the list: stays in the queue |
| caller or signature not verified | 401 or 403, nothing recorded | 401, nothing recorded | IAM | IAM |
| too large | 413 | 413 | ok, in quarantine | not in the list, in quarantine |

An answer is given within five seconds, and 2xx only once the events are durable: what was not recorded after four,
whatever a door waited for (the ledger, a key, a secret, a report), is answered with 503 and comes again.

Some senders ask whether their events are wanted before they send any: CloudEvents by `OPTIONS` with
`WebHook-Request-Origin`, Azure Event Grid where it does not speak CloudEvents by an event that holds a code. `object` and
`drift` answer verified callers that they may send, or with the code, and record nothing. That lets nobody in: the events
have to come from a verified caller as well. `hook` answers no `OPTIONS`: it takes what is signed. Event Grid has no ID token
of Google and signs nothing, so `hook` answers neither with the code nor takes its events; have a gateway verify its token
of Entra ID, and send both on to `drift` by an account of its own.

`refit quarantine` lists what was not understood, shows it, records what it means to a newer version, or takes it off
the list. What is equal is listed once: the same Pub/Sub message, or the same bytes with the same `ce-*` headers; what comes
again after it was taken off the list is listed again. Of a message without its wrapper the attributes are kept, which are
headers of any name, but none that may hold a secret (`authorization`, cookies, whatever is called a token, a key or a
password); of a message of SQS the whole record is kept. A report that lay in a file is read again as that of its object.
Of what is longer than 64 KiB the beginning is kept, to be looked at: it is not read again, and has to be sent again.

What is too large is refused over HTTP, not kept: Pub/Sub delivers it again until the subscription's dead-letter topic takes
it, which Terraform sets up and `refit doctor` looks for; without one, until its retention is over. What comes by an invocation
of Lambda, a queue or `refit worker` goes into quarantine.

## Webhooks

`hook` takes webhooks of GitHub, of MLflow 3, and of anybody who follows Standard Webhooks, and verifies their
signatures on the bytes as they came. Several secrets may hold at a time, so that one can be replaced. Where a variable
names a secret in a store instead (`REFIT_HOOK_GITHUB=projects/acme/secrets/github`, or the ARN of one in AWS Secrets
Manager), it is read there, kept for ten minutes at most, and read again, once a minute at most, when a signature does not
hold. A signature that
covers the time of sending (MLflow, Standard Webhooks) holds for five minutes. A rule waits for them by their type:

```yaml
on:
  webhook: { type: github.push, source: acme/churn, paths: ['**/*.dvc', '**/dvc.lock'] }
```

[examples/dvc](../examples/dvc) is such a rule whole, with the workflow that it starts: the guard, `dvc pull` of what
the head of the branch names when it is started, the training, `dvc push`, and its metrics as a comment on that commit.

What a signature covers is read as what its sender sends, and as nothing else whatever headers come with it. GitHub signs
the body alone: a push is the same fact by repository, ref, commits and time, a workflow by run and attempt, a comment by its
number, a tag that says something by repository, name, commit and time, however often it is sent. The name of an event and its
delivery are unsigned: whoever has seen the request of any
other event can send it again as a new one, and any body but that of a push under another name. Let no rule start a run on
such events that you would not have repeated. Ids of Standard Webhooks are signed, and unique among all who sign by the
secrets of `REFIT_HOOK_STANDARD`.

A branch that is forced from one commit to another, back, and there again was pushed three times, which the time of the
push tells apart (`repository.pushed_at`). From a sender that leaves it out, as may one that is not GitHub, the third is the
same fact as the first; `refit replay --force --trigger churn --since 10m` makes a new one of it.

A push has `event.data.paths` and `event.data.removed`; a registry event has the attributes `action`, `model`, `version`,
`alias` and `run`; a run that is over has `run`, `attempt` and `status`.

What is pushed of a run that is over is believed by nobody: it wakes `tick`, which asks the service, and rules may wait for
it as for any message. How such messages reach `object` is told in [deploy.md](deploy.md#when-a-run-ends). Of a run that goes
on they are acknowledged and not recorded.

A comment that begins with `/refit approve` or `/refit reject` is no message but a person's word on a version, and so are a
new Git tag `refit/approve/…` or `refit/reject/…`, a tag or an alias `refit-approve` or `refit-reject` at MLflow, and an
answer by a signed link: [promotion.md](promotion.md).

## Callers

`REFIT_CALLERS` says who verifies them: `platform` (Cloud Run or Lambda has, by IAM), `oidc` or `none` (loopback only). It is
`platform` on Cloud Run and Lambda; on Knative in a cluster it has to be set, as nobody is verified there by itself. IAM
lets an account call a service or not; with `platform` on Cloud Run, `REFIT_OIDC_CALLERS` says which paths it may call, by
the account that the verified token names, and anybody else hears 403. Cloud Run takes the signature off what it has
verified, so the list holds only where IAM lets nobody in unknown: a service that is public takes `oidc`, and so does
whatever runs elsewhere, where the list with `platform` is refused at the start. Terraform
writes the list for a `single_service`. With `oidc`, a caller shows an ID token of
Google: RS256 by a key of the issuer, for `REFIT_OIDC_AUDIENCE`, not expired, of a verified account that
`REFIT_OIDC_CALLERS` lists for the path. Webhooks are signed instead.

## AWS Lambda

The same programs run on Lambda, which they know by their environment. `object` and `drift` take invocations of S3, SNS,
SQS and EventBridge; `hook` and the others take requests through the URL of the function. A batch of SQS is taken message
by message: switch `ReportBatchItemFailures` on. `REFIT_WAKE` is the ARN of `tick`, which is invoked without waiting; give
`tick` a reserved concurrency of 1, and a rule of EventBridge that invokes it once a minute.
";

#[test]
fn the_page_of_events_is_what_the_sources_understand() {
    let mut page = HEAD.to_owned();
    let samples = own::samples();
    for row in TABLE {
        let wanted = format!("{}.http", row.sample);
        let found = samples.iter().find(|(path, _)| path.ends_with(&wanted));
        let (_, sample) = found.unwrap_or_else(|| panic!("there is no sample {wanted}"));
        let form = normal_form(&understand(&sample.delivery()));
        assert_eq!(form["events"][0]["kind"], row.kind, "{wanted}");
        identities::check(row, sample, &form["events"][0]);
        let (what, by, kind, identity) = (row.what, row.by, row.kind, row.identity);
        let sample = format!("[{0}](../events/{0}.http)", row.sample);
        writeln!(page, "| {what} | {by} | `{kind}` | {identity} | {sample} |").unwrap();
    }
    page.push_str(TAIL);
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.md");
    expect_file![docs].assert_eq(&page);
}

/// Where a sample's events come from.
fn origins(sample: &Sample) -> Vec<String> {
    match understand(&sample.delivery()) {
        Ok(Understood::Record(events)) => {
            let is_known =
                |event: &refit_core::event::Event| !matches!(event.fact, Fact::Invalid(_));
            events.into_iter().filter(is_known).map(|event| event.origin).collect()
        }
        Ok(Understood::Ping(ping)) => vec![ping.origin],
        Ok(Understood::Ignore { .. }) | Err(_) => Vec::new(),
    }
}

#[test]
fn whatever_a_sample_comes_from_is_in_the_table() {
    let samples = own::samples();
    let is_shown =
        |path: &Path| TABLE.iter().any(|row| path.ends_with(format!("{}.http", row.sample)));
    let shown: BTreeSet<String> =
        samples.iter().filter(|(path, _)| is_shown(path)).flat_map(|(_, it)| origins(it)).collect();
    assert!(shown.len() >= 25, "{shown:?}");
    for (path, sample) in &samples {
        for origin in origins(sample) {
            assert!(shown.contains(&origin), "{origin} has no row: {}", path.display());
        }
    }
}
