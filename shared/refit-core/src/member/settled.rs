//! Which of the lines of a batch its run gets.

use std::collections::BTreeMap;

use super::{Line, Member};
use crate::sequencer::{Sequencer, order};
use crate::time::Timestamp;

/// What is left of a batch's lines when it closes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The members of the run, in the order they joined.
    pub members: Vec<Member>,
    /// How many were overwritten by a newer generation in the same batch.
    pub superseded: u64,
    /// How many were deleted before the launch.
    pub gone: u64,
}

/// Leaves one member per object, the newest, and none that is gone.
#[must_use]
pub fn settle(lines: Vec<Line>) -> Settled {
    let mut settled = Settled::default();
    let mut slots: Vec<Option<Member>> = Vec::with_capacity(lines.len());
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut deleted: Vec<(String, Gone)> = Vec::new();
    let copies = copies(&lines);
    for line in lines {
        match line {
            Line::Member(member) => join(member, &mut slots, &mut places, &mut settled.superseded),
            Line::Gone { uri, generation, at, sequencer } => {
                deleted.push((uri, Gone { generation, at, sequencer }));
            }
            Line::Same { .. } => {}
        }
    }
    for copy in copies {
        let at = copy.uri.as_ref().and_then(|uri| places.get(uri));
        if let Some(member) = at.and_then(|at| slots[*at].as_mut())
            && copy.is_newer_than(member)
        {
            *member = copy;
        }
    }
    for (uri, gone) in deleted {
        let slot = places.get(&uri).map(|at| &mut slots[*at]);
        if let Some(slot) = slot.filter(|slot| slot.as_ref().is_some_and(|it| gone.concerns(it))) {
            *slot = None;
            settled.gone += 1;
        }
    }
    settled.members = slots.into_iter().flatten().collect();
    settled
}

fn join(
    member: Member,
    slots: &mut Vec<Option<Member>>,
    places: &mut BTreeMap<String, usize>,
    superseded: &mut u64,
) {
    let Some(uri) = member.uri.clone() else {
        slots.push(Some(member));
        return;
    };
    match places.get(&uri) {
        Some(at) => {
            *superseded += 1;
            if slots[*at].as_ref().is_none_or(|known| member.is_newer_than(known)) {
                slots[*at] = Some(member);
            }
        }
        None => {
            places.insert(uri, slots.len());
            slots.push(Some(member));
        }
    }
}

/// What a deletion says of what it deleted.
struct Gone {
    generation: Option<String>,
    at: Option<Timestamp>,
    sequencer: Option<Sequencer>,
}

impl Gone {
    /// A deletion that names no generation deletes whatever was there by then: what was uploaded later is there still.
    fn concerns(&self, member: &Member) -> bool {
        let is_named = self.generation.is_none() || member.generation == self.generation;
        let deleted = (self.sequencer, Some(self.at.unwrap_or(Timestamp::MAX)));
        is_named && order(&(member.sequencer, member.created), &deleted).is_le()
    }
}

/// Members as the generations that have the same bytes: of all that joined, as what superseded one may be older than they.
fn copies(lines: &[Line]) -> Vec<Member> {
    if !lines.iter().any(|line| matches!(line, Line::Same { .. })) {
        return Vec::new();
    }
    let members = lines.iter().filter_map(|line| match line {
        Line::Member(member) => Some(((member.uri.as_ref()?, member.checksum.as_ref()?), member)),
        Line::Gone { .. } | Line::Same { .. } => None,
    });
    let members: BTreeMap<_, _> = members.collect();
    let copies = lines.iter().filter_map(|line| match line {
        Line::Same { uri, generation, created, sequencer, checksum } => {
            let member = Member::clone(members.get(&(uri, checksum))?);
            let (created, sequencer) = (*created, *sequencer);
            Some(Member { generation: generation.clone(), created, sequencer, ..member })
        }
        Line::Member(_) | Line::Gone { .. } => None,
    });
    copies.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::member;
    use super::*;

    fn left(lines: Vec<Line>) -> Vec<String> {
        let kept = settle(lines).members;
        kept.into_iter().map(|m| format!("{}#{}", m.uri.unwrap(), m.generation.unwrap())).collect()
    }

    #[test]
    fn the_newest_generation_of_an_object_wins_in_whatever_order_they_arrive() {
        let [old, new] = [member("gs://b/x", "9", 1), member("gs://b/x", "3", 2)];
        assert_eq!(
            left(vec![old.clone(), new.clone()]),
            ["gs://b/x#3"],
            "generations do not always grow"
        );
        assert_eq!(left(vec![new, old]), ["gs://b/x#3"]);
        assert_eq!(
            left(vec![member("gs://b/x", "9", 1), member("gs://b/x", "10", 1)]),
            ["gs://b/x#10"]
        );
    }

    #[test]
    fn a_deleted_generation_is_left_out_and_a_newer_one_is_not() {
        let gone = |generation: Option<&str>| Line::Gone {
            uri: "gs://b/x".into(),
            generation: generation.map(str::to_owned),
            at: None,
            sequencer: None,
        };
        assert_eq!(left(vec![member("gs://b/x", "1", 1), gone(Some("1"))]), [""; 0]);
        assert_eq!(
            left(vec![gone(Some("1")), member("gs://b/x", "1", 1)]),
            [""; 0],
            "in any order"
        );
        assert_eq!(left(vec![member("gs://b/x", "2", 2), gone(Some("1"))]), ["gs://b/x#2"]);
        assert_eq!(left(vec![member("gs://b/x", "2", 2), gone(None)]), [""; 0]);
        assert_eq!(settle(vec![member("gs://b/x", "1", 1), gone(Some("1"))]).gone, 1);
    }

    #[test]
    fn a_deletion_without_a_generation_leaves_what_was_uploaded_later() {
        let gone = |at: i64| Line::Gone {
            uri: "s3://b/x".into(),
            generation: None,
            at: Some(Timestamp::from_millis(at)),
            sequencer: None,
        };
        let upload = || member("s3://b/x", "1", 5);
        assert_eq!(left(vec![upload(), gone(5)]), [""; 0]);
        assert_eq!(left(vec![upload(), gone(4)]), ["s3://b/x#1"], "in any order");
        assert_eq!(left(vec![gone(4), upload()]), ["s3://b/x#1"]);
    }

    #[test]
    fn a_generation_with_the_same_bytes_takes_the_place_of_the_one_it_overwrote() {
        let upload = |sum: &str| match member("gs://b/x", "1", 1) {
            Line::Member(it) => Line::Member(Member { checksum: Some(sum.to_owned()), ..it }),
            line => line,
        };
        let same = |generation: &str, created: i64| Line::Same {
            uri: "gs://b/x".into(),
            generation: Some(generation.to_owned()),
            created: Some(Timestamp::from_millis(created)),
            sequencer: None,
            checksum: "md5:1".to_owned(),
        };
        let gone = |generation: &str| Line::Gone {
            uri: "gs://b/x".into(),
            generation: Some(generation.to_owned()),
            at: None,
            sequencer: None,
        };
        assert_eq!(left(vec![upload("md5:1"), same("2", 2)]), ["gs://b/x#2"]);
        let both = [vec![same("2", 2), gone("1")], vec![gone("1"), same("2", 2)]];
        for lines in both {
            let all: Vec<Line> = [upload("md5:1")].into_iter().chain(lines).collect();
            assert_eq!(left(all), ["gs://b/x#2"], "in any order");
        }
        assert_eq!(left(vec![upload("md5:1"), same("2", 2), gone("2")]), [""; 0]);
        assert_eq!(left(vec![upload("md5:2"), same("2", 2)]), ["gs://b/x#1"], "of other bytes");
        assert_eq!(left(vec![upload("md5:1"), same("0", 0)]), ["gs://b/x#1"], "older");
        assert_eq!(left(vec![same("2", 2)]), [""; 0], "of no member");
        let between = || match upload("md5:2") {
            Line::Member(it) => {
                let (generation, created) = (Some("9".to_owned()), Some(Timestamp::from_millis(2)));
                Line::Member(Member { generation, created, ..it })
            }
            line => line,
        };
        let late = vec![upload("md5:1"), same("10", 3), between()];
        assert_eq!(left(late), ["gs://b/x#10"], "though others superseded it meanwhile");
        let newest = vec![upload("md5:1"), same("8", 1), between()];
        assert_eq!(left(newest), ["gs://b/x#9"], "what is newer stays");
    }
}
