//! `refit services`: the services of a rule file, and what each can do.

use std::fmt;
use std::path::{Path, PathBuf};

use refit_core::rules::{Idempotency, ServiceProfile};
use refit_wire::config::Config;
use refit_wire::pipeline::ServiceConfig;
use serde::Serialize;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::table;
use crate::rule_file::{DEFAULT, RuleFile};

/// List the services of a rule file, and how each starts, finds, follows and cancels runs
#[derive(Debug, clap::Args)]
#[command(
    after_help = "CLASS A: the service answers a second start under the same key with the same run, or refuses it.
CLASS B: it takes keys, but a second start does harm: it is looked up instead.
CLASS C: it knows no keys: runs are found by a marker.
With --json also: by what the service tells that a run ended (push), and what shows that a batch is one run (proof).

Without a file and without ./refit.yaml, the rules in force are read from the ledger."
)]
pub(crate) struct Args {
    /// The rule file
    file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Services(Vec<Service>);

#[derive(Debug, Serialize)]
struct Service {
    name: String,
    kind: &'static str,
    class: Idempotency,
    /// Whether a start may be repeated under the same key.
    start: &'static str,
    /// How a run is found.
    find: &'static str,
    /// How a run is followed.
    status: &'static str,
    /// Whether a run can be cancelled.
    cancel: &'static str,
    /// How the service could tell that a run ended.
    push: &'static str,
    /// What shows that a batch is one run.
    proof: &'static str,
    hosts: Vec<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let config = config(context, args.file).await?;
    let services = config.services.iter().map(|(name, service)| {
        Service::new(name.clone(), service.profile(), config.service_configs.get(name))
    });
    context.output.show(&Services(services.collect()))?;
    Ok(Exit::Ok)
}

/// What the named rule file says, else that of this folder, else that in force.
pub(super) async fn config(context: &Context, file: Option<PathBuf>) -> Result<Config, Failure> {
    match file.or_else(|| Path::new(DEFAULT).exists().then(|| DEFAULT.into())) {
        Some(file) => of_file(&RuleFile::read(&file)?),
        None => in_force(context).await,
    }
}

fn of_file(file: &RuleFile) -> Result<Config, Failure> {
    let wrong = || {
        let message =
            format!("the rule file is wrong, see `refit check`: file=`{}`", file.path.display());
        Failure::new(Exit::Invalid, message)
    };
    file.config.clone().ok_or_else(wrong)
}

async fn in_force(context: &Context) -> Result<Config, Failure> {
    let (opened, state) = context.load().await?;
    let text = opened.rules_text(&state).await?;
    let none =
        || Failure::new(Exit::NotFound, "no rules are in force, and there is no rule file here");
    let unreadable =
        |why| Failure::new(Exit::Internal, format!("the rules in force cannot be read: {why}"));
    let text = text.ok_or_else(none)?.map_err(unreadable)?;
    refit_wire::config::read(&text)
        .0
        .ok_or_else(|| unreadable("they are of another version".to_owned()))
}

impl Service {
    fn new(name: String, profile: ServiceProfile, settings: Option<&ServiceConfig>) -> Self {
        let kind = settings.map_or("-", ServiceConfig::kind);
        let about = ServiceConfig::about().into_iter().find(|(of, _)| *of == kind);
        let start = match profile.class {
            Idempotency::A => "repeatable",
            Idempotency::B | Idempotency::C => "once",
        };
        let find = match (profile.finds, profile.class) {
            (false, _) => "no",
            (true, Idempotency::A | Idempotency::B) => "by-key",
            (true, Idempotency::C) => "by-marker",
        };
        let cancel = if profile.cancels { "yes" } else { "no" };
        Self {
            name,
            kind,
            class: profile.class,
            start,
            find,
            status: "polled",
            cancel,
            push: about.as_ref().map_or("-", |(_, about)| about.push),
            proof: about.as_ref().map_or("-", |(_, about)| about.proof),
            hosts: settings.map(ServiceConfig::hosts).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.0.iter().map(|service| {
            let Service { name, kind, class, start, find, status, cancel, hosts, .. } = service;
            let text = |text: &&str| (*text).to_owned();
            [
                name.clone(),
                text(kind),
                format!("{class:?}"),
                text(start),
                text(find),
                text(status),
                text(cancel),
                hosts.join(" "),
            ]
        });
        let head = ["NAME", "KIND", "CLASS", "START", "FIND", "STATUS", "CANCEL", "HOSTS"];
        f.write_str(&table(head, cells))
    }
}
