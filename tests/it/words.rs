//! Approvals by words on GitHub: a signed comment and a signed push of a tag, recorded by `hook` and judged by `tick`, up
//! to production. The registry is a fake of ours.

use std::sync::Arc;

use refit_core::promotion::{PromotionPhase, Stage};
use refit_core::state::State;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;
use refit_testkit::fake::kfp::{Kfp, Options};
use refit_testkit::fake::mlflow::Mlflow;
use refit_testkit::fake::server::Server;
use serde_json::{Value, json};

use crate::approvals::{phase, version};
use crate::hooks::{SECRETS, signed};
use crate::patience::call;
use crate::process::Process;
use crate::world::{Api, World, upload};

/// Two persons, by their accounts.
const RULE: &str = "batch: { quiet: 1s, max_wait: 1m }
    promote:
      registry: models
      model: churn
      staging: { approvals: 1 }
      production: { approvals: 1, four_eyes: true }
      approvers: { ann: { github: octocat }, bob: { github: hubot } }";

/// A deployment with a version that waits to be in staging.
struct Waiting {
    world: World,
    hook: Process,
    mlflow: Arc<Mlflow>,
    _registry: Server,
}

impl Waiting {
    async fn begin() -> Self {
        let world = World::new(Kfp::start(Options::default())).await;
        let hook = world.hook(&[("REFIT_HOOK_GITHUB", SECRETS)]).await;
        let mlflow = Arc::new(Mlflow::default());
        let registry = mlflow.listen();
        let place = registry.place();
        let models = format!(
            "registries: {{ models: {{ mlflow: {{ endpoint: \"http://{place}\", experiment: churn }} }} }}\n"
        );
        let applied = world.apply(&(models + &world.rules(Api::V2beta1, "", RULE))).await;
        assert!(applied.ok, "{}", applied.message);
        world.deliver(&upload("churn/a", 1_767_614_397_000_000, "m1")).await;
        world.until("it waits", |state| asked(state) == Some(Stage::Staging)).await;
        Self { world, hook, mlflow, _registry: registry }
    }

    /// Delivers a webhook with these headers.
    async fn deliver(&self, headers: &str, body: &str) -> u16 {
        call(&self.hook.place, "POST /hook", headers, body.as_bytes()).await.unwrap().status
    }

    /// Lets an account write a comment, which is delivered twice.
    async fn comment(&self, id: u32, login: &str, body: &str) {
        let comment = comment(id, login, body);
        for again in ["a", "b"] {
            let headers =
                signed("issue_comment", &format!("{id}{again}"), "application/json", &comment);
            assert_eq!(self.deliver(&headers, &comment).await, 204, "it is recorded");
        }
    }

    /// Lets an account push a tag.
    async fn tag(&self, name: &str, login: &str) {
        let pushed_at = SystemClock.now().as_millis() / 1000;
        let push = json!({
            "ref": format!("refs/tags/{name}"), "before": "0", "after": "abc", "created": true,
            "deleted": false, "commits": [],
            "repository": { "full_name": "acme/churn", "pushed_at": pushed_at },
            "pusher": { "name": login }, "sender": { "login": login },
        });
        let push = push.to_string();
        let headers = signed("push", name, "application/json", &push);
        assert_eq!(self.deliver(&headers, &push).await, 204, "it is recorded");
    }

    /// The persons whose approvals are recorded, once everything that arrived is judged.
    async fn approved(&self) -> Vec<String> {
        self.world.settle().await;
        let state = self.world.state().await;
        version(&state).unwrap().approvals.iter().map(|it| it.person.clone()).collect()
    }
}

/// The stage that is asked for and waits for approvals.
fn asked(state: &State) -> Option<Stage> {
    let waits = phase(state) == Some(PromotionPhase::Requested);
    version(state).filter(|_| waits)?.request().map(|request| request.stage)
}

fn comment(id: u32, login: &str, body: &str) -> String {
    let comment: Value = json!({
        "action": "created",
        "issue": { "number": 7, "title": "churn 1" },
        "comment": {
            "id": id, "body": body, "author_association": "NONE",
            "user": { "login": login }, "created_at": SystemClock.now().to_string(),
        },
        "repository": { "full_name": "acme/churn" },
    });
    comment.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_goes_to_production_by_a_comment_and_a_tag_of_two_accounts() {
    let waiting = Waiting::begin().await;
    let approve = "/refit approve churn 1";
    let written = comment(1, "octocat", approve);
    let forged = signed("issue_comment", "1", "application/json", &comment(1, "mallory", approve));
    assert_eq!(
        waiting.deliver(&forged, &written).await,
        401,
        "the signature is of another comment"
    );
    waiting.comment(2, "mallory", approve).await;
    waiting.comment(3, "octocat", "/refit approve churn 1 production").await;
    assert!(waiting.approved().await.is_empty(), "a forger, a stranger, and another stage");

    waiting.comment(4, "OctoCat", "/refit approve churn 1 staging looked at the curves").await;
    waiting
        .world
        .until("the next stage waits", |state| asked(state) == Some(Stage::Production))
        .await;
    assert_eq!(waiting.mlflow.alias("staging").as_deref(), Some("1"));
    waiting.comment(5, "octocat", approve).await;
    assert_eq!(waiting.approved().await, ["ann"], "it takes another person");
    assert_eq!(waiting.mlflow.alias("production"), None);

    waiting.tag("refit/approve/churn/1/production", "hubot").await;
    waiting
        .world
        .until("it is promoted", |state| phase(state) == Some(PromotionPhase::Promoted))
        .await;
    assert_eq!(waiting.approved().await, ["ann", "bob"]);
    assert_eq!(waiting.mlflow.alias("production").as_deref(), Some("1"));
}
