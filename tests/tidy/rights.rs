//! docs/iam.md: who may do what, from the plans of the modules.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use expect_test::expect_file;

use crate::sources::root;

/// The runs of the modules' tests in which everything is made; the worker takes the place of `object`.
const RUNS: &[&str] = &["run everything", "run worker"];

/// A grant: `address: what on where to whom, if title`.
struct Grant<'text> {
    address: &'text str,
    what: &'text str,
    place: &'text str,
    whom: Option<&'text str>,
    only_if: Option<&'text str>,
}

impl<'text> Grant<'text> {
    /// Reads a line of plans.golden; none if it is no grant.
    fn read(line: &'text str) -> Option<Self> {
        let (address, rest) = line.trim_start().split_once(": ")?;
        let (rest, only_if) = match rest.rsplit_once(", if ") {
            Some((rest, title)) => (rest, Some(title)),
            None => (rest, None),
        };
        let (what, place) = rest.split_once(" on ")?;
        let (place, whom) = match place.rsplit_once(" to ") {
            Some((place, whom)) => (place, Some(whom)),
            None => (place, None),
        };
        Some(Self { address, what, place, whom, only_if })
    }

    /// Its row: whom a policy is for is said by its own name.
    fn row(&self) -> String {
        let short = |text: &str| {
            let text = text.replace("serviceAccount:", "").replace("@x", "");
            // Which account it is, Google says when the API is enabled.
            text.replace("an agent known after apply", "agent of Cloud Storage")
        };
        let whom = self
            .whom
            .map_or_else(|| format!("`{}`", self.address), |it| format!("`{}`", short(it)));
        let only_if = self.only_if.unwrap_or("");
        let place = self.place.replace(", ", "`, `");
        format!("| {whom} | `{}` | `{place}` | {only_if} |\n", self.what)
    }
}

/// What the modules make in the runs in which they make everything, from their plans.
fn planned(golden: &str) -> impl Iterator<Item = &str> {
    RUNS.iter().flat_map(move |name| {
        let run = golden.lines().skip_while(move |line| line != name).skip(1);
        run.take_while(|line| !line.starts_with("run "))
    })
}

/// The table of one module, from its plans.
fn table(golden: &str) -> String {
    let grants = planned(golden).filter_map(Grant::read);
    let rows: BTreeSet<String> = grants.map(|grant| grant.row()).collect();
    let mut table = "| who | may | on | if |\n| --- | --- | --- | --- |\n".to_owned();
    rows.iter().for_each(|row| table.push_str(row));
    table
}

/// The table of the roles it makes, and of what they hold; nothing where it makes none.
fn roles(golden: &str) -> String {
    let row = |line: &str| {
        let (role, held) = line.split_once(": ")?.1.split_once(" holds ")?;
        Some(format!("| `{role}` | `{}` |\n", held.replace(", ", "`, `")))
    };
    let rows: BTreeSet<String> = planned(golden).filter_map(row).collect();
    let rows: String = rows.into_iter().collect();
    if rows.is_empty() { rows } else { format!("\n| role | holds |\n| --- | --- |\n{rows}") }
}

fn page() -> String {
    let mut page = "# Who may do what\n\n\
        Every grant of the Terraform modules with all options in use, as their tests plan it. Written by a test from \
        `plans.golden`;\n`UPDATE_EXPECT=1 cargo test -p refit-tests --test tidy` renews it. Why each is there is told in \
        the modules' own pages.\n"
        .to_owned();
    for (title, module) in [("Google Cloud", "gcp"), ("AWS", "aws")] {
        let path = root().join(format!("terraform/modules/{module}/tests/plans.golden"));
        let golden = fs::read_to_string(path).unwrap();
        write!(page, "\n## {title}\n\n{}{}", table(&golden), roles(&golden)).unwrap();
    }
    page
}

#[test]
fn the_page_of_rights_is_what_the_modules_plan() {
    expect_file![root().join("docs/iam.md")].assert_eq(&page());
}

#[test]
fn a_grant_is_a_row() {
    let golden = "run a\n  x.y: r on b to serviceAccount:c@x\nrun everything\n  3 x\n  x.r: r_a holds b.c, b.d\n  \
                  x.y[\"k\"]: roles/r on b to serviceAccount:o@x, if inbox only\n  p.q: Allow s3:Get on a/1, a/2\nrun z\n  \
                  x.y: roles/r on z to z\nrun worker\n  x.y: roles/r on b to w\n";
    assert_eq!(roles(golden), "\n| role | holds |\n| --- | --- |\n| `r_a` | `b.c`, `b.d` |\n");
    assert_eq!(roles("run everything\n  x.y: roles/r on b to w\n"), "");
    let rows: Vec<_> = table(golden).lines().skip(2).map(str::to_owned).collect();
    assert_eq!(
        rows,
        [
            "| `o` | `roles/r` | `b` | inbox only |",
            "| `p.q` | `Allow s3:Get` | `a/1`, `a/2` |  |",
            "| `w` | `roles/r` | `b` |  |"
        ]
    );
}
