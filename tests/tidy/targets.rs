//! Targets that are not built for tests: what is written in them as one would never run.

use crate::sources::{Source, all, assert_none, check};

/// What runs nowhere, of packages whose manifest says `test = false` or `doctest = false`.
fn unrun(sources: &[Source]) -> Vec<String> {
    let manifests = sources.iter().filter(|it| it.ends_with("/Cargo.toml"));
    let found = manifests.flat_map(|manifest| {
        let folder = manifest.path.replace("Cargo.toml", "src/");
        let inside = sources.iter().filter(move |it| it.path.starts_with(&folder));
        inside.flat_map(move |source| unrun_in(manifest, source))
    });
    found.collect()
}

fn unrun_in(manifest: &Source, source: &Source) -> Option<String> {
    let says = |text: &str| manifest.text.contains(text);
    let is_tested_library = says("[lib]") && !says("[lib]\ntest = false");
    let is_tested =
        !says("\ntest = false") || is_tested_library && !source.ends_with("src/main.rs");
    let is_test = |line: &&str| line.trim_start().starts_with("#[") && line.contains("test]");
    let is_example = |line: &&str| line.contains("//") && line.ends_with("```");
    let test = source.text.lines().find(is_test).filter(|_| !is_tested);
    let example = source.text.lines().find(is_example).filter(|_| says("\ndoctest = false"));
    Some(format!("{}: {}", source.path, test.or(example)?.trim()))
}

#[test]
fn nothing_is_written_as_a_test_where_none_runs() {
    assert_none("its manifest keeps it from running", &unrun(&all()));
    let library = "[lib]\ntest = false\ndoctest = false\n\n[dependencies]\n";
    let program = "[lib]\ndoctest = false\n\n[[bin]]\ntest = false\n\n[dependencies]\n";
    let test = "#[cfg(test)]\nmod tests {\n    #[test]\n    fn a() {}\n}\n";
    let example = "/// ```\n/// a();\n/// ```\nfn a() {}\n";
    check(
        unrun,
        &[
            ("a/Cargo.toml", library),
            ("a/src/b.rs", test),
            ("a/src/lib.rs", example),
            ("c/Cargo.toml", program),
            ("c/src/lib.rs", test),
            ("c/src/main.rs", test),
            ("d/Cargo.toml", "[package]\n\n"),
            ("d/src/main.rs", test),
        ],
        &["a/src/b.rs: #[test]", "a/src/lib.rs: /// ```", "c/src/main.rs: #[test]"],
    );
}
