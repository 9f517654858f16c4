//! The rule file: from its text to the rules in force, or to everything that is wrong with it.
//!
//! [`read`] finds every mistake of a file at once. The text becomes a tree of nodes that know where they stand
//! (`document`); the nodes become the types of the file format (`shape`, `v1`); each piece of these is converted
//! by one function (`convert`); and what concerns several pieces is checked last (`check`).

mod check;
mod convert;
mod document;
mod init;
mod likely;
mod located;
mod never;
mod render;
mod report;
mod scalar;
mod schema;
mod shape;
mod v1;

use std::collections::BTreeMap;
use std::sync::Arc;

use refit_core::diagnostics::{Diagnostic, Place};
use refit_core::key::sha256_hex;
use refit_core::rules::Rules;
use serde::de::DeserializeOwned;

use crate::notify::{NotifierConfig, Teller};
use crate::pipeline::{PipelineService, ServiceConfig};
use crate::registry::{ModelRegistry, RegistryConfig};

pub use check::watches_ledger;
pub use init::{Answers, Pipelines, Shown, example, init};
pub use render::render;
pub use schema::schema;

use document::Document;
use report::{Notes, Report};

/// What a rule file says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder everything is recorded in, where the file names it.
    pub ledger: Option<String>,
    /// The rules, under the SHA-256 of the text as their revision.
    pub rules: Rules,
    /// The services, by name.
    pub services: BTreeMap<String, Arc<dyn PipelineService>>,
    /// The settings of the services, by name.
    pub service_configs: BTreeMap<String, ServiceConfig>,
    /// Who can be told, by name.
    pub tellers: BTreeMap<String, Arc<Teller>>,
    /// The settings of whoever can be told, by name.
    pub notifier_configs: BTreeMap<String, NotifierConfig>,
    /// The registries of models, by name.
    pub registries: BTreeMap<String, Arc<dyn ModelRegistry>>,
    /// The settings of the registries, by name.
    pub registry_configs: BTreeMap<String, RegistryConfig>,
    /// The places of secrets it names.
    pub secrets: Vec<Mention>,
}

/// Something a rule file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The name.
    pub text: String,
    /// Where in the text.
    pub place: Place,
    /// Where by name, such as `services.kubeflow.kubeflow.auth.bearer.secret`.
    pub path: String,
}

/// Reads a rule file: what it says, unless there is an error in it, and everything there is to say about it, in the
/// order of the text.
#[must_use]
pub fn read(text: &str) -> (Option<Config>, Vec<Diagnostic>) {
    read_for(text, None)
}

/// The same of a rule file that is meant for a ledger at that location, whatever it says itself: nothing in it may
/// watch that one either.
#[must_use]
pub fn read_for(text: &str, ledger: Option<&str>) -> (Option<Config>, Vec<Diagnostic>) {
    let revision = sha256_hex(text.as_bytes());
    read_with(text, |notes| convert::config(notes, revision, ledger))
}

/// Reads another file of a person's, such as a `pipeline.yaml`, as strictly as a rule file.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn read_as<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Diagnostic>> {
    let (read, found) = read_with(text, |notes| notes.read(notes.document.root()));
    read.ok_or(found)
}

fn read_with<T>(
    text: &str,
    convert: impl FnOnce(&mut Notes<'_>) -> Option<T>,
) -> (Option<T>, Vec<Diagnostic>) {
    let mut report = Report::new(text);
    let Some(document) = Document::read(text, &mut report) else {
        return (None, report.finish());
    };
    let mut notes = Notes::new(&document, report);
    let read = convert(&mut notes);
    let found = notes.finish();
    (read.filter(|_| !found.iter().any(Diagnostic::is_error)), found)
}

#[cfg(test)]
mod tests;
