//! The names of the objects in a ledger. Numbers and times are padded so that they sort as they count.

use refit_core::time::Timestamp;

/// Folder of segments.
pub const INBOX: &str = "inbox/";
/// Folder of commits.
pub const LOG: &str = "log/";
/// Folder of snapshots, newest first.
pub const SNAPSHOT: &str = "snapshot/";
/// Folder of revisions of the rules.
pub const RULES: &str = "rules/";
/// Folders of objects named by the commit that depends on them.
pub const COMMIT_OBJECTS: [&str; 3] = ["manifests/", "parts/", "seen/"];

/// The name of a segment within the inbox: its time and its writer's nonce.
#[must_use]
pub fn segment(time: Timestamp, nonce: &str) -> String {
    format!("{}-{nonce}", time.compact())
}

/// The time in a segment's name.
#[must_use]
pub fn segment_time(name: &str) -> Option<Timestamp> {
    Timestamp::parse_compact(name.split_once('-')?.0)
}

/// The object of a segment.
#[must_use]
pub fn segment_object(name: &str) -> String {
    format!("{INBOX}{name}")
}

/// The object of a commit.
#[must_use]
pub fn commit(seq: u64) -> String {
    format!("{LOG}{seq:020}")
}

/// The number of the commit an object of the log is.
#[must_use]
pub fn commit_seq(name: &str) -> Option<u64> {
    name.strip_prefix(LOG)?.parse().ok()
}

/// The object of the snapshot after commit `seq`.
#[must_use]
pub fn snapshot(seq: u64) -> String {
    format!("{SNAPSHOT}{:020}", u64::MAX - seq)
}

/// The number of the commit a snapshot was made after.
#[must_use]
pub fn snapshot_seq(name: &str) -> Option<u64> {
    let reversed: u64 = name.strip_prefix(SNAPSHOT)?.parse().ok()?;
    Some(u64::MAX - reversed)
}

/// The object of a revision of the rules.
#[must_use]
pub fn rules(revision: &str) -> String {
    format!("{RULES}{revision}")
}

/// The number of the commit that may depend on an object of [`COMMIT_OBJECTS`].
#[must_use]
pub fn object_seq(name: &str) -> Option<u64> {
    let (_, file) = name.split_once('/')?;
    file.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_they_count_and_snapshots_the_other_way() {
        assert!(commit(9) < commit(10));
        assert!(snapshot(10) < snapshot(9));
        assert_eq!(commit_seq(&commit(7)), Some(7));
        assert_eq!(snapshot_seq(&snapshot(7)), Some(7));
        let time = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(segment_time(&segment(time, "ab-1")), Some(time));
        assert_eq!(object_seq("parts/00000000000000000007-abc"), Some(7));
        assert_eq!(object_seq("parts/x"), None);
    }
}
