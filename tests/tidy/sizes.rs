//! How large files and functions may be.

use syn::visit::{self, Visit};

use crate::sources::{Source, assert_none, check, rust};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
/// Half of all functions are as short as this.
const MEDIAN_LINES_MAX: usize = 10;
/// A `main` says which program this is, and nothing else.
const MAIN_LINES_MAX: usize = 3;

/// A function: its name, the line it begins in, and how many it has.
#[derive(Debug)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

#[derive(Default)]
struct Functions(Vec<Function>);

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let line = signature.fn_token.span.start().line;
        let lines = block.brace_token.span.close().end().line - line + 1;
        self.0.push(Function { name: signature.ident.to_string(), line, lines });
    }
}

impl Visit<'_> for Functions {
    fn visit_item_fn(&mut self, item: &syn::ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

fn functions(source: &Source) -> Vec<Function> {
    let file = syn::parse_file(&source.text).unwrap_or_else(|e| panic!("{}: {e}", source.path));
    let mut found = Functions::default();
    found.visit_file(&file);
    found.0
}

fn long_files(sources: &[Source]) -> Vec<String> {
    let lines = sources.iter().map(|source| (&source.path, source.text.lines().count()));
    let long = lines.filter(|(_, lines)| *lines > FILE_LINES_MAX);
    long.map(|(path, lines)| format!("{path} has {lines} lines")).collect()
}

fn long_functions(sources: &[Source]) -> Vec<String> {
    let all = sources.iter().flat_map(|source| {
        functions(source).into_iter().map(|function| (source.path.as_str(), function))
    });
    let long = all.filter(|(_, function)| function.lines > FUNCTION_LINES_MAX);
    long.map(|(path, Function { name, line, lines })| format!("{path}:{line} {name}: {lines}"))
        .collect()
}

/// How many lines half of the functions have at the most.
fn median(sources: &[Source]) -> usize {
    let mut lines: Vec<usize> =
        sources.iter().flat_map(functions).map(|function| function.lines).collect();
    lines.sort_unstable();
    lines.get(lines.len() / 2).copied().unwrap_or_default()
}

fn long_mains(sources: &[Source]) -> Vec<String> {
    let mains = sources
        .iter()
        .filter(|source| source.path.starts_with("functions/") && source.ends_with("/src/main.rs"));
    let all = mains.flat_map(|source| {
        functions(source).into_iter().map(|function| (source.path.as_str(), function))
    });
    let more = all.filter(|(_, it)| it.name != "main" || it.lines > MAIN_LINES_MAX);
    more.map(|(path, function)| format!("{path}: `{}` belongs in a library", function.name))
        .collect()
}

#[test]
fn files_are_short() {
    assert_none("at most 600 lines", &long_files(&rust()));
    check(
        long_files,
        &[("a.rs", &"\n".repeat(601)), ("b.rs", &"\n".repeat(600))],
        &["a.rs has 601 lines"],
    );
}

#[test]
fn functions_are_short_and_half_of_them_very_short() {
    let all = rust();
    assert_none("at most 70 lines", &long_functions(&all));
    let shipped: Vec<Source> = all.into_iter().filter(Source::is_shipped).collect();
    let median_lines = median(&shipped);
    assert!(median_lines <= MEDIAN_LINES_MAX, "half of the functions have {median_lines} lines");
    let long = format!("struct A;\nimpl A {{\nfn long() {{\n{}}}\n}}", "f();\n".repeat(69));
    let nested = format!("fn b() {{\nfn c() {{\n{}}}\n}}", "f();\n".repeat(68));
    let files = [("a.rs", long.as_str()), ("b.rs", &nested)];
    check(long_functions, &files, &["a.rs:3 long: 71", "b.rs:1 b: 72"]);
    let text = "fn a() {}\nfn b() {\n}\nfn c() {\n\n\n}";
    assert_eq!(median(&[Source::new("a.rs", text)]), 2);
}

#[test]
fn a_main_is_small() {
    assert_none("a main says which program it is", &long_mains(&rust()));
    let files = [
        ("functions/a/src/main.rs", "fn main() {\n    run();\n}\nfn helps() {}"),
        ("functions/b/src/main.rs", "fn main() {\n    f();\n    g();\n}"),
    ];
    check(
        long_mains,
        &files,
        &[
            "functions/a/src/main.rs: `helps` belongs in a library",
            "functions/b/src/main.rs: `main` belongs in a library",
        ],
    );
}
