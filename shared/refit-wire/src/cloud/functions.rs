//! Services of Cloud Run, as what functions run in.

use std::collections::BTreeMap;

use ::http::Method;
use serde_json::Value;

use super::access::{Policy, REQUESTED, policy, queried};
use super::{Read, ask, google, text};
use crate::call::Call;

/// The programs, each called as the last part of a name by the Terraform modules.
const PROGRAMS: [&str; 5] = ["object", "drift", "hook", "tick", "refit"];
/// Where the services are.
const HOST: &str = "run.googleapis.com";

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its region.
    pub location: String,
    /// Where it answers.
    pub urls: Vec<String>,
    /// The account it acts as.
    pub account: Option<String>,
    /// Its environment variables, those apart that are secrets.
    pub variables: BTreeMap<String, String>,
}

impl Function {
    /// The program it runs: the last part of its name, as the Terraform modules give it. Another name says nothing.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        self.name.rsplit('-').next().filter(|name| PROGRAMS.contains(name))
    }
}

/// The services of a project, in all regions.
#[must_use]
pub fn functions(project: &str) -> Call<Read<Vec<Function>>> {
    // Only the first version of the API lists all regions at once.
    let request = google(Method::GET, HOST, &format!("v1/projects/{project}/locations/-/services"));
    ask(request, "run.services.list", |body| {
        let items = body.as_object()?.get("items").and_then(Value::as_array);
        items.into_iter().flatten().map(function).collect()
    })
}

/// Who may call a service of a project.
#[must_use]
pub fn function_policy(project: &str, function: &Function) -> Call<Read<Policy>> {
    let Function { location, name, .. } = function;
    let name = format!("v2/projects/{project}/locations/{location}/services/{name}:getIamPolicy");
    policy(queried(google(Method::GET, HOST, &name), REQUESTED), "run.services.getIamPolicy")
}

fn function(item: &Value) -> Option<Function> {
    let annotated = item.pointer("/metadata/annotations/run.googleapis.com~1urls");
    let annotated = annotated.and_then(Value::as_str);
    let listed = annotated.and_then(|urls| serde_json::from_str::<Vec<String>>(urls).ok());
    let mut urls = listed.unwrap_or_default();
    urls.extend(text(item, "/status/url").filter(|url| !urls.contains(url)));
    let spec = item.pointer("/spec/template/spec")?;
    let variables = spec.pointer("/containers/0/env").and_then(Value::as_array);
    let variable = |it: &Value| Some((text(it, "/name")?, text(it, "/value")?));
    Some(Function {
        name: text(item, "/metadata/name")?,
        location: text(item, "/metadata/labels/cloud.googleapis.com~1location")?,
        urls,
        account: text(spec, "/serviceAccountName"),
        variables: variables.into_iter().flatten().filter_map(variable).collect(),
    })
}
