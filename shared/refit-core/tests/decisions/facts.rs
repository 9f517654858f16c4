//! What events tell of: objects and messages, as words.

use std::collections::BTreeMap;

use refit_core::event::{DataRef, Fact, Message, ObjectChange, ObjectKind};
use refit_core::sequencer::Sequencer;
use refit_core::time::Timestamp;
use serde_json::Value;

/// A message of that id.
pub(crate) fn message(id: &str, settings: &BTreeMap<&str, &str>) -> (Vec<String>, Fact) {
    let ty = settings.get("type").copied().unwrap_or("any").to_owned();
    let data = settings.get("data").map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
    let message =
        Message { source: "test".into(), id: id.to_owned(), ty, data, ..Message::default() };
    (vec!["ce".into(), id.to_owned()], Fact::Message(message))
}

/// What happened to an object: `in/a#1`, or `in/a seq=0A` where its bucket keeps no versions and orders its changes.
pub(crate) fn object(
    verb: &str,
    name: &str,
    settings: &BTreeMap<&str, &str>,
    time: Timestamp,
) -> (Vec<String>, Fact) {
    let (name, generation) = name.split_once('#').unwrap_or((name, "1"));
    let kind = if verb == "delete" { ObjectKind::Deleted } else { ObjectKind::Finalized };
    let sequencer = settings.get("seq");
    let which = sequencer.copied().unwrap_or(generation);
    let object = DataRef {
        scheme: "gs".into(),
        bucket: "b".into(),
        name: name.to_owned(),
        generation: sequencer.is_none().then(|| generation.to_owned()),
        size: Some(settings.get("size").map_or(10, |size| size.parse().unwrap())),
        checksum: settings.get("sum").map(|sum| (*sum).to_owned()),
        created: (sequencer.is_none() || verb == "put").then_some(time),
        sequencer: sequencer.map(|text| text.parse().unwrap()),
        ..DataRef::default()
    };
    let identity = ["gs", "b", name, which, kind.name()].map(str::to_owned).to_vec();
    let overwritten_by = settings.get("overwritten").map(|by| (*by).to_owned());
    (identity, Fact::Object(ObjectChange { kind, object, overwrote: None, overwritten_by }))
}

/// What tells the generations of an object apart.
pub(crate) fn which(generation: Option<&str>, sequencer: Option<Sequencer>) -> String {
    let sequencer = sequencer.map(|sequencer| sequencer.to_string());
    generation.map(str::to_owned).or(sequencer).unwrap_or_default()
}
