//! Whether somebody may do something, from policies and roles that were read.

use std::collections::BTreeSet;

use refit_wire::cloud::access::Binding;
use refit_wire::cloud::functions::Function;

use super::facts::{Facts, Thing, project_of};

/// Members that are everybody.
const EVERYBODY: [&str; 2] = ["allUsers", "allAuthenticatedUsers"];
/// How buckets call those who have a basic role in their project.
const BASIC: [(&str, &str); 3] = [
    ("projectOwner:", "roles/owner"),
    ("projectEditor:", "roles/editor"),
    ("projectViewer:", "roles/viewer"),
];

/// Whether somebody may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// Some grant says so.
    Yes,
    /// No grant does.
    No,
    /// What would have to be known was not read.
    Unknown(String),
}

impl Facts {
    /// Whether a member may publish to a topic.
    pub(super) fn may_publish(&self, member: &str, topic: &str) -> May {
        let on = [Thing::Topic(topic.to_owned()), Thing::Project(project_of(topic).to_owned())];
        self.may(member, "pubsub.topics.publish", &on)
    }

    /// Whether a member may call a function, which is named with its project.
    pub(super) fn may_call(&self, member: &str, (project, function): (&str, &Function)) -> May {
        let project = project.to_owned();
        let on = [Thing::Function(project.clone(), function.name.clone()), Thing::Project(project)];
        self.may(member, "run.routes.invoke", &on)
    }

    /// Whether this member of a policy has a permission on one of these things, each of which is enough.
    pub(super) fn may(&self, member: &str, permission: &str, on: &[Thing]) -> May {
        let mut unknown = BTreeSet::new();
        for thing in on {
            match self.policies.get(thing) {
                Some(Ok(policy)) => {
                    for binding in &policy.bindings {
                        match self.gives(binding, (member, on), permission) {
                            May::Yes => return May::Yes,
                            May::Unknown(why) => drop(unknown.insert(why)),
                            May::No => {}
                        }
                    }
                }
                Some(Err(why)) => drop(unknown.insert(why.to_string())),
                None => drop(unknown.insert("its grants were not read".to_owned())),
            }
        }
        match unknown.is_empty() {
            true => May::No,
            false => May::Unknown(unknown.into_iter().collect::<Vec<_>>().join(", ")),
        }
    }

    /// Whether one grant gives it. A condition is taken to hold: it says where, and that is not known here.
    fn gives(&self, binding: &Binding, (member, on): (&str, &[Thing]), permission: &str) -> May {
        let names = |it: &String| {
            it == member || EVERYBODY.contains(&it.as_str()) || self.has_basic(member, it, on)
        };
        let is_named = binding.members.iter().any(names);
        let group = binding.members.iter().find(|it| is_of_many(it));
        if !is_named && group.is_none() {
            return May::No;
        }
        let role = &binding.role;
        match (self.roles.get(role), group) {
            (Some(Ok(holds)), _) if !holds.contains(permission) => May::No,
            (Some(Ok(_)), _) if is_named => May::Yes,
            (Some(Ok(_)), Some(group)) => {
                May::Unknown(format!("who is among them is not known: members=`{group}`"))
            }
            (Some(Err(why)), _) => {
                May::Unknown(format!("the role is not known, {why}: role=`{role}`"))
            }
            (_, _) => May::Unknown(format!("the role is not known: role=`{role}`")),
        }
    }

    /// Whether a member is among those whom a bucket calls `projectEditor:P`, and so on.
    fn has_basic(&self, member: &str, alias: &str, on: &[Thing]) -> bool {
        let Some((_, role)) = BASIC.iter().find(|(prefix, _)| alias.starts_with(prefix)) else {
            return false;
        };
        let projects = on.iter().filter(|thing| matches!(thing, Thing::Project(_)));
        let policies = projects.filter_map(|project| self.policies.get(project)?.as_ref().ok());
        let mut bindings = policies.flat_map(|policy| &policy.bindings);
        bindings.any(|it| it.role == *role && it.members.iter().any(|it| it == member))
    }
}

/// Whether a member stands for accounts that are not named.
fn is_of_many(member: &str) -> bool {
    ["group:", "domain:", "principalSet:"].iter().any(|kind| member.starts_with(kind))
}
