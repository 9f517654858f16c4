//! The environment variables of a function: all of them, and what each means.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use refit_core::error::{Error, ErrorKind};
use refit_platform::env;

/// One environment variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
    /// What holds where it is not set.
    pub default: &'static str,
}

/// The variable that says where the ledger lies.
const LEDGER: &str = "REFIT_LEDGER";

/// Every environment variable a function reads.
pub const VARIABLES: &[Variable] = &[
    Variable { name: "PORT", meaning: "the port to listen on", default: "8080" },
    Variable {
        name: "REFIT_LEDGER",
        meaning: "where the ledger lies: a directory, gs://bucket/folder, s3://bucket/folder or memory:",
        default: "none: it must be set",
    },
    Variable {
        name: "REFIT_WAKE",
        meaning: "what is woken after an event was recorded: the URL of tick, or a topic projects/P/topics/T",
        default: "empty: nothing; the next ping finds the event",
    },
    Variable {
        name: "REFIT_CALLERS",
        meaning: "who has verified callers: platform (Cloud Run has, by IAM), or none (loopback only)",
        default: "platform on Cloud Run, else none",
    },
    Variable {
        name: "REFIT_LOG",
        meaning: "what is logged, as a level or a tracing filter such as refit_engine=debug",
        default: "info",
    },
    Variable {
        name: "GCE_METADATA_HOST",
        meaning: "a stand-in for the metadata server of Google, as host:port",
        default: "the metadata server",
    },
    Variable {
        name: "STORAGE_EMULATOR_HOST",
        meaning: "a stand-in for Google Cloud Storage, as host:port or URL",
        default: "Google's",
    },
    Variable {
        name: "PUBSUB_EMULATOR_HOST",
        meaning: "a stand-in for Pub/Sub, as host:port",
        default: "Google's",
    },
    Variable {
        name: "AWS_REGION",
        meaning: "the region of the bucket of an s3:// ledger",
        default: "AWS_DEFAULT_REGION",
    },
    Variable {
        name: "AWS_DEFAULT_REGION",
        meaning: "the same, where AWS_REGION is not set",
        default: "none: an s3:// ledger needs one of the two",
    },
    Variable {
        name: "AWS_ENDPOINT_URL_S3",
        meaning: "another server than Amazon's that speaks S3, as a URL",
        default: "AWS_ENDPOINT_URL",
    },
    Variable {
        name: "AWS_ENDPOINT_URL",
        meaning: "the same, where AWS_ENDPOINT_URL_S3 is not set",
        default: "Amazon's",
    },
    Variable {
        name: "SSL_CERT_FILE",
        meaning: "the roots of trust in place of the system's, as a PEM file",
        default: "the system's, else those built in",
    },
    Variable {
        name: "SSL_CERT_DIR",
        meaning: "the same as a folder of PEM files",
        default: "the system's, else those built in",
    },
    Variable {
        name: "K_SERVICE",
        meaning: "set by Cloud Run: the service",
        default: "not on Cloud Run",
    },
    Variable {
        name: "GOOGLE_CLOUD_PROJECT",
        meaning: "the project, for trace links in logs",
        default: "traces are logged without a project",
    },
    Variable {
        name: "USER",
        meaning: "who gives a command, as `refit` notes it with the command",
        default: "refit",
    },
];

/// Who has verified the callers of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// The platform has: Cloud Run lets nobody through whom IAM does not allow.
    Platform,
    /// Nobody has; only callers on the same machine can reach it.
    None,
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
    /// Who has verified callers.
    pub callers: Callers,
}

impl fmt::Display for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platform => "platform",
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

    fn read(var: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let port = match var("PORT") {
            Some(text) => text.parse().map_err(|_| wrong("PORT", &text, "a number up to 65535"))?,
            None => 8080,
        };
        let on_cloud_run = var("K_SERVICE").is_some();
        let callers = callers(var("REFIT_CALLERS").as_deref(), on_cloud_run)?;
        let ip = match callers {
            Callers::Platform => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
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
        })
    }
}

fn callers(text: Option<&str>, on_cloud_run: bool) -> Result<Callers, Error> {
    match text {
        Some("platform") => Ok(Callers::Platform),
        None if on_cloud_run => Ok(Callers::Platform),
        Some("none") if on_cloud_run => {
            let message = "REFIT_CALLERS is `none` on Cloud Run, where it would let anybody in: use `platform`";
            Err(Error::new(ErrorKind::Invalid, message))
        }
        Some("none") | None => Ok(Callers::None),
        Some("oidc") => Err(wrong("REFIT_CALLERS", "oidc", "platform or none in this version")),
        Some(other) => Err(wrong("REFIT_CALLERS", other, "platform or none")),
    }
}

fn wrong(name: &str, value: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{name} is not {wanted}: value=`{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let var = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(&var).map_err(|error| error.to_string())
    }

    #[test]
    fn a_process_nobody_guards_listens_on_loopback_only() {
        let settings = read(&[("REFIT_LEDGER", "l"), ("PORT", "9000")]).unwrap();
        assert_eq!(settings.address.to_string(), "127.0.0.1:9000");
        let guarded = read(&[("REFIT_LEDGER", "l"), ("K_SERVICE", "object")]).unwrap();
        assert_eq!(
            (guarded.address.to_string().as_str(), guarded.callers),
            ("0.0.0.0:8080", Callers::Platform)
        );
        let open =
            read(&[("REFIT_LEDGER", "l"), ("K_SERVICE", "object"), ("REFIT_CALLERS", "none")]);
        assert!(open.unwrap_err().contains("anybody"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_cure() {
        for (variables, words) in [
            (&[("PORT", "1")][..], "REFIT_LEDGER is not set"),
            (&[("PORT", "http"), ("REFIT_LEDGER", "l")], "PORT is not a number"),
            (
                &[("REFIT_CALLERS", "all"), ("REFIT_LEDGER", "l")],
                "REFIT_CALLERS is not platform or none",
            ),
        ] {
            let error = read(variables).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
