//! Data of others that tests check against, kept beside the repository and never in it.

use std::path::{Path, PathBuf};

use crate::skip::{say, skipped};

/// The folder of that name beside the repository, or below `REFIT_SHARED`. Where there is none, the test that wants it is
/// skipped, which is said; in any lane, unless the variable says that it is there.
#[must_use]
pub fn shared_data(test: &str, name: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "only tests ask")]
    let stated = std::env::var_os("REFIT_SHARED").map(PathBuf::from);
    let is_stated = stated.is_some();
    let found = find(stated, name);
    match (&found, is_stated) {
        (Some(_), _) => {}
        (None, true) => skipped(test, &format!("there is no folder {name} in REFIT_SHARED")),
        (None, false) => {
            say(test, &format!("there is no folder shared/{name} beside the repository"))
        }
    }
    found
}

fn find(stated: Option<PathBuf>, name: &str) -> Option<PathBuf> {
    let root = stated.or_else(|| {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
        Some(repository.parent()?.join("shared"))
    })?;
    Some(root.join(name)).filter(|folder| folder.is_dir())
}
