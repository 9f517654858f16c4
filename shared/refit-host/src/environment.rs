//! What a function is told by its environment.

mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use refit_core::error::{Error, ErrorKind};
use refit_platform::env;
use refit_wire::source::Sender;
use url::Url;

use crate::hooks::HookSecrets;

pub use variables::{Reader, VARIABLES, Variable};

/// The variable that says where the ledger lies.
const LEDGER: &str = "REFIT_LEDGER";

/// The variables that hold secrets of webhooks, by their senders.
const HOOKS: [(Sender, &str); 4] = [
    (Sender::Github, "REFIT_HOOK_GITHUB"),
    (Sender::Mlflow, "REFIT_HOOK_MLFLOW"),
    (Sender::Standard, "REFIT_HOOK_STANDARD"),
    (Sender::Link, "REFIT_HOOK_LINK"),
];

/// Where Google publishes the keys its tokens are signed with.
const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// Who verifies the callers of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callers {
    /// The platform has: Cloud Run and Lambda let nobody through whom IAM does not allow. Which of them may call which
    /// path is what is left, where it is said.
    Platform(Option<Accounts>),
    /// The process does, by their tokens.
    Oidc(Oidc),
    /// Nobody has; only callers on the same machine can reach it.
    None,
}

/// The accounts that may call a path.
pub type Accounts = BTreeMap<String, BTreeSet<String>>;

/// Which tokens let a caller in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// Whom they are for.
    pub audience: String,
    /// The accounts that may call a path.
    pub accounts: Accounts,
    /// Where the keys of the issuer are.
    pub keys: Url,
}

/// What a process runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// AWS Lambda, which hands it invocations.
    Lambda,
    /// Cloud Run, where it listens, and may stand still between requests.
    CloudRun,
    /// Knative in a cluster of one's own, where it listens, and where who verifies callers is not known.
    Knative,
    /// Anything else, where it listens.
    Server,
}

/// What a function is told by its environment.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where the ledger lies.
    pub ledger: String,
    /// What is woken.
    pub wake: Option<String>,
    /// Who verifies callers.
    pub callers: Callers,
    /// The secrets of webhooks.
    pub hooks: HookSecrets,
    /// The folder that monitoring tools write reports into.
    pub reports: Option<String>,
    /// What it runs on.
    pub platform: Platform,
}

impl fmt::Display for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platform(None) => "platform",
            Self::Platform(Some(_)) => "platform, by path",
            Self::Oidc(_) => "oidc",
            Self::None => "none",
        })
    }
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// `Invalid` names the variable, what is wrong with it, and what it may be.
    pub fn from_env() -> Result<Self, Error> {
        Self::read(&env::var)
    }

    /// Reads the environment, but for where the ledger lies.
    ///
    /// # Errors
    /// `Invalid` names the variable, what is wrong with it, and what it may be.
    pub fn from_env_with(ledger: &str) -> Result<Self, Error> {
        Self::read(&|name| match name {
            LEDGER => Some(ledger.to_owned()),
            _ => env::var(name),
        })
    }

    /// What these variables and no others say, for tests.
    #[cfg(test)]
    pub(crate) fn of_test(variables: &[(&str, &str)]) -> Result<Self, Error> {
        let var = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Self::read(&var)
    }

    fn read(var: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let port = match var("PORT") {
            Some(text) => text.parse().map_err(|_| wrong("PORT", &text, "a number up to 65535"))?,
            None => 8080,
        };
        let platform = match var("AWS_LAMBDA_RUNTIME_API") {
            Some(_) => Platform::Lambda,
            None if var("K_SERVICE").is_none() => Platform::Server,
            None if var("KUBERNETES_SERVICE_HOST").is_some() => Platform::Knative,
            None => Platform::CloudRun,
        };
        let callers = callers(var, platform)?;
        if platform != Platform::CloudRun && matches!(callers, Callers::Platform(Some(_))) {
            let message = "REFIT_OIDC_CALLERS is set with REFIT_CALLERS=platform, but only Cloud Run hands on tokens it has verified: set REFIT_CALLERS=oidc, or leave the list out";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let ip = match callers {
            Callers::Platform(_) | Callers::Oidc(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Callers::None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let missing = || {
            let message = "REFIT_LEDGER is not set: it says where the ledger lies, a directory or gs://bucket/folder";
            Error::new(ErrorKind::Invalid, message)
        };
        Ok(Self {
            address: SocketAddr::new(ip, port),
            ledger: var(LEDGER).ok_or_else(missing)?,
            wake: var("REFIT_WAKE"),
            callers,
            hooks: secrets(var)?,
            reports: var("REFIT_REPORTS"),
            platform,
        })
    }
}

/// The secrets of webhooks in the environment.
///
/// # Errors
/// `Invalid` names the variable, and never shows what it holds.
pub fn secrets_from_env() -> Result<HookSecrets, Error> {
    secrets(&env::var)
}

fn secrets(var: &dyn Fn(&str) -> Option<String>) -> Result<HookSecrets, Error> {
    let mut secrets = HookSecrets::default();
    for (sender, name) in HOOKS {
        let added = var(name).map(|text| secrets.add(sender, &text)).transpose();
        added.map_err(|why| Error::new(ErrorKind::Invalid, format!("{name}: {why}")))?;
    }
    Ok(secrets)
}

fn callers(var: &dyn Fn(&str) -> Option<String>, platform: Platform) -> Result<Callers, Error> {
    let refused = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
    match (var("REFIT_CALLERS").as_deref(), platform) {
        (Some("platform"), _) | (None, Platform::CloudRun | Platform::Lambda) => {
            accounts(var).map(Callers::Platform)
        }
        (Some("none") | None, Platform::Server) => Ok(Callers::None),
        (Some("none"), _) => refused(
            "REFIT_CALLERS is `none` in a cloud, where it would let anybody in: use `platform` or `oidc`",
        ),
        (None, Platform::Knative) => refused(
            "REFIT_CALLERS is not set, and Knative in a cluster verifies nobody by itself: use `oidc`, or `platform` where something before it does",
        ),
        (Some("oidc"), _) => oidc(var).map(Callers::Oidc),
        (Some(other), _) => Err(wrong("REFIT_CALLERS", other, "platform, oidc or none")),
    }
}

fn oidc(var: &dyn Fn(&str) -> Option<String>) -> Result<Oidc, Error> {
    let missing = |name: &str| {
        let message = format!("{name} is not set: REFIT_CALLERS=oidc needs it");
        Error::new(ErrorKind::Invalid, message)
    };
    let accounts = accounts(var)?.ok_or_else(|| missing("REFIT_OIDC_CALLERS"))?;
    let keys = var("REFIT_OIDC_KEYS").unwrap_or_else(|| GOOGLE_KEYS.to_owned());
    let keys = Url::parse(&keys).map_err(|_| wrong("REFIT_OIDC_KEYS", &keys, "a URL"))?;
    let audience = var("REFIT_OIDC_AUDIENCE").ok_or_else(|| missing("REFIT_OIDC_AUDIENCE"))?;
    Ok(Oidc { audience, accounts, keys })
}

fn accounts(var: &dyn Fn(&str) -> Option<String>) -> Result<Option<Accounts>, Error> {
    let Some(text) = var("REFIT_OIDC_CALLERS") else { return Ok(None) };
    let mut accounts = Accounts::new();
    for pair in text.split_whitespace() {
        let named = pair
            .split_once('=')
            .filter(|(path, account)| path.starts_with('/') && account.contains('@'));
        let (path, account) = named
            .ok_or_else(|| wrong("REFIT_OIDC_CALLERS", pair, "PATH=ACCOUNT, such as /tick=a@b"))?;
        accounts.entry(path.to_owned()).or_default().insert(account.to_owned());
    }
    Ok(Some(accounts))
}

fn wrong(name: &str, value: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{name} is not {wanted}: value=`{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::of_test(variables).map_err(|error| error.to_string())
    }

    #[test]
    fn a_process_nobody_guards_listens_on_loopback_only() {
        let settings = read(&[("REFIT_LEDGER", "l"), ("PORT", "9000")]).unwrap();
        assert_eq!(settings.address.to_string(), "127.0.0.1:9000");
        let guarded = read(&[("REFIT_LEDGER", "l"), ("K_SERVICE", "object")]).unwrap();
        assert_eq!(
            (guarded.address.to_string().as_str(), guarded.callers),
            ("0.0.0.0:8080", Callers::Platform(None))
        );
        let open =
            read(&[("REFIT_LEDGER", "l"), ("K_SERVICE", "object"), ("REFIT_CALLERS", "none")]);
        assert!(open.unwrap_err().contains("anybody"));
    }

    #[test]
    fn knative_in_a_cluster_is_not_taken_for_cloud_run() {
        let on = |callers: &[(&str, &str)]| {
            let own = [("REFIT_LEDGER", "l"), ("K_SERVICE", "object")];
            let cluster = [("KUBERNETES_SERVICE_HOST", "10.0.0.1")];
            read(&[&own[..], &cluster, callers].concat())
        };
        assert!(on(&[]).unwrap_err().starts_with("REFIT_CALLERS is not set"));
        assert!(on(&[("REFIT_CALLERS", "none")]).unwrap_err().contains("anybody"));
        let settings = on(&[("REFIT_CALLERS", "platform")]).unwrap();
        assert_eq!(
            (settings.platform, settings.callers),
            (Platform::Knative, Callers::Platform(None))
        );
        let listed = [("REFIT_CALLERS", "platform"), ("REFIT_OIDC_CALLERS", "/=push@b")];
        assert!(on(&listed).unwrap_err().contains("only Cloud Run"));
    }

    #[test]
    fn on_lambda_the_platform_guards_and_nothing_listens() {
        let lambda = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001");
        let settings = read(&[("REFIT_LEDGER", "l"), lambda]).unwrap();
        assert_eq!(
            (settings.platform, settings.callers),
            (Platform::Lambda, Callers::Platform(None))
        );
        let open = read(&[("REFIT_LEDGER", "l"), lambda, ("REFIT_CALLERS", "none")]);
        assert!(open.unwrap_err().contains("anybody"));
    }

    #[test]
    fn what_the_platform_verified_may_be_told_apart_by_path_on_cloud_run_alone() {
        let listed = ("REFIT_OIDC_CALLERS", "/=push@b /tick=ping@b /tick=push@b");
        let on = |platform| read(&[("REFIT_LEDGER", "l"), listed, platform]);
        let Callers::Platform(Some(accounts)) = on(("K_SERVICE", "refit")).unwrap().callers else {
            panic!("the list is read")
        };
        let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wanted: [(String, BTreeSet<String>); 2] =
            [("/".to_owned(), of(&["push@b"])), ("/tick".to_owned(), of(&["ping@b", "push@b"]))];
        assert_eq!(accounts, Accounts::from(wanted));
        for elsewhere in
            [("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"), ("REFIT_CALLERS", "platform")]
        {
            let error = on(elsewhere).unwrap_err();
            assert!(
                error.contains("only Cloud Run") && error.contains("REFIT_CALLERS=oidc"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_cure() {
        for (variables, words) in [
            (&[("PORT", "1")][..], "REFIT_LEDGER is not set"),
            (&[("PORT", "http"), ("REFIT_LEDGER", "l")], "PORT is not a number"),
            (
                &[("REFIT_CALLERS", "all"), ("REFIT_LEDGER", "l")],
                "REFIT_CALLERS is not platform, oidc or none",
            ),
            (&[("REFIT_CALLERS", "oidc"), ("REFIT_LEDGER", "l")], "REFIT_OIDC_CALLERS is not set"),
            (
                &[
                    ("REFIT_CALLERS", "oidc"),
                    ("REFIT_LEDGER", "l"),
                    ("REFIT_OIDC_CALLERS", "tick=a@b"),
                ],
                "REFIT_OIDC_CALLERS is not PATH=ACCOUNT",
            ),
            (
                &[("REFIT_HOOK_STANDARD", "whsec_~"), ("REFIT_LEDGER", "l")],
                "REFIT_HOOK_STANDARD: what follows `whsec_` is not base64",
            ),
        ] {
            let error = read(variables).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
