use expect_test::expect_file;

use super::*;

mod good;
mod mutants;

/// What stands before the trigger a case is about.
const BEFORE: &str = "\
services:
  kfp: { kubeflow: { endpoint: \"http://ml-pipeline:8888\" } }
triggers:
  t:
";

/// The file of a case: as it is, or the settings of one trigger with what every trigger needs.
fn file_of(title: &str, body: &str) -> String {
    if !title.starts_with("trigger:") {
        return body.to_owned();
    }
    let has = |name: &str| body.lines().any(|line| line.starts_with(name));
    let on = if has("on:") { "" } else { "on: { objects: { bucket: data } }\n" };
    let run = if has("run:") { "" } else { "run: { service: kfp, pipeline: churn }\n" };
    let lines = format!("{}\n{on}{run}", body.trim_end_matches('\n'));
    let lines = lines
        .lines()
        .map(|line| if line.is_empty() { "\n".into() } else { format!("    {line}\n") });
    BEFORE.to_owned() + &lines.collect::<String>()
}

/// The cases of a file with what is said of each: `## title`, the text, `----`, what is said.
fn answer(cases: &str) -> String {
    let mut answered = String::new();
    for case in cases.split("## ").skip(1) {
        let (title, rest) = case.split_once('\n').expect("a case has a title");
        let body = rest.split_once("----\n").map_or(rest, |(body, _)| body);
        let text = file_of(title, body);
        let (config, found) = read(&text);
        assert_eq!(config.is_none(), found.iter().any(Diagnostic::is_error), "{title}");
        assert!(!found.is_empty(), "nothing is wrong: {title}");
        let said = render("refit.yaml", &text, &found, false);
        let paths: String = found.iter().map(|found| format!("at {}\n", found.path)).collect();
        answered.push_str(&format!("## {title}\n{body}----\n{said}{paths}\n"));
    }
    answered
}

#[test]
fn wrong_files_are_refused_with_place_and_cure() {
    macro_rules! check {
        ($($name:literal)*) => {$(
            let cases = include_str!(concat!("tests/wrong/", $name, ".txt"));
            expect_file![concat!("tests/wrong/", $name, ".txt")].assert_eq(&answer(cases));
        )*};
    }
    check!("yaml" "shape" "on" "timed" "batch" "expressions" "policies" "run" "services" "notify" "models" "together");
}

#[test]
fn a_secret_is_never_shown() {
    let cases = [include_str!("tests/wrong/services.txt"), include_str!("tests/wrong/notify.txt")];
    for case in cases.iter().flat_map(|cases| cases.split("## ").skip(1)) {
        let (title, rest) = case.split_once('\n').expect("a case has a title");
        let body = rest.split_once("----\n").map_or(rest, |(body, _)| body);
        let (_, found) = read(body);
        let said = render("refit.yaml", body, &found, true);
        assert!(!said.contains("hunter"), "{title}: {said}");
        assert!(!format!("{found:?}").contains("hunter"), "{title}: {found:?}");
    }
}

#[test]
fn a_file_full_of_mistakes_is_not_answered_without_end() {
    let text: String = (0..5000).map(|n| format!("setting{n}: 1\n")).collect();
    let (_, found) = read(&text);
    assert_eq!(found.len(), 200);
    assert!(found.iter().any(|found| found.message.contains("left out")));
    let (_, found) = read(&"#".repeat(256 * 1024 + 1));
    assert!(found[0].message.contains("larger than"), "{found:?}");
    let many: String = (0..20_000).map(|n| format!("- {n}\n")).collect();
    let (_, found) = read(&many);
    assert!(found[0].message.contains("more than 20000 values"), "{found:?}");
}

#[test]
fn lines_that_end_as_on_windows_read_as_others_do() {
    let text = BEFORE.to_owned()
        + "    on: { objects: { bucket: data } }\n    when: |\n      true &&\n        nope\n";
    let windows = text.replace('\n', "\r\n");
    let places = |text: &str| {
        let (_, found) = read(text);
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(places(&text), places(&windows));
    assert!(places(&text)[1].starts_with("8:9: error: unknown variable"), "{:?}", places(&text));
    let (_, found) = read(&windows);
    assert!(!render("refit.yaml", &windows, &found, false).contains('\r'));
}
