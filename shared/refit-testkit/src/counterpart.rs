//! Servers of others, installed on this machine, that tests run against: independent of us, unlike our fakes.
//!
//! A test that needs one which is not installed says so by name and is skipped.

mod process;

use std::env;
use std::path::PathBuf;
use std::process::Command;

pub use process::Counterpart;

use crate::fake::server::Server;
use crate::skip::skipped;

/// What can be installed, and how a test is told where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Cloud Storage: `fake-gcs-server`, 1.55 or newer, which honours `ifGenerationMatch`.
    CloudStorage,
    /// S3: `moto_server`, 5 or newer.
    S3,
    /// Pub/Sub: Google's in-memory server, built from `tests/counterparts/pstest`.
    PubSub,
    /// Mail: aiosmtpd, as `tests/counterparts/smtp/serve.py` sets it up. It is given a folder.
    Smtp,
    /// Mage, as `tests/counterparts/mage/serve` sets it up.
    Mage,
    /// MLflow, 3.17 or newer: its `mlflow`. It is given where it keeps what it is told.
    Mlflow,
    /// A browser: `chromedriver`, with the `chromium` it drives.
    Browser,
}

/// The Python that has the SDK of Kubeflow Pipelines, 2.17, which `REFIT_KFP_PYTHON` names. `None` where it does not,
/// which is said in the name of the test.
#[must_use]
pub fn kfp_python(test: &str) -> Option<PathBuf> {
    named(test, "REFIT_KFP_PYTHON", "Python with the SDK of Kubeflow Pipelines")
}

/// The folder of the descriptions of Google's APIs that its client for Python brings, which `REFIT_DISCOVERY` names. `None`
/// where it does not, which is said in the name of the test.
#[must_use]
pub fn discovery(test: &str) -> Option<PathBuf> {
    named(test, "REFIT_DISCOVERY", "folder with the descriptions of Google's APIs")
}

#[expect(clippy::disallowed_methods, reason = "only tests ask")]
fn named(test: &str, variable: &str, what: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).filter(|path| !path.is_empty());
    if named.is_none() {
        skipped(test, &format!("{variable} names no {what}"));
    }
    named.map(PathBuf::from)
}

impl Kind {
    /// The name of its executable.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::CloudStorage => "fake-gcs-server",
            Self::S3 => "moto_server",
            Self::PubSub => "refit-pstest",
            Self::Smtp => "refit-smtp",
            Self::Mage => "refit-mage",
            Self::Mlflow => "mlflow",
            Self::Browser => "chromedriver",
        }
    }

    /// The environment variable that names its executable where it is not in `PATH`.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::CloudStorage => "REFIT_FAKE_GCS_SERVER",
            Self::S3 => "REFIT_MOTO_SERVER",
            Self::PubSub => "REFIT_PSTEST",
            Self::Smtp => "REFIT_SMTP_SERVER",
            Self::Mage => "REFIT_MAGE",
            Self::Mlflow => "REFIT_MLFLOW",
            Self::Browser => "REFIT_CHROMEDRIVER",
        }
    }

    /// Starts it, on a port of its own, and waits until it says that it listens. `None` where it is not installed,
    /// which is said in the name of the test.
    ///
    /// # Panics
    /// If it is installed and does not start.
    #[must_use]
    pub fn start(self, test: &str) -> Option<Counterpart> {
        self.start_with(test, |_| ())
    }

    /// Starts [`Self::CloudStorage`] so that it announces what is uploaded to a bucket to a topic, given as its project
    /// and its name, of the Pub/Sub at `messages`. `None` where it is not installed, which is said.
    ///
    /// # Panics
    /// If it is installed and does not start.
    #[must_use]
    pub fn announcing(
        test: &str,
        messages: &str,
        (project, topic): (&str, &str),
        bucket: &str,
    ) -> Option<Counterpart> {
        Self::CloudStorage.start_with(test, |command| {
            command.args(["-event.pubsub-project-id", project, "-event.pubsub-topic", topic]);
            command.args(["-event.list", "finalize,delete", "-event.bucket", bucket]);
            command.env("PUBSUB_EMULATOR_HOST", messages);
        })
    }

    /// Starts it as [`Self::start`] does, with what else its command is to be given.
    ///
    /// # Panics
    /// If it is installed and does not start.
    #[must_use]
    pub fn start_with(self, test: &str, adapt: impl FnOnce(&mut Command)) -> Option<Counterpart> {
        let Some(program) = self.find() else {
            let (program, variable) = (self.program(), self.variable());
            skipped(test, &format!("{program} is not in PATH, and {variable} does not name it"));
            return None;
        };
        let place = Server::new().place();
        let (host, port) = place.split_once(':').expect("a place has a port");
        let mut command = Command::new(program);
        let marker = match self {
            Self::CloudStorage => {
                command.args(["-scheme", "http", "-backend", "memory", "-log-level", "info"]);
                command.args(["-host", host, "-port", port, "-public-host", &place]);
                command.arg("-external-url").arg(format!("http://{place}"));
                "server started"
            }
            Self::S3 => {
                command.args(["-H", host, "-p", port]);
                "Running on"
            }
            Self::Browser => {
                command.arg(format!("--port={port}"));
                "started successfully"
            }
            Self::Mlflow => {
                command.args(["server", "--host", host, "--port", port, "--workers", "1"]);
                // It reports to nobody, and starts no second server for jobs.
                command.env("MLFLOW_DISABLE_TELEMETRY", "true");
                command.env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false");
                "Uvicorn running on"
            }
            Self::PubSub | Self::Smtp | Self::Mage => {
                command.arg(port);
                "listening"
            }
        };
        adapt(&mut command);
        Some(Counterpart::start(&command, marker, place.clone()))
    }

    /// Where its executable is, if it is installed.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "only tests ask")]
    pub fn find(self) -> Option<PathBuf> {
        if let Some(program) = env::var_os(self.variable()).filter(|program| !program.is_empty()) {
            return Some(program.into());
        }
        let path = env::var_os("PATH")?;
        env::split_paths(&path)
            .map(|folder| folder.join(self.program()))
            .find(|file| file.is_file())
    }
}
