//! Files that something happened to: whatever they have become, they are answered.

use super::super::*;

/// Numbers that look random and are always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

/// Pieces that mean something to YAML, CEL or a rule file.
const PIECES: &[&str] = &[
    "\n",
    "\n  ",
    "\t",
    " ",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "${",
    "'",
    "\"",
    "\\",
    "|",
    ">-",
    "#",
    "&a ",
    "*a",
    "!!str ",
    "<<: ",
    "---\n",
    "%",
    "0",
    "-1",
    "1e999",
    "5m",
    "999999999999999999999d",
    "on",
    "null",
    "~",
    "each",
    "object.",
    "event",
    "batch.uris",
    ".map(x, x)",
    "((((",
    "ä",
    "\u{1f600}",
    "\u{0}",
    "\u{feff}",
    "\r\n",
    "\u{2028}",
];

fn mutate(text: &str, dice: &mut Dice) -> String {
    let mut text = text.to_owned();
    for _ in 0..=dice.roll(3) {
        let at = text.floor_char_boundary(dice.roll(text.len() + 1));
        let end = text.floor_char_boundary((at + dice.roll(40)).min(text.len())).max(at);
        let piece = match dice.roll(4) {
            0 => String::new(),
            1 => text[at..end].repeat(dice.roll(4)),
            2 => text[at..end].to_uppercase(),
            _ => (*dice.pick(PIECES)).to_owned(),
        };
        let end = if dice.roll(2) == 0 { at } else { end };
        text.replace_range(at..end, &piece);
    }
    text
}

#[test]
fn a_file_that_was_mutilated_is_answered_in_order_and_in_place() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let files = [example(), super::good::EVERYTHING.to_owned()];
    let (mut good, mut wrong) = (0, 0);
    for _ in 0..5000 {
        let file = dice.roll(files.len());
        let text = mutate(&files[file], &mut dice);
        let (config, found) = read(&text);
        let said = render("refit.yaml", &text, &found, false);
        assert_eq!(config.is_none(), found.iter().any(Diagnostic::is_error), "{text}\n{said}");
        for diagnostic in &found {
            let bytes = diagnostic.place.bytes.clone();
            assert!(text.get(bytes).is_some(), "{diagnostic:?}\n{text}");
        }
        assert!(found.is_sorted_by_key(|found| found.place.bytes.start), "{text}\n{said}");
        *(if config.is_some() { &mut good } else { &mut wrong }) += 1;
    }
    assert!(good > 200 && wrong > 2000, "the mutations are too mild or too harsh: {good} {wrong}");
}
