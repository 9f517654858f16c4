//! What a person probably meant.

use super::v1;

/// What is said of a name that is not known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// What is wrong.
    pub(super) message: String,
    /// What would probably mend it.
    pub(super) cure: String,
}

/// What is said of a setting that `kind`, a type of the file format, does not have.
pub(super) fn unknown_setting(kind: &str, name: &str, known: &[&str]) -> Unknown {
    if v1::comes_later(kind, name) {
        let message = format!("`{name}` is not in this version of refit");
        return Unknown { message, cure: "remove it: it would do nothing".to_owned() };
    }
    let near = did_you_mean(name, known.iter().copied());
    let cure = match (v1::home_of(kind, name), near) {
        (Some(home), None) => format!("`{name}` belongs to {home}"),
        (_, Some(near)) => near,
        (None, None) => format!("known here: {}", listed(known)),
    };
    Unknown { message: format!("unknown setting `{name}`"), cure }
}

/// The question after the likeliest of the names, if one is likely.
pub(super) fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    closest(name, known).map(|likely| format!("did you mean `{likely}`?"))
}

/// The names, each in backquotes.
pub(super) fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Whether `name` is probably meant by one of the names written.
pub(super) fn is_meant<'a>(name: &str, written: impl IntoIterator<Item = &'a str>) -> bool {
    written.into_iter().any(|written| closest(written, [name]).is_some())
}

/// The name that differs least, if it differs in at most a third of its letters, or is the beginning of the other.
fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let name: String = plain(name).chars().take(100).collect();
    let distance = |likely: &str| {
        let likely = plain(likely);
        let begins = name.len() > 3 && likely.len() > 3;
        match begins && (name.starts_with(&likely) || likely.starts_with(&name)) {
            true => 1,
            false => strsim::damerau_levenshtein(&name, &likely),
        }
    };
    let (distance, likely) = known.into_iter().map(|name| (distance(name), name)).min()?;
    (distance <= (likely.len() / 3).max(1)).then_some(likely)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_name_is_offered_and_an_unlikely_one_is_not() {
        let known = ["quiet", "max_wait", "min_count", "by"];
        for (name, likely) in [
            ("quite", Some("quiet")),
            ("max-wait", Some("max_wait")),
            ("maxWait", Some("max_wait")),
            ("mincount", Some("min_count")),
            ("bye", Some("by")),
            ("minimum", None),
            ("quietly", Some("quiet")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(closest(name, known), likely, "{name}");
        }
    }
}
