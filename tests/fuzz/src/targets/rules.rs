//! Rule files.

use refit_core::key::sha256_hex;
use refit_wire::config::{read, render};

use super::{Outcome, Target, texts};

pub(super) const RULES: Target =
    Target { name: "rules", about: "rule files, with everything said of them", seeds, give };

fn seeds() -> Vec<Vec<u8>> {
    let files =
        ["examples", "terraform/examples"].map(|folder| texts(folder, "refit.yaml")).concat();
    files.into_iter().map(String::into_bytes).collect()
}

fn give(input: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(input);
    let (config, said) = read(&text);
    let shown = render("refit.yaml", &text, &said, false);
    assert!(said.is_empty() || !shown.is_empty(), "nothing is shown of {said:#?}");
    let words = said.iter().map(|found| found.message.as_str()).collect::<Vec<_>>().join("; ");
    match config {
        Some(config) => {
            assert_eq!(config.rules.revision, sha256_hex(text.as_bytes()));
            Outcome::Understood(words)
        }
        None => {
            assert!(said.iter().any(|found| found.is_error()), "refused without a reason");
            Outcome::Refused(words)
        }
    }
}
