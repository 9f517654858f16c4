//! Who may do what in AWS: policies of buckets and queues as documents, and what roles may, as IAM itself judges it.

use std::collections::BTreeSet;

use ::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded::Serializer;

use super::{Aws, Service, ask, one_or_many, with_body, xml};
use crate::call::Call;
use crate::cloud::Read;

/// The version of the API of IAM.
const VERSION: &str = "2010-05-08";
/// The version of the language of policies.
const LANGUAGE: &str = "2012-10-17";
/// What is asked for an object that may be written only where none is.
const ONLY_NEW: &str = "s3:if-none-match";
/// What leaves out parts of uploads, which are no objects yet.
const CREATES: &str = "s3:objectcreationoperation";
/// What says on whose behalf a service acts.
const SOURCE: &str = "aws:sourcearn";

/// A policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    statements: Vec<Map<String, Value>>,
}

impl Document {
    /// Reads a policy; `None` if it is none.
    #[must_use]
    pub fn of(value: Value) -> Option<Self> {
        let Value::Object(mut members) = value else { return None };
        let statements = match members.remove("Statement")? {
            Value::Array(all) => all,
            one => vec![one],
        };
        let object = |it: Value| match it {
            Value::Object(members) => Some(members),
            _ => None,
        };
        Some(Self { statements: statements.into_iter().map(object).collect::<Option<_>>()? })
    }

    /// The same policy with one statement more, as it is written.
    #[must_use]
    pub fn with(&self, statement: Value) -> Value {
        let all = self.statements.iter().cloned().map(Value::Object);
        let all: Vec<Value> = all.chain([statement]).collect();
        json!({ "Version": LANGUAGE, "Statement": all })
    }

    /// Whether everybody is refused to write where an object is already, as the one with this ARN.
    #[must_use]
    pub fn keeps(&self, object: &str) -> bool {
        self.statements.iter().any(|it| {
            is(it, "Effect", "Deny")
                && is_of_everybody(it)
                && acts(it, "s3:PutObject")
                && concerns(it, object)
                && conditions(it).iter().any(|(_, key, of)| key == ONLY_NEW && of.contains("true"))
                && conditions(it).iter().all(|(test, key, of)| {
                    let is_only_new = test == "null" && key == ONLY_NEW;
                    let creates = test == "bool" && key == CREATES;
                    (is_only_new || creates) && of.contains("true")
                })
        })
    }

    /// Whether a service may do something here on behalf of the bucket with this ARN. Conditions of other kinds are taken
    /// to hold.
    #[must_use]
    pub fn lets(&self, (service, action): (&str, &str), source: &str) -> bool {
        self.statements.iter().any(|it| {
            let named = one_or_many(it.get("Principal").and_then(|who| who.get("Service")));
            is(it, "Effect", "Allow")
                && (named.contains(&service) || is_of_everybody(it))
                && acts(it, action)
                && conditions(it).iter().filter(|(_, key, _)| key == SOURCE).all(|(_, _, of)| {
                    of.iter().any(|pattern| matches(pattern.as_bytes(), source.as_bytes()))
                })
        })
    }
}

impl Aws {
    /// Which of these actions a role may not do with something, as its policies and its boundary say; a policy of the
    /// thing itself is not looked at.
    #[must_use]
    pub fn refused(
        &self,
        role: &str,
        actions: &[&str],
        thing: &str,
    ) -> Call<Read<BTreeSet<String>>> {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", "SimulatePrincipalPolicy").append_pair("Version", VERSION);
        form.append_pair("PolicySourceArn", role).append_pair("ResourceArns.member.1", thing);
        for (action, number) in actions.iter().zip(1..) {
            form.append_pair(&format!("ActionNames.member.{number}"), action);
        }
        let request = self.request(Service::Iam, Method::POST, &[""]);
        let request = with_body(request, "application/x-www-form-urlencoded", form.finish());
        ask(request, "iam:SimulatePrincipalPolicy", |response| {
            let Simulated { result } = xml(response)?;
            let judged = result.results.members.into_iter();
            let refused = judged.filter(|it| it.decision != "allowed").map(|it| it.action);
            Some(refused.collect())
        })
    }
}

#[derive(Deserialize)]
struct Simulated {
    #[serde(rename = "SimulatePrincipalPolicyResult")]
    result: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(rename = "EvaluationResults")]
    results: Judgements,
}

#[derive(Deserialize)]
struct Judgements {
    #[serde(rename = "member", default)]
    members: Vec<Judgement>,
}

#[derive(Deserialize)]
struct Judgement {
    #[serde(rename = "EvalActionName")]
    action: String,
    #[serde(rename = "EvalDecision")]
    decision: String,
}

fn is(statement: &Map<String, Value>, name: &str, text: &str) -> bool {
    statement.get(name).and_then(Value::as_str) == Some(text)
}

fn is_of_everybody(statement: &Map<String, Value>) -> bool {
    let who = statement.get("Principal");
    let accounts = who.and_then(|who| who.get("AWS"));
    one_or_many(who).contains(&"*") || one_or_many(accounts).contains(&"*")
}

fn acts(statement: &Map<String, Value>, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let named = one_or_many(statement.get("Action"));
    named.iter().any(|it| matches(it.to_ascii_lowercase().as_bytes(), action.as_bytes()))
}

fn concerns(statement: &Map<String, Value>, thing: &str) -> bool {
    let named = one_or_many(statement.get("Resource"));
    named.iter().any(|pattern| matches(pattern.as_bytes(), thing.as_bytes()))
}

/// The conditions of a statement: the test and the key in small letters, and the texts.
fn conditions(statement: &Map<String, Value>) -> Vec<(String, String, BTreeSet<String>)> {
    let tests = statement.get("Condition").and_then(Value::as_object);
    let each = tests.into_iter().flatten().flat_map(|(test, keys)| {
        let keys = keys.as_object().into_iter().flatten();
        keys.map(move |(key, value)| {
            let texts = one_or_many(Some(value)).into_iter().map(str::to_owned);
            let is_true = value.as_bool().map(|it| it.to_string());
            (test.to_ascii_lowercase(), key.to_ascii_lowercase(), texts.chain(is_true).collect())
        })
    });
    each.collect()
}

/// Whether a text is of a pattern in which `*` is any text and `?` any one byte.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if matches(rest, text) => true,
        (Some((b'*', _)), Some((_, text))) => matches(pattern, text),
        (Some((wanted, rest)), Some((found, text))) => {
            (*wanted == b'?' || wanted == found) && matches(rest, text)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Step;
    use crate::http::Response;

    fn document(statement: &Value) -> Document {
        Document::of(json!({ "Version": "2012-10-17", "Statement": statement })).unwrap()
    }

    #[test]
    fn a_policy_keeps_what_is_written_if_it_refuses_everybody_to_write_over_it() {
        let sound = json!({
            "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/*",
            "Condition": { "Null": { "s3:if-none-match": "true" }, "Bool": { "s3:ObjectCreationOperation": true } },
        });
        let keeps = |name: &str, value: Value| {
            let mut statement = sound.clone();
            statement[name] = value;
            document(&json!([{ "Effect": "Allow" }, statement])).keeps("arn:aws:s3:::b/prod/log/1")
        };
        for (name, value, expected) in [
            ("Sid", json!("x"), true),
            ("Principal", json!({ "AWS": ["*"] }), true),
            ("Action", json!(["s3:Put*"]), true),
            ("Resource", json!("arn:aws:s3:::b/prod/*"), true),
            ("Effect", json!("Allow"), false),
            ("Principal", json!({ "AWS": "arn:aws:iam::1:root" }), false),
            ("Action", json!("s3:GetObject"), false),
            ("Resource", json!("arn:aws:s3:::b/prod/inbox/*"), false),
            ("Condition", json!({ "Null": { "s3:if-none-match": "false" } }), false),
            ("Condition", json!({}), false),
            (
                "Condition",
                json!({ "Null": { "s3:if-none-match": "true" }, "StringEquals": { "aws:PrincipalTag/t": "x" } }),
                false,
            ),
        ] {
            assert_eq!(keeps(name, value.clone()), expected, "{name}: {value}");
        }
        assert_eq!(Document::of(json!([])), None);
    }

    #[test]
    fn a_policy_lets_s3_send_on_behalf_of_the_buckets_it_names() {
        let policy = document(&json!({
            "Effect": "Allow", "Principal": { "Service": "s3.amazonaws.com" }, "Action": "sqs:SendMessage",
            "Resource": "*", "Condition": {
                "ArnLike": { "aws:SourceArn": ["arn:aws:s3:::other", "arn:aws:s3:::acme-*"] },
                "StringEquals": { "aws:SourceAccount": "1" },
            },
        }));
        let may = |source: &str| policy.lets(("s3.amazonaws.com", "sqs:SendMessage"), source);
        assert!(may("arn:aws:s3:::acme-data") && !may("arn:aws:s3:::data"));
        assert!(!policy.lets(("sns.amazonaws.com", "sqs:SendMessage"), "arn:aws:s3:::acme-data"));
    }

    #[test]
    fn iam_says_what_a_role_may_not() {
        let call = Aws::new("eu-central-1", |_| None).unwrap().refused(
            "arn:aws:iam::1:role/tick",
            &["s3:GetObject", "s3:PutObject"],
            "arn:aws:s3:::b/*",
        );
        let body = std::str::from_utf8(&call.request.body).unwrap();
        assert!(body.contains("ActionNames.member.2=s3%3APutObject"), "{body}");
        let member = |action: &str, decision: &str| {
            format!(
                "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>x</EvalResourceName>\
                 <EvalDecision>{decision}</EvalDecision><MatchedStatements/></member>"
            )
        };
        let (yes, no) = (member("s3:GetObject", "allowed"), member("s3:PutObject", "implicitDeny"));
        let xml = format!(
            "<SimulatePrincipalPolicyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
             <SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>{yes}{no}\
             </EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
        );
        let response = Response { status: 200, body: xml.into(), ..Response::default() };
        let Step::Done(Ok(refused)) = call.read(Ok(response)) else { panic!("it is asked once") };
        assert_eq!(refused, BTreeSet::from(["s3:PutObject".to_owned()]));
    }
}
