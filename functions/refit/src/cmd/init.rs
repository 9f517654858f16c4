//! `refit init`: a first rule file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use refit_core::diagnostics::Diagnostic;
use refit_wire::config::{self, Answers, Pipelines, Shown};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::rule_file::DEFAULT;

/// Why options say nothing of a service whose settings are not asked for.
const OF_EXAMPLE: &str = "its settings are those of its example, for you to change in the file";

/// Write a first rule file, ./refit.yaml, from three answers: the bucket, the service, and what it runs
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  refit init
  refit init --bucket gs://acme-data/churn/ --service local --pipeline churn
  refit init --bucket acme-data --service kubeflow --endpoint http://ml-pipeline.kubeflow.svc:8888 --pipeline churn")]
pub(crate) struct Args {
    /// The bucket data arrives in; a folder may follow
    #[arg(long, value_name = "BUCKET[/FOLDER]")]
    bucket: Option<String>,
    /// Where pipelines run
    #[arg(long)]
    service: Option<Service>,
    /// Where Kubeflow Pipelines answers: of `kubeflow` alone
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The pipeline to run, by name: of `local` and `kubeflow` [default with --yes: train]
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
    /// Overwrite a rule file that is there
    #[arg(long)]
    force: bool,
}

/// Where pipelines run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Service {
    /// On this machine, by `refit dev`
    Local,
    /// On a server of Kubeflow Pipelines
    Kubeflow,
    /// On Vertex AI Pipelines
    Vertex,
    /// By triggers of Cloud Build
    CloudBuild,
    /// As Cloud Run jobs
    CloudRun,
    /// On GitHub Actions
    GithubActions,
    /// On a server of Mage
    Mage,
    /// On any service over HTTP
    Http,
}

impl Service {
    /// Every word for one.
    fn names() -> String {
        let named =
            <Self as clap::ValueEnum>::value_variants().iter().map(|service| service.name());
        named.collect::<Vec<_>>().join(", ")
    }

    fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self).expect("every service has a name");
        value.get_name().to_owned()
    }

    /// Refuses an option that would be in no line of the file.
    fn check_used(self, endpoint: bool, pipeline: bool) -> Result<(), Failure> {
        let (of_endpoint, of_pipeline) = match self {
            Self::Kubeflow => return Ok(()),
            Self::Local => ("it is a part of `refit dev`", None),
            Self::Vertex
            | Self::CloudBuild
            | Self::CloudRun
            | Self::GithubActions
            | Self::Mage
            | Self::Http => (OF_EXAMPLE, Some(OF_EXAMPLE)),
        };
        let pipeline = of_pipeline.filter(|_| pipeline).map(|why| ("--pipeline", why));
        let unused = endpoint.then_some(("--endpoint", of_endpoint)).or(pipeline);
        let Some((option, why)) = unused else { return Ok(()) };
        let message =
            format!("{option} says nothing of this service: {why}: service=`{}`", self.name());
        Err(Failure::new(Exit::Usage, message))
    }
}

/// Whom to ask for what the options do not say.
#[derive(Clone, Copy)]
struct Questions {
    output: Output,
    silent: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let path = Path::new(DEFAULT);
    if path.exists() && !args.force {
        return Err(there_already(path));
    }
    let force = args.force;
    let questions = Questions { output: context.output, silent: args.yes };
    let answers = questions.answers(context.global.ledger.clone(), args).await?;
    let text = config::init(&answers);
    let (_, diagnostics) = config::read(&text);
    if diagnostics.iter().any(Diagnostic::is_error) {
        let rendered = config::render(DEFAULT, &text, &diagnostics, false);
        let message = format!("an answer is wrong, nothing was written:\n{}", rendered.trim_end());
        return Err(Failure::new(Exit::Invalid, message));
    }
    write(path, &text, force)?;
    context.output.show_text("file", DEFAULT)?;
    context.output.note(next(&answers.pipelines));
    Ok(Exit::Ok)
}

/// What to do with the file that was written.
fn next(pipelines: &Pipelines) -> &'static str {
    match pipelines {
        Pipelines::Local { .. } => {
            "next: put the pipeline beside it, a folder with a pipeline.yaml (docs/pipelines.md), then `refit dev`, which applies the rules by itself and says where data goes"
        }
        Pipelines::Kubeflow { .. } => {
            "next: read it, then `refit check`; where a reconciler runs, such as `refit serve`, `refit apply` puts it in force"
        }
        Pipelines::Shown(_) => {
            "next: read it and put your own names in the place of those of the example, then `refit check`; where a reconciler runs, such as `refit serve`, `refit apply` puts it in force"
        }
    }
}

fn there_already(path: &Path) -> Failure {
    let message =
        format!("there is one already: add --force to overwrite it: file=`{}`", path.display());
    Failure::new(Exit::Refused, message)
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).truncate(force).create(force).create_new(!force);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => there_already(path),
        _ => {
            let message = format!("it cannot be written: {error}: file=`{}`", path.display());
            Failure::new(Exit::Internal, message)
        }
    })
}

impl Questions {
    async fn answers(self, ledger: Option<String>, args: Args) -> Result<Answers, Failure> {
        let bucket = self.answer(
            args.bucket,
            "--bucket",
            "Which bucket does data arrive in, such as gs://acme-data/churn/?",
            None,
        );
        let bucket = bucket.await?;
        let service = match args.service {
            Some(service) => service,
            None => self.service().await?,
        };
        service.check_used(args.endpoint.is_some(), args.pipeline.is_some())?;
        let pipelines = match service {
            Service::Local => Pipelines::Local { pipeline: self.pipeline(args.pipeline).await? },
            Service::Kubeflow => Pipelines::Kubeflow {
                endpoint: self
                    .answer(args.endpoint, "--endpoint", "At which URL does it answer?", None)
                    .await?,
                pipeline: self.pipeline(args.pipeline).await?,
            },
            Service::Vertex => Pipelines::Shown(Shown::Vertex),
            Service::CloudBuild => Pipelines::Shown(Shown::CloudBuild),
            Service::CloudRun => Pipelines::Shown(Shown::CloudRun),
            Service::GithubActions => Pipelines::Shown(Shown::GithubActions),
            Service::Mage => Pipelines::Shown(Shown::Mage),
            Service::Http => Pipelines::Shown(Shown::Http),
        };
        let (bucket, prefix) = split_bucket(&bucket);
        Ok(Answers { ledger, bucket, prefix, pipelines })
    }

    async fn service(self) -> Result<Service, Failure> {
        let names = Service::names();
        let question = &format!("Where do pipelines run: {names}?");
        let answer = self.answer(None, "--service", question, Some("local")).await?;
        <Service as clap::ValueEnum>::from_str(&answer, true)
            .map_err(|_| Failure::new(Exit::Usage, format!("none of {names}: answer=`{answer}`")))
    }

    async fn pipeline(self, given: Option<String>) -> Result<String, Failure> {
        self.answer(given, "--pipeline", "Which pipeline is to run?", Some("train")).await
    }

    /// What was given, else what is answered, else the default.
    async fn answer(
        self,
        given: Option<String>,
        option: &str,
        question: &str,
        default: Option<&str>,
    ) -> Result<String, Failure> {
        if let Some(given) = given {
            return Ok(given);
        }
        let missing = || {
            let cure = default.map(|default| format!(", or --yes for `{default}`"));
            let cure = cure.unwrap_or_default();
            let message =
                format!("{option} is missing, and nobody is here to be asked: add it{cure}");
            Failure::new(Exit::Usage, message)
        };
        let answer = match (self.silent, self.output.can_ask()) {
            (true, _) => String::new(),
            (false, true) => {
                let hint = default.map(|default| format!(" [{default}]")).unwrap_or_default();
                self.output.ask(&format!("{question}{hint}")).await?
            }
            (false, false) => return Err(missing()),
        };
        match answer.is_empty() {
            true => default.map(str::to_owned).ok_or_else(missing),
            false => Ok(answer),
        }
    }
}

/// A bucket as it may be written, and the folder behind it.
fn split_bucket(text: &str) -> (String, String) {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    (format!("{scheme}{bucket}"), prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_may_be_written_with_its_scheme_and_a_folder() {
        let of = |text| split_bucket(text);
        assert_eq!(of("acme"), ("acme".to_owned(), String::new()));
        assert_eq!(of("gs://acme/in/x/"), ("gs://acme".to_owned(), "in/x/".to_owned()));
        assert_eq!(of("acme/"), ("acme".to_owned(), String::new()));
    }
}
