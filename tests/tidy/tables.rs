//! The tables at the end of a module's README: written from its variables and outputs.

use std::fs;

use expect_test::expect_file;

use crate::hcl::{Block, blocks};
use crate::sources::{Source, all, root};

/// Where the tables begin; they end with the file.
const BEGIN: &str = "## Variables\n";

/// What a description says, on one line.
fn description(block: &Block) -> String {
    use hcl::eval::{Context, Evaluate as _};
    let found = block.body.attributes().find(|it| it.key() == "description");
    let found = found.unwrap_or_else(|| panic!("{} has no description", block.place()));
    let value = found.expr().evaluate(&Context::new()).unwrap();
    let text = value.as_str().unwrap_or_else(|| panic!("{}: no text", block.place()));
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// A type, as short as it can be told.
fn kind(text: &str) -> String {
    match text.split_once('(') {
        Some(("object", _)) => "object".to_owned(),
        Some((outer, rest)) if rest.starts_with("object(") => format!("{outer} of objects"),
        _ => text.to_owned(),
    }
}

fn variable(block: &Block) -> String {
    let default = match block.text("default").as_str() {
        "" => "needed".to_owned(),
        text => format!("`{text}`"),
    };
    let kind = kind(&block.text("type"));
    format!("| `{}` | {kind} | {default} | {} |\n", block.name(), description(block))
}

/// The tables of the module in a folder.
fn tables(sources: &[Source], module: &str) -> String {
    let all = blocks(sources);
    let of = |what: &str, row: &dyn Fn(&Block) -> String| {
        let own = all.iter().filter(|it| it.module == module && it.what == what);
        own.map(row).collect::<String>()
    };
    let output = |block: &Block| format!("| `{}` | {} |\n", block.name(), description(block));
    format!(
        "{BEGIN}\n| variable | type | default | meaning |\n| --- | --- | --- | --- |\n{}\n\
         ## Outputs\n\n| output | meaning |\n| --- | --- |\n{}",
        of("variable", &variable),
        of("output", &output)
    )
}

#[test]
fn readmes_of_modules_have_their_variables_and_outputs() {
    let all = all();
    let modules = all.iter().filter_map(|source| source.path.strip_suffix("/versions.tf"));
    for module in modules {
        let path = root().join(module).join("README.md");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{module}/README.md: {e}"));
        let begin = text.find(BEGIN).unwrap_or_else(|| panic!("{module}/README.md: no {BEGIN}"));
        let wanted = format!("{}{}", &text[..begin], tables(&all, module));
        expect_file![path].assert_eq(&wanted);
    }
}

#[test]
fn a_table_tells_name_type_default_and_meaning() {
    let text = "variable \"a\" {\n description = <<-E\n  One.\n  Two.\n E\n type = map(object({ b = string }))\n}\n\
                variable \"c\" {\n description = \"Three.\"\n type = string\n default = \"d\"\n}\n\
                output \"e\" {\n description = \"Four.\"\n value = 1\n}";
    let told = tables(&[Source::new("m/a.tf", text)], "m");
    for row in [
        "| `a` | map of objects | needed | One. Two. |",
        "| `c` | string | `\"d\"` | Three. |",
        "| `e` | Four. |",
    ] {
        assert!(told.lines().any(|line| line == row), "{told}");
    }
}
