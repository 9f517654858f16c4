//! A folder with a rule file, a ledger in it, `refit serve` and a pipeline service.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use refit_core::event::Event;
use refit_core::run::Phase;
use refit_core::state::State;
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_engine::intake::Intake;
use refit_engine::ledger::Ledger;
use refit_engine::nonce::Nonces;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;
use refit_platform::env;
use refit_platform::store::LocalStore;
use refit_testkit::fake::client::call;
use refit_testkit::fake::kfp::{Kfp, Options};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::process::{Ended, Running, command, ended};

/// The pipeline that is run.
const PIPELINE: &str = "churn";
/// How long a test waits for what it has passes made for.
const WITHIN: Span = Span::secs(60);

/// One world, which ends with its test.
pub(crate) struct World {
    runtime: Runtime,
    pub(crate) kfp: Kfp,
    folder: TempDir,
    serve: Running,
    /// Where `refit serve` answers.
    pub(crate) place: String,
}

/// Short times, so that what takes minutes takes a second.
pub(crate) fn timing() -> Timing {
    Timing {
        lease: Span::secs(3),
        margin: Span::from_millis(200),
        call: Span::secs(2),
        settle: Span::from_millis(500),
        // Passes keep a distance that is a share of this.
        ping: Span::from_millis(600),
        poll: Span::from_millis(50),
        ..Timing::default()
    }
}

/// Founds a ledger in the folder.
pub(crate) async fn found(folder: &Path, timing: &Timing) {
    let store = LocalStore::open(folder.join("ledger")).await.unwrap();
    Ledger::new(Arc::new(store)).found("cli", timing).await.unwrap();
}

/// Starts `refit serve` in the folder: the process, and where it answers.
fn serve(folder: &Path) -> (Running, String) {
    let mut serve = command(folder, &["serve", "--port", "0", "--ledger", "ledger"]);
    serve.stdout(Stdio::null());
    let mut serve = Running::start(serve);
    let listening = serve.line(|line| line.contains("\"listening\""));
    let listening: Value = serde_json::from_str(&listening).unwrap();
    let place = listening["address"].as_str().unwrap().to_owned();
    (serve, place)
}

impl World {
    /// A world in which nothing is ruled yet.
    pub(crate) fn new() -> Self {
        Self::timed(&timing())
    }

    /// The same on a ledger with these times.
    pub(crate) fn timed(timing: &Timing) -> Self {
        let runtime = Runtime::new().unwrap();
        let entered = runtime.enter();
        let kfp = Kfp::start(Options { looks: None, ..Options::default() });
        drop(entered);
        kfp.add_pipeline(PIPELINE, &[("manifest", "STRING")]);
        let folder = TempDir::with_prefix("refit-cli").unwrap();
        runtime.block_on(found(folder.path(), timing));
        let (serve, place) = serve(folder.path());
        Self { runtime, kfp, folder, serve, place }
    }

    /// The same world with another process in the place of the one that serves it.
    pub(crate) fn restarted(self) -> Self {
        let Self { serve: former, folder, .. } = self;
        drop(former);
        let (serve, place) = serve(folder.path());
        Self { serve, place, folder, ..self }
    }

    /// A world in which a trigger named `churn` has this rule.
    pub(crate) fn ruled(rule: &str) -> Self {
        Self::new().under(rule)
    }

    /// The same world once its trigger has this rule.
    pub(crate) fn under(self, rule: &str) -> Self {
        self.write_rules(rule);
        self.refit("apply --yes").ends(0);
        self
    }

    /// Does something that needs the runtime of this world.
    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.enter();
        work()
    }

    /// Waits for something that needs the runtime of this world.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the rule file, with one trigger that has this rule.
    pub(crate) fn write_rules(&self, rule: &str) {
        let url = self.kfp.url();
        let text = format!(
            "ledger: ledger\n\
             services:\n\
             \x20 kfp: {{ kubeflow: {{ endpoint: \"{url}\" }} }}\n\
             triggers:\n\
             \x20 churn:\n\
             \x20   on: {{ objects: {{ bucket: acme-data, prefix: churn/ }} }}\n\
             \x20   {rule}\n\
             \x20   run: {{ service: kfp, pipeline: {PIPELINE}, parameters: {{ manifest: \"${{ batch.manifest }}\" }} }}\n"
        );
        std::fs::write(self.path("refit.yaml"), text).unwrap();
    }

    /// Makes the rule file watch a bucket that is not there.
    pub(crate) fn write_other_bucket(&self) {
        let path = self.path("refit.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text.replace("bucket: acme-data", "bucket: other")).unwrap();
    }

    /// Writes a sample of an object that was uploaded at that time.
    pub(crate) fn write_sample(&self, name: &str, generation: &str, time: &str) {
        let checksum = format!("{generation:0>6}==");
        let text = format!(
            "# An object.\n\
             POST /object\n\
             content-type: application/json\n\
             ce-specversion: 1.0\n\
             ce-id: delivery-{generation}\n\
             ce-type: google.cloud.storage.object.v1.finalized\n\
             ce-source: //storage.googleapis.com/projects/_/buckets/acme-data\n\
             ce-subject: objects/churn/{name}\n\
             ce-time: {time}\n\
             \n\
             {{\"bucket\": \"acme-data\", \"name\": \"churn/{name}\", \"generation\": \"{generation}\", \"size\": \"7\",\n\
             \"crc32c\": \"{checksum}\", \"timeCreated\": \"{time}\"}}\n"
        );
        std::fs::write(self.path(&format!("{name}.http")), text).unwrap();
    }

    /// Runs a command line in the folder, with the reconciler at hand.
    pub(crate) fn refit(&self, line: &str) -> Ended {
        self.told(line, &[])
    }

    /// The same with more in its environment.
    pub(crate) fn told(&self, line: &str, variables: &[(&str, String)]) -> Ended {
        let args: Vec<&str> = line.split_whitespace().collect();
        let mut command = command(self.folder.path(), &args);
        command.env("REFIT_WAKE", format!("http://{}/tick", self.place));
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        ended(command)
    }

    /// What a command line prints as JSON.
    pub(crate) fn json(&self, line: &str) -> Value {
        self.refit(&format!("{line} --json")).ends(0).json()
    }

    /// What the ledger says now.
    pub(crate) fn state(&self) -> State {
        self.runtime.block_on(async {
            let store = LocalStore::open(self.path("ledger")).await.unwrap();
            let view = Ledger::new(Arc::new(store)).load().await.unwrap();
            view.expect("the ledger was founded").state
        })
    }

    /// Records events as a door does.
    pub(crate) fn record(&self, events: Vec<Event>) {
        self.runtime.block_on(async {
            let store = Arc::new(LocalStore::open(self.path("ledger")).await.unwrap());
            let nonces = Nonces::new(&env::nonce()[..16]);
            let intake = Intake::new(store, Arc::new(SystemClock), nonces, Span::secs(30));
            intake.append(events).await.unwrap();
        });
    }

    /// Asks for a pass, and waits until it was made.
    pub(crate) fn pass(&self) {
        let woken = self.runtime.block_on(call(&self.place, "POST /tick", "", b"")).unwrap();
        assert_eq!(woken.status, 204);
    }

    /// Posts JSON to a stand-in for Cloud Storage, and answers with the status.
    pub(crate) fn post(&self, server: &str, path: &str, body: &Value) -> u16 {
        let (line, body) = (format!("POST /storage/v1/{path}"), body.to_string());
        let headers = "content-type: application/json\r\n";
        self.runtime.block_on(call(server, &line, headers, body.as_bytes())).unwrap().status
    }

    /// Has passes made until the state is as wanted.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) -> State {
        let end = SystemClock.elapsed() + WITHIN;
        loop {
            let state = self.state();
            if is_so(&state) {
                return state;
            }
            assert!(SystemClock.elapsed() < end, "never: {what}\n{state:#?}");
            self.pass();
        }
    }

    /// Has passes made until so many runs of the ledger are at a phase.
    pub(crate) fn until_runs(&self, count: usize, phase: Phase) {
        self.until(&format!("{count} runs are {}", phase.text()), |state| {
            state.runs.values().filter(|run| run.attempt().phase == phase).count() == count
        });
    }
}
