//! Changing inputs.

use refit_sim::random::Random;
use serde_json::{Map, Value};

/// Bytes an input may grow to.
const BYTES_MAX: usize = 64 << 10;
/// Changes that are made to one input at the most; one is likeliest.
const CHANGES_MAX: usize = 6;
/// Bytes that mean something to most languages.
const BYTES: &[u8] = b"\0\n\r\t \"'\\{}[]():;,.=&%$#@!<>|/*-+~^?_09azAZ\x7f\x80\xbf\xc0\xff";
/// Texts that mean something to some.
const WORDS: &[&str] = &[
    "null",
    "true",
    "-0",
    "1e999",
    "-1",
    "0.1",
    "9223372036854775807",
    "-9223372036854775809",
    "18446744073709551616",
    "NaN",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\u{202e}",
    "%00",
    "%c0%80",
    "..",
    "/../",
    "\r\n\r\n",
    "&a",
    "*a",
    "<<: *a",
    "!!binary",
    "---",
    "|-",
    "?",
    "${",
    "}}",
    "e30.e30.",
    "max-age=",
    "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "2026-02-30",
    "1h",
    "P1D",
    "gs://",
    "s3://",
    "in",
    "has(",
    ".map(x,",
    "?:",
    "||",
    "b''",
    "r''",
    "1u",
    "[[[[[[[[",
    "((((((((",
];

/// Changes one of the inputs, with pieces of the others.
pub fn change(random: &mut Random, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut input = random.pick(inputs).clone();
    for round in 0..CHANGES_MAX {
        if round > 0 && random.below(2) == 0 {
            break;
        }
        let other = random.pick(inputs);
        input = match random.below(2) {
            0 => by_structure(random, &input, other).unwrap_or(input),
            _ => by_bytes(random, input, other),
        };
        // A part that is repeated again and again would take longer to make than any input to read.
        input.truncate(BYTES_MAX);
    }
    input
}

fn at(random: &mut Random, length: usize) -> usize {
    usize::try_from(random.below(length as u64 + 1)).unwrap_or(0)
}

/// A piece of an input: from, to.
fn piece(random: &mut Random, input: &[u8]) -> (usize, usize) {
    let from = at(random, input.len());
    // Short ones are likelier: they are what tokens are.
    let longest = if random.below(2) == 0 { 8 } else { input.len() };
    (from, (from + at(random, longest)).min(input.len()))
}

fn by_bytes(random: &mut Random, mut input: Vec<u8>, other: &[u8]) -> Vec<u8> {
    let (from, to) = piece(random, &input);
    let new: Vec<u8> = match random.below(8) {
        0 => vec![*random.pick(BYTES)],
        1 => vec![u8::try_from(random.below(256)).unwrap_or(0)],
        2 => random.pick(WORDS).bytes().collect(),
        3 => Vec::new(),
        4 => {
            let (from, to) = piece(random, other);
            other[from..to].to_vec()
        }
        5 => input[from..to].repeat(2),
        6 => repeated(random, &input[from..to]),
        _ => input[from..to].iter().map(|byte| byte ^ (1 << random.below(8))).collect(),
    };
    let to = if random.below(3) == 0 { from } else { to };
    input.splice(from..to, new);
    input
}

/// A piece so often that it is deep, long or many.
fn repeated(random: &mut Random, piece: &[u8]) -> Vec<u8> {
    let times = 1 << random.below(14);
    let piece = if piece.is_empty() { b"[" } else { piece };
    piece.repeat((BYTES_MAX / piece.len()).min(times))
}

/// Changes the JSON that an input ends with.
fn by_structure(random: &mut Random, input: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let from = document(input)?;
    let mut value: Value = serde_json::from_slice(&input[from..]).ok()?;
    let other = document(other).and_then(|from| serde_json::from_slice(&other[from..]).ok());
    let foreign = other.map(|mut other| std::mem::take(node(random, &mut other)));
    change_value(random, &mut value, foreign);
    let mut changed = input[..from].to_vec();
    changed.extend(value.to_string().into_bytes());
    Some(changed)
}

/// Where the JSON begins: at once, or after an empty line.
fn document(input: &[u8]) -> Option<usize> {
    let after = input.windows(2).position(|pair| pair == b"\n\n").map_or(0, |at| at + 2);
    let from = if input.first() == Some(&b'{') { 0 } else { after };
    input.get(from).filter(|byte| b"{[".contains(byte)).map(|_| from)
}

/// Some node of a document.
fn node<'a>(random: &mut Random, value: &'a mut Value) -> &'a mut Value {
    let children = match &*value {
        Value::Object(map) => map.len(),
        Value::Array(list) => list.len(),
        _ => 0,
    };
    if children == 0 || random.below(5) == 0 {
        return value;
    }
    let which = usize::try_from(random.below(children as u64)).unwrap_or(0);
    let child = match value {
        Value::Object(map) => map.values_mut().nth(which),
        Value::Array(list) => list.get_mut(which),
        _ => None,
    };
    node(random, child.expect("it was counted"))
}

fn change_value(random: &mut Random, value: &mut Value, foreign: Option<Value>) {
    let node = node(random, value);
    match (random.below(6), &mut *node) {
        (0, Value::Object(map)) => lose(random, map),
        (1, Value::Object(map)) => rename(random, map),
        (0, Value::Array(list)) if !list.is_empty() => {
            let at = at(random, list.len() - 1);
            list.remove(at);
        }
        (1, Value::Array(list)) if !list.is_empty() => {
            let one = random.pick(list).clone();
            list.extend(vec![one; 1 << random.below(8)]);
        }
        (2, _) => {
            let mut deep = std::mem::take(node);
            (0..1 << random.below(9))
                .for_each(|_| deep = Value::Array(vec![std::mem::take(&mut deep)]));
            *node = deep;
        }
        (3 | 4, _) => *node = foreign.unwrap_or_default(),
        _ => *node = scalar(random),
    }
}

fn key(random: &mut Random, map: &Map<String, Value>) -> Option<String> {
    map.keys().nth(at(random, map.len().saturating_sub(1))).cloned()
}

fn lose(random: &mut Random, map: &mut Map<String, Value>) {
    let key = key(random, map);
    key.and_then(|key| map.remove(&key));
}

fn rename(random: &mut Random, map: &mut Map<String, Value>) {
    let Some((from, to)) = key(random, map).zip(key(random, map)) else { return };
    let value = map.remove(&from).unwrap_or_default();
    map.insert(if random.below(2) == 0 { to } else { format!("{from}x") }, value);
}

fn scalar(random: &mut Random) -> Value {
    match random.below(8) {
        0 => Value::Null,
        1 => (random.below(2) == 0).into(),
        2 => i64::MAX.into(),
        3 => i64::MIN.into(),
        4 => u64::MAX.into(),
        5 => f64::MAX.into(),
        6 => random.draw().into(),
        _ => Value::from(*random.pick(WORDS)),
    }
}
