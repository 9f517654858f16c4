//! What a trigger listens to.

use refit_core::drift;
use refit_core::rules::{Glob, MessageMatch, ObjectMatch, On};

use super::super::document::NodeId;
use super::super::located::{Located, OneOrMany, given, text};
use super::super::never;
use super::super::report::Notes;
use super::super::v1;
use super::timed;

/// The type of a push to a repository on GitHub.
const PUSH: &str = "github.push";
/// Schemes a bucket may be written with.
const SCHEMES: &[&str] = &["gs", "s3", "file"];

/// The entries of `on` of the trigger at `at`.
pub(super) fn entries(
    notes: &mut Notes<'_>,
    on: &Option<Located<OneOrMany<v1::On>>>,
    at: NodeId,
) -> Vec<On> {
    let Some(on) = on else {
        let cure = "write what it listens to, such as `on: { objects: { bucket: acme-data } }`";
        notes.refuse_missing(at, "on", cure);
        return Vec::new();
    };
    let many = on.value.as_ref().map(|OneOrMany(many)| many.as_slice());
    if many.is_some_and(<[_]>::is_empty) {
        notes.refuse(on.at, "the list is empty: the trigger can never fire");
    }
    let is_model = |one: &Located<v1::On>| matches!(one.value, Some(v1::On::Model(_)));
    if let Some(many) = many.filter(|many| many.len() > 1 && many.iter().any(is_model)) {
        let at = many.iter().find(|one| is_model(one)).map_or(on.at, |one| one.at);
        let message = "a trigger on a model listens to nothing else";
        notes.refuse(at, message).cured_by("write a trigger of its own for it");
    }
    let mut found = Vec::new();
    for one in many.unwrap_or_default() {
        let entry = one.value.as_ref().and_then(|entry| entry_of(notes, entry, one.at));
        if entry.as_ref().is_some_and(|entry| found.contains(entry)) {
            notes.warn(one.at, "this is listed before").cured_by("remove one of them");
        }
        found.extend(entry);
    }
    found
}

fn entry_of(notes: &mut Notes<'_>, on: &v1::On, at: NodeId) -> Option<On> {
    match on {
        v1::On::Objects(objects) => objects_of(notes, objects, at).map(On::Objects),
        v1::On::Message(message) => Some(On::Message(MessageMatch {
            ty: message_type(notes, &message.ty),
            source: attribute(notes, &message.source),
            paths: Vec::new(),
        })),
        v1::On::Webhook(webhook) => {
            let at = inside(notes, at, "webhook");
            webhook_of(notes, webhook, at).map(On::Message)
        }
        v1::On::Drift(drift) => {
            let at = inside(notes, at, "drift");
            super::drift::entry(notes, drift, at).map(On::Drift)
        }
        v1::On::Schedule(schedule) => {
            let at = inside(notes, at, "schedule");
            timed::schedule(notes, schedule, at).map(On::Schedule)
        }
        v1::On::Model(model) => {
            let at = inside(notes, at, "model");
            super::models::entry(notes, model, at).map(On::Model)
        }
    }
}

/// The settings of an entry.
fn inside(notes: &Notes<'_>, at: NodeId, name: &str) -> NodeId {
    notes.document.entry(at, name).map_or(at, |entry| entry.value)
}

/// A webhook is a message of its type; only a push names files.
fn webhook_of(notes: &mut Notes<'_>, webhook: &v1::Webhook, at: NodeId) -> Option<MessageMatch> {
    if webhook.ty.is_none() {
        let cure = "name it, such as `type: github.push` or `type: mlflow.model_version.created`";
        notes.refuse_missing(at, "type", cure);
    }
    let ty = message_type(notes, &webhook.ty);
    let mut paths = Vec::new();
    let patterns = given(&webhook.paths).map(|(patterns, _)| patterns.as_slice());
    for pattern in patterns.unwrap_or_default() {
        match pattern.value.as_deref().map(Glob::new) {
            Some(Ok(glob)) => paths.push(glob),
            Some(Err(message)) => {
                notes.refuse(pattern.at, format!("not a pattern: {message}"));
            }
            None => {}
        }
    }
    if let Some((_, at)) = given(&webhook.paths).filter(|_| ty.as_deref() != Some(PUSH)) {
        let message = "no other webhook names files: the trigger can never fire";
        notes.refuse(at, message).cured_by(format!("write `type: {PUSH}`"));
    }
    Some(MessageMatch { ty, source: attribute(notes, &webhook.source), paths })
}

/// Drift reports are no messages, however they come.
fn message_type(notes: &mut Notes<'_>, setting: &Option<Located<String>>) -> Option<String> {
    let ty = attribute(notes, setting);
    if let Some((_, at)) = given(setting).filter(|(ty, _)| *ty == drift::TYPE) {
        let cure = "write `on: { drift: { model: NAME } }`";
        notes.refuse(at, "drift reports are no messages: it can never fire").cured_by(cure);
    }
    ty
}

fn attribute(notes: &mut Notes<'_>, setting: &Option<Located<String>>) -> Option<String> {
    let (text, at) = given(setting)?;
    if text.is_empty() {
        notes.refuse(at, "no message has an empty one: the trigger can never fire");
    }
    Some(text.clone())
}

fn objects_of(notes: &mut Notes<'_>, objects: &v1::Objects, at: NodeId) -> Option<ObjectMatch> {
    if objects.bucket.is_none() {
        let at = inside(notes, at, "objects");
        notes.refuse_missing(at, "bucket", "name it, such as `bucket: acme-data`");
    }
    let place = Place {
        bucket: &objects.bucket,
        prefix: &objects.prefix,
        suffix: &objects.suffix,
        glob: &objects.glob,
    };
    let accepts = |setting| given(setting).is_some_and(|(accept, _)| *accept == v1::Accept::Accept);
    Some(ObjectMatch {
        zero_bytes: accepts(&objects.zero_bytes),
        identical: accepts(&objects.identical),
        ..place.matching(notes)
    })
}

/// The settings that say which objects, of an entry of `on` or of a marker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) bucket: &'a Option<Located<String>>,
    pub(super) prefix: &'a Option<Located<String>>,
    pub(super) suffix: &'a Option<Located<String>>,
    pub(super) glob: &'a Option<Located<String>>,
}

impl Place<'_> {
    pub(super) fn matching(&self, notes: &mut Notes<'_>) -> ObjectMatch {
        check_bucket(notes, self.bucket);
        check_prefix(notes, self.prefix);
        let glob = given(self.glob).and_then(|(glob, at)| self.glob(notes, glob, at));
        ObjectMatch {
            bucket: text(self.bucket).trim_end_matches('/').to_owned(),
            prefix: text(self.prefix).to_owned(),
            suffix: text(self.suffix).to_owned(),
            glob,
            zero_bytes: false,
            identical: false,
        }
    }

    fn glob(&self, notes: &mut Notes<'_>, text: &str, at: NodeId) -> Option<Glob> {
        match Glob::new(text) {
            Ok(_) if text.is_empty() => {
                notes.refuse(at, "an empty pattern matches no name: it can never fire");
                None
            }
            Ok(glob) => {
                self.check_glob(notes, text);
                Some(glob)
            }
            Err(message) => {
                notes.refuse(at, format!("not a pattern: {message}"));
                None
            }
        }
    }

    /// Refuses a pattern no name can match that the prefix and the suffix allow.
    fn check_glob(&self, notes: &mut Notes<'_>, glob: &str) {
        let by_prefix = never::with_prefix(glob, text(self.prefix)).then_some(self.prefix);
        let by_suffix = never::with_suffix(glob, text(self.suffix)).then_some(self.suffix);
        for setting in [by_prefix, by_suffix].into_iter().flatten().flatten() {
            let message =
                format!("no name matches both this and `glob: {glob}`: it can never fire");
            notes.refuse(setting.at, message).cured_by("remove one of the two");
        }
    }
}

fn check_bucket(notes: &mut Notes<'_>, setting: &Option<Located<String>>) {
    let Some((written, at)) = given(setting) else {
        return;
    };
    let (scheme, bucket) = match written.split_once("://") {
        Some((scheme, bucket)) => (Some(scheme), bucket.trim_end_matches('/')),
        None => (None, written.as_str()),
    };
    if let Some(scheme) = scheme.filter(|scheme| !SCHEMES.contains(scheme)) {
        let message = format!("no events come from such a bucket: scheme=`{scheme}`");
        notes.refuse(at, message).cured_by("write it with `gs://`, or alone");
    }
    if bucket.is_empty() {
        notes.refuse(at, "a bucket is missing: the trigger can never fire");
    } else if let Some((bucket, rest)) = bucket.split_once('/') {
        let cure = format!("write `bucket: {bucket}` and `prefix: {rest}`");
        notes.refuse(at, "a bucket has no folders").cured_by(cure);
    } else if bucket.contains(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)) {
        notes.refuse(at, "no bucket has such a name: the trigger can never fire");
    }
}

fn check_prefix(notes: &mut Notes<'_>, setting: &Option<Located<String>>) {
    if let Some((prefix, at)) = given(setting).filter(|(prefix, _)| prefix.starts_with('/')) {
        let cure = format!("write `{}`", prefix.trim_start_matches('/'));
        notes.warn(at, "names of objects seldom begin with `/`").cured_by(cure);
    }
}
