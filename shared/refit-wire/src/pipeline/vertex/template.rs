//! Compiled pipelines in a registry or a bucket.

use std::collections::BTreeMap;

use ::http::Method;
use refit_core::plan::{Parameter, ParameterKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use super::named;
use crate::call::{Call, Step};
use crate::http::{Auth, Request};
use crate::pipeline::answer::{self, Fault};
use crate::pipeline::compiled;
use crate::pipeline::google::words;

/// Where the versions of tags are asked for.
pub(super) const TAGS: &str = "artifactregistry.googleapis.com";
/// Where files are read.
pub(super) const FILES: &str = "storage.googleapis.com";

/// A template, and once it is pinned, which version of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Template {
    /// In a registry of pipelines.
    Registry {
        /// Its URL, which ends with a tag or a digest.
        uri: String,
    },
    /// A file in a bucket.
    File {
        /// The bucket.
        bucket: String,
        /// The name.
        name: String,
        /// The generation; none before it is looked up.
        generation: Option<String>,
    },
}

/// A pipeline as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    /// The compiled pipeline.
    pub(super) pipeline: Value,
    /// What is stored around it; null where nothing is.
    around: Value,
}

/// The parts of a URL in a registry.
struct Place<'a> {
    region: &'a str,
    project: &'a str,
    repository: &'a str,
    package: &'a str,
    version: &'a str,
}

impl Template {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if let Some((bucket, name)) = text.strip_prefix("gs://").and_then(|it| it.split_once('/'))
            && !bucket.is_empty()
            && !name.is_empty()
        {
            let (bucket, name) = (bucket.to_owned(), name.to_owned());
            return Ok(Self::File { bucket, name, generation: None });
        }
        match place(text) {
            Some(_) => Ok(Self::Registry { uri: text.to_owned() }),
            None => Err(format!(
                "a template is gs://BUCKET/NAME or https://REGION-kfp.pkg.dev/PROJECT/REPOSITORY/PIPELINE/TAG: \
                 value=`{text}`"
            )),
        }
    }

    /// The URL of a pipeline in a registry.
    pub(super) fn uri(&self) -> Option<&str> {
        match self {
            Self::Registry { uri } => Some(uri),
            Self::File { .. } => None,
        }
    }

    /// Looks up which version it is now.
    pub(super) fn pin(&self) -> Step<Result<Self, Fault>> {
        match self {
            Self::Registry { uri } => pin_tag(uri),
            Self::File { bucket, name, .. } => {
                let (bucket, name) = (bucket.clone(), name.clone());
                Step::Send(Call::once(file(&bucket, &name, &[]), move |reply| {
                    let object = answer::read(reply, words)?;
                    let generation = text_of(&object, "generation")?.to_owned();
                    Ok(Self::File { bucket, name, generation: Some(generation) })
                }))
            }
        }
    }

    /// Reads the pipeline.
    pub(super) fn definition(&self) -> Step<Result<Definition, Fault>> {
        let request = match self {
            Self::Registry { uri } => registry(uri),
            Self::File { bucket, name, generation } => {
                let generation = generation.as_deref().map(|it| ("generation", it));
                let query: Vec<_> = [("alt", "media")].into_iter().chain(generation).collect();
                Ok(file(bucket, name, &query))
            }
        };
        match request {
            Ok(request) => Step::Send(Call::once(request, |reply| {
                Definition::read(&answer::read_text(reply, words)?)
            })),
            Err(fault) => Step::Done(Err(fault)),
        }
    }
}

/// A tag can move, so the version it names is looked up.
fn pin_tag(uri: &str) -> Step<Result<Template, Fault>> {
    let (Some(place), Ok(mut url)) = (place(uri), format!("https://{TAGS}/").parse::<Url>()) else {
        return Step::Done(Err(unusable(uri)));
    };
    if place.version.starts_with("sha256:") {
        return Step::Done(Ok(Template::Registry { uri: uri.to_owned() }));
    }
    let Place { region, project, repository, package, version } = place;
    let path = [
        "v1",
        "projects",
        project,
        "locations",
        region,
        "repositories",
        repository,
        "packages",
        package,
        "tags",
        version,
    ];
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    let root = uri[..uri.len() - version.len()].to_owned();
    let request = Request::new(Method::GET, url).auth(Auth::GoogleAccessToken { hosts: vec![] });
    Step::Send(Call::once(request, move |reply| {
        let tag = answer::read(reply, words)?;
        let version = text_of(&tag, "version")?;
        let digest = version.rsplit('/').next().filter(|it| it.starts_with("sha256:"));
        let unread = || Fault::Unavailable("the tag names no digest".to_owned());
        Ok(Template::Registry { uri: format!("{root}{}", digest.ok_or_else(unread)?) })
    }))
}

fn registry(uri: &str) -> Result<Request, Fault> {
    let url: Url = uri.parse().map_err(|_| unusable(uri))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    Ok(Request::new(Method::GET, url).auth(Auth::GoogleAccessToken { hosts: vec![host] }))
}

fn file(bucket: &str, name: &str, query: &[(&str, &str)]) -> Request {
    let mut url: Url = format!("https://{FILES}/storage/v1").parse().expect("it is a URL");
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend(["b", bucket, "o", name]);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Request::new(Method::GET, url).auth(Auth::GoogleAccessToken { hosts: Vec::new() })
}

fn place(uri: &str) -> Option<Place<'_>> {
    let (host, path) = uri.strip_prefix("https://")?.split_once('/')?;
    let region = host.strip_suffix("-kfp.pkg.dev")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    let is_plain = |text: &str| !text.is_empty() && text.chars().all(plain);
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [project, repository, package, version]
            if !region.contains(['.', ':'])
                && is_plain(region)
                && parts.iter().all(|it| is_plain(it)) =>
        {
            Some(Place { region, project, repository, package, version })
        }
        _ => None,
    }
}

fn unusable(uri: &str) -> Fault {
    Fault::Unavailable(format!("the template cannot be used: template=`{uri}`"))
}

fn text_of<'a>(body: &'a Value, field: &str) -> Result<&'a str, Fault> {
    let missing =
        || Fault::Unavailable(format!("the answer lacks what was asked for: field=`{field}`"));
    body.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or_else(missing)
}

impl Definition {
    /// Reads YAML or JSON: a compiled pipeline, or a job around one. Further documents are for other platforms.
    fn read(text: &str) -> Result<Self, Fault> {
        let mut documents = text.split("\n---").map(|it| it.trim_start_matches("---"));
        let first = documents.find(|document| !document.trim().is_empty()).unwrap_or_default();
        let document: Option<Value> = serde_saphyr::from_str(first).ok();
        let Some(mut document) = document.filter(Value::is_object) else {
            return Err(Fault::Unavailable("the template is no compiled pipeline".to_owned()));
        };
        match document.get_mut("pipelineSpec").map(Value::take) {
            Some(pipeline) => Ok(Self { pipeline, around: document }),
            None => Ok(Self { pipeline: document, around: Value::Null }),
        }
    }

    /// Where it says that output goes.
    pub(super) fn root(&self) -> Option<String> {
        let stated = answer::text_at(&self.pipeline, "/defaultPipelineRoot")
            .or_else(|| answer::text_at(&self.around, "/runtimeConfig/gcsOutputDirectory"));
        stated.filter(|root| root.starts_with("gs://")).map(str::to_owned)
    }

    /// The parameters as this version of the format has them: plain from 2.1.0 on, before that by type.
    pub(super) fn runtime(&self, parameters: &Value) -> Value {
        let version = answer::text_at(&self.pipeline, "/schemaVersion").unwrap_or_default();
        let parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
        if parts.collect::<Vec<_>>() > vec![2, 0, 0] {
            return json!({ "parameterValues": parameters });
        }
        let declared = compiled::declared(&self.pipeline).unwrap_or_default();
        let typed =
            |(name, value): (&String, &Value)| (name.clone(), typed(value, &declared, name));
        json!({ "parameters": named(parameters).map(typed).collect::<Map<_, _>>() })
    }
}

fn typed(value: &Value, declared: &BTreeMap<String, Parameter>, name: &str) -> Value {
    let kind = declared.get(name).map(|parameter| parameter.kind);
    match (kind, value) {
        (Some(ParameterKind::Double), Value::Number(_)) => json!({ "doubleValue": value }),
        (Some(ParameterKind::Integer), Value::Number(number)) => {
            let whole = number.as_f64().map(|number| format!("{number:.0}"));
            json!({ "intValue": whole.unwrap_or_default() })
        }
        (_, Value::String(text)) => json!({ "stringValue": text }),
        _ => json!({ "stringValue": value.to_string() }),
    }
}
