//! Reads nodes as types of the file format, and goes on after a mistake.
//!
//! A value in [`Located`](super::located::Located) that does not fit is noted, and what stands around it is read
//! nevertheless; so is a name that is not known. One reading finds every mistake of a file.

use std::cell::RefCell;
use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::document::{Document, Entry, Kind, NodeId};
use super::likely::{Unknown, is_meant, listed, unknown_setting};
use super::located::{EITHER, LOCATED};
use super::v1::takes_more;

/// The type of settings that name the place of a secret, where the secret itself may stand by mistake.
const SECRET: &str = "SecretRef";
/// The type of settings that say with which credential a service is asked, likewise.
const AUTH: &str = "Auth";

/// Something that does not fit.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where.
    pub(super) at: NodeId,
    /// What is wrong.
    pub(super) message: String,
    /// What would probably mend it.
    pub(super) cure: Option<String>,
    /// Whether the text there may be a secret.
    pub(super) secret: bool,
}

/// Why a value could not be read.
#[derive(Debug)]
pub(super) enum Misfit {
    /// It was noted already.
    Noted,
    /// For this reason, wherever it stands.
    Because(String),
    /// It has no entry of this name.
    Lacks(&'static str),
    /// For this reason, at this place.
    Found(Fault),
}

/// What was come across while a node was read.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Everything that does not fit.
    pub(super) faults: Vec<Fault>,
    /// The names of places of secrets.
    pub(super) secrets: Vec<NodeId>,
}

/// Reads a node as if the entries of these names were not in it, with what was come across.
pub(super) fn read<'d, T>(
    document: &'d Document<'d>,
    at: NodeId,
    names: &'static [&'static str],
    read: impl FnOnce(Reader<'d, '_>) -> Result<T, Misfit>,
) -> (Option<T>, Seen) {
    let seen = RefCell::default();
    let reader = Reader { document, at, without: names, seen: &seen };
    let read = read(reader).map_err(|misfit| reader.note(misfit)).ok();
    (read, seen.into_inner())
}

/// A deserialiser of one node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'d, 'f> {
    document: &'d Document<'d>,
    at: NodeId,
    without: &'static [&'static str],
    seen: &'f RefCell<Seen>,
}

impl<'d> Reader<'d, '_> {
    fn kind(self) -> &'d Kind {
        &self.document.node(self.at).kind
    }

    fn go(self, at: NodeId) -> Self {
        Self { at, without: &[], ..self }
    }

    fn name(self, entry: &Entry) -> &'d str {
        self.document.text_of(entry.name).unwrap_or_default()
    }

    fn note(self, misfit: Misfit) -> Misfit {
        match misfit.at(self.at) {
            Misfit::Found(fault) => self.seen.borrow_mut().faults.push(fault),
            Misfit::Noted | Misfit::Because(_) | Misfit::Lacks(_) => {}
        }
        Misfit::Noted
    }

    fn misfit(self, message: String, cure: Option<String>) -> Misfit {
        Misfit::Found(Fault { at: self.at, message, cure, secret: false })
    }

    /// What stands there, in words.
    fn found(self) -> String {
        match self.kind() {
            Kind::Null => "nothing".to_owned(),
            Kind::Bool(_) | Kind::Number(_) => format!("`{}`", self.document.source_of(self.at)),
            Kind::Text(text) => quoted(text),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(entries) if entries.is_empty() => "an empty map".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
            Kind::Refused => "something else".to_owned(),
        }
    }

    fn expected(self, what: &str) -> Misfit {
        match self.kind() {
            Kind::Refused => Misfit::Noted,
            Kind::Null
            | Kind::Bool(_)
            | Kind::Number(_)
            | Kind::Text(_)
            | Kind::List(_)
            | Kind::Map(_) => self.misfit(format!("expected {what}, found {}", self.found()), None),
        }
    }

    /// Text is asked for: a number or an answer is text only in quotes.
    fn text<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.kind() {
            Kind::Bool(_) | Kind::Number(_) => {
                let cure =
                    format!("in quotes it is text: \"{}\"", self.document.source_of(self.at));
                Err(self.misfit(format!("expected text, found {}", self.found()), Some(cure)))
            }
            Kind::Null | Kind::Text(_) | Kind::List(_) | Kind::Map(_) | Kind::Refused => {
                self.deserialize_any(visitor)
            }
        }
    }

    /// The entries of a map but those that are to be left out.
    fn entries(self, entries: &[Entry]) -> Vec<Entry> {
        let kept = |entry: &Entry| !self.without.contains(&self.name(entry));
        entries.iter().copied().filter(kept).collect()
    }

    /// The entries of a map whose names are known; notes every other name.
    fn known(self, kind: &str, entries: &[Entry], known: &[&str]) -> Vec<Entry> {
        let (found, others): (Vec<Entry>, _) =
            self.entries(entries).into_iter().partition(|entry| known.contains(&self.name(entry)));
        for other in others.iter().filter(|_| !takes_more(kind)) {
            let Unknown { message, cure } = unknown_setting(kind, self.name(other), known);
            self.note(self.go(other.name).misfit(message, Some(cure)));
        }
        found
    }

    fn variant(self, kind: &str, variants: &[&str], name: NodeId) -> Result<(), Misfit> {
        let text = self.document.text_of(name).unwrap_or_default();
        if variants.contains(&text) {
            return Ok(());
        }
        let Unknown { message, cure } = unknown_setting(kind, text, variants);
        let message = message.replace("unknown setting", "unknown word");
        Err(self.go(name).misfit(message, Some(cure)))
    }
}

impl<'d> Deserializer<'d> for Reader<'d, '_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let read = match self.kind() {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(answer) => visitor.visit_bool(*answer),
            Kind::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(whole), ..) => visitor.visit_u64(whole),
                (None, Some(whole), _) => visitor.visit_i64(whole),
                (None, None, float) => visitor.visit_f64(float.unwrap_or(f64::NAN)),
            },
            Kind::Text(text) => visitor.visit_borrowed_str(text),
            Kind::List(items) => visitor.visit_seq(Items { reader: self, items: items.iter() }),
            Kind::Map(entries) => visitor.visit_map(Entries::new(self, self.entries(entries))),
            Kind::Refused => Err(Misfit::Noted),
        };
        read.map_err(|misfit| misfit.at(self.at))
    }

    fn deserialize_str<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'d>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match name == EITHER && !matches!(self.kind(), Kind::Map(_)) {
            true => self.deserialize_any(visitor),
            false => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'d>>(
        self,
        name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match name {
            LOCATED => visitor.visit_seq(Location { reader: self, told: false }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'d>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let Kind::Map(entries) = self.kind() else {
            let mut misfit = self.expected("a map of settings");
            if let Misfit::Found(fault) = &mut misfit {
                fault.cure = Some(format!("known here: {}", listed(fields)));
            }
            return Err(misfit);
        };
        let entries = Entries::new(self, self.known(name, entries, fields));
        visitor.visit_map(entries).map_err(|misfit| {
            let lacks = if let Misfit::Lacks(name) = misfit { name } else { "" };
            match !lacks.is_empty() && is_meant(lacks, self.document.names(self.at)) {
                true => Misfit::Noted,
                false => misfit.at(self.at),
            }
        })
    }

    fn deserialize_enum<V: Visitor<'d>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.kind() {
            _ if name == SECRET && !self.names_secret(variants) => Err(self.literal_secret()),
            Kind::Text(text) if name == AUTH && !variants.contains(&text.as_str()) => {
                Err(self.literal_secret())
            }
            Kind::Number(_) | Kind::List(_) if name == AUTH => Err(self.literal_secret()),
            Kind::Text(_) => {
                self.variant(name, variants, self.at)?;
                visitor.visit_enum(Choice { reader: self, name: self.at, value: None })
            }
            Kind::Map(entries) => {
                let known = self.known(name, entries, variants);
                let Some(chosen) = self.one_of(entries, &known, variants)? else {
                    return Err(Misfit::Noted);
                };
                if name == SECRET {
                    self.seen.borrow_mut().secrets.push(chosen.value);
                }
                let choice = Choice { reader: self, name: chosen.name, value: Some(chosen.value) };
                visitor.visit_enum(choice)
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::List(_) | Kind::Refused => {
                Err(self.expected(&format!("one of {}", listed(variants))))
            }
        }
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'d>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        map identifier ignored_any
    }
}

impl Reader<'_, '_> {
    /// Whether the place of a secret is named, as far as that can be told from how it is written.
    fn names_secret(self, variants: &[&str]) -> bool {
        let Kind::Map(entries) = self.kind() else {
            return false;
        };
        let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        entries.iter().all(|entry| {
            let place = self.document.text_of(entry.value);
            let stored = |place: &str| ["projects/", "arn:"].iter().any(|it| place.starts_with(it));
            let named = |place: &str| place.chars().all(upper) || stored(place);
            place.is_some_and(named) && variants.contains(&self.name(entry))
        })
    }

    fn literal_secret(self) -> Misfit {
        let at = match self.document.entries(self.at) {
            [only] => only.value,
            _ => self.at,
        };
        let cure =
            "name the place it is kept in: `{ env: NAME }` or `{ secret: projects/P/secrets/S }`";
        Misfit::Found(Fault {
            at,
            message: "a secret must not stand in a rule file".to_owned(),
            cure: Some(cure.to_owned()),
            secret: true,
        })
    }

    /// The one known entry; none where others were noted instead of it.
    fn one_of(
        self,
        all: &[Entry],
        known: &[Entry],
        names: &[&str],
    ) -> Result<Option<Entry>, Misfit> {
        match known {
            [one] => Ok(Some(*one)),
            [] if !all.is_empty() => Ok(None),
            [] => Err(self.expected(&format!("one of {}", listed(names)))),
            [_, second, ..] => {
                let message = format!("only one of {} can stand here", listed(names));
                let cure = "write an entry of its own for it".to_owned();
                Err(self.go(second.name).misfit(message, Some(cure)))
            }
        }
    }
}

/// Gives a [`Located`](super::located::Located) its place, then its value.
struct Location<'d, 'f> {
    reader: Reader<'d, 'f>,
    told: bool,
}

impl<'d> SeqAccess<'d> for Location<'d, '_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'d>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        if !std::mem::replace(&mut self.told, true) {
            return seed.deserialize(self.reader.at.0.into_deserializer()).map(Some);
        }
        seed.deserialize(self.reader).map(Some).map_err(|misfit| self.reader.note(misfit))
    }
}

struct Items<'d, 'f> {
    reader: Reader<'d, 'f>,
    items: std::slice::Iter<'d, NodeId>,
}

impl<'d> SeqAccess<'d> for Items<'d, '_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'d>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let read = |item: &NodeId| {
            seed.deserialize(self.reader.go(*item)).map_err(|misfit| misfit.at(*item))
        };
        self.items.next().map(read).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'d, 'f> {
    reader: Reader<'d, 'f>,
    entries: std::vec::IntoIter<Entry>,
    value: Option<NodeId>,
}

impl<'d, 'f> Entries<'d, 'f> {
    fn new(reader: Reader<'d, 'f>, entries: Vec<Entry>) -> Self {
        Self { reader, entries: entries.into_iter(), value: None }
    }
}

impl<'d> MapAccess<'d> for Entries<'d, '_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'d>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        let next = self.entries.next().map(|Entry { name, value }| {
            self.value = Some(value);
            seed.deserialize(self.reader.go(name))
        });
        next.transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'d>>(&mut self, seed: T) -> Result<T::Value, Misfit> {
        let value = self.value.take().expect("a value is read after its name");
        seed.deserialize(self.reader.go(value)).map_err(|misfit| misfit.at(value))
    }
}

/// One of several: a word, or a name with a value.
struct Choice<'d, 'f> {
    reader: Reader<'d, 'f>,
    name: NodeId,
    value: Option<NodeId>,
}

impl<'d> EnumAccess<'d> for Choice<'d, '_> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'d>>(self, seed: T) -> Result<(T::Value, Self), Misfit> {
        Ok((seed.deserialize(self.reader.go(self.name))?, self))
    }
}

impl<'d, 'f> Choice<'d, 'f> {
    fn value(&self) -> Result<Reader<'d, 'f>, Misfit> {
        let name = self.reader.document.text_of(self.name).unwrap_or_default();
        self.value.map(|value| self.reader.go(value)).ok_or_else(|| {
            let cure = format!("write `{{ {name}: … }}`");
            self.reader.misfit(format!("`{name}` needs a value"), Some(cure))
        })
    }
}

impl<'d> VariantAccess<'d> for Choice<'d, '_> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        let name = self.reader.document.text_of(self.name).unwrap_or_default();
        match self.value {
            None => Ok(()),
            Some(_) => {
                let message = format!("`{name}` takes no value");
                Err(self
                    .reader
                    .go(self.name)
                    .misfit(message, Some(format!("write `{name}` alone"))))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'d>>(self, seed: T) -> Result<T::Value, Misfit> {
        seed.deserialize(self.value()?)
    }

    fn tuple_variant<V: Visitor<'d>>(self, _len: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.value()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'d>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.value()?.deserialize_struct("", fields, visitor)
    }
}

impl Misfit {
    /// The same, at this place if it has none yet.
    fn at(self, at: NodeId) -> Self {
        match self {
            Self::Because(message) => Self::Found(Fault { at, message, cure: None, secret: false }),
            Self::Lacks(name) => {
                let message = format!("`{name}` is missing");
                Self::Found(Fault {
                    at,
                    message,
                    cure: Some(format!("add `{name}: …`")),
                    secret: false,
                })
            }
            Self::Noted | Self::Found(_) => self,
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noted => f.write_str("noted already"),
            Self::Lacks(name) => write!(f, "`{name}` is missing"),
            Self::Because(message) | Self::Found(Fault { message, .. }) => f.write_str(message),
        }
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Because(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = in_words(&expected.to_string());
        Self::Because(format!("expected {expected}, found {}", found(unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::Because(format!("unknown setting {}, known here: {}", quoted(field), listed(known)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Lacks(field)
    }
}

/// Rust's names of what is expected, in the words of a rule file.
fn in_words(expected: &str) -> String {
    match expected {
        "a string" => "text".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of at least 0".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "a sequence" => "a list".to_owned(),
        _ => expected.to_owned(),
    }
}

fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(answer) => format!("`{answer}`"),
        Unexpected::Unsigned(number) => format!("`{number}`"),
        Unexpected::Signed(number) => format!("`{number}`"),
        Unexpected::Float(number) => format!("`{number}`"),
        Unexpected::Str(text) => quoted(text),
        Unexpected::Unit => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        Unexpected::Char(_)
        | Unexpected::Bytes(_)
        | Unexpected::Option
        | Unexpected::NewtypeStruct
        | Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant
        | Unexpected::Other(_) => "something else".to_owned(),
    }
}

/// A text as it is quoted in a message: one line, and not too long.
pub(super) fn quoted(text: &str) -> String {
    let line: String =
        text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.len() < text.len() {
        true => format!("`{line}…`"),
        false => format!("`{line}`"),
    }
}
