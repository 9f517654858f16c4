//! `refit dev`: everything a cloud would give, in one process on this machine.

mod report;
mod screen;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use refit_core::error::{Error, ErrorKind};
use refit_core::rules::{On, Rules};
use refit_core::run::Run;
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_dev::news::{News, Teller};
use refit_dev::world::{Applied, Config, World};
use refit_dev::{PORT, demo};
use refit_engine::port::Clock as _;
use refit_host::{logs, server};
use refit_platform::clock::SystemClock;
use refit_platform::env;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::rule_changes::RuleChanges;
use crate::rule_file::{DEFAULT, RuleFile};
use crate::words::count;
use report::Report;
use screen::Screen;

/// The folder of the demo where none is named.
const DEMO: &str = "refit-demo";
/// How often the rule file is looked at, and the screen drawn.
const LOOK_EVERY: Span = Span::from_millis(250);

/// Serve the rules of a folder on this machine alone: buckets, pipelines, scheduler and functions in one process
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Beside refit.yaml lie `buckets/NAME/OBJECT`, watched and announced as a bucket would, with what lies there
already when a folder is first served; and the pipelines of the service `local: {}`, each a folder with a pipeline.yaml
(docs/pipelines.md), here or in `pipelines`. The rule file is applied when it changes; what a pipeline names in `serve`
runs with the version of its model in Production. The ledger is a directory, `.refit` unless said; no cloud is asked for
anything the rules do not name, and none gets credentials from here. The times of the protocol are shorter than
elsewhere, and told when it begins.

Examples:
  refit dev --demo
  refit dev --port 0
  refit dev --once --json"
)]
pub(crate) struct Args {
    /// The folder with the rule file [default: this one; of the demo: refit-demo]
    #[arg(long, value_name = "PATH")]
    folder: Option<PathBuf>,
    /// The port to listen on, on this machine only; 0 takes a free one
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// End with the first run: with 0 if it succeeded, else with 1
    #[arg(long)]
    once: bool,
    /// Write an example into the folder, upload its data, and show what comes of it
    #[arg(long)]
    demo: bool,
}

/// A world, and who watches it.
struct Session<'a> {
    context: &'a Context,
    args: &'a Args,
    screen: Screen,
    folder: PathBuf,
    world: World,
    news: UnboundedReceiver<News>,
    rules: Looked,
}

/// The rule file as it was last looked at.
struct Looked {
    /// What was last applied or complained of.
    known: String,
    /// What may still be being written.
    draft: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match env::var("REFIT_LOG") {
        Some(_) => logs::begin("refit")?,
        None => logs::begin_plain(),
    }
    let screen = Screen::new(context.output);
    let folder =
        args.folder.clone().unwrap_or_else(|| PathBuf::from(if args.demo { DEMO } else { "." }));
    if args.demo {
        prepare_demo(&screen, &folder)?;
    }
    let rules = RuleFile::read(&folder.join(DEFAULT))?;
    if rules.config.is_none() {
        context.output.show(&rules.checked(context.output))?;
        return Ok(Exit::Invalid);
    }
    let ledger = ledger(context, &args, &folder, &rules)?;
    let program = std::env::current_exe().map_err(|error| {
        Error::new(ErrorKind::Internal, "this program does not know where it lies").because(error)
    })?;
    let config = Config { folder: folder.clone(), ledger, port: args.port, program };
    let world = World::open(&config).await?;
    serve(context, &args, screen, (folder, world, rules)).await
}

async fn serve(
    context: &Context,
    args: &Args,
    screen: Screen,
    (folder, world, rules): (PathBuf, World, RuleFile),
) -> Result<Exit, Failure> {
    let (teller, news) = Teller::new();
    let known = Looked { known: rules.text.clone(), draft: String::new() };
    let mut session = Session { context, args, screen, folder, world, news, rules: known };
    let ended = tokio::select! {
        ended = session.run(&rules, teller) => ended,
        () = server::told_to_end() => session.interrupted(),
    };
    let told_again = server::told_to_end();
    session.screen.say("ending; once more ends at once");
    tokio::select! {
        () = session.world.close() => ended,
        () = told_again => Err(Failure::new(Exit::Interrupted, "interrupted")),
    }
}

fn prepare_demo(screen: &Screen, folder: &Path) -> Result<(), Failure> {
    let written = demo::write(folder)?;
    let place = folder.display();
    match written.len() {
        0 => screen.say(&format!("the demo is in {place} already")),
        number => {
            let files = count(number as u64, "file", "files");
            screen.say(&format!("wrote {files} of the demo to {place}"));
        }
    }
    let quiet = demo::QUIET;
    screen.say(&format!(
        "a batch becomes a run after {quiet} without a new file: shortened for the demo, 1m is usual"
    ));
    Ok(())
}

/// Where the ledger lies: on this machine, whatever the rule file says of the one it is written for.
fn ledger(
    context: &Context,
    args: &Args,
    folder: &Path,
    rules: &RuleFile,
) -> Result<String, Failure> {
    let own = || folder.join(".refit").to_string_lossy().into_owned();
    if let Some(asked) = &context.global.ledger {
        let refused = || {
            let message = format!("`refit dev` keeps its ledger in a directory: ledger=`{asked}`");
            Failure::new(Exit::Usage, message)
        };
        return is_directory(asked).then(|| asked.clone()).ok_or_else(refused);
    }
    let named = rules.ledger()?.map(|named| match is_directory(&named) {
        true => folder.join(named).to_string_lossy().into_owned(),
        false => named,
    });
    match env::var("REFIT_LEDGER").or(named).filter(|_| !args.demo) {
        Some(named) if is_directory(&named) => Ok(named),
        Some(named) => {
            let own = own();
            let text = format!(
                "the ledger is {own} here; {named} is left alone. Ask other commands with --ledger {own}"
            );
            context.output.note(&text);
            Ok(own)
        }
        None => Ok(own()),
    }
}

fn is_directory(ledger: &str) -> bool {
    !ledger.contains("://") && !ledger.starts_with("memory:")
}

/// The buckets that rules watch, by name.
fn watched(rules: &Rules) -> BTreeSet<String> {
    let on = rules.triggers.values().flat_map(|trigger| &trigger.on);
    let buckets = on.filter_map(|on| match on {
        On::Objects(matching) => Some(&*matching.bucket),
        On::Message(_) | On::Drift(_) | On::Schedule(_) | On::Model(_) => None,
    });
    let names = buckets.map(|bucket| bucket.split_once("://").map_or(bucket, |(_, name)| name));
    names.map(str::to_owned).collect()
}

impl Session<'_> {
    /// Runs until the first run is over, if that is what was asked for.
    async fn run(&mut self, rules: &RuleFile, teller: Teller) -> Result<Exit, Failure> {
        self.screen.say(&format!("listening on http://{}", self.world.address()));
        let Timing { lease, margin, call, settle, ping, poll, .. } = Timing::dev();
        self.screen.say(&format!(
            "the times of the protocol are shorter here: lease={lease}, margin={margin}, call={call}, settle={settle}, ping={ping}, poll={poll}"
        ));
        self.apply(rules).await?;
        self.world.begin(&teller).await?;
        let buckets = self.world.buckets();
        let names = rules.config.as_ref().map(|config| watched(&config.rules)).unwrap_or_default();
        let names = match names.len() {
            0 => "NAME".to_owned(),
            1 => names.into_iter().collect(),
            _ => format!("{{{}}}", names.into_iter().collect::<Vec<_>>().join(",")),
        };
        self.screen.say(&format!("watching {}/{names}/OBJECT", buckets.display()));
        if self.args.demo {
            self.upload(&buckets);
        }
        loop {
            tokio::select! {
                Some(news) = self.news.recv() => {
                    if let News::Over(run) = &news
                        && let Some(exit) = self.over(run)?
                    {
                        return Ok(exit);
                    }
                    self.screen.show(&news);
                }
                () = SystemClock.sleep(LOOK_EVERY) => {
                    self.screen.draw();
                    self.look_at_rules().await?;
                }
            }
        }
    }

    /// Whether the first run is the last.
    fn ends(&self) -> bool {
        let is_watched = self.context.output.draws() && !self.context.output.is_json();
        self.args.once || (self.args.demo && !is_watched)
    }

    /// Tells how a run went; the exit, if it was the last.
    fn over(&mut self, run: &Run) -> Result<Option<Exit>, Failure> {
        let hints = self.args.demo.then(|| report::Hints {
            folder: &self.folder,
            ends: self.ends(),
            hidden: report::hidden_program(),
        });
        let report = Report::of(run, self.world.pipelines(), hints);
        if !self.ends() {
            self.screen.say(&report.to_string());
            return Ok(None);
        }
        self.screen.clear();
        self.context.output.show(&report)?;
        Ok(Some(if report.has_succeeded() { Exit::Ok } else { Exit::Internal }))
    }

    /// What being told to end means: a failure only where a run was waited for.
    fn interrupted(&self) -> Result<Exit, Failure> {
        if self.ends() {
            return Err(Failure::new(Exit::Interrupted, "interrupted before a run was over"));
        }
        if self.context.output.is_json() {
            self.context.output.show_value(&json!({ "ended": true }))?;
        }
        Ok(Exit::Ok)
    }

    /// Makes the folder of every bucket that rules watch, so that it is seen where data goes.
    fn make_buckets(&self, rules: &Rules) {
        for name in watched(rules) {
            let folder = self.world.buckets().join(&name);
            if let Err(error) = fs::create_dir_all(&folder) {
                self.screen.say(&format!("{} cannot be made: {error}", folder.display()));
            }
        }
    }

    async fn apply(&mut self, rules: &RuleFile) -> Result<(), Failure> {
        let Some(config) = &rules.config else { return Ok(()) };
        self.make_buckets(&config.rules);
        let Applied { before, answer } =
            self.world.apply(&rules.text, &config.rules.revision).await?;
        let Some(answer) = answer else {
            self.screen.say(&format!("the rules of {} are in force", rules.path.display()));
            return Ok(());
        };
        if !answer.ok {
            return Err(Failure::new(Exit::Refused, answer.message));
        }
        self.screen.say(&format!("{}: {}", rules.path.display(), answer.message));
        if let Some(before) = before {
            self.screen.say(RuleChanges::between(&before, &rules.text).to_string().trim_end());
        }
        Ok(())
    }

    /// Applies the rule file once it has changed and reads the same twice.
    async fn look_at_rules(&mut self) -> Result<(), Failure> {
        let path = self.folder.join(DEFAULT);
        // A file that is being replaced may be missing for a moment.
        let Ok(rules) = RuleFile::read(&path) else { return Ok(()) };
        let stands = self.rules.draft == rules.text;
        self.rules.draft.clone_from(&rules.text);
        if !stands || self.rules.known == rules.text {
            return Ok(());
        }
        self.rules.known.clone_from(&rules.text);
        if rules.config.is_none() {
            self.screen.say(&rules.checked(self.context.output).to_string());
            self.screen.say("the former rules stay in force");
            return Ok(());
        }
        if let Err(failure) = self.apply(&rules).await {
            self.screen.say(&format!("the former rules stay in force: {}", failure.message));
        }
        Ok(())
    }

    /// Uploads the files of the demo while what comes of it is shown.
    fn upload(&self, buckets: &Path) {
        let names = demo::uploads(buckets);
        let files = count(names.len() as u64, "file", "files");
        let place = buckets.join(demo::BUCKET);
        self.screen.say(&format!("uploading {files} to {}", place.display()));
        let buckets = buckets.to_owned();
        tokio::spawn(async move { demo::upload(&buckets, &names, &SystemClock).await });
    }
}
