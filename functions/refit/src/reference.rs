//! The sections of `docs/reference.md` that are written from the code, and the test that they are.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Arg, Command, CommandFactory as _};
use refit_host::environment::{Reader, VARIABLES};
use refit_wire::config;
use serde_json::Value;

use crate::args::Cli;
use crate::exit::Exit;

/// A section: the name its marks have, and what it says.
type Section = (&'static str, fn() -> String);

const SECTIONS: [Section; 4] = [
    ("exit codes", exit_codes),
    ("commands", commands),
    ("environment", environment),
    ("settings", settings),
];

#[test]
fn the_reference_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference.md");
    let written = std::fs::read_to_string(&path).unwrap();
    let current = SECTIONS.iter().fold(written.clone(), |text, (name, make)| {
        let (begin, end) = (format!("<!-- from the code: {name} -->\n"), "<!-- until here -->");
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no mark: {name}"));
        let (_, after) = rest.split_once(end).unwrap();
        format!("{before}{begin}\n{}\n{end}{after}", make().trim_end())
    });
    if refit_platform::env::var("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, current).unwrap();
        return;
    }
    assert!(written == current, "docs/reference.md is out of date: UPDATE_EXPECT=1 rewrites it");
}

#[test]
fn every_command_says_what_it_prints_as_json() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference.md");
    let written = std::fs::read_to_string(&path).unwrap();
    let (_, after) = written.split_once("\n## JSON of the command line\n").unwrap();
    let (section, _) = after.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let named: BTreeSet<&str> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let leaves = leaves(&Cli::command());
    let silent: Vec<_> = leaves.iter().filter(|leaf| !named.contains(leaf.as_str())).collect();
    assert!(leaves.len() >= 35 && silent.is_empty(), "{silent:?} of {}", leaves.len());
}

#[test]
fn examples_are_nothing_but_commands() {
    let section = commands();
    let blocks: Vec<&str> = section.split("```sh\n").skip(1).collect();
    assert!(blocks.len() >= 30, "{}", blocks.len());
    for line in blocks.iter().flat_map(|block| block.split("```").next().unwrap().lines()) {
        let program = line.split(' ').find(|word| !word.contains('='));
        assert_eq!(program, Some("refit"), "{line}");
    }
}

/// The commands that do something, by the words that name them, but for those no help shows.
fn leaves(command: &Command) -> Vec<String> {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    let named = shown.flat_map(|command| {
        let below = leaves(command);
        let name = command.get_name();
        match below.is_empty() {
            true => vec![name.to_owned()],
            false => below.iter().map(|below| format!("{name} {below}")).collect(),
        }
    });
    named.collect()
}

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rule: Vec<String> = head.iter().map(|_| "---".to_owned()).collect();
    let rows =
        rows.into_iter().map(|row| line(&row.iter().map(|cell| escape(cell)).collect::<Vec<_>>()));
    [line(&head), line(&rule)].into_iter().chain(rows).collect()
}

/// A text that fits into a cell. Only outside of code, which is every other part between ticks, `<` means something.
fn escape(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(number, part)| match number % 2 {
        0 => part.replace('<', "&lt;"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

fn exit_codes() -> String {
    let row = |exit: &Exit| {
        vec![exit.code().to_string(), exit.word().to_owned(), exit.meaning().to_owned()]
    };
    table(&["code", "`kind` in JSON", "meaning"], Exit::ALL.iter().map(row))
}

fn environment() -> String {
    let row = |known: &refit_host::environment::Variable| {
        let read_by = known.read_by.iter().map(|reader| reader.name());
        let read_by = match known.read_by == Reader::ALL {
            true => "all".to_owned(),
            false => read_by.collect::<Vec<_>>().join(", "),
        };
        let name = format!("`{}`", known.name);
        vec![name, known.meaning.to_owned(), known.default.to_owned(), read_by]
    };
    table(&["variable", "meaning", "default", "read by"], VARIABLES.iter().map(row))
}

fn commands() -> String {
    let mut cli = Cli::command();
    cli.build();
    let global: Vec<&Arg> = cli.get_arguments().filter(|arg| arg.is_global_set()).collect();
    let options = table(&["option", "meaning"], global.iter().map(|arg| argument(arg)));
    let is_shown = |command: &&Command| command.get_name() != "help" && !command.is_hide_set();
    let listed = cli.get_subcommands().filter(is_shown);
    let described = listed.map(|command| described("refit", command));
    format!("Options of every command:\n\n{options}\n{}", described.collect::<String>())
}

fn described(parent: &str, command: &Command) -> String {
    let name = format!("{parent} {}", command.get_name());
    let below: Vec<&Command> =
        command.get_subcommands().filter(|command| command.get_name() != "help").collect();
    if !below.is_empty() {
        return below.into_iter().map(|command| described(&name, command)).collect();
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let own = |arg: &&Arg| !arg.is_global_set() && arg.get_id() != "help";
    let rows: Vec<_> = command.get_arguments().filter(own).map(argument).collect();
    let options = if rows.is_empty() {
        String::new()
    } else {
        format!("\n{}", table(&["argument", "meaning"], rows))
    };
    let after = command.get_after_help().map(|text| after(&text.to_string())).unwrap_or_default();
    format!("### {name}\n\n{about}.\n\n```text\n{usage}\n```\n{options}{after}\n")
}

/// The last part of a help, whose examples are code.
fn after(help: &str) -> String {
    let (prose, examples) = match help.find("Example") {
        Some(at) => help.split_at(at),
        None => (help, ""),
    };
    let prose = prose.trim();
    let prose = if prose.is_empty() { String::new() } else { format!("\n{prose}\n") };
    match examples.split_once('\n') {
        Some((_, code)) => format!("{prose}\n```sh\n{}\n```\n", code.replace("\n  ", "\n").trim()),
        None => prose,
    }
}

fn argument(arg: &Arg) -> Vec<String> {
    let values = arg.get_value_names().unwrap_or_default();
    let value =
        values.first().map(|name| format!("<{name}>")).filter(|_| arg.get_action().takes_values());
    let name = match (arg.get_long(), arg.get_short(), value) {
        (Some(long), short, value) => {
            let short = short.map(|short| format!("-{short}, ")).unwrap_or_default();
            format!(
                "`{short}--{long}{}`",
                value.map(|value| format!(" {value}")).unwrap_or_default()
            )
        }
        (None, _, value) => format!("`{}`", value.unwrap_or_default()),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let one_of: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| arg.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let one_of = if one_of.is_empty() { String::new() } else { format!(": {}", one_of.join(", ")) };
    let defaults: Vec<_> =
        arg.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    let default = defaults.first().filter(|_| arg.get_action().takes_values());
    let default = default.map(|value| format!(" [default: {value}]")).unwrap_or_default();
    vec![name, format!("{help}{one_of}{default}")]
}

/// Every setting of a rule file by its path, from the schema.
fn settings() -> String {
    let schema = config::schema();
    let mut walk = Walk { schema: &schema, rows: Vec::new(), seen: BTreeSet::new() };
    walk.object("", &schema);
    table(&["setting", "form", "meaning"], walk.rows)
}

struct Walk<'s> {
    schema: &'s Value,
    rows: Vec<Vec<String>>,
    seen: BTreeSet<(String, String)>,
}

impl<'s> Walk<'s> {
    fn resolve(&self, part: &'s Value) -> &'s Value {
        let name = part["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/"));
        name.map_or(part, |name| &self.schema["$defs"][name])
    }

    /// The settings of everything a value may be.
    fn object(&mut self, path: &str, part: &'s Value) {
        let part = self.resolve(part);
        let inner = part["properties"].as_object();
        for (name, value) in inner.into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let needed =
                part["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
            self.setting(&path, value, needed);
        }
        if part["additionalProperties"].is_object() {
            self.object(&format!("{path}.NAME"), &part["additionalProperties"]);
        }
        for choice in choices(part) {
            match choice["properties"].as_object() {
                Some(named) => named.iter().for_each(|(name, value)| {
                    self.setting(&format!("{path}.{name}"), value, false);
                }),
                None => self.object(path, choice),
            }
        }
    }

    fn setting(&mut self, path: &str, value: &'s Value, needed: bool) {
        let said =
            [value, self.resolve(value)].into_iter().find_map(|part| part["description"].as_str());
        let said = said.unwrap_or_default().to_owned();
        if self.seen.insert((path.to_owned(), said.clone())) {
            let form = self.form(value);
            let form = if needed { format!("{form}; needed") } else { form };
            self.rows.push(vec![format!("`{path}`"), form, said]);
        }
        self.object(path, value);
    }

    /// What a value looks like.
    fn form(&self, value: &'s Value) -> String {
        match value["$ref"].as_str() {
            Some("#/$defs/Duration") => return "length of time".to_owned(),
            Some("#/$defs/Bytes") => return "bytes".to_owned(),
            Some("#/$defs/Endpoint") => return "URL".to_owned(),
            Some(_) | None => {}
        }
        let value = self.resolve(value);
        if let Some(constant) = value["const"].as_str() {
            return format!("`{constant}`");
        }
        let mut forms: Vec<String> = Vec::new();
        for form in choices(value).map(|choice| self.form(choice)) {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        match (forms.is_empty(), value["type"].as_str()) {
            (false, _) => forms.join(", "),
            (true, Some("object")) => "settings".to_owned(),
            (true, Some("array")) => "list".to_owned(),
            (true, Some("string")) => "text".to_owned(),
            (true, Some(other)) => other.to_owned(),
            (true, None) => "any".to_owned(),
        }
    }
}

/// What a value may be, if it may be several things.
fn choices(part: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].into_iter().filter_map(|name| part[name].as_array()).flatten()
}
