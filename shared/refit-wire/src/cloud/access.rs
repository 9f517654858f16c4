//! Who may do what: policies of IAM, and what their roles hold.

use std::collections::BTreeSet;

use ::http::Method;
use serde_json::{Value, json};

use super::{Read, ask, google, text, texts};
use crate::call::Call;
use crate::http::Request;

/// The version of policies that shows conditions.
const VERSION: u8 = 3;
/// How most services are told which version to answer with.
pub(super) const REQUESTED: &str = "options.requestedPolicyVersion";

/// Who has which roles on something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Its grants.
    pub bindings: Vec<Binding>,
}

/// One role, and who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The role, such as `roles/pubsub.publisher`.
    pub role: String,
    /// Who has it, such as `serviceAccount:a@p.iam.gserviceaccount.com`.
    pub members: Vec<String>,
    /// The title of the condition it is granted under.
    pub condition: Option<String>,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The id.
    pub id: String,
    /// The number, which names its agents.
    pub number: String,
}

/// A project, by its id or its number.
#[must_use]
pub fn project(project: &str) -> Call<Read<Project>> {
    let name = format!("v3/projects/{project}");
    let request = google(Method::GET, "cloudresourcemanager.googleapis.com", &name);
    ask(request, "resourcemanager.projects.get", |body| {
        let number = text(body, "/name")?.strip_prefix("projects/")?.to_owned();
        Some(Project { id: text(body, "/projectId")?, number })
    })
}

/// The policy of a project, by its id or its number.
#[must_use]
pub fn project_policy(project: &str) -> Call<Read<Policy>> {
    let name = format!("v3/projects/{project}:getIamPolicy");
    let request = google(Method::POST, "cloudresourcemanager.googleapis.com", &name);
    policy(posted(request), "resourcemanager.projects.getIamPolicy")
}

/// The policy of a service account, by its address.
#[must_use]
pub fn account_policy(account: &str) -> Call<Read<Policy>> {
    let name = format!("v1/projects/-/serviceAccounts/{account}:getIamPolicy");
    let request = google(Method::POST, "iam.googleapis.com", &name);
    policy(queried(request, REQUESTED), "iam.serviceAccounts.getIamPolicy")
}

/// The permissions of a role, by its name.
#[must_use]
pub fn role(name: &str) -> Call<Read<BTreeSet<String>>> {
    let request = google(Method::GET, "iam.googleapis.com", &format!("v1/{name}"));
    ask(request, "iam.roles.get", |body| {
        text(body, "/name")?;
        Some(texts(body.get("includedPermissions")).into_iter().collect())
    })
}

/// A policy that is asked for in a body.
fn posted(request: Request) -> Request {
    request.json(&json!({ "options": { "requestedPolicyVersion": VERSION } }))
}

/// A policy that is asked for in a query.
pub(super) fn queried(mut request: Request, parameter: &str) -> Request {
    request.url.query_pairs_mut().append_pair(parameter, &VERSION.to_string());
    request
}

/// Asks for a policy.
pub(super) fn policy(request: Request, permission: &'static str) -> Call<Read<Policy>> {
    ask(request, permission, |body| {
        let bindings = body.as_object()?.get("bindings").and_then(Value::as_array);
        let bindings = bindings.into_iter().flatten().map(binding).collect::<Option<_>>()?;
        Some(Policy { bindings })
    })
}

fn binding(binding: &Value) -> Option<Binding> {
    let conditional = binding.get("condition").is_some();
    Some(Binding {
        role: text(binding, "/role")?,
        members: texts(binding.get("members")),
        condition: conditional.then(|| text(binding, "/condition/title").unwrap_or_default()),
    })
}
