//! Functions on Lambda, what invokes them, and how often at a time.

use ::http::Method;
use serde_json::Value;

use super::{Aws, Service, answer, ask, ask_for_any, one_or_many};
use crate::call::{Call, Step};
use crate::cloud::functions::Function;
use crate::cloud::{Read, text};
use crate::http::Request;

/// What they invoke it for, and take the messages out of the queue that it does not name as failed.
const PARTIAL: &str = "ReportBatchItemFailures";
/// How the API calls its functions, by the version that lists them.
const FUNCTIONS: [&str; 2] = ["2015-03-31", "functions"];

/// A function on Lambda.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lambda {
    /// What it has in common with one on Cloud Run; its account is the ARN of a role.
    pub function: Function,
    /// Its ARN.
    pub arn: String,
    /// How long an invocation may take, in seconds.
    pub timeout: u64,
    /// Where what it could not be invoked with is sent.
    pub dead_letters: Option<String>,
}

/// What takes messages from a queue and invokes a function with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Its name.
    pub id: String,
    /// The queue, by its ARN.
    pub source: String,
    /// The function, by its ARN.
    pub function: String,
    /// Whether it works.
    pub is_enabled: bool,
    /// Whether messages that a function names as failed, and no others, stay in the queue.
    pub is_partial: bool,
}

impl Aws {
    /// The functions of the region.
    #[must_use]
    pub fn lambdas(&self) -> Call<Read<Vec<Lambda>>> {
        let region = self.region.clone();
        let permission = "lambda:ListFunctions";
        pages(self.request(Service::Lambda, Method::GET, &FUNCTIONS), permission, move |body| {
            let all = body.get("Functions")?.as_array()?;
            all.iter().map(|item| lambda(item, &region)).collect()
        })
    }

    /// What invokes functions of the region with messages.
    #[must_use]
    pub fn mappings(&self) -> Call<Read<Vec<Mapping>>> {
        let path = ["2015-03-31", "event-source-mappings"];
        let permission = "lambda:ListEventSourceMappings";
        pages(self.request(Service::Lambda, Method::GET, &path), permission, |body| {
            body.get("EventSourceMappings")?.as_array()?.iter().map(mapping).collect()
        })
    }

    /// How often a function may run at a time; none where nobody said.
    #[must_use]
    pub fn reserved(&self, name: &str) -> Call<Read<Option<u64>>> {
        let path = ["2019-09-30", "functions", name, "concurrency"];
        let request = self.request(Service::Lambda, Method::GET, &path);
        ask(request, "lambda:GetFunctionConcurrency", |response| {
            let body = response.json()?;
            // One server of others writes it as a text.
            let reserved = body.as_object()?.get("ReservedConcurrentExecutions");
            Some(reserved.and_then(|it| it.as_u64().or_else(|| it.as_str()?.parse().ok())))
        })
    }

    /// Where a function answers requests by itself, if it does.
    #[must_use]
    pub fn function_url(&self, name: &str) -> Call<Read<Option<String>>> {
        let request =
            self.request(Service::Lambda, Method::GET, &["2021-10-31", "functions", name, "url"]);
        let codes = ("lambda:GetFunctionUrlConfig", "ResourceNotFoundException");
        ask_for_any(request, codes, |response| text(&response.json()?, "/FunctionUrl"))
    }
}

/// Asks for all pages of a list.
fn pages<T: Send + 'static>(
    request: Request,
    permission: &'static str,
    read: impl Fn(&Value) -> Option<Vec<T>> + Send + 'static,
) -> Call<Read<Vec<T>>> {
    let next = request.clone();
    Call::new(request, move |reply| {
        let page = answer(reply, permission, |response| {
            let body = response.json()?;
            Some((read(&body)?, text(&body, "/NextMarker")))
        });
        match page {
            Ok((found, None)) => Step::Done(Ok(found)),
            Ok((found, Some(marker))) => Step::Send(after(next, (permission, marker), read, found)),
            Err(why) => Step::Done(Err(why)),
        }
    })
}

/// Asks for the pages that come after what was found.
fn after<T: Send + 'static>(
    mut request: Request,
    (permission, marker): (&'static str, String),
    read: impl Fn(&Value) -> Option<Vec<T>> + Send + 'static,
    mut found: Vec<T>,
) -> Call<Read<Vec<T>>> {
    request.url.query_pairs_mut().clear().append_pair("Marker", &marker);
    pages(request, permission, read).then(|rest| {
        Step::Done(rest.map(|rest| {
            found.extend(rest);
            found
        }))
    })
}

fn lambda(item: &Value, region: &str) -> Option<Lambda> {
    let variables = item.pointer("/Environment/Variables").and_then(Value::as_object);
    let variable =
        |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    Some(Lambda {
        function: Function {
            name: text(item, "/FunctionName")?,
            location: region.to_owned(),
            urls: Vec::new(),
            account: text(item, "/Role"),
            variables: variables.into_iter().flatten().filter_map(variable).collect(),
        },
        arn: text(item, "/FunctionArn")?,
        timeout: item.get("Timeout").and_then(Value::as_u64).unwrap_or_default(),
        dead_letters: text(item, "/DeadLetterConfig/TargetArn"),
    })
}

fn mapping(item: &Value) -> Option<Mapping> {
    let state = text(item, "/State").unwrap_or_default();
    Some(Mapping {
        id: text(item, "/UUID")?,
        source: text(item, "/EventSourceArn").unwrap_or_default(),
        function: text(item, "/FunctionArn")?,
        is_enabled: !matches!(state.as_str(), "Disabled" | "Disabling" | "Deleting"),
        is_partial: one_or_many(item.get("FunctionResponseTypes")).contains(&PARTIAL),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::Response;

    #[test]
    fn functions_are_listed_page_by_page() {
        let item = |name: &str| {
            json!({
                "FunctionName": name, "FunctionArn": format!("arn:{name}"), "Role": "arn:role",
                "Timeout": 60, "Environment": {"Variables": {"REFIT_LEDGER": "s3://b/prod"}},
            })
        };
        let reply = |body: Value| {
            let body = body.to_string().into();
            Ok(Response { status: 200, body, ..Response::default() })
        };
        let first = Aws::new("eu-central-1", |_| None).unwrap().lambdas();
        let page = json!({"Functions": [item("a")], "NextMarker": "a b"});
        let Step::Send(second) = first.read(reply(page)) else { panic!("there is another page") };
        assert_eq!(second.request.url.query(), Some("Marker=a+b"));
        let rest = json!({"Functions": [item("b")], "NextMarker": null});
        let Step::Done(Ok(all)) = second.read(reply(rest)) else { panic!("that was all") };
        let names: Vec<&str> = all.iter().map(|it| it.function.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(all[0].function.variables["REFIT_LEDGER"], "s3://b/prod");
    }
}
