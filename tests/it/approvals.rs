//! Approvals by signed links: told by `tick`, shown and recorded by `hook`, and judged by `tick` again. The registry and
//! whoever is told are fakes of ours.

use std::sync::{Arc, Mutex};

use http::HeaderMap;
use refit_core::event::Command;
use refit_core::key::Hash128;
use refit_core::promotion::{Promotion, PromotionPhase, Says, Stage, Statement};
use refit_core::state::State;
use refit_core::time::Span;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;
use refit_testkit::fake::client::Reply;
use refit_testkit::fake::kfp::{Kfp, Options};
use refit_testkit::fake::mlflow::Mlflow;
use refit_testkit::fake::server::{Answer, Reacting, Reaction, Request, Server, Site};
use refit_wire::link::{HEADER, Link, ledger_at};
use serde_json::json;

use crate::patience::call;
use crate::process::Process;
use crate::world::{Api, LINK_SECRET, World, upload};

const PERSONS: [&str; 3] = ["ann", "bob", "eve"];

/// The letters of each person, as texts.
#[derive(Default)]
struct Letters(Mutex<Vec<(String, String)>>);

impl Site for Letters {
    fn react(self: Arc<Self>, request: Request) -> Reacting {
        let text = request.json()["text"].as_str().unwrap_or_default().to_owned();
        self.0.lock().unwrap().push((request.path.join("/"), text));
        Box::pin(std::future::ready(Reaction::Answer(Answer::json(200, &json!({})))))
    }
}

/// A deployment with a version that waits to be in production, which ann has asked for.
struct Waiting {
    world: World,
    hook: Process,
    letters: Arc<Letters>,
    _servers: [Server; 2],
}

impl Waiting {
    async fn begin() -> Self {
        let world = World::new(Kfp::start(Options::default())).await;
        let hook = world.hook(&[("REFIT_HOOK_LINK", LINK_SECRET)]).await;
        let (letters, people) = (Arc::new(Letters::default()), Server::new());
        people.open(Arc::<Letters>::clone(&letters));
        let registry = Arc::new(Mlflow::default()).listen();
        let applied = world.apply(&rules(&world, &hook, [&people, &registry])).await;
        assert!(applied.ok, "{}", applied.message);
        world.deliver(&upload("churn/a", 1_767_614_397_000_000, "m1")).await;
        world
            .until("it is registered", |state| phase(state) == Some(PromotionPhase::Candidate))
            .await;
        let waiting = Self { world, hook, letters, _servers: [people, registry] };
        waiting.ask(PromotionPhase::Accepted).await;
        waiting.ask(PromotionPhase::Requested).await;
        waiting
    }

    /// Lets ann ask for the next stage.
    async fn ask(&self, then: PromotionPhase) {
        let statement = Statement {
            model: "churn".to_owned(),
            version: "1".to_owned(),
            says: Says::Request,
            stage: None,
            request: None,
            person: "ann".to_owned(),
            reason: String::new(),
        };
        let answer = self.world.command(Command::Promotion(statement)).await;
        assert!(answer.ok, "{}", answer.message);
        self.world.until("it goes on", |state| phase(state) == Some(then)).await;
    }

    /// The link in the newest letter to somebody.
    async fn link_of(&self, person: &str) -> String {
        let text = || {
            let letters = self.letters.0.lock().unwrap();
            letters
                .iter()
                .rev()
                .find(|(to, text)| to == person && text.contains("in production"))
                .cloned()
        };
        self.world.until("a letter is there", |_| text().is_some()).await;
        let (_, text) = text().unwrap();
        let link = text.split_whitespace().find(|word| word.starts_with("http")).unwrap();
        let (_, target) = link.split_once(&self.hook.place).unwrap();
        target.to_owned()
    }

    async fn follow(&self, target: &str) -> Reply {
        call(&self.hook.place, &format!("GET {target}"), "", b"").await.unwrap()
    }

    async fn answer(&self, target: &str, form: &str) -> Reply {
        let headers = "content-type: application/x-www-form-urlencoded\r\n";
        call(&self.hook.place, &format!("POST {target}"), headers, form.as_bytes()).await.unwrap()
    }

    /// The persons whose approvals are recorded, once everything that arrived is judged.
    async fn approved(&self) -> Vec<String> {
        self.world.settle().await;
        let state = self.world.state().await;
        version(&state).unwrap().approvals.iter().map(|it| it.person.clone()).collect()
    }
}

fn rules(world: &World, hook: &Process, [people, registry]: [&Server; 2]) -> String {
    let (hook, people, registry) = (&hook.place, people.place(), registry.place());
    let told = PERSONS.map(|name| {
        format!("  {name}-mail: {{ webhook: {{ url: \"http://{people}/{name}\", auth: none }} }}\n")
    });
    let approvers = PERSONS.map(|name| format!("{name}: {{ receiver: {name}-mail }}")).join(", ");
    let rule = format!(
        "batch: {{ quiet: 1s, max_wait: 1m }}\n    notify: [ann-mail, bob-mail, eve-mail]\n    \
         promote: {{ registry: models, model: churn, request: manual, approvers: {{ {approvers} }},\n      \
         production: {{ approvals: 2, four_eyes: true }} }}"
    );
    format!(
        "links: {{ url: \"http://{hook}\", secret: {{ env: LINKS }} }}\nnotify:\n{}registries: {{ models: {{ mlflow: \
         {{ endpoint: \"http://{registry}\", experiment: churn }} }} }}\n{}",
        told.concat(),
        world.rules(Api::V2beta1, "", &rule)
    )
}

pub(crate) fn version(state: &State) -> Option<&Promotion> {
    state.models.get("churn")?.promotions.values().next()
}

pub(crate) fn phase(state: &State) -> Option<PromotionPhase> {
    version(state).map(|promotion| promotion.phase)
}

/// A link somebody might make or keep.
fn link(person: &str, request: u32, valid: Span, (key, ledger): (&str, Hash128)) -> String {
    let until = SystemClock.now() + valid;
    let (model, version) = ("churn".to_owned(), "1".to_owned());
    let link = Link {
        ledger,
        model,
        version,
        stage: Stage::Production,
        request,
        person: person.to_owned(),
        until,
    };
    format!("/approve?link={}", link.token(key.as_bytes()).unwrap())
}

/// How a link names its ledger.
fn ledger_of(target: &str) -> Hash128 {
    let token = target.split_once('=').unwrap().1.parse().unwrap();
    Link::of(&HeaderMap::from_iter([(HEADER.parse().unwrap(), token)])).unwrap().ledger
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_approved_by_the_links_of_two_others_and_by_nothing_else() {
    let waiting = Waiting::begin().await;
    let (ann, bob, eve) =
        (waiting.link_of("ann").await, waiting.link_of("bob").await, waiting.link_of("eve").await);

    let page = waiting.follow(&bob).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for words in
        ["<b>1</b> of <b>churn</b>", "in <b>production</b>", "as <b>bob</b>", "method=post"]
    {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert!(page.head.contains("referrer-policy: no-referrer"), "{}", page.head);
    assert!(waiting.approved().await.is_empty(), "who looks says nothing");

    let other = "another-secret-that-is-long-enough-to-sign-with";
    let (soon, past) = (Span::mins(5), Span::from_millis(-1));
    let ours = ledger_of(&bob);
    let theirs = ledger_at("gs://acme-refit/staging");
    let cut = &bob[..bob.len() - 1];
    for (target, form, status, words) in [
        (link("eve", 2, soon, (other, ours)), "decision=approve", 401, "does not match"),
        (link("eve", 2, past, (LINK_SECRET, ours)), "decision=approve", 401, "no longer"),
        (link("eve", 2, soon, (LINK_SECRET, theirs)), "decision=approve", 403, "another ledger"),
        (cut.to_owned(), "decision=approve", 401, ""),
        ("/approve".to_owned(), "decision=approve", 401, "no link"),
        (bob.clone(), "", 400, "neither"),
        (bob.clone(), "decision=promote", 400, "neither"),
    ] {
        let page = waiting.answer(&target, form).await;
        assert_eq!(page.status, status, "{words}: {}", page.body);
        assert!(page.body.contains(words) && page.body.contains("not taken"), "{}", page.body);
    }
    assert!(waiting.approved().await.is_empty(), "nothing of that counts");

    let strange = waiting.follow(&link("eve", 2, soon, (LINK_SECRET, theirs))).await;
    assert!(strange.status == 403 && strange.body.contains("another ledger"), "{}", strange.body);

    let signed = (LINK_SECRET, ours);
    for target in [&ann, &link("eve", 1, soon, signed), &link("mallory", 2, soon, signed)] {
        assert_eq!(waiting.answer(target, "decision=approve").await.status, 200, "it is recorded");
    }
    assert!(waiting.approved().await.is_empty(), "who asked, an earlier request, and a stranger");

    for _ in 0..2 {
        assert_eq!(waiting.answer(&bob, "decision=approve&reason=good").await.status, 200);
    }
    assert_eq!(waiting.approved().await, ["bob"], "twice by one person is once");
    waiting.answer(&bob, "decision=reject").await;
    assert_eq!(waiting.approved().await, ["bob"], "and a link that was used says nothing more");

    waiting.answer(&eve, "decision=approve").await;
    waiting
        .world
        .until("it is promoted", |state| phase(state) == Some(PromotionPhase::Promoted))
        .await;
    assert_eq!(waiting.approved().await, ["bob", "eve"]);
    let logged = waiting.hook.lines().into_iter().chain(waiting.world.lines());
    let tokens = [&ann, &bob, &eve].map(|target| target.split_once('=').unwrap().1);
    for line in logged {
        let is_told = tokens.iter().any(|token| line.contains(token)) || line.contains(LINK_SECRET);
        assert!(!is_told, "a link is a secret: {line}");
    }
}
