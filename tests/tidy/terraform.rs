//! The contracts of the Terraform modules, over what is written: whatever variables say, no plan can break them.
//!
//! What only a plan shows is checked by `terraform/check`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use hcl::Body;
use refit_host::environment::{Reader, VARIABLES};

use crate::hcl::{Block, blocks, child, resources, text};
use crate::sources::{Source, all, assert_none, check, root};

/// Variables that the modules leave alone, and why.
const LEFT_ALONE: &[(&str, &str)] = &[
    ("PORT", "the platform says it"),
    ("K_SERVICE", "the platform says it"),
    ("KUBERNETES_SERVICE_HOST", "the platform says it"),
    ("AWS_ACCESS_KEY_ID", "the role gives it"),
    ("AWS_SECRET_ACCESS_KEY", "the role gives it"),
    ("AWS_SESSION_TOKEN", "the role gives it"),
    ("AWS_REGION", "the platform says it"),
    ("AWS_DEFAULT_REGION", "the platform says it"),
    ("GCE_METADATA_HOST", "a stand-in, for tests"),
    ("STORAGE_EMULATOR_HOST", "a stand-in, for tests"),
    ("PUBSUB_EMULATOR_HOST", "a stand-in, for tests"),
    ("AWS_ENDPOINT_URL", "a stand-in, for tests"),
    ("AWS_ENDPOINT_URL_S3", "a stand-in, for tests"),
    ("AWS_ENDPOINT_URL_LAMBDA", "a stand-in, for tests"),
    ("AWS_ENDPOINT_URL_SQS", "a stand-in, for tests"),
    ("AWS_ENDPOINT_URL_IAM", "a stand-in, for tests"),
    ("AWS_LAMBDA_RUNTIME_API", "the platform says it"),
    ("REFIT_HOOK_GITHUB", "a secret: whoever refers to it names it"),
    ("REFIT_HOOK_MLFLOW", "a secret: whoever refers to it names it"),
    ("REFIT_HOOK_STANDARD", "a secret: whoever refers to it names it"),
    ("REFIT_HOOK_LINK", "a secret: whoever refers to it names it"),
    ("REFIT_OIDC_AUDIENCE", "the platform has verified callers"),
    (
        "REFIT_OIDC_CALLERS",
        "IAM lets each caller at one service; only one that has all paths is told",
    ),
    ("REFIT_OIDC_KEYS", "the platform has verified callers"),
    ("GOOGLE_APPLICATION_CREDENTIALS", "images hold no credentials: the platform gives them"),
    ("SSL_CERT_FILE", "images have roots of their own"),
    ("SSL_CERT_DIR", "images have roots of their own"),
];
/// Variables that some read and the modules give to these only, and why.
const GIVEN_TO: &[(&str, &[Reader], &str)] = &[(
    "REFIT_GOOGLE_FEDERATION",
    &[Reader::Tick],
    "nobody else acts as an account of Google on AWS",
)];
/// What rules refer to, as whoever gives it names it.
const CREDENTIALS: &[&str] = &["KFP_TOKEN"];
/// Variables that have a meaning in one cloud only.
const OF_ONE_CLOUD: &[(&str, &str)] = &[
    ("GOOGLE_CLOUD_PROJECT", "terraform/modules/gcp"),
    ("REFIT_GOOGLE_FEDERATION", "terraform/modules/aws"),
];
/// What every function that reads it is told, however a module is used: without it, it does not start, or nobody is woken.
const ALWAYS: [&str; 4] = ["REFIT_LEDGER", "REFIT_LOG", "REFIT_CALLERS", "REFIT_WAKE"];
/// The modules that run functions.
const MODULES: &[&str] = &["terraform/modules/aws", "terraform/modules/gcp"];

/// Words in quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// What a push of events must have: a token, a topic for dead letters that somebody keeps, and the bindings without
/// which Pub/Sub delivers nothing and says nothing. A wake has no dead letters.
fn bare_pushes(sources: &[Source]) -> Vec<String> {
    let all = resources(sources);
    let pushes = all.iter().filter(|block| block.kind() == "google_pubsub_subscription");
    let pushes = pushes.filter(|block| block.has("push_config"));
    let missing = pushes.flat_map(|push| {
        lacks(push, &all).into_iter().map(|what| format!("{} has no {what}", push.place()))
    });
    missing.collect()
}

fn lacks(push: &Block, all: &[Block]) -> Vec<&'static str> {
    let near = |kind: &str, is_it: &dyn Fn(&Block) -> bool| {
        let mut near = all.iter().filter(|block| block.module == push.module);
        near.any(|block| block.kind() == kind && is_it(block))
    };
    let has_role = |block: &Block, role: &str| block.text("role") == format!("\"roles/{role}\"");
    let config = child(&push.body, "push_config").expect("it pushes");
    let mut lacks = Vec::new();
    let token = child(config, "oidc_token");
    if token.is_none_or(|token| text(token, "audience").is_empty()) {
        lacks.push("token");
    }
    let account = token.map(|token| text(token, "service_account_email")).unwrap_or_default();
    let account = account.split('[').next().unwrap_or_default().trim_end_matches(".email");
    let is_its = |block: &Block, key: &str| {
        let rest = block.text(key).strip_prefix(account).map(str::to_owned);
        !account.is_empty() && rest.is_some_and(|it| it.is_empty() || it.starts_with(['.', '[']))
    };
    let makes = |block: &Block| {
        has_role(block, "iam.serviceAccountTokenCreator")
            && (is_its(block, "for_each") || is_its(block, "service_account_id"))
    };
    if !near("google_service_account_iam_member", &makes) {
        lacks.push("right to make tokens");
    }
    // What a wake would have done, the next ping does.
    let Some(policy) = child(&push.body, "dead_letter_policy") else {
        if push.name() != "wake" {
            lacks.push("dead letters");
        }
        return lacks;
    };
    let dead = text(policy, "dead_letter_topic").replace(".id", "");
    let is_dead = |block: &Block| block.text("topic").starts_with(&dead);
    if !near("google_pubsub_subscription", &is_dead) {
        lacks.push("subscription that keeps its dead letters");
    }
    let publishes = |block: &Block| is_dead(block) && has_role(block, "pubsub.publisher");
    if !near("google_pubsub_topic_iam_member", &publishes) {
        lacks.push("right to publish dead letters");
    }
    let own = format!("google_pubsub_subscription.{}", push.name());
    let takes = |block: &Block| {
        has_role(block, "pubsub.subscriber")
            && (block.text("for_each").starts_with(&own)
                || block.text("subscription").starts_with(&own))
    };
    if !near("google_pubsub_subscription_iam_member", &takes) {
        lacks.push("right to take dead letters out");
    }
    lacks
}

/// Queues whose failures are lost, and functions that would take a batch for done of which a part failed.
fn bare_queues(sources: &[Source]) -> Vec<String> {
    let all = resources(sources);
    let queues = all.iter().filter(|it| it.kind() == "aws_sqs_queue" && it.name() != "dead");
    let bare = queues.filter(|it| it.text("redrive_policy").is_empty());
    let bare = bare.map(|it| format!("{} has no dead letters", it.place()));
    let feeds = all.iter().filter(|it| it.kind() == "aws_lambda_event_source_mapping");
    let whole = feeds
        .filter(|it| !it.text("function_response_types").contains("\"ReportBatchItemFailures\""));
    bare.chain(whole.map(|it| format!("{} reports no part of a batch", it.place()))).collect()
}

/// Whatever is granted to everybody, or to more than it must be.
fn too_wide(sources: &[Source]) -> Vec<String> {
    let is_made = |block: &&Block| block.what != "variable" && block.what != "output";
    let all = blocks(sources);
    let wide = all.iter().filter(is_made).filter_map(|block| {
        let whole = block.whole();
        let role = block.text("role");
        let what = if quoted(&whole).any(|it| it == "allUsers" || it == "allAuthenticatedUsers") {
            "is open to everybody"
        } else if block.kind() == "google_project_iam_member" && role.contains("TokenCreator") {
            "makes tokens of every account of the project"
        } else if block.kind().ends_with("_iam_binding") || block.kind().ends_with("_iam_policy") {
            (!block.kind().starts_with("aws_")).then_some("takes rights away that others gave")?
        } else if whole.contains("Action = \"*\"") || whole.contains("Action = [\"*\"]") {
            "allows everything"
        } else if ["owner", "editor", "storage.admin", "storage.objectAdmin"]
            .iter()
            .any(|wide| role == format!("\"roles/{wide}\""))
        {
            "grants more than anything here needs"
        } else {
            return None;
        };
        Some(format!("{} {what}", block.place()))
    });
    wide.collect()
}

/// Whatever deletes in a ledger but the reconciler, or keeps it from deleting, or would let it become public.
fn ledgers(sources: &[Source]) -> Vec<String> {
    let all = resources(sources);
    let mut found = Vec::new();
    for block in &all {
        if block.kind() == "aws_s3_bucket_lifecycle_configuration" {
            found.push(format!("{} deletes by a rule", block.place()));
        }
        if block.kind() != "google_storage_bucket" || block.name() != "ledger" {
            continue;
        }
        for rule in ["lifecycle_rule", "retention_policy", "versioning"] {
            if block.has(rule) {
                found.push(format!("{} has `{rule}`", block.place()));
            }
        }
        let is = |key: &str, value: &str| block.text(key) == value;
        if !is("uniform_bucket_level_access", "true")
            || !is("public_access_prevention", "\"enforced\"")
            || !block.has("soft_delete_policy")
        {
            found.push(format!("{} could become public, or lose what is deleted", block.place()));
        }
    }
    let buckets = all.iter().filter(|it| it.kind() == "aws_s3_bucket" && it.name() == "ledger");
    let open = buckets.filter(|bucket| {
        let is_policy = |it: &&Block| it.kind() == "aws_s3_bucket_policy" && it.name() == "ledger";
        let policy = all.iter().filter(is_policy).find(|it| it.module == bucket.module);
        !policy.is_some_and(|it| it.whole().contains("s3:if-none-match"))
    });
    found.extend(open.map(|it| format!("{} can be overwritten", it.place())));
    found
}

/// What the modules call a program, if they run it: `refit` is the one service, and `worker` what pulls.
fn service(reader: Reader) -> Option<&'static str> {
    match reader {
        Reader::Serve => Some("refit"),
        Reader::Worker => Some("worker"),
        Reader::CommandLine => None,
        Reader::Object | Reader::Drift | Reader::Hook | Reader::Tick => Some(reader.name()),
    }
}

/// Whether a variable means something to a function, or to the worker, in the cloud of a module.
fn is_read(variable: &str, function: &str, module: &str) -> bool {
    let elsewhere = OF_ONE_CLOUD.iter().any(|(it, home)| *it == variable && *home != module);
    let given = GIVEN_TO.iter().find(|(it, ..)| *it == variable).map(|(_, given, _)| *given);
    let known = VARIABLES.iter().find(|it| it.name == variable);
    let readers = given.or(known.map(|it| it.read_by)).unwrap_or_default();
    !elsewhere && readers.iter().any(|reader| service(*reader) == Some(function))
}

/// What every function is told in any of the plans.
fn told(golden: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let lines =
        golden.lines().filter_map(|line| line.split_once(": refit-")?.1.split_once(" is told "));
    lines.for_each(|(function, told)| all.entry(function).or_default().extend(told.split(", ")));
    all
}

/// What functions are told and do not read, in plans of the cloud of a module.
fn unread(golden: &str, module: &str) -> Vec<String> {
    let all = told(golden).into_iter().flat_map(|(function, told)| {
        let others = told.into_iter().filter(move |it| !is_read(it, function, module));
        let others = others.filter(|it| !CREDENTIALS.contains(it));
        others.map(move |it| format!("{function} is told {it}, which it does not read"))
    });
    all.collect()
}

/// What functions read and are not told in any plan of a module.
fn untold(golden: &str, module: &str) -> Vec<String> {
    let all = told(golden).into_iter().flat_map(|(function, told)| {
        let read =
            VARIABLES.iter().map(|it| it.name).filter(move |it| is_read(it, function, module));
        let wanted = read.filter(|name| LEFT_ALONE.iter().all(|(it, _)| it != name));
        let missing = wanted.filter(move |it| !told.contains(it));
        missing.map(move |it| format!("{function} is not told {it}"))
    });
    all.collect()
}

/// What functions are not told in one plan or another, and always must be.
fn forgotten(golden: &str, module: &str) -> Vec<String> {
    let runs = golden.split("run ").filter_map(|run| run.split_once('\n'));
    let missing = runs.flat_map(|(run, plan)| {
        let missing = untold(plan, module).into_iter();
        let missing = missing.filter(|it| ALWAYS.iter().any(|name| it.ends_with(name)));
        missing.map(move |it| format!("run {run}: {it}"))
    });
    missing.collect()
}

/// Variables that refuse something, and that no run of the module's refusals is refused by.
fn unrefused(variables: &str, refusals: &str) -> Vec<String> {
    let variables: Body = hcl::from_str(variables).expect("it can be read");
    let refusals: Body = hcl::from_str(refusals).expect("it can be read");
    let refused: Vec<String> =
        refusals.blocks().map(|run| text(run.body(), "expect_failures")).collect();
    let is_refused = |name: &str| {
        let mut words = refused
            .iter()
            .flat_map(|all| all.split(|c: char| !"._".contains(c) && !c.is_alphanumeric()));
        words.any(|word| word.strip_prefix("var.") == Some(name))
    };
    let checked = variables.blocks().filter(|it| child(it.body(), "validation").is_some());
    let names = checked.filter_map(|it| it.labels().first()).map(|label| label.as_str().to_owned());
    names.filter(|name| !is_refused(name)).collect()
}

/// The programs a module takes images of.
fn services(sources: &[Source], module: &str) -> BTreeSet<String> {
    let all = blocks(sources);
    let images =
        all.iter().find(|it| it.module == module && it.what == "variable" && it.name() == "images");
    let kind = images.map_or_else(String::new, |it| it.text("type"));
    let words: Vec<&str> = kind.split(' ').collect();
    words.windows(2).filter(|pair| pair[1] == "=").map(|pair| pair[0].to_owned()).collect()
}

/// Functions no module runs, and services that are no function.
fn strangers(sources: &[Source]) -> Vec<String> {
    let manifests = sources.iter().filter_map(|source| {
        source.path.strip_prefix("functions/")?.strip_suffix("/Cargo.toml").map(str::to_owned)
    });
    let functions: BTreeSet<String> = manifests.collect();
    let modules = MODULES.iter().flat_map(|module| {
        let services = services(sources, module);
        let not_run = functions.difference(&services).filter(|it| is_hosted(it, module));
        let not_run: Vec<_> = not_run.map(|it| format!("{module} does not run {it}")).collect();
        let not_made = services.difference(&functions);
        let not_made = not_made.map(|it| format!("{module} runs {it}, which is no function"));
        not_run.into_iter().chain(not_made).collect::<Vec<_>>()
    });
    modules.collect()
}

/// `refit serve` listens on a port, which Lambda does not call.
fn is_hosted(function: &str, module: &str) -> bool {
    function != "refit" || !module.ends_with("/aws")
}

#[test]
fn every_push_has_a_token_dead_letters_and_their_bindings() {
    assert_none("pushes", &bare_pushes(&all()));
    assert_none("queues", &bare_queues(&all()));
    let push = "resource \"google_pubsub_subscription\" \"a\" {\n push_config {\n push_endpoint = \"x\"\n }\n";
    let dead = "dead_letter_policy {\n dead_letter_topic = google_pubsub_topic.d.id\n }\n";
    let of_other = push.replace(
        "\"x\"\n",
        "\"x\"\n oidc_token {\n audience = \"x\"\n service_account_email = google_service_account.p[each.key].email\n }\n",
    );
    let other = "resource \"google_service_account_iam_member\" \"a\" {\n for_each = google_service_account.pq\n \
                 role = \"roles/iam.serviceAccountTokenCreator\"\n}\n";
    let files = [
        ("m/a.tf", format!("{push}}}")),
        ("n/a.tf", format!("{push}{dead}}}")),
        ("o/a.tf", format!("{other}{of_other}}}")),
        ("p/a.tf", format!("{}{of_other}}}", other.replace(".pq", ".p"))),
    ];
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    check(
        bare_pushes,
        &files,
        &[
            "m: google_pubsub_subscription.a has no token",
            "m: google_pubsub_subscription.a has no right to make tokens",
            "m: google_pubsub_subscription.a has no dead letters",
            "n: google_pubsub_subscription.a has no token",
            "n: google_pubsub_subscription.a has no right to make tokens",
            "n: google_pubsub_subscription.a has no subscription that keeps its dead letters",
            "n: google_pubsub_subscription.a has no right to publish dead letters",
            "n: google_pubsub_subscription.a has no right to take dead letters out",
            "o: google_pubsub_subscription.a has no right to make tokens",
            "o: google_pubsub_subscription.a has no dead letters",
            "p: google_pubsub_subscription.a has no dead letters",
        ],
    );
    let text = "resource \"aws_sqs_queue\" \"a\" {}\nresource \"aws_sqs_queue\" \"dead\" {}\n\
                resource \"aws_lambda_event_source_mapping\" \"b\" {}";
    check(
        bare_queues,
        &[("m/a.tf", text)],
        &[
            "m: aws_sqs_queue.a has no dead letters",
            "m: aws_lambda_event_source_mapping.b reports no part of a batch",
        ],
    );
}

#[test]
fn nothing_is_granted_to_everybody_or_for_everything() {
    assert_none("grants", &too_wide(&all()));
    let text = "resource \"google_x_iam_member\" \"a\" {\n member = \"allUsers\"\n}\n\
                resource \"google_project_iam_member\" \"b\" {\n role = \"roles/iam.serviceAccountTokenCreator\"\n}\n\
                resource \"google_x_iam_binding\" \"c\" {}\n\
                resource \"aws_iam_role_policy\" \"d\" {\n policy = jsonencode({ Action = \"*\" })\n}\n\
                resource \"google_x_iam_member\" \"e\" {\n role = \"roles/storage.admin\"\n}\n\
                variable \"f\" {\n description = \"allUsers\"\n}";
    check(
        too_wide,
        &[("m/a.tf", text)],
        &[
            "m: google_x_iam_member.a is open to everybody",
            "m: google_project_iam_member.b makes tokens of every account of the project",
            "m: google_x_iam_binding.c takes rights away that others gave",
            "m: aws_iam_role_policy.d allows everything",
            "m: google_x_iam_member.e grants more than anything here needs",
        ],
    );
}

#[test]
fn only_the_reconciler_deletes_in_the_ledger_and_nobody_overwrites() {
    assert_none("ledgers", &ledgers(&all()));
    let text = "resource \"google_storage_bucket\" \"ledger\" {\n lifecycle_rule {}\n}\n\
                resource \"aws_s3_bucket\" \"ledger\" {}\n\
                resource \"aws_s3_bucket_lifecycle_configuration\" \"a\" {}";
    check(
        ledgers,
        &[("m/a.tf", text)],
        &[
            "m: google_storage_bucket.ledger has `lifecycle_rule`",
            "m: google_storage_bucket.ledger could become public, or lose what is deleted",
            "m: aws_s3_bucket_lifecycle_configuration.a deletes by a rule",
            "m: aws_s3_bucket.ledger can be overwritten",
        ],
    );
}

#[test]
fn functions_are_told_what_they_read_and_nothing_else() {
    let plans = |folder: &str| {
        let path = root().join("terraform").join(folder).join("tests/plans.golden");
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    for module in MODULES {
        let golden = plans(module.trim_start_matches("terraform/"));
        assert!(told(&golden).len() > 3, "{module} tells its functions what they must know");
        assert_none(module, &[unread(&golden, module), untold(&golden, module)].concat());
        assert_none(module, &forgotten(&golden, module));
    }
    for example in fs::read_dir(root().join("terraform/examples")).unwrap() {
        let name = example.unwrap().file_name().into_string().unwrap();
        let module = if name == "aws" { MODULES[0] } else { MODULES[1] };
        let golden = plans(&format!("examples/{name}"));
        assert!(!told(&golden).is_empty(), "{name} tells its functions nothing");
        assert_none(&name, &[unread(&golden, module), forgotten(&golden, module)].concat());
    }
    for (name, given, why) in GIVEN_TO {
        let read_by = VARIABLES.iter().find(|it| it.name == *name).expect("it is known").read_by;
        assert!(
            given.iter().all(|it| read_by.contains(it)) && given.len() < read_by.len(),
            "{why}"
        );
    }
    let golden = "run a\n  a.b: refit-object is told A_B, REFIT_CALLERS, REFIT_LEDGER, REFIT_LOG\n  \
                  a.c: refit-tick is told KFP_TOKEN, REFIT_WAKE, REFIT_LEDGER\nrun b\n  \
                  a.c: refit-tick is told REFIT_CALLERS, REFIT_GOOGLE_FEDERATION\n";
    assert_eq!(
        unread(golden, "terraform/modules/gcp"),
        [
            "object is told A_B, which it does not read",
            "tick is told REFIT_GOOGLE_FEDERATION, which it does not read",
            "tick is told REFIT_WAKE, which it does not read"
        ]
    );
    assert_eq!(
        untold(golden, "terraform/modules/aws"),
        ["object is not told REFIT_WAKE", "tick is not told REFIT_LOG"]
    );
    assert_eq!(
        forgotten(golden, "terraform/modules/aws"),
        [
            "run a: object is not told REFIT_WAKE",
            "run a: tick is not told REFIT_CALLERS",
            "run a: tick is not told REFIT_LOG",
            "run b: tick is not told REFIT_LEDGER",
            "run b: tick is not told REFIT_LOG",
        ]
    );
}

#[test]
fn every_variable_that_refuses_something_is_seen_to() {
    for module in MODULES {
        let read = |name: &str| {
            let path = root().join(module).join(name);
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let unrefused = unrefused(&read("variables.tf"), &read("tests/refusals.tftest.hcl"));
        assert_none(module, &unrefused);
    }
    let variable = |name: &str| {
        format!("variable \"{name}\" {{\n validation {{\n condition = true\n }}\n}}\n")
    };
    let variables = ["log", "log_days", "kms"].map(variable).concat();
    let refusals = "run \"a\" {\n expect_failures = [var.log, var.kms]\n}\n";
    assert_eq!(unrefused(&variables, refusals), ["log_days"]);
}

#[test]
fn every_function_is_a_service_and_every_service_a_function() {
    assert_none("services", &strangers(&all()));
    let images =
        "variable \"images\" {\n type = object({ object = optional(string), other = string })\n}";
    let files = [
        ("functions/object/Cargo.toml", ""),
        ("functions/tick/Cargo.toml", ""),
        ("functions/refit/Cargo.toml", ""),
        ("terraform/modules/aws/a.tf", images),
        ("terraform/modules/gcp/a.tf", images),
    ];
    check(
        strangers,
        &files,
        &[
            "terraform/modules/aws does not run tick",
            "terraform/modules/aws runs other, which is no function",
            "terraform/modules/gcp does not run refit",
            "terraform/modules/gcp does not run tick",
            "terraform/modules/gcp runs other, which is no function",
        ],
    );
}

/// Exceptions from the policies of a scanner, without a sentence on why.
fn unexplained(sources: &[Source]) -> Vec<String> {
    let files = sources.iter().filter(|source| source.ends_with(".tf"));
    let lines = files.flat_map(|source| {
        source.text.lines().enumerate().map(|(index, line)| (&source.path, index + 1, line.trim()))
    });
    let skips = lines.filter_map(|(path, line, text)| {
        let skip = text.strip_prefix("#checkov:skip=")?;
        let reason = skip.split_once(": ").map_or("", |(_, reason)| reason);
        (reason.split(' ').count() < 5).then(|| format!("{path}:{line} {skip}"))
    });
    skips.collect()
}

#[test]
fn every_exception_from_a_policy_is_explained() {
    assert_none("unexplained", &unexplained(&all()));
    let text = "#checkov:skip=A_1: nothing is ever overwritten here\n#checkov:skip=A_2: no need\n#checkov:skip=A_3";
    check(unexplained, &[("a.tf", text)], &["a.tf:2 A_2: no need", "a.tf:3 A_3"]);
}

/// Lists of what is not kept: `gcloud builds submit` reads that at the root alone, and uploads what others leave out.
#[test]
fn what_terraform_leaves_behind_is_not_uploaded_with_the_sources() {
    let listed = fs::read_to_string(root().join(".gitignore")).unwrap();
    for left in [".terraform/", "*.tfstate", "*.tfstate.*", "*.tfvars"] {
        assert!(listed.lines().any(|line| line == left), "{left}");
    }
    assert!(!root().join("terraform/.gitignore").exists(), "what it lists is uploaded");
}
