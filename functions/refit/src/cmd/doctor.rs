//! `refit doctor`: what goes wrong most, looked for from outside.

use std::path::{Path, PathBuf};

use refit_core::error::{Error, ErrorKind};
use refit_core::timing::Timing;
use refit_engine::call::Caller;
use refit_engine::layout;
use refit_engine::port::StoreClock;
use refit_host::function::Base;
use refit_platform::env;
use refit_wire::cloud::aws::Aws;
use refit_wire::config::{self, Config};
use url::Url;

use crate::context::{Context, Opened};
use crate::doctor::{Clocks, Facts, LedgerFacts, Look, examine};
use crate::exit::{Exit, Failure};
use crate::rule_file::{DEFAULT, RuleFile};

/// Where a process has the ways out, and no ledger.
const NO_LEDGER: &str = "memory:";

/// Look for what is wrong around a ledger: rights, notifications, dead letters, loops, clocks and open doors
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Everything is read, nothing is changed, with the credentials of this machine: what they do not let it read is \
        told as not checked. Functions of Cloud Run that have this ledger in REFIT_LEDGER are found by themselves, and \
        asked without a token where their name tells their program; name others with --function, but not that of hook, \
        whose callers sign. Where the ledger or a watched bucket is in S3, functions on Lambda, their queues and their roles are \
        looked at in the region of AWS_REGION. Services are asked for a run that does not exist.

Every finding comes with a command that mends it; words in capitals are to be filled in. Exits with 1 if there is an \
        error.

Examples:
  refit doctor
  refit doctor --ledger gs://acme-refit/prod --function https://refit-object-x.a.run.app
  refit doctor --json | jq -r '.findings[].cure'"
)]
pub(crate) struct Args {
    /// The rule file [default: the rules in force, else ./refit.yaml]
    file: Option<PathBuf>,
    /// Where a function answers that must not let anybody in; may be given several times
    #[arg(long = "function", value_name = "URL")]
    functions: Vec<Url>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let file = args.file.map(|path| context.rules(&path)).transpose()?;
    let location = context.location(file.as_ref())?;
    let opened = context.open_existing_at(location.clone()).await;
    let mut facts = Facts { config: file.map(of_file), ..Facts::default() };
    facts.ledger.location = location;
    let base = match opened {
        Ok(opened) => {
            look_at_ledger(&opened, &mut facts).await;
            opened.base
        }
        Err(failure) => {
            facts.ledger.founded = Some(Err(failure.message));
            Base::open(NO_LEDGER).await?
        }
    };
    if facts.config.is_none() && Path::new(DEFAULT).exists() {
        facts.config = Some(of_file(context.rules(Path::new(DEFAULT))?));
    }
    let limit = Timing::default().call;
    let caller = Caller { transport: &base.transport, clock: &base.clock, limit };
    let aws = aws()?;
    let look = Look { caller, buckets: &base.buckets, aws: aws.as_ref() };
    look.gather(&mut facts, &args.functions).await;
    let report = examine(&facts);
    context.output.show(&report)?;
    Ok(if report.has_errors() { Exit::Internal } else { Exit::Ok })
}

/// The services of AWS in the region that the environment names, if it does.
fn aws() -> Result<Option<Aws>, Failure> {
    let Some(region) = env::aws_region() else { return Ok(None) };
    let aws = Aws::new(&region, |service| env::aws_endpoint(service.name()));
    let invalid = || {
        let message = "a variable AWS_ENDPOINT_URL names no server";
        Error::new(ErrorKind::Invalid, message)
    };
    Ok(Some(aws.ok_or_else(invalid)?))
}

fn of_file(file: RuleFile) -> Result<Config, String> {
    let path = file.path;
    file.config.ok_or_else(|| {
        format!("the rule file is wrong, see `refit check`: file=`{}`", path.display())
    })
}

/// Looks whether it was founded, at its clock, and for its rules where no others are to be looked at.
async fn look_at_ledger(opened: &Opened, facts: &mut Facts) {
    let base = &opened.base;
    let state = opened.state().await;
    let listed = base.store.list(layout::LOG, &layout::commit(u64::MAX), 1).await;
    let (machine, is_one) = (base.clock.now(), base.store_clock == StoreClock::Machine);
    let clocks = listed.ok().map(|page| Clocks { machine, store: page.now, is_one });
    let founded = state.as_ref().map(Option::is_some).map_err(ToString::to_string);
    let location = std::mem::take(&mut facts.ledger.location);
    facts.ledger = LedgerFacts { location, founded: Some(founded), clocks };
    if let (None, Ok(Some(state))) = (&facts.config, &state) {
        facts.config = in_force(opened, state).await;
    }
}

async fn in_force(
    opened: &Opened,
    state: &refit_core::state::State,
) -> Option<Result<Config, String>> {
    let text = match opened.rules_text(state).await {
        Ok(text) => text?,
        Err(error) => Err(error.to_string()),
    };
    let newer = || "they are of another version".to_owned();
    Some(text.and_then(|text| config::read(&text).0.ok_or_else(newer)))
}
