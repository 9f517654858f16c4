//! Which files have changed and stand still, decided from what was seen of them.

use std::collections::BTreeMap;
use std::fmt;

use refit_core::time::Span;
use serde::{Deserialize, Serialize};

/// How long a file must stand still before it counts as written.
pub(super) const STILL: Span = Span::from_millis(500);

/// An object by its place: `bucket/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Object(pub(super) String);

/// A file, as the file system tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stat {
    pub(super) inode: u64,
    pub(super) bytes: u64,
    /// When its content was last written, in nanoseconds since 1970, as anybody may claim.
    pub(super) modified_ns: i64,
    /// When it was last changed or moved here, in microseconds since 1970, as the system says.
    pub(super) generation: i64,
}

/// A change that is to be announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) object: Object,
    /// The file as it stands; none if it is gone.
    pub(super) now: Option<Stat>,
    /// The generation that was announced before.
    pub(super) before: Option<i64>,
}

/// What was seen of the files, and what was announced of them.
#[derive(Debug, Default)]
pub(super) struct Standing {
    announced: BTreeMap<Object, Stat>,
    /// Changes, and since when nothing about them has changed.
    changed: BTreeMap<Object, (Option<Stat>, Span)>,
}

impl Object {
    pub(super) fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').expect("it was made of a bucket and a name")
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}", self.0)
    }
}

impl Stat {
    /// Whether the content is the same, as far as can be told without reading it. Permissions change the generation
    /// of a file and not its content.
    fn is_same(&self, other: &Self) -> bool {
        let content = |stat: &Self| (stat.inode, stat.bytes, stat.modified_ns);
        content(self) == content(other)
    }
}

impl Standing {
    /// Nothing was seen yet, and this was announced.
    pub(super) fn new(announced: BTreeMap<Object, Stat>) -> Self {
        Self { announced, changed: BTreeMap::new() }
    }

    /// What was announced, as it was then.
    pub(super) fn announced(&self) -> &BTreeMap<Object, Stat> {
        &self.announced
    }

    /// Takes in what is there at a time, and tells what is to be announced: every time, until it is acknowledged.
    pub(super) fn look(&mut self, at: Span, found: &BTreeMap<Object, Stat>) -> Vec<Notice> {
        let gone = self.announced.keys().filter(|object| !found.contains_key(object));
        let now: BTreeMap<Object, Option<Stat>> = found
            .iter()
            .filter(|(object, stat)| !self.is_announced(object, stat))
            .map(|(object, stat)| (object.clone(), Some(*stat)))
            .chain(gone.map(|object| (object.clone(), None)))
            .collect();
        let since = |object: &Object, stat: &Option<Stat>| match self.changed.get(object) {
            Some((seen, since)) if is_same(seen, stat) => *since,
            Some(_) | None => at,
        };
        self.changed = now
            .into_iter()
            .map(|(key, stat)| {
                let since = since(&key, &stat);
                (key, (stat, since))
            })
            .collect();
        let still = self.changed.iter().filter(|(_, (_, since))| at >= *since + STILL);
        let notice = |(object, (now, _)): (&Object, &(Option<Stat>, Span))| Notice {
            object: object.clone(),
            now: *now,
            before: self.announced.get(object).map(|stat| stat.generation),
        };
        still.map(notice).collect()
    }

    /// Remembers that a change was announced.
    pub(super) fn acknowledged(&mut self, notice: Notice) {
        let Notice { object, now, .. } = notice;
        self.changed.remove(&object);
        match now {
            Some(stat) => self.announced.insert(object, stat),
            None => self.announced.remove(&object),
        };
    }

    fn is_announced(&self, object: &Object, stat: &Stat) -> bool {
        self.announced.get(object).is_some_and(|announced| announced.is_same(stat))
    }
}

fn is_same(a: &Option<Stat>, b: &Option<Stat>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.is_same(b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files by name, with bytes and the time they were written at, as `a:3@7`.
    fn files(text: &str) -> BTreeMap<Object, Stat> {
        let file = |text: &str| {
            let (name, rest) = text.split_once(':').unwrap();
            let (bytes, at) = rest.split_once('@').unwrap();
            let at: i64 = at.parse().unwrap();
            let bytes = bytes.parse().unwrap();
            (Object(format!("b/{name}")), Stat { inode: 1, bytes, modified_ns: at, generation: at })
        };
        text.split_whitespace().map(file).collect()
    }

    /// Looks at these times, in milliseconds, at these files; after each look everything told is acknowledged if
    /// the row says so.
    fn check(announced: &str, rows: &[(i64, &str, bool, &[&str])]) {
        let mut standing = Standing::new(files(announced));
        for (at, found, acknowledged, expected) in rows {
            let told = standing.look(Span::from_millis(*at), &files(found));
            let words: Vec<_> = told.iter().map(word).collect();
            assert_eq!(words, *expected, "at {at}: {found}");
            if *acknowledged {
                told.into_iter().for_each(|notice| standing.acknowledged(notice));
            }
        }
    }

    fn word(notice: &Notice) -> String {
        let Notice { object, now, before } = notice;
        let over = before.map(|at| format!(" over {at}")).unwrap_or_default();
        match now {
            Some(stat) => format!("{object} at {}{over}", stat.generation),
            None => format!("{object} gone{over}"),
        }
    }

    #[test]
    fn a_file_is_told_once_it_has_stood_still() {
        check(
            "",
            &[
                (0, "a:1@1", true, &[]),
                (499, "a:1@1", true, &[]),
                (500, "a:1@1", true, &["gs://b/a at 1"]),
                (5000, "a:1@1", true, &[]),
            ],
        );
    }

    #[test]
    fn a_file_that_grows_or_is_rewritten_is_waited_for() {
        check(
            "",
            &[
                (0, "a:1@1", true, &[]),
                (400, "a:2@1", true, &[]),
                (800, "a:2@9", true, &[]),
                (1299, "a:2@9", true, &[]),
                (1300, "a:2@9", true, &["gs://b/a at 9"]),
            ],
        );
    }

    #[test]
    fn what_is_not_acknowledged_is_told_again_under_the_same_generation() {
        check(
            "",
            &[
                (0, "a:1@1", true, &[]),
                (500, "a:1@1", false, &["gs://b/a at 1"]),
                (501, "a:1@1", false, &["gs://b/a at 1"]),
            ],
        );
    }

    #[test]
    fn what_was_announced_in_an_earlier_life_is_told_again_only_if_it_has_changed() {
        check(
            "a:1@1 c:1@1",
            &[
                (0, "a:1@1 b:1@5 c:2@6", true, &[]),
                (500, "a:1@1 b:1@5 c:2@6", true, &["gs://b/b at 5", "gs://b/c at 6 over 1"]),
            ],
        );
    }

    #[test]
    fn a_file_that_is_gone_is_told_after_a_while_and_one_that_comes_and_goes_is_not() {
        check(
            "a:1@1 c:1@1",
            &[
                (0, "b:1@2", true, &[]),
                (300, "c:1@1", true, &[]),
                (500, "c:1@1", true, &["gs://b/a gone over 1"]),
                (900, "c:1@1", true, &[]),
            ],
        );
    }

    #[test]
    fn permissions_are_no_content() {
        let mut changed = files("a:1@1");
        changed.values_mut().for_each(|stat| stat.generation = 9);
        let mut standing = Standing::new(files("a:1@1"));
        for at in [0, 500, 1000] {
            assert_eq!(standing.look(Span::from_millis(at), &changed), []);
        }
    }
}
