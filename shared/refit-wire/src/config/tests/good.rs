//! Files without mistakes: what they mean, and that the schema knows them.

use expect_test::{Expect, expect, expect_file};
use refit_core::event::{Message, PauseMode};
use refit_core::promotion::{Asking, Stage, StageRule};
use refit_core::rules::{Budget, Idempotency, ModelMatch, On, OnUnknown, Overlap, Retry, Trigger};
use refit_core::schedule::Misfire;
use refit_core::template::Template;
use refit_core::time::Span;
use serde_json::{Value, json};

use super::super::*;
use super::{BEFORE, file_of};

/// The example of the documentation, as far as it is built.
const ACME: &str = "\
ledger: gs://acme-refit/prod            # or s3://…, or a directory

services:                               # where runs happen
  kfp:
    kubeflow: { endpoint: \"https://kfp.acme.example\", auth: { bearer: { env: KFP_TOKEN } } }

triggers:
  churn-new-data:
    on:
      objects: { bucket: acme-data, prefix: churn/, suffix: .parquet }
    when: object.size > 0 && !object.name.contains('/_tmp/')     # CEL
    batch: { quiet: 5m, max_wait: 2h, min_count: 20 }
    cooldown: 6h
    overlap: forbid
    budget: { runs: 4, per: 24h }
    run:
      service: kfp
      pipeline: churn
      parameters:
        manifest: ${ batch.manifest }   # CEL in ${ }; everything else is literal and typed
        files:    ${ batch.count }
        learning_rate: 0.1
    timeout: 8h
    retry: { attempts: 3, backoff: 2m, max_backoff: 1h }
";

/// Nearly every setting, in every style of YAML.
pub(super) const EVERYTHING: &str = r#"
ledger: "gs://acme-refit/prod"
services:
  kfp:
    kubeflow:
      endpoint: 'https://kfp.acme.example'
      auth: {bearer: {secret: projects/p/secrets/s}}
  here: {local: {}}
triggers:
  all:
    on:
      - objects: {bucket: 'gs://acme-data', glob: "in/**/*.csv", zero_bytes: accept}
      - message:
          type: acme.ready
    when: |
      event.type == 'acme.ready'
        || object.size > 10
    batch:
      quiet: 90s
      max_wait: 1h30m
      min_bytes: 10MB
      max_count: 150
      until: {suffix: _SUCCESS}
    overlap: {queue: 3}
    budget: {runs: 4, per: 2d}
    on_unknown: ask
    pause: hold
    run:
      service: kfp
      pipeline: churn
      version: {id: v1}
      parameters:
        text: >-
          ${ batch.count } files
          below ${ batch.prefix }
        list: [1, 2.5, true, null, "${ run.key }"]
  each: {on: {message: {}}, batch: each, overlap: allow, budget: {runs: 9, per: 1h}, run: {service: here, pipeline: p}}
"#;

/// Everything that can be said of models.
const MODELS: &str = r#"
registries:
  models: { mlflow: { endpoint: "http://mlflow:5000", experiment: churn } }
  here: { local: { endpoint: "http://127.0.0.1:9000" } }
services:
  kfp: { kubeflow: { endpoint: "http://ml-pipeline:8888" } }
  local: { local: {} }
triggers:
  churn:
    on: { objects: { bucket: data } }
    run: { service: kfp, pipeline: churn }
    promote:
      registry: models
      model: churn
      gate:
        accuracy: { min: 0.93 }
        roc_auc: { min: 0.9, drop: 0.01 }
        log_loss: { max: 1, rise: 0.02 }
      request: manual
      staging: { approvals: 2 }
      acceptance: churn-acceptance
      production: { approvals: 1, four_eyes: true }
  churn-acceptance:
    on: { model: { model: churn, stage: staging } }
    when: model.times == 1 && event.subject != ''
    run:
      service: kfp
      pipeline: accept
      parameters: { version: "${ model.version }", uri: "${ model.uri }", of: "${ member.model.name }" }
  churn-redeploy:
    on: { model: { model: churn, stage: production } }
    overlap: allow
    run: { service: kfp, pipeline: deploy, parameters: { at: "${ model.stage }" } }
  plain:
    on: { objects: { bucket: plain } }
    run: { service: local, pipeline: plain }
    promote: { registry: here, model: plain_1.x }
"#;

/// Bodies of triggers, each without a mistake.
const BODIES: &[&str] = &[
    "",
    "batch: each\noverlap: forbid\nbudget: { runs: 100, per: 1h }\n\
     run: { service: kfp, pipeline: churn, parameters: { uri: \"${ member.uri }\" } }",
    "batch: { until: { suffix: _SUCCESS }, by: \"object.name.split('/')[1]\" }\noverlap: { queue: 5 }",
    "on:\n  - objects: { bucket: data, glob: 'in/**/*.csv', zero_bytes: accept }\n  - message: { type: a }\n\
     when: event.type == 'a' || object.size > 5",
    "on: { message: {} }\nwhen: has(event.data.rows) && event.data.rows > 1000 && event.attributes.a == 'b'",
    "when: object.metadata.team == 'ml' && int(object.name.split('/')[1]) % 2 == 0",
    "pause: ignore\non_unknown: ask\noverlap: allow\ncooldown: 0s\nbatch: { max_count: 200 }\n\
     run: { service: kfp, pipeline: { id: a1 }, cache: on, parameters: { uris: '${ batch.uris }', a: [1, null] } }",
    "batch: { min_bytes: 2GiB, quiet: 10s }\noverlap: replace\nretry: { attempts: 2 }\ntimeout: 30d",
    "when: |\n  object.size > 0\n  && object.name != ''\n",
    "on: { drift: { model: churn, min_share: 0.3, features: [age, income], consecutive: 2 } }\n\
     when: drift.severity == 'critical' || drift.findings.exists(f, f.name == 'age')\ncooldown: 24h",
    "on:\n  - schedule: { cron: '30 2 * * MON', zone: Europe/Berlin, misfire: { all: 3 } }\n\
     window: { from: '22:00', to: 06:00, zone: Europe/Berlin, days: [mon, sun] }",
    "on:\n  - schedule: { cron: '@daily', zone: UTC, misfire: none }\n  - objects: { bucket: data }\n  \
     - drift: { model: churn, min_share: 1 }\nwhen: event.type != 'x' || object.size > 0",
    "on: { schedule: { cron: 0 5 1 * *, zone: UTC } }\nbatch: { max_wait: 2h }\nwhen: event.subject != ''",
    "on:\n  webhook:\n    type: github.push\n    source: acme/churn\n    paths: ['**/*.dvc', '**/dvc.lock']",
    "run: { service: kfp, pipeline: churn, guard: gs://acme-guards/churn, parameters: { claim: '${ run.claim }' } }",
    "run: { service: kfp, pipeline: churn, guard: s3://acme-guards/churn, parameters: { claim: '${ run.claim }' } }",
];

fn config(text: &str) -> Config {
    let (config, found) = read(text);
    assert!(found.is_empty(), "{}", render("refit.yaml", text, &found, false));
    config.expect("nothing is wrong")
}

fn trigger(body: &str) -> Trigger {
    let mut config = config(&file_of("trigger:", body));
    config.rules.triggers.remove("t").expect("the trigger is there")
}

/// Compares how a trigger gathers events with what is wanted.
fn check_batch(body: &str, wanted: &Expect) {
    let batch = trigger(body).batch;
    let span = |span: Option<Span>| span.map_or("-".to_owned(), |span| span.to_string());
    let each = if batch.each { "each, " } else { "" };
    let waits = format!("quiet {}, at most {}", span(batch.quiet), span(batch.max_wait));
    let counts = format!("{} {}B {}", batch.min_count, batch.min_bytes, batch.max_count);
    wanted.assert_eq(&format!("{each}{waits}, {counts}"));
}

#[test]
fn a_secret_is_named_in_the_stores_of_both_clouds() {
    for place in [
        "projects/acme/secrets/kfp/versions/2",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:refit/kfp-AbCdEf",
    ] {
        let named = ACME.replace("{ env: KFP_TOKEN }", &format!("{{ secret: \"{place}\" }}"));
        assert!(named.contains(place), "the example has a token");
        let _ = config(&named);
    }
}

#[test]
fn what_is_said_of_models_means_what_it_says() {
    let config = config(MODELS);
    let rule = config.rules.triggers["churn"].promote.clone().unwrap();
    assert_eq!((rule.registry.as_str(), rule.model.as_str()), ("models", "churn"));
    assert_eq!(
        (rule.gate.0["log_loss"].max, rule.gate.0["log_loss"].rise),
        (Some(1.0), Some(0.02))
    );
    assert_eq!((rule.gate.0["roc_auc"].min, rule.gate.0["roc_auc"].drop), (Some(0.9), Some(0.01)));
    assert_eq!(rule.request, Asking::Manual);
    assert_eq!(rule.acceptance.as_deref(), Some("churn-acceptance"));
    assert_eq!(rule.staging, StageRule { approvals: 2, four_eyes: false });
    assert_eq!(rule.production, StageRule { approvals: 1, four_eyes: true });
    let test = &config.rules.triggers["churn-acceptance"];
    let (model, stage) = ("churn".to_owned(), Stage::Staging);
    assert_eq!(test.on, [On::Model(ModelMatch { model, stage })]);
    assert!(test.batch.each && test.overlap == Overlap::Forbid);
    let plain = config.rules.triggers["plain"].promote.clone().unwrap();
    assert_eq!((plain.request, plain.acceptance), (Asking::Automatic, None));
    assert_eq!((plain.staging.approvals, plain.production.approvals), (0, 1));
    let registries: Vec<_> = config.registry_configs.values().map(RegistryConfig::kind).collect();
    assert_eq!((registries, config.registries.len()), (vec!["local", "mlflow"], 2));
}

#[test]
fn the_example_of_the_documentation_means_what_it_says() {
    let config = config(ACME);
    assert_eq!(config.ledger.as_deref(), Some("gs://acme-refit/prod"));
    assert_eq!(config.rules.revision, sha256_hex(ACME.as_bytes()));
    assert_eq!(config.rules.services["kfp"].class, Idempotency::B);
    assert_eq!(config.service_configs["kfp"].hosts(), ["kfp.acme.example"]);
    assert!(config.services["kfp"].profile().cancels);
    let rule = &config.rules.triggers["churn-new-data"];
    assert_eq!((rule.batch.quiet, rule.batch.min_count), (Some(Span::mins(5)), 20));
    assert_eq!((rule.cooldown, rule.timeout), (Span::hours(6), Span::hours(8)));
    assert_eq!(rule.overlap, Overlap::Forbid);
    assert_eq!(rule.budget, Budget { runs: 4, per: Span::hours(24) });
    let (backoff, max_backoff) = (Span::mins(2), Span::hours(1));
    assert_eq!(rule.retry, Retry { attempts: 3, backoff, max_backoff });
    let parameter = |name: &str| format!("{:?}", rule.run.parameters[name]);
    assert_eq!(parameter("files"), "Computed(Expression(\" batch.count \"))");
    assert_eq!(parameter("learning_rate"), "Literal(Number(0.1))");
}

#[test]
fn what_is_left_out_of_a_batch_keeps_its_default() {
    check_batch("", &expect!["quiet 1m, at most 1h, 0 0B 100000"]);
    check_batch("batch: {}", &expect!["quiet 1m, at most 1h, 0 0B 100000"]);
    check_batch("batch: { quiet: 5m }", &expect!["quiet 5m, at most 1h, 0 0B 100000"]);
    check_batch("batch: { max_wait: 5m }", &expect!["quiet 1m, at most 5m, 0 0B 100000"]);
    check_batch("batch: { min_count: 20 }", &expect!["quiet 1m, at most 1d, 20 0B 100000"]);
    check_batch(
        "batch: { min_bytes: 5MB, quiet: 2h }",
        &expect!["quiet 2h, at most 1d, 0 5000000B 100000"],
    );
    check_batch(
        "batch: { until: { suffix: _SUCCESS } }",
        &expect!["quiet -, at most 1d, 0 0B 100000"],
    );
    check_batch(
        "batch: { until: { suffix: _SUCCESS }, quiet: 2h, max_wait: 3h }",
        &expect!["quiet 2h, at most 3h, 0 0B 100000"],
    );
    check_batch("batch: { max_count: 7 }", &expect!["quiet 1m, at most 1h, 0 0B 7"]);
    check_batch(
        "batch: each\noverlap: forbid\nbudget: { runs: 1, per: 1h }",
        &expect!["each, quiet 1m, at most 1h, 0 0B 100000"],
    );
}

#[test]
fn a_trigger_of_four_lines_has_the_stated_defaults() {
    let trigger = trigger("");
    assert_eq!(trigger, Trigger::new(trigger.on.clone(), trigger.run.clone()));
    assert_eq!(trigger.run.target, json!({ "pipeline": "churn" }));
    assert!(!trigger.run.cache);
}

#[test]
fn every_setting_reaches_the_rules() {
    let rule = trigger(BODIES[6]);
    assert_eq!(rule.pause, Some(PauseMode::Ignore));
    assert_eq!(rule.on_unknown, OnUnknown::Ask);
    assert_eq!(rule.overlap, Overlap::Allow);
    assert!(rule.run.cache);
    assert_eq!(rule.run.target, json!({ "pipeline": { "id": "a1" } }));
    assert!(matches!(&rule.run.parameters["uris"], Template::Computed(_)));
    assert_eq!(trigger(BODIES[7]).overlap, Overlap::Replace);
    assert_eq!(trigger(BODIES[2]).overlap, Overlap::Queue(5));
    let marker = trigger(BODIES[2]).batch.until.expect("a marker was given");
    assert_eq!((marker.bucket.as_str(), marker.suffix.as_str()), ("data", "_SUCCESS"));
    let on = trigger(BODIES[3]).on;
    assert!(matches!(&on[0], On::Objects(objects) if objects.zero_bytes && !objects.identical));
    assert!(matches!(&on[1], On::Message(message) if message.ty.as_deref() == Some("a")));
    let guard = trigger(BODIES[14]).run.guard;
    assert_eq!(guard.as_deref(), Some("gs://acme-guards/churn"));
}

#[test]
fn a_webhook_is_a_message_of_its_type_and_a_push_names_files() {
    let on = trigger(BODIES[13]).on;
    let [On::Message(matching)] = on.as_slice() else { panic!("{on:?}") };
    let push = |ty: &str, source: &str, path: &str| Message {
        ty: ty.to_owned(),
        source: source.to_owned(),
        data: json!({ "paths": ["README.md", path] }),
        ..Message::default()
    };
    assert!(matching.matches(&push("github.push", "acme/churn", "data/train.csv.dvc")));
    assert!(matching.matches(&push("github.push", "acme/churn", "dvc.lock")));
    assert!(matching.matches(&push("github.push", "acme/churn", "model/dvc.lock")));
    assert!(!matching.matches(&push("github.push", "acme/churn", "dvc.yaml")));
    assert!(!matching.matches(&push("github.push", "acme/other", "dvc.lock")));
    assert!(!matching.matches(&push("github.release.published", "acme/churn", "dvc.lock")));
}

#[test]
fn drift_schedules_and_windows_reach_the_rules() {
    let drift = trigger(BODIES[9]);
    let [On::Drift(entry)] = drift.on.as_slice() else { panic!("{:?}", drift.on) };
    assert_eq!((entry.model.as_str(), entry.min_share, entry.consecutive), ("churn", Some(0.3), 2));
    assert_eq!(entry.features.iter().map(String::as_str).collect::<Vec<_>>(), ["age", "income"]);
    let timed = trigger(BODIES[10]);
    let schedules: Vec<_> = timed.schedules().map(|it| (it.text(), it.misfire())).collect();
    assert_eq!(schedules, [("30 2 * * 1 Europe/Berlin", Misfire::All(3))]);
    let window = timed.window.expect("a window was given");
    assert_eq!(window.zone.name(), "Europe/Berlin");
    assert_eq!(format!("{:?}", window.days), "[Monday, Sunday]");
    assert_eq!((window.from.hour(), window.to.hour()), (22, 6));
    assert_eq!(timed.batch.quiet, Some(Span::ZERO), "a time is due when it comes");
    assert_eq!(trigger(BODIES[11]).batch.quiet, Some(Span::mins(1)), "with data it is as usual");
    assert_eq!(trigger(BODIES[12]).batch.quiet, Some(Span::ZERO));
}

#[test]
fn the_examples_hold_no_mistake() {
    for text in [
        include_str!("../../../../../examples/drift/refit.yaml"),
        include_str!("../../../../../examples/schedule/refit.yaml"),
        include_str!("../../../../../examples/vertex-registry/refit.yaml"),
    ] {
        config(text);
        let validator = jsonschema::validator_for(&schema()).expect("it is a schema");
        assert!(validator.is_valid(&as_json(text)), "{text}");
    }
}

#[test]
fn a_first_file_holds_no_mistake() {
    let endpoints = [
        "http://ml-pipeline.kubeflow.svc:8888",
        "http://127.0.0.1:8888",
        "https://1a2b-dot-europe-west4.pipelines.googleusercontent.com",
        "https://kubeflow.acme.example/pipeline",
    ];
    let names = [
        "churn", "2026", "010", "true", "on", "null", "a b", "it's: #1", "ü", "\"", "-", "a\\b",
        "x:", "* &",
    ];
    let pipelines = endpoints.iter().flat_map(|endpoint| {
        names.iter().map(|name| Pipelines::Kubeflow {
            endpoint: (*endpoint).to_owned(),
            pipeline: (*name).to_owned(),
        })
    });
    let local = names.iter().map(|name| Pipelines::Local { pipeline: (*name).to_owned() });
    for pipelines in pipelines.chain(local) {
        let (Pipelines::Kubeflow { pipeline, .. } | Pipelines::Local { pipeline }) = &pipelines
        else {
            continue;
        };
        let prefix = if pipeline == "churn" { String::new() } else { format!("{pipeline}/") };
        let bucket = "acme-data".to_owned();
        let answers =
            Answers { ledger: None, bucket, prefix: prefix.clone(), pipelines: pipelines.clone() };
        let rules = config(&init(&answers)).rules;
        let rule = &rules.triggers["new-data"];
        assert_eq!(rule.run.target, json!({ "pipeline": pipeline }));
        assert!(matches!(&rule.on[0], On::Objects(objects) if objects.prefix == prefix));
    }
    for shown in Shown::ALL {
        let answers = Answers {
            ledger: None,
            bucket: "acme-data".to_owned(),
            prefix: "in/".to_owned(),
            pipelines: Pipelines::Shown(shown),
        };
        let rules = config(&init(&answers));
        assert_eq!((rules.services.len(), rules.rules.triggers.len()), (1, 1), "{shown:?}");
    }
    let example = config(&example());
    assert_eq!(example.ledger.as_deref(), Some("gs://acme-refit/prod"));
}

#[test]
fn the_schema_is_the_one_in_the_documentation() {
    let text = serde_json::to_string_pretty(&schema()).expect("a schema is JSON") + "\n";
    expect_file!["../../../../../docs/refit.schema.json"].assert_eq(&text);
}

fn as_json(text: &str) -> Value {
    let mut report = Report::new(text);
    let document = Document::read(text, &mut report).expect("it is YAML");
    let mut notes = Notes::new(&document, report);
    notes.read(document.root()).expect("it is JSON")
}

#[test]
fn the_schema_knows_every_good_file() {
    let validator = jsonschema::validator_for(&schema()).expect("it is a schema");
    let bodies = BODIES.iter().map(|body| file_of("trigger:", body));
    for text in bodies.chain([ACME.to_owned(), EVERYTHING.to_owned(), MODELS.to_owned(), example()])
    {
        config(&text);
        let wrong: Vec<String> = validator
            .iter_errors(&as_json(&text))
            .map(|error| format!("{error}: {}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{text}\n{wrong:#?}");
    }
}

#[test]
fn the_schema_refuses_what_has_another_shape() {
    let validator = jsonschema::validator_for(&schema()).expect("it is a schema");
    for body in [
        "colour: red",
        "batch: every",
        "batch: { quiet: 5 }",
        "batch: { min_count: 0 }",
        "cooldown:",
        "cooldown: 5 minutes",
        "overlap: forbidden",
        "on: { objects: { prefix: a } }",
        "on: []",
        "run: { pipeline: churn }",
        "run: { service: kfp, pipline: churn }",
        "run: { service: kfp, pipeline: churn, cache: true }",
        "retry: { attempts: many }",
    ] {
        let text = file_of("trigger:", body);
        assert!(!validator.is_valid(&as_json(&text)), "{body}");
        assert!(read(&text).0.is_none(), "{body}");
    }
    // Some services need to be told no more than this, so the schema takes it of all.
    assert!(read(&file_of("trigger:", "run: { service: kfp }")).0.is_none());
    let service = BEFORE
        .replace("kubeflow: { endpoint", "kubeflow: { endpont")
        .replace("triggers:\n  t:\n", "");
    assert!(!validator.is_valid(&as_json(&service)));
}

#[test]
fn settings_are_said_to_belong_where_the_schema_has_them() {
    let schema = schema();
    for (kind, place) in [
        ("BatchSettings", "`batch`"),
        ("Objects", "`on: { objects: … }`"),
        ("Message", "`on: { message: … }`"),
        ("Drift", "`on: { drift: … }`"),
        ("Schedule", "`on: { schedule: … }`"),
        ("Retry", "`retry`"),
        ("Budget", "`budget`"),
        ("Trigger", "a trigger"),
    ] {
        let known = schema["$defs"][kind]["properties"].as_object().expect(kind);
        for name in known.keys() {
            assert_eq!(v1::home_of("File", name), Some(place), "{kind}.{name}");
        }
    }
    for name in v1::RUN_SETTINGS {
        assert_eq!(v1::home_of("Trigger", name), Some("`run`"));
    }
}
