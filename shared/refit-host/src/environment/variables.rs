//! The environment variables: all of them, what each means, and who reads it.

use Reader::{CommandLine, Drift, Hook, Object, Serve, Tick, Worker};

/// One environment variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
    /// What holds where it is not set.
    pub default: &'static str,
    /// Who reads it: to whom else it is given, it says nothing.
    pub read_by: &'static [Reader],
}

/// A program that reads variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The function `object`.
    Object,
    /// The function `drift`.
    Drift,
    /// The function `hook`.
    Hook,
    /// The function `tick`.
    Tick,
    /// `refit serve`, which is all of them.
    Serve,
    /// `refit worker`.
    Worker,
    /// The other commands of `refit`.
    CommandLine,
}

impl Reader {
    /// Everybody.
    pub const ALL: &'static [Self] = &[Object, Drift, Hook, Tick, Serve, Worker, CommandLine];

    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Object => "object",
            Drift => "drift",
            Hook => "hook",
            Tick => "tick",
            Serve => "refit serve",
            Worker => "refit worker",
            CommandLine => "refit",
        }
    }
}

const ALL: &[Reader] = Reader::ALL;
/// Who is called.
const LISTENING: &[Reader] = &[Object, Drift, Hook, Tick, Serve];
/// Who wakes somebody else: what reconciles wakes nobody.
const WAKING: &[Reader] = &[Object, Drift, Hook, Worker, CommandLine];
/// Who verifies webhooks: of the command line `dev`, and `inspect` for a file.
const VERIFYING: &[Reader] = &[Hook, Serve, CommandLine];

/// Every environment variable that is read.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "PORT",
        meaning: "the port to listen on",
        default: "8080",
        read_by: LISTENING,
    },
    Variable {
        name: "REFIT_LEDGER",
        meaning: "where the ledger lies: a directory, gs://bucket/folder, s3://bucket/folder, or for a trial memory:, which ends with the process and no other sees",
        default: "none: functions must be told; the command line looks into ./refit.yaml, and then for .refit in this folder",
        read_by: ALL,
    },
    Variable {
        name: "REFIT_WAKE",
        meaning: "what is woken after an event was recorded: the URL of tick, a topic projects/P/topics/T, or the ARN of a Lambda function",
        default: "empty: nothing; the next ping finds the event",
        read_by: WAKING,
    },
    Variable {
        name: "REFIT_CALLERS",
        meaning: "who verifies callers: platform (Cloud Run or Lambda has, by IAM), oidc (refit does, by the token), or none (loopback only)",
        default: "platform on Cloud Run and Lambda, none elsewhere; on Knative in a cluster it has to be set",
        read_by: LISTENING,
    },
    Variable {
        name: "REFIT_OIDC_AUDIENCE",
        meaning: "with oidc: whom a token must be for, exactly",
        default: "none: oidc needs it",
        read_by: LISTENING,
    },
    Variable {
        name: "REFIT_OIDC_CALLERS",
        meaning: "who may call which path, such as /tick=scheduler@p.iam.gserviceaccount.com /=push@p.iam.gserviceaccount.com: with oidc, and with platform on Cloud Run, where IAM lets nobody in unknown",
        default: "none: oidc needs it, and with platform IAM alone decides",
        read_by: LISTENING,
    },
    Variable {
        name: "REFIT_OIDC_KEYS",
        meaning: "with oidc: where the keys of the issuer are, as the URL of a JWKS",
        default: "Google's",
        read_by: LISTENING,
    },
    Variable {
        name: "REFIT_REPORTS",
        meaning: "a folder that monitoring tools write reports into, such as s3://acme-monitoring/reports: drift reads what lands there",
        default: "none: reports come as messages",
        read_by: &[Drift, Serve],
    },
    Variable {
        name: "REFIT_HOOK_GITHUB",
        meaning: "the secrets of webhooks of GitHub, apart by spaces; any of them holds. In the place of a secret may stand the name of one in a store: projects/P/secrets/S, or arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME",
        default: "none: they are refused",
        read_by: VERIFYING,
    },
    Variable {
        name: "REFIT_HOOK_MLFLOW",
        meaning: "the same for webhooks of MLflow",
        default: "none: they are refused",
        read_by: VERIFYING,
    },
    Variable {
        name: "REFIT_HOOK_STANDARD",
        meaning: "the same for Standard Webhooks, each whsec_ and base64",
        default: "none: they are refused",
        read_by: VERIFYING,
    },
    Variable {
        name: "REFIT_HOOK_LINK",
        meaning: "the same for signed links, by which persons approve, each of 32 bytes at the least: what `links` of the rule file names",
        default: "none: they are refused",
        read_by: VERIFYING,
    },
    Variable {
        name: "REFIT_LOG",
        meaning: "what is logged, as a level or a tracing filter such as refit_engine=debug",
        default: "info",
        read_by: ALL,
    },
    Variable {
        name: "GCE_METADATA_HOST",
        meaning: "a stand-in for the metadata server of Google, as host:port",
        default: "the metadata server",
        read_by: ALL,
    },
    Variable {
        name: "GOOGLE_APPLICATION_CREDENTIALS",
        meaning: "a file with credentials of Google: a key, a login, or, with feature aws, a federation as in REFIT_GOOGLE_FEDERATION",
        default: "the login of gcloud, else the metadata server",
        read_by: ALL,
    },
    Variable {
        name: "REFIT_GOOGLE_FEDERATION",
        meaning: "on AWS (feature aws): the configuration by which Google lets a role of AWS act as a service account, as JSON of type external_account; it holds no secret",
        default: "GOOGLE_APPLICATION_CREDENTIALS, if that is one",
        read_by: ALL,
    },
    Variable {
        name: "STORAGE_EMULATOR_HOST",
        meaning: "a stand-in for Google Cloud Storage, as host:port or URL",
        default: "Google's",
        read_by: ALL,
    },
    Variable {
        name: "PUBSUB_EMULATOR_HOST",
        meaning: "a stand-in for Pub/Sub, as host:port",
        default: "Google's",
        read_by: ALL,
    },
    Variable {
        name: "AWS_REGION",
        meaning: "the region of the bucket of an s3:// ledger and of the claims of guards in S3, and of the token service that vouches for a federation",
        default: "AWS_DEFAULT_REGION",
        read_by: ALL,
    },
    Variable {
        name: "AWS_DEFAULT_REGION",
        meaning: "the same, where AWS_REGION is not set",
        default: "none: an s3:// ledger needs one of the two",
        read_by: ALL,
    },
    Variable {
        name: "AWS_ACCESS_KEY_ID",
        meaning: "the key that requests to AWS are signed with, or to another server that speaks S3",
        default: "the role of the function, the container or the machine",
        read_by: ALL,
    },
    Variable {
        name: "AWS_SECRET_ACCESS_KEY",
        meaning: "its secret half",
        default: "as above",
        read_by: ALL,
    },
    Variable {
        name: "AWS_SESSION_TOKEN",
        meaning: "what a temporary key goes with",
        default: "none: the key is a lasting one",
        read_by: ALL,
    },
    Variable {
        name: "AWS_ENDPOINT_URL_S3",
        meaning: "another server than Amazon's that speaks S3, as a URL: https, or http on this machine",
        default: "AWS_ENDPOINT_URL",
        read_by: ALL,
    },
    Variable {
        name: "AWS_ENDPOINT_URL",
        meaning: "the same, where AWS_ENDPOINT_URL_S3 is not set",
        default: "Amazon's",
        read_by: ALL,
    },
    Variable {
        name: "AWS_ENDPOINT_URL_LAMBDA",
        meaning: "another server than Amazon's that invokes functions, as a URL",
        default: "AWS_ENDPOINT_URL",
        read_by: WAKING,
    },
    Variable {
        name: "AWS_ENDPOINT_URL_SQS",
        meaning: "another server than Amazon's that has queues, as a URL",
        default: "AWS_ENDPOINT_URL",
        read_by: &[CommandLine],
    },
    Variable {
        name: "AWS_ENDPOINT_URL_IAM",
        meaning: "another server than Amazon's that knows what roles may, as a URL",
        default: "AWS_ENDPOINT_URL",
        read_by: &[CommandLine],
    },
    Variable {
        name: "AWS_LAMBDA_RUNTIME_API",
        meaning: "set by AWS Lambda: where invocations come from",
        default: "not on Lambda",
        read_by: LISTENING,
    },
    Variable {
        name: "SSL_CERT_FILE",
        meaning: "the roots of trust in place of the system's, as a PEM file",
        default: "the system's, else those built in",
        read_by: ALL,
    },
    Variable {
        name: "SSL_CERT_DIR",
        meaning: "the same as a folder of PEM files",
        default: "the system's, else those built in",
        read_by: ALL,
    },
    Variable {
        name: "K_SERVICE",
        meaning: "set by Cloud Run, and by Knative: the service",
        default: "not on Cloud Run",
        read_by: LISTENING,
    },
    Variable {
        name: "KUBERNETES_SERVICE_HOST",
        meaning: "set in a cluster of Kubernetes: with K_SERVICE it is Knative there, not Cloud Run, and REFIT_CALLERS has to be set",
        default: "not in a cluster",
        read_by: LISTENING,
    },
    Variable {
        name: "GOOGLE_CLOUD_PROJECT",
        meaning: "the project, for trace links in logs",
        default: "traces are logged without a project",
        read_by: ALL,
    },
    Variable {
        name: "USER",
        meaning: "who gives a command, as `refit` notes it with the command",
        default: "refit",
        read_by: &[CommandLine],
    },
];
