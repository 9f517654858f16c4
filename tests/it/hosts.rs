//! Credentials go to the host that rules name, and nowhere that host may point to.

use std::sync::{Arc, Mutex, PoisonError};

use refit_testkit::fake::kfp::{Kfp, Options};
use refit_testkit::fake::metadata::Metadata;
use refit_testkit::fake::server::{Answer, Reacting, Reaction, Request, Server, Site};

use crate::world::{SECRET, World, upload};

/// A site that notes what it is asked with, and sends everybody elsewhere.
#[derive(Default)]
struct Elsewhere {
    to: String,
    asked_with: Mutex<Vec<String>>,
}

impl Elsewhere {
    fn open(server: &Server, to: String) -> Arc<Self> {
        let site = Arc::new(Self { to, ..Self::default() });
        server.open(Arc::<Self>::clone(&site));
        site
    }

    fn asked_with(&self) -> Vec<String> {
        self.asked_with.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Site for Elsewhere {
    fn react(self: Arc<Self>, request: Request) -> Reacting {
        let with = request.header("authorization").to_owned();
        self.asked_with.lock().unwrap_or_else(PoisonError::into_inner).push(with);
        let answer = Answer::text(307, "text/plain", "").with("location", &self.to);
        Box::pin(async { Reaction::Answer(answer) })
    }
}

/// Rules with one service at this place.
fn rules(place: &str, auth: &str) -> String {
    format!(
        "services: {{ s: {{ kubeflow: {{ endpoint: \"http://{place}\", auth: {auth} }} }} }}\n\
         triggers:\n\
         \x20 churn:\n\
         \x20   on: {{ objects: {{ bucket: acme-data, prefix: churn/ }} }}\n\
         \x20   batch: {{ quiet: 1s, max_wait: 1m }}\n\
         \x20   run: {{ service: s, pipeline: churn, parameters: {{ m: \"${{ batch.manifest }}\" }} }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_does_not_follow_a_redirect() {
    let (named, other) = (Server::new(), Server::new());
    let elsewhere = Elsewhere::open(&other, String::new());
    let redirecting = Elsewhere::open(&named, format!("http://{}/", other.place()));
    let world = World::new(Kfp::start(Options::default())).await;
    let applied = world.apply(&rules(&named.place(), "{ bearer: { env: KFP_TOKEN } }")).await;
    assert!(applied.ok, "{}", applied.message);
    assert_eq!(world.deliver(&upload("churn/a", 7, "m1")).await.status, 204);
    world.until("the service is asked", |_| !redirecting.asked_with().is_empty()).await;
    let troubled =
        world.until("the trouble is stated", |state| state.triggers["churn"].trouble.is_some());
    let trouble = troubled.await.triggers["churn"].trouble.clone().unwrap();
    assert!(!trouble.message.contains(SECRET), "{}", trouble.message);
    assert_eq!(redirecting.asked_with()[0], format!("Bearer {SECRET}"), "the named host has it");
    assert_eq!(elsewhere.asked_with(), [""; 0], "no other host is even asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_would_send_a_token_of_google_to_a_host_that_is_not_listed_are_refused() {
    let named = Server::new();
    let site = Elsewhere::open(&named, String::new());
    let metadata = Metadata::start();
    let world = World::with_metadata(Kfp::start(Options::default()), metadata).await;
    let applied = world.apply(&rules(&named.place(), "google")).await;
    assert!(!applied.ok && applied.message.contains("google"), "{}", applied.message);
    assert_eq!(site.asked_with(), [""; 0], "nothing is sent");
    assert_eq!(world.metadata.given(), 0, "no token is even fetched");
}
