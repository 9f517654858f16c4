//! Patterns for names that no name can match.

/// Characters of a pattern that stand for others.
const SPECIAL: [char; 8] = ['*', '?', '[', ']', '{', '}', '\\', ','];

/// Whether no name matches `glob` and begins with `prefix`.
pub(super) fn with_prefix(glob: &str, prefix: &str) -> bool {
    let head = head(glob);
    if head.len() == glob.len() {
        return !glob.starts_with(prefix);
    }
    let too_deep = !glob.contains("**")
        && !glob.contains(['[', '{', '\\'])
        && prefix.matches('/').count() > glob.matches('/').count();
    too_deep || !(head.starts_with(prefix) || prefix.starts_with(head))
}

/// Whether no name matches `glob` and ends with `suffix`.
pub(super) fn with_suffix(glob: &str, suffix: &str) -> bool {
    let tail = tail(glob);
    if tail.len() == glob.len() {
        return !glob.ends_with(suffix);
    }
    !(tail.ends_with(suffix) || suffix.ends_with(tail))
}

/// What every name that matches begins with.
pub(super) fn head(glob: &str) -> &str {
    glob.split(SPECIAL).next().unwrap_or_default()
}

/// What every name that matches ends with.
pub(super) fn tail(glob: &str) -> &str {
    match glob.contains('\\') {
        true => "",
        false => glob.rsplit(SPECIAL).next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_refused_only_where_no_name_can_match() {
        for (glob, prefix, never) in [
            ("in/*.csv", "in/", false),
            ("in/*.csv", "in/a", false),
            ("in/*.csv", "", false),
            ("in/*.csv", "out/", true),
            ("in/*.csv", "in/a/b/", true),
            ("in/**/*.csv", "in/a/b/", false),
            ("{in,out}/*.csv", "out/", false),
            ("in/a.csv", "in/a.csv.gz", true),
            ("in/a.csv", "in/", false),
            ("in\\[1\\]/*", "in[1]/", false),
        ] {
            assert_eq!(with_prefix(glob, prefix), never, "{glob} {prefix}");
        }
        for (glob, suffix, never) in [
            ("in/*.csv", ".csv", false),
            ("in/*.csv", "a.csv", false),
            ("in/*.csv", "csv", false),
            ("in/*.csv", ".parquet", true),
            ("in/*.{csv,tsv}", ".tsv", false),
            ("in/*", ".tsv", false),
            ("in/a.csv", ".tsv", true),
            ("in/*\\*", "*", false),
        ] {
            assert_eq!(with_suffix(glob, suffix), never, "{glob} {suffix}");
        }
    }
}
