//! Who may do what, from the plans of the modules: docs/iam.md, and what those who take events may not.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use expect_test::expect_file;

use crate::sources::{assert_none, root};

/// The runs of the modules' tests in which everything is made; the worker takes the place of `object`.
const RUNS: &[&str] = &["run everything", "run worker"];

/// Who takes events.
const INTAKES: &[&str] = &["drift", "hook", "object", "worker"];
/// What every one of them may do, as what, the end of where, and the condition: append to the inbox and wake, and on AWS
/// use the key and be in a network.
const APPENDS_AND_WAKES: &[[&str; 3]] = &[
    ["projects/acme-ml/roles/refit_append", "-ledger", "inbox only"],
    ["roles/pubsub.publisher", "refit-wake", ""],
    ["roles/run.invoker", "refit-tick", ""],
    ["Allow s3:PutObject", "/inbox/*", ""],
    ["Allow lambda:InvokeFunction", ":function:refit-tick", ""],
    ["Allow kms:Decrypt, kms:GenerateDataKey", ":key/00000000-0000-0000-0000-000000000001", ""],
    ["arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole", "what it names", ""],
];
/// What one of them may do besides, and for what.
const BESIDES: &[(&str, [&str; 3])] = &[
    // Its own log.
    (
        "drift",
        [
            "Allow logs:CreateLogStream, logs:PutLogEvents",
            ":log-group:/aws/lambda/refit-drift:*",
            "",
        ],
    ),
    (
        "hook",
        [
            "Allow logs:CreateLogStream, logs:PutLogEvents",
            ":log-group:/aws/lambda/refit-hook:*",
            "",
        ],
    ),
    (
        "object",
        [
            "Allow logs:CreateLogStream, logs:PutLogEvents",
            ":log-group:/aws/lambda/refit-object:*",
            "",
        ],
    ),
    // Reports of drift that come as files, and being told of those that are gone.
    ("drift", ["projects/acme-ml/roles/refit_reports", "acme-monitoring", "reports only"]),
    ("drift", ["projects/acme-ml/roles/refit_sweep", "acme-monitoring", ""]),
    ("drift", ["Allow s3:GetObject", ":acme-monitoring/reports/*", ""]),
    ("drift", ["Allow s3:ListBucket", ":acme-monitoring", ""]),
    // The secrets that senders sign with.
    ("hook", ["roles/secretmanager.secretAccessor", "/secrets/webhooks", ""]),
    ("hook", ["Allow secretsmanager:GetSecretValue", ":secret:refit/mlflow-AbCdEf", ""]),
    // What is pulled: Lambda pulls as the function's role.
    ("worker", ["roles/pubsub.subscriber", "refit-object", ""]),
    (
        "object",
        [
            "Allow sqs:DeleteMessage, sqs:GetQueueAttributes, sqs:ReceiveMessage",
            ":refit-object",
            "",
        ],
    ),
    (
        "drift",
        ["Allow sqs:DeleteMessage, sqs:GetQueueAttributes, sqs:ReceiveMessage", ":refit-drift", ""],
    ),
];
/// What the roles in them hold.
const HELD: &[[&str; 2]] = &[
    ["refit_append", "storage.objects.create"],
    ["refit_reports", "storage.objects.get"],
    ["refit_sweep", "storage.objects.list"],
];

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
        the modules' own pages.\n\n\
        What is granted elsewhere stays. On AWS the policy of the ledger's bucket holds against everybody, administrators as \
        well. On Google\nCloud whoever edits or owns the project may delete in a new bucket, its log included: Cloud Storage \
        gives them\n`roles/storage.legacyBucketOwner` on it. Take that from them, or deny `storage.googleapis.com/objects.delete` \
        to all but\n`tick` (`google_iam_deny_policy`), where that is too much; soft deletion undoes a mistake.\n"
        .to_owned();
    for (title, module) in [("Google Cloud", "gcp"), ("AWS", "aws")] {
        let path = root().join(format!("terraform/modules/{module}/tests/plans.golden"));
        let golden = fs::read_to_string(path).unwrap();
        write!(page, "\n## {title}\n\n{}{}", table(&golden), roles(&golden)).unwrap();
    }
    page
}

impl Grant<'_> {
    /// Who of those who take events has it, by the names the tests of the modules give their accounts and roles.
    fn intake(&self) -> Option<&str> {
        let whom = self.whom?;
        let account = whom.strip_prefix("serviceAccount:").and_then(|it| it.strip_suffix("@x"));
        let role = || whom.strip_prefix("refit-")?.strip_suffix("-eu-central-1");
        account.or_else(role).filter(|it| INTAKES.contains(it))
    }

    fn is(&self, [what, place, only_if]: &[&str; 3]) -> bool {
        let there = self.place.split(", ").all(|it| it.ends_with(place));
        self.what == *what && there && self.only_if.unwrap_or("") == *only_if
    }
}

/// What those who take events may do in any plan, beside what they must.
fn beyond_intake(golden: &str) -> Vec<String> {
    let grants = golden.lines().filter_map(Grant::read);
    let beyond = grants.filter_map(|grant| {
        let who = grant.intake()?;
        let besides = BESIDES.iter().filter(|(it, _)| *it == who).map(|(_, may)| may);
        let mut may = APPENDS_AND_WAKES.iter().chain(besides);
        let row = grant.row();
        (!may.any(|may| grant.is(may))).then(|| row.trim_end().to_owned())
    });
    let held = golden.lines().filter_map(|line| line.split_once(": ")?.1.split_once(" holds "));
    let more = held.filter(|(role, held)| HELD.iter().any(|it| it[0] == *role && it[1] != *held));
    beyond.chain(more.map(|(role, held)| format!("{role} holds {held}"))).collect()
}

#[test]
fn who_takes_events_appends_and_wakes_and_nothing_else() {
    for module in ["aws", "gcp"] {
        let path = root().join(format!("terraform/modules/{module}/tests/plans.golden"));
        let golden = fs::read_to_string(path).unwrap();
        for who in INTAKES.iter().filter(|it| **it != "worker" || module == "gcp") {
            let mut grants = golden.lines().filter_map(Grant::read);
            assert!(grants.any(|it| it.intake() == Some(who)), "{module}: {who} has no grant");
        }
        assert_none(module, &beyond_intake(&golden));
    }
    let grants = "run a\n  a: projects/acme-ml/roles/refit_append on x-ledger to serviceAccount:object@x, if inbox only\n  \
        a: projects/acme-ml/roles/refit_append on x-ledger to serviceAccount:object@x\n  \
        a: roles/storage.objectViewer on x to serviceAccount:tick@x\n  \
        a: roles/storage.objectViewer on x to serviceAccount:hook@x\n  \
        a: roles/secretmanager.secretAccessor on p/secrets/webhooks to serviceAccount:drift@x\n  \
        a: Allow s3:PutObject on l/inbox/*, l/log/* to refit-drift-eu-central-1\n  \
        a: refit_append holds storage.objects.create, storage.objects.get\n";
    let wanted = [
        "| `object` | `projects/acme-ml/roles/refit_append` | `x-ledger` |  |",
        "| `hook` | `roles/storage.objectViewer` | `x` |  |",
        "| `drift` | `roles/secretmanager.secretAccessor` | `p/secrets/webhooks` |  |",
        "| `refit-drift-eu-central-1` | `Allow s3:PutObject` | `l/inbox/*`, `l/log/*` |  |",
        "refit_append holds storage.objects.create, storage.objects.get",
    ];
    assert_eq!(beyond_intake(grants), wanted);
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
