//! Who is told of what.

use std::collections::{BTreeMap, BTreeSet};

use refit_core::notice::NoticeKind;
use refit_core::rules::Receiver;
use refit_core::template::Template;
use serde::Deserialize as _;
use serde_json::Value;

use super::super::document::NodeId;
use super::super::likely::did_you_mean;
use super::super::located::{Located, given, named};
use super::super::report::Notes;
use super::super::v1::{self, RECEIVER_SETTINGS};
use super::checked_name;
use super::expression::Scene;
use crate::notify::{NotifierConfig, Teller, usual};

/// Somebody to be told.
#[derive(Debug)]
pub(in super::super) struct Told {
    pub(super) config: NotifierConfig,
    pub(in super::super) receiver: Receiver,
    pub(super) teller: Teller,
}

/// The receivers by name; those that are wrong without what they are.
pub(in super::super) type Receivers = BTreeMap<String, Option<Told>>;

pub(super) fn receivers(notes: &mut Notes<'_>, file: &v1::File) -> Receivers {
    let mut receivers = Receivers::new();
    for (name, written) in named(&file.notify) {
        let Some(key) = checked_name(notes, name) else { continue };
        let told = written.value.as_ref().and_then(|value| told(notes, value, written.at));
        receivers.insert(key, told);
    }
    receivers
}

fn told(notes: &mut Notes<'_>, written: &v1::Receiver, at: NodeId) -> Option<Told> {
    let text = text(notes, &written.text);
    let is_said = |name: &&str| !RECEIVER_SETTINGS.contains(name);
    if !notes.document.names(at).any(|name| is_said(&name)) {
        let cure = "say how, such as `slack: { webhook: { env: NAME } }`";
        notes.refuse(at, "nobody can be told by this").cured_by(cure);
        return None;
    }
    let config =
        notes.read_without(at, RECEIVER_SETTINGS, |reader| NotifierConfig::deserialize(reader))?;
    let about = config.used();
    let usual = || usual(&about).iter().copied().collect();
    let on = given(&written.on).map_or_else(usual, |(on, _)| kinds(on));
    match config.open() {
        Ok(notifier) => {
            let teller = Teller::new(notifier, text);
            let receiver = Receiver { on, groups: !about.is_for_programs };
            Some(Told { config, receiver, teller })
        }
        Err(message) => {
            let kind = notes.document.entry(at, config.kind());
            notes.refuse(kind.map_or(at, |kind| kind.value), message);
            None
        }
    }
}

fn kinds(on: &[Located<v1::Kind>]) -> BTreeSet<NoticeKind> {
    on.iter().filter_map(|kind| kind.value).map(v1::Kind::kind).collect()
}

fn text(notes: &mut Notes<'_>, setting: &Option<Located<String>>) -> Option<Template> {
    let (text, at) = given(setting)?;
    let scene = Scene::of_notices();
    scene.check_template(notes, at, text);
    scene.template(&Value::String(text.clone()))
}

/// Who is told of a trigger, each of whom must be there.
pub(super) fn named_by(
    notes: &mut Notes<'_>,
    receivers: &Receivers,
    setting: &Option<Located<Vec<Located<String>>>>,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for written in given(setting).into_iter().flat_map(|(all, _)| all) {
        let Some(name) = &written.value else { continue };
        if !receivers.contains_key(name) {
            let known = receivers.keys().map(String::as_str);
            let cure = did_you_mean(name, known)
                .unwrap_or_else(|| "add it to the map `notify` at the top of the file".to_owned());
            notes.refuse(written.at, format!("there is nobody `{name}` to tell")).cured_by(cure);
        }
        names.insert(name.clone());
    }
    names
}
