//! Names of objects.

use refit_core::time::Timestamp;
use refit_engine::layout::{
    commit, commit_seq, object_digest, object_seq, segment, segment_time, snapshot, snapshot_seq,
};

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

#[test]
fn a_name_of_another_form_has_no_digest() {
    let digest = "0a".repeat(32);
    let part = format!("parts/{:020}-{digest}", 7);
    let manifest = format!("manifests/{:020}-{digest}.jsonl", 7);
    for name in [&part, &manifest] {
        assert_eq!(object_digest(name), Some((7, digest.as_str())));
    }
    let others = [
        format!("manifests/{:020}-{digest}", 7),
        format!("{part}.jsonl"),
        format!("parts/7-{digest}"),
        format!("parts/+{:019}-{digest}", 7),
        part.replace("0a", "0A"),
        part.replacen("0a", "", 1),
        "parts/x".to_owned(),
    ];
    for name in &others {
        assert_eq!(object_digest(name), None, "{name}");
    }
}
