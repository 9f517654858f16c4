//! What a rule file changes, in the words of the two files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use refit_core::template::text;
use serde::Serialize;
use serde_json::Value;

/// What one rule file changes against another.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RuleChanges {
    /// Triggers that are new.
    pub(crate) added: Vec<String>,
    /// Triggers that are gone.
    pub(crate) removed: Vec<String>,
    /// Settings that differ, those of new and removed triggers left out.
    pub(crate) settings: Vec<SettingChange>,
}

/// A setting that differs.
#[derive(Debug, Serialize)]
pub(crate) struct SettingChange {
    /// Which, such as `triggers.churn.batch.quiet`.
    pub(crate) path: String,
    /// What it was; none where it was not set.
    pub(crate) before: Option<Value>,
    /// What it is; none where it is not set.
    pub(crate) after: Option<Value>,
}

impl RuleChanges {
    /// What the text `after` changes against the text `before`.
    pub(crate) fn between(before: &str, after: &str) -> Self {
        let (before, after) = (settings(before), settings(after));
        let (old, new) = (triggers(&before), triggers(&after));
        let listed = |names: BTreeSet<&String>| names.into_iter().cloned().collect::<Vec<_>>();
        let added = listed(new.difference(&old).collect());
        let removed = listed(old.difference(&new).collect());
        let whole = |path: &String| {
            trigger_of(path)
                .is_some_and(|name| added.iter().chain(&removed).any(|other| other == name))
        };
        let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let differs = |path: &&String| before.get(*path) != after.get(*path) && !whole(path);
        let settings = paths.into_iter().filter(differs).map(|path| SettingChange {
            path: path.clone(),
            before: before.get(path).cloned(),
            after: after.get(path).cloned(),
        });
        let settings = settings.collect();
        Self { added, removed, settings }
    }
}

/// Every setting of a rule file by its path, as it is written.
fn settings(text: &str) -> BTreeMap<String, Value> {
    let mut settings = BTreeMap::new();
    // A text that is no YAML is refused where it is checked.
    if let Ok(document @ Value::Object(_)) = serde_saphyr::from_str(text) {
        flatten(String::new(), document, &mut settings);
    }
    settings
}

fn flatten(path: String, value: Value, settings: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(path, field, settings);
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            settings.insert(path, value);
        }
    }
}

fn trigger_of(path: &str) -> Option<&str> {
    path.strip_prefix("triggers.")?.split('.').next()
}

fn triggers(settings: &BTreeMap<String, Value>) -> BTreeSet<String> {
    settings.keys().filter_map(|path| trigger_of(path)).map(str::to_owned).collect()
}

impl fmt::Display for RuleChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, removed, settings } = self;
        if added.is_empty() && removed.is_empty() && settings.is_empty() {
            writeln!(f, "no setting changes")?;
        }
        added.iter().try_for_each(|name| writeln!(f, "+ triggers.{name}"))?;
        removed.iter().try_for_each(|name| writeln!(f, "- triggers.{name}"))?;
        settings.iter().try_for_each(|change| writeln!(f, "{change}"))
    }
}

impl fmt::Display for SettingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => {
                write!(f, "~ {path}: {} -> {}", text(before), text(after))
            }
            (None, Some(after)) => write!(f, "+ {path}: {}", text(after)),
            (before, None) => {
                write!(f, "- {path}: {}", before.as_ref().map(text).unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str, expected: &[&str]) {
        let changes = RuleChanges::between(before, after).to_string();
        assert_eq!(changes.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn triggers_come_and_go_whole_and_settings_one_by_one() {
        let before = "triggers:\n  a: { on: { objects: { bucket: b } }, batch: { quiet: 5m } }\n  b: { timeout: 1h }\n";
        check(before, before, &["no setting changes"]);
        check(before, &format!("# a comment\n{before}"), &["no setting changes"]);
        check(
            before,
            "triggers:\n  a: { on: { objects: { bucket: b } }, batch: { quiet: 1m, max_count: 7 } }\n  c: { timeout: 1h }\n",
            &[
                "+ triggers.c",
                "- triggers.b",
                "+ triggers.a.batch.max_count: 7",
                "~ triggers.a.batch.quiet: 5m -> 1m",
            ],
        );
        check("", before, &["+ triggers.a", "+ triggers.b"]);
        check("ledger: x\n", "", &["- ledger: x"]);
    }
}
