//! Versions of models: asked for, approved, rejected, rolled back; where they come from, and what was made of what.

use std::path::PathBuf;
use std::sync::Arc;

use refit_core::commit::{Change, Commit, TriggerChange};
use refit_core::event::{Command, Fact};
use refit_core::promotion::{PromotionPhase, Says, Stage, StageEntry};
use refit_core::run::Run;
use refit_core::state::{BatchId, State};
use refit_engine::layout;
use refit_engine::record::read_segment;
use refit_testkit::fake::kfp;
use refit_testkit::fake::mlflow::Mlflow;
use refit_testkit::fake::server::Server;
use serde_json::Value;

use crate::world::World;

/// A world whose runs make versions of `churn`.
struct Shop {
    world: World,
    mlflow: Arc<Mlflow>,
    server: Server,
}

impl Shop {
    fn new(promote: &str) -> Self {
        let world = World::new();
        let mlflow = Arc::new(Mlflow::default());
        let server = world.within(|| mlflow.listen());
        let shop = Self { world, mlflow, server };
        shop.rule(promote);
        shop
    }

    /// Puts rules in force by which versions are promoted like this; their revision.
    fn rule(&self, promote: &str) -> String {
        let (kfp, place) = (self.world.kfp.url(), self.server.place());
        let text = format!(
            "ledger: ledger\n\
             services: {{ kfp: {{ kubeflow: {{ endpoint: \"{kfp}\" }} }} }}\n\
             registries: {{ models: {{ mlflow: {{ endpoint: \"http://{place}\", experiment: churn }} }} }}\n\
             triggers:\n\
             \x20 churn:\n\
             \x20   on: {{ objects: {{ bucket: acme-data, prefix: churn/ }} }}\n\
             \x20   batch: each\n\
             \x20   overlap: allow\n\
             \x20   budget: {{ runs: 99, per: 24h }}\n\
             \x20   run: {{ service: kfp, pipeline: churn, parameters: {{ manifest: \"${{ batch.manifest }}\" }} }}\n\
             \x20   promote: {{ registry: models, model: churn, {promote} }}\n\
             \x20 deploy:\n\
             \x20   on: {{ model: {{ model: churn, stage: production }} }}\n\
             \x20   run: {{ service: kfp, pipeline: churn, parameters: {{ manifest: \"${{ model.uri }}\" }} }}\n\
             \x20 check:\n\
             \x20   on: {{ model: {{ model: churn, stage: staging }} }}\n\
             \x20   run: {{ service: kfp, pipeline: churn, parameters: {{ manifest: \"${{ model.uri }}\" }} }}\n"
        );
        std::fs::write(self.world.path("refit.yaml"), text).unwrap();
        self.world.refit("apply --yes").ends(0);
        self.world.state().rules.unwrap()
    }

    /// The first version that was given a stage, as `deploy` was told, and the batch of that.
    fn staged(&self) -> (StageEntry, BatchId) {
        let commits = std::fs::read_dir(self.world.path("ledger/log")).unwrap();
        let mut commits: Vec<_> = commits.map(|file| file.unwrap().path()).collect();
        commits.sort();
        let staged = |path: &PathBuf| {
            let commit: Commit = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            commit.changes.into_iter().find_map(|change| match change {
                Change::Trigger { trigger, change: TriggerChange::Staged { entry, batch } }
                    if trigger == "deploy" =>
                {
                    Some((entry, batch))
                }
                _ => None,
            })
        };
        commits.iter().find_map(staged).expect("a version was given a stage")
    }

    /// Uploads an object, and has the run of it end well.
    fn make(&self, name: &str, generation: &str) {
        self.begin(name, generation);
        self.finish();
    }

    /// Uploads an object, whose run is under way then.
    fn begin(&self, name: &str, generation: &str) {
        self.world.write_sample(name, generation, "${now}");
        self.world.refit(&format!("replay {name}.http")).ends(0);
        let count = generation.parse::<usize>().unwrap();
        self.world.until("its run is under way", |state| {
            let started = |run: &&Run| run.trigger == "churn" && run.attempt().external.is_some();
            state.runs.values().filter(started).count() == count
        });
    }

    /// Has every run end well that makes a version.
    fn finish(&self) {
        let state = self.world.state();
        for run in state.runs.values().filter(|run| run.trigger == "churn") {
            let external = run.attempt().external.as_ref().unwrap();
            self.world.kfp.end(&external.id, kfp::Phase::Succeeded);
        }
    }

    /// What persons said, as it was recorded: which stage each word is about.
    fn said(&self) -> Vec<(Says, Option<Stage>)> {
        let inbox = std::fs::read_dir(self.world.path("ledger/inbox")).unwrap();
        let mut segments: Vec<_> = inbox.map(|file| file.unwrap().path()).collect();
        segments.sort();
        let read = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            read_segment(name, &std::fs::read(path).unwrap()).unwrap()
        };
        let said = segments.iter().flat_map(read).filter_map(|event| match event.fact {
            Fact::Command(Command::Promotion(said)) => Some((said.says, said.stage)),
            _ => None,
        });
        said.collect()
    }

    fn until(&self, version: &str, phase: PromotionPhase) {
        let is_so = |state: &State| {
            let model = state.models.get("churn");
            let found = model.and_then(|model| model.version(version));
            found.is_some_and(|found| found.phase == phase)
        };
        self.world.until(&format!("{version} is {}", phase.text()), is_so);
    }

    /// The row of a version, newest first.
    fn row(&self, at: usize) -> Value {
        self.world.json("models churn")["models"][0]["versions"][at].clone()
    }
}

#[test]
fn a_version_is_asked_for_approved_and_rolled_back_by_name() {
    let shop =
        Shop::new("request: manual, gate: { auc: { min: 0.9 } }, production: { approvals: 2 }");
    shop.world.refit("models").ends(0).says("no versions of models");
    shop.world.refit("rollback churn").ends(6).complains("nothing is known to be in production");
    shop.make("a", "1");
    shop.until("1", PromotionPhase::Candidate);
    shop.world.refit("models").ends(0).says("waits to be asked for");
    shop.world.refit("models other").ends(6).complains("known=`churn`");
    shop.world.refit("approve churn 1").ends(4).complains("nothing is asked for it");
    shop.world.refit("request churn 1 --reason better").ends(0).says("person=`somebody`");
    shop.until("1", PromotionPhase::Accepted);
    assert_eq!(shop.mlflow.alias("staging").as_deref(), Some("1"));
    shop.world
        .refit("request churn 1 --stage staging")
        .ends(4)
        .complains("comes next is production");
    shop.world.refit("request churn 1 --as ann").ends(0).says("stage=`production`");
    shop.world.refit("approve churn 1 --as ann --stage staging").ends(4);
    shop.world.refit("approve churn 1 --as ann").ends(0).says("approved");
    shop.world.refit("approve churn 1 --as Ann").ends(4).complains("has approved it already");
    assert_eq!(shop.row(0)["word"], "waits for approvals for production: 1 of 2 (ann)");
    shop.world.refit("approve churn 1 --as bob").ends(0);
    shop.until("1", PromotionPhase::Promoted);
    assert_eq!(shop.mlflow.alias("production").as_deref(), Some("1"));
    assert_eq!(shop.world.json("models")["models"][0]["stages"]["production"], "1");
    shop.world.refit("rollback churn").ends(4).complains("no version is known that was");
}

#[test]
fn what_is_said_is_about_the_stage_that_was_asked_for_when_it_was_said() {
    let shop = Shop::new("request: manual, staging: { approvals: 1 }");
    shop.make("a", "1");
    shop.until("1", PromotionPhase::Candidate);
    shop.world.refit("request churn 1 --as ann").ends(0);
    shop.world.refit("approve churn 1 --as bob").ends(0);
    shop.until("1", PromotionPhase::Accepted);
    shop.world.refit("request churn 1 --as ann").ends(0);
    let (staging, production) = (Some(Stage::Staging), Some(Stage::Production));
    let said = [(Says::Request, staging), (Says::Approve, staging), (Says::Request, production)];
    assert_eq!(shop.said(), said);
}

#[test]
fn a_version_waits_for_the_test_of_another() {
    let shop = Shop::new("acceptance: check");
    shop.make("a", "1");
    shop.until("1", PromotionPhase::Testing);
    shop.make("b", "2");
    shop.until("2", PromotionPhase::Requested);
    assert_eq!(shop.row(0)["word"], "waits for the acceptance test of version 1");
    shop.world.refit("reject churn 1 --as ann").ends(0);
    shop.until("2", PromotionPhase::Testing);
}

#[test]
fn a_version_is_rejected_traced_and_found_by_what_it_was_made_of() {
    let shop = Shop::new("production: { approvals: 0 }");
    // What a stage starts is told while it waits.
    shop.world.refit("pause deploy").ends(0);
    shop.make("a", "1");
    shop.until("1", PromotionPhase::Promoted);
    shop.make("b", "2");
    shop.until("2", PromotionPhase::Promoted);
    shop.world.refit("rollback churn --as ann --reason worse").ends(0).says("version=`1`");
    shop.until("1", PromotionPhase::Promoted);
    let state = shop.world.state();
    assert_eq!(state.models["churn"].holders[&Stage::Production].version, "1");
    shop.world.refit("reject churn 1").ends(4).complains("it is in production: roll back");

    let trail = shop.world.json("trail churn 1");
    assert_eq!(trail["version"]["metrics"]["auc"], 0.93);
    assert_eq!(trail["members"][0]["uri"], "gs://acme-data/churn/a");
    assert_eq!(trail["run"]["trigger"], "churn");
    let told = shop.world.refit("trail churn 1").ends(0);
    let told = told.says("gs://acme-data/churn/a#1").says("is registered as 1");
    told.says("is to be in production again, asks ann: worse");
    shop.world.refit("trail churn 9").ends(6).complains("no such version is known");

    let (entry, batch) = shop.staged();
    let story = shop.world.json(&format!("why {}", entry.id("deploy")))["stories"][0].clone();
    assert_eq!(story["events"][0]["name"], "churn 1 in production");
    assert_eq!(story["batches"][0]["batch"], batch.to_string());

    let used = shop.world.json("used gs://acme-data/churn/b");
    assert_eq!(used["versions"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&used["versions"][0]["version"], &used["versions"][0]["phase"]),
        (&"2".into(), &"archived".into())
    );
    shop.world.refit("used acme-data/churn/a").ends(0).says("churn 1 of").says("in production");
    shop.world.refit("used acme-data/churn/c").ends(6).complains("no run was given it");
    shop.world.refit("fsck").ends(0).says("nothing is wrong");
    shop.world.refit("audit").ends(0).says("nothing is wrong");
}

#[test]
fn a_trail_tells_every_hop_from_a_version_to_its_events_and_rules() {
    let shop = Shop::new("production: { approvals: 0 }");
    let launched = shop.world.state().rules.unwrap();
    shop.begin("a", "1");
    let promoted = shop.rule("production: { approvals: 1 }");
    shop.finish();
    shop.until("1", PromotionPhase::Requested);

    let trail = shop.world.json("trail churn 1");
    let (run, member) = (&trail["run"], &trail["members"][0]);
    assert_eq!(
        [&trail["model"], &trail["registry"], &trail["version"]["name"]],
        ["churn", "models", "1"]
    );
    assert_eq!(run, &shop.world.json("runs --all --trigger churn")["runs"][0]);
    assert_eq!(run["id"], shop.world.kfp.runs()[0].id);
    assert_eq!([&member["uri"], &member["generation"]], ["gs://acme-data/churn/a", "1"]);
    for subject in ["gs://acme-data/churn/a", member["event"].as_str().unwrap()] {
        let story = shop.world.json(&format!("why {subject}"))["stories"][0].clone();
        assert_eq!(story["events"][0]["event"], member["event"], "{subject}");
        assert_eq!(story["batches"][0]["batch"], run["run"], "{subject}");
    }
    assert_ne!(launched, promoted, "the rules were changed while it ran");
    assert_eq!([&trail["launched_under"], &trail["promoted_under"]], [&launched, &promoted]);
    let manifest = run["manifest"].as_str().unwrap();
    let kept = [manifest.to_owned(), layout::rules(&launched), layout::rules(&promoted)];
    for name in kept {
        assert!(shop.world.path("ledger").join(&name).is_file(), "{name}");
    }
    let told = shop.world.refit("trail churn 1").ends(0);
    told.says(&format!("rules {launched} at the launch, {promoted} at the promotion"));
}
