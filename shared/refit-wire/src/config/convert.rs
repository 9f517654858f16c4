//! From the types of the file format to the rules, one function per piece. What is wrong is noted, something usual
//! is taken in its place, and the conversion goes on.

mod batch;
mod drift;
mod expression;
mod guard;
mod links;
mod models;
mod notify;
mod on;
mod run;
mod timed;
mod trigger;

use std::collections::BTreeMap;
use std::sync::Arc;

use refit_core::rules::{Rules, ServiceProfile, Trigger};
use refit_core::time::Span;

use self::links::LinkSettings;
use self::models::Registries;
pub(super) use self::notify::Receivers;
use super::document::NodeId;
use super::located::{Located, given, named};
use super::report::Notes;
use super::v1::{self, Duration};
use super::{Config, check};
use crate::pipeline::{PipelineService, ServiceConfig};

/// Converts a whole file, which is meant for that ledger as well as its own; none if it is no map at all.
pub(super) fn config(
    notes: &mut Notes<'_>,
    revision: String,
    ledger: Option<&str>,
) -> Option<Config> {
    let file: v1::File = notes.read(notes.document.root())?;
    let services = services(notes, &file);
    let receivers = notify::receivers(notes, &file);
    let registries = models::registries(notes, &file);
    let triggers = triggers(notes, &file, (&services, &registries, &receivers));
    check::ledger(notes, (&file.ledger, ledger), &triggers);
    check::twins(notes, &triggers);
    check::services_in_use(notes, &services, &file);
    check::receivers_in_use(notes, &triggers, &file);
    check::models(notes, &triggers, &file);
    check::approvers(notes, &triggers, (&receivers, &file));
    let links = links::settings(notes, &file);
    let mut config = assemble(services, triggers);
    tell(&mut config, receivers, links.as_ref());
    keep_models(&mut config, registries);
    config.ledger = file.ledger.and_then(|ledger| ledger.value);
    config.rules.revision = revision;
    config.secrets = notes.secrets();
    Some(config)
}

/// A service that can be opened.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) config: ServiceConfig,
    pub(super) adapter: Arc<dyn PipelineService>,
    pub(super) profile: ServiceProfile,
}

/// The services by name; those that are wrong without what they are.
pub(super) type Services = BTreeMap<String, Option<Service>>;

/// Triggers with their names and places.
pub(super) type Triggers = Vec<(String, NodeId, Trigger)>;

fn services(notes: &mut Notes<'_>, file: &v1::File) -> Services {
    let mut services = Services::new();
    for (name, config) in named(&file.services) {
        let Some(key) = checked_name(notes, name) else {
            continue;
        };
        let settings = config.value.as_ref();
        let service = settings.and_then(|settings| service(notes, settings, config.at));
        services.insert(key, service);
    }
    services
}

fn service(notes: &mut Notes<'_>, config: &ServiceConfig, at: NodeId) -> Option<Service> {
    let kind = notes.document.entry(at, config.kind()).map_or(at, |kind| kind.value);
    match config.open() {
        Ok(adapter) => {
            if let Some(doubt) = config.doubt() {
                notes.warn(kind, doubt);
            }
            let profile = adapter.profile();
            Some(Service { config: config.clone(), adapter: Arc::from(adapter), profile })
        }
        Err(message) => {
            notes.refuse(kind, message);
            None
        }
    }
}

fn triggers(
    notes: &mut Notes<'_>,
    file: &v1::File,
    (services, registries, receivers): (&Services, &Registries, &Receivers),
) -> Triggers {
    let mut triggers = Vec::new();
    for (name, rule) in named(&file.triggers) {
        let key = checked_name(notes, name);
        let rule_ = rule.value.as_ref().and_then(|v| {
            let trigger = trigger::rule(notes, (services, registries), v, rule.at)?;
            Some(Trigger { notify: notify::named_by(notes, receivers, &v.notify), ..trigger })
        });
        triggers.extend(key.zip(rule_).map(|(key, trigger)| (key, name.at, trigger)));
    }
    if named(&file.triggers).is_empty() && file.triggers.as_ref().is_none_or(|t| t.value.is_some())
    {
        let at = file.triggers.as_ref().map_or(notes.document.root(), |triggers| triggers.at);
        notes.warn(at, "there are no triggers: nothing will ever start");
    }
    triggers
}

fn checked_name(notes: &mut Notes<'_>, name: &Located<String>) -> Option<String> {
    let text = name.value.as_ref()?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let legal =
        text.starts_with(plain) && text.len() <= 63 && text.chars().all(|c| plain(c) || c == '-');
    if !legal {
        let message = "a name is made of a-z, 0-9 and `-`, does not begin with `-`, and has at most 63 characters";
        notes.refuse(name.at, message);
    }
    Some(text.clone())
}

fn assemble(services: Services, triggers: Triggers) -> Config {
    let mut config = Config {
        ledger: None,
        rules: Rules::default(),
        services: BTreeMap::new(),
        service_configs: BTreeMap::new(),
        tellers: BTreeMap::new(),
        notifier_configs: BTreeMap::new(),
        registries: BTreeMap::new(),
        registry_configs: BTreeMap::new(),
        secrets: Vec::new(),
    };
    for (name, service) in services.into_iter().filter_map(|(name, service)| Some((name, service?)))
    {
        config.rules.services.insert(name.clone(), service.profile);
        config.services.insert(name.clone(), service.adapter);
        config.service_configs.insert(name, service.config);
    }
    config.rules.triggers =
        triggers.into_iter().map(|(name, _, trigger)| (name, trigger)).collect();
    config
}

fn tell(config: &mut Config, receivers: Receivers, links: Option<&LinkSettings>) {
    for (name, told) in receivers.into_iter().filter_map(|(name, told)| Some((name, told?))) {
        config.rules.receivers.insert(name.clone(), told.receiver);
        let teller = match links.and_then(|links| links.of(&name, &config.rules)) {
            Some(links) => told.teller.with_links(links),
            None => told.teller,
        };
        config.tellers.insert(name.clone(), Arc::new(teller));
        config.notifier_configs.insert(name, told.config);
    }
}

fn keep_models(config: &mut Config, registries: Registries) {
    let known = registries.into_iter().filter_map(|(name, registry)| Some((name, registry?)));
    for (name, registry) in known {
        config.registries.insert(name.clone(), registry.adapter);
        config.registry_configs.insert(name, registry.config);
    }
}

/// A length of time within its limits, or the default.
fn span(
    notes: &mut Notes<'_>,
    setting: &Option<Located<Duration>>,
    default: Span,
    (least, most): (Span, Span),
) -> Span {
    let Some((Duration(span), at)) = given(setting) else {
        return default;
    };
    if *span < least {
        notes.refuse(at, format!("this is too short: least=`{least}`"));
        return default;
    }
    if *span > most {
        notes.refuse(at, format!("this is too long: most=`{most}`"));
        return default;
    }
    *span
}

/// No limit to a length of time.
const ANY: (Span, Span) = (Span::ZERO, Span::from_millis(i64::MAX));
