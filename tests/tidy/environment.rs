//! Environment variables: each that is read is in the table people are shown.

use std::collections::BTreeSet;

use refit_host::environment::VARIABLES;
use syn::visit::{self, Visit};

use crate::sources::{Source, assert_none, check, rust};

/// Where variables are read: programs, and what they are made of.
const READERS: &[&str] = &["functions/", "shared/refit-host/src/", "shared/refit-platform/src/"];
/// Names of variables that are a plain word.
const PLAIN: &[&str] = &["PORT", "USER", "HOME", "PATH"];
/// Read by tests that lie among the sources, to write what they compare with.
const OF_TESTS: &[&str] = &["UPDATE_EXPECT"];

/// The texts of a file that may be names of variables.
#[derive(Default)]
struct Names(Vec<String>);

impl Visit<'_> for Names {
    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_lit_str(&mut self, text: &syn::LitStr) {
        self.0.push(text.value());
    }
}

fn is_name(text: &str) -> bool {
    let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    PLAIN.contains(&text) || (text.contains('_') && text.len() > 3 && text.chars().all(is_upper))
}

/// Variables that files which read the environment name.
fn read(sources: &[Source]) -> BTreeSet<String> {
    let readers = sources.iter().filter(|source| {
        let is_reader = READERS.iter().any(|folder| source.path.starts_with(folder));
        is_reader && source.is_shipped() && source.code().any(|(_, line)| line.contains("env::var"))
    });
    let names = readers.flat_map(|source| {
        let file = syn::parse_file(&source.text).unwrap_or_else(|e| panic!("{}: {e}", source.path));
        let mut names = Names::default();
        names.visit_file(&file);
        names.0
    });
    names.filter(|name| is_name(name) && !OF_TESTS.contains(&name.as_str())).collect()
}

fn unlisted(sources: &[Source]) -> Vec<String> {
    let is_listed = |name: &String| VARIABLES.iter().any(|variable| variable.name == name);
    read(sources).into_iter().filter(|name| !is_listed(name)).collect()
}

#[test]
fn every_variable_that_is_read_is_listed() {
    assert!(read(&rust()).contains("REFIT_LEDGER"), "what is read is found");
    assert_none("not in VARIABLES", &unlisted(&rust()));
    let text = "fn a() { for name in [\"A_NAME\", \"REFIT_LOG\"] { env::var(name); } }\n\
                mod tests { const B: &str = \"B_NAME\"; }";
    let files =
        [("functions/a/src/a.rs", text), ("functions/a/src/b.rs", "const C: &str = \"C_D\";")];
    check(unlisted, &files, &["A_NAME"]);
}
