//! Triggers that watch what their own runs, or the reconciler, write. From the rules alone.

use refit_core::rules::Trigger;
use refit_wire::config::{Config, watches_ledger};

use crate::doctor::facts::{Facts, Watched};
use crate::doctor::report::Notes;

/// What puts another prefix, or another folder for what runs write, in force.
const CURE: &str = "refit apply refit.yaml";

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    let Some(config) = facts.rules() else { return };
    for (name, rule) in &config.rules.triggers {
        let loops = rule.on.iter().any(|on| watches_ledger(on, &facts.ledger.location));
        if loops {
            notes.error(name, "it watches the ledger, which every event writes to", CURE);
        }
    }
    for watched in &facts.watched() {
        judge(config, watched, notes);
    }
}

fn judge(config: &Config, watched: &Watched<'_>, notes: &mut Notes<'_>) {
    let Watched { trigger, scheme, bucket, of } = watched;
    let at = format!("{trigger}: {scheme}://{bucket}/{}", of.prefix);
    let mut is_fine = true;
    for (other, rule) in &config.rules.triggers {
        for output in outputs(config, rule).iter().filter(|output| covers(watched, output)) {
            is_fine = false;
            let whose = format!("it watches {output}, where runs of {other} write");
            match other == trigger && is_unfiltered(rule, watched) {
                true => notes.error(&at, format!("{whose}: each would start the next"), CURE),
                false => notes.warn(&at, format!("{whose}: they may start it"), CURE),
            }
        }
    }
    if is_fine {
        notes.fine(&at);
    }
}

/// Where the runs of a trigger write, as far as the rules say.
fn outputs(config: &Config, rule: &Trigger) -> Vec<String> {
    let service = config.service_configs.get(&rule.run.service);
    service.map(|service| service.outputs(&rule.run.target)).unwrap_or_default()
}

/// Whether something below a folder may be what is watched.
fn covers(watched: &Watched<'_>, folder: &str) -> bool {
    let Some((scheme, rest)) = folder.split_once("://") else { return false };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let within = |long: &str, short: &str| {
        let rest = long.strip_prefix(short);
        rest.is_some_and(|rest| short.is_empty() || rest.is_empty() || rest.starts_with('/'))
    };
    let of = watched.of.prefix.as_str();
    let is_below = within(of, prefix);
    let is_above = format!("{prefix}/").starts_with(of);
    scheme == watched.scheme && bucket == watched.bucket && (is_below || is_above)
}

/// Whether everything below its prefix starts it.
fn is_unfiltered(rule: &Trigger, watched: &Watched<'_>) -> bool {
    let of = watched.of;
    rule.when.is_none() && of.suffix.is_empty() && of.glob.is_none()
}
