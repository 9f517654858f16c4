//! Names of objects.

use refit_core::error::{Error, ErrorKind};

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 512;
/// Bytes between two slashes: what every file system holds.
const SEGMENT_BYTES_MAX: usize = 255;

/// Refuses a name that is not lawful in every store.
///
/// Segments that begin with a dot are refused: `..` would lead out of a directory, and the stores keep what is not
/// theirs to list under such names.
pub(super) fn check(name: &str) -> Result<(), Error> {
    let lawful = name.len() <= NAME_BYTES_MAX && name.split('/').all(is_segment);
    let text = || format!("not a lawful name of an object: name=`{}`", name.escape_default());
    if lawful { Ok(()) } else { Err(Error::new(ErrorKind::Invalid, text())) }
}

fn is_segment(segment: &str) -> bool {
    let length = 1..=SEGMENT_BYTES_MAX;
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    length.contains(&segment.len()) && !segment.starts_with('.') && segment.bytes().all(lawful)
}
