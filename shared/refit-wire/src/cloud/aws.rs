//! What is set up around a ledger in AWS, asked of its services by signed requests. Nothing is changed.

pub mod access;
pub mod buckets;
pub mod functions;
pub mod queues;

use std::collections::BTreeMap;

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderValue, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::{Read, Unread};
use crate::call::Call;
use crate::http::{Auth, Reply, Request, Response};

/// The region of a service that has none, as signatures name it.
const NOWHERE: &str = "us-east-1";
/// What is said of an answer of another form than the service documents.
const UNPROMISED: &str = "the answer is not what the service promises";

/// A service that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Roles and what they may do.
    Iam,
    /// Functions, and what invokes them.
    Lambda,
    /// Buckets.
    S3,
    /// Queues.
    Sqs,
}

/// Where the services of AWS are, in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aws {
    region: String,
    places: BTreeMap<Service, Url>,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Iam, Self::Lambda, Self::S3, Self::Sqs];

    /// Its name, in addresses and in signatures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Lambda => "lambda",
            Self::S3 => "s3",
            Self::Sqs => "sqs",
        }
    }

    fn usual(self, region: &str) -> String {
        match self {
            Self::Iam => "https://iam.amazonaws.com".to_owned(),
            Self::Lambda | Self::S3 | Self::Sqs => {
                format!("https://{}.{region}.amazonaws.com", self.name())
            }
        }
    }
}

impl Aws {
    /// The services of a region, where Amazon has them or at endpoints of their own. `None` if one is none.
    #[must_use]
    pub fn new(region: &str, endpoint: impl Fn(Service) -> Option<String>) -> Option<Self> {
        let place = |service: Service| {
            let text = endpoint(service).unwrap_or_else(|| service.usual(region));
            Some((service, Url::parse(&text).ok().filter(Url::has_host)?))
        };
        let places = Service::ALL.into_iter().map(place).collect::<Option<_>>()?;
        Some(Self { region: region.to_owned(), places })
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    fn request(&self, service: Service, method: Method, path: &[&str]) -> Request {
        let mut url = self.places[&service].clone();
        url.path_segments_mut().expect("there is a host").pop_if_empty().extend(path);
        let region = if service == Service::Iam { NOWHERE } else { &self.region };
        let auth = Auth::Aws { service: service.name().to_owned(), region: region.to_owned() };
        Request::new(method, url).auth(auth)
    }
}

/// The same request with a body of this media type.
fn with_body(mut request: Request, media: &'static str, body: String) -> Request {
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    request.body = body.into();
    request
}

/// A question whose answer takes a permission, and is read so.
fn ask<T: 'static>(
    request: Request,
    permission: &'static str,
    read: fn(&Response) -> Option<T>,
) -> Call<Read<T>> {
    Call::once(request, move |reply| answer(reply, permission, read))
}

/// The same about something that need not be there, which the service says by this code.
fn ask_for_any<T: 'static>(
    request: Request,
    (permission, absent): (&'static str, &'static str),
    read: fn(&Response) -> Option<T>,
) -> Call<Read<Option<T>>> {
    Call::once(request, move |reply| match reply {
        Ok(response) if response.status == 404 && says(&response, absent) => Ok(None),
        reply => answer(reply, permission, read).map(Some),
    })
}

fn answer<T>(
    reply: Reply,
    permission: &'static str,
    read: impl FnOnce(&Response) -> Option<T>,
) -> Read<T> {
    let response = reply.map_err(|failure| Unread::Trouble(failure.to_string()))?;
    let trouble = |what: &str| Unread::Trouble(format!("{what}: status=`{}`", response.status));
    match response.status {
        200..=299 => read(&response).ok_or_else(|| Unread::Trouble(UNPROMISED.to_owned())),
        _ if says(&response, "AccessDenied") => Err(Unread::Denied(permission)),
        404 => Err(Unread::Missing),
        400 if says(&response, "QueueDoesNotExist") || says(&response, "NonExistentQueue") => {
            Err(Unread::Missing)
        }
        301 | 307 => Err(trouble("it is in another region than AWS_REGION says")),
        401 | 403 => Err(trouble("the credential does not hold")),
        _ => Err(trouble("the service refuses")),
    }
}

/// Whether an answer has this code in it: where it stands differs from service to service.
fn says(response: &Response, code: &str) -> bool {
    let of_header = response.headers.get("x-amzn-errortype").and_then(|it| it.to_str().ok());
    let of_body = std::str::from_utf8(&response.body).unwrap_or_default();
    of_header.is_some_and(|text| text.contains(code)) || of_body.contains(code)
}

/// An answer in XML.
fn xml<T: DeserializeOwned>(response: &Response) -> Option<T> {
    quick_xml::de::from_str(std::str::from_utf8(&response.body).ok()?).ok()
}

/// The texts of what is a list or a single text.
fn one_or_many(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        value => value.and_then(Value::as_str).into_iter().collect(),
    }
}

/// The region and the account an ARN names, and what follows: `arn:aws:sqs:REGION:ACCOUNT:NAME`.
#[must_use]
pub fn parts_of(arn: &str) -> Option<[&str; 3]> {
    let mut parts = arn.splitn(6, ':').skip(3);
    Some([parts.next()?, parts.next()?, parts.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Failure;

    fn read(status: u16, body: &str) -> Read<Option<String>> {
        let response = Response { status, body: body.to_owned().into(), ..Response::default() };
        let request = aws().request(Service::Lambda, Method::GET, &["x"]);
        let call = ask_for_any(request, ("a:Get", "NoSuchThing"), |response| {
            response.json()?.get("name")?.as_str().map(str::to_owned)
        });
        match call.read(Ok(response)) {
            crate::call::Step::Done(read) => read,
            crate::call::Step::Send(_) => panic!("it is asked once"),
        }
    }

    fn aws() -> Aws {
        Aws::new("eu-central-1", |_| None).unwrap()
    }

    #[test]
    fn a_service_is_asked_where_its_region_has_it_or_at_its_stand_in() {
        let at = |aws: &Aws, service| {
            let request = aws.request(service, Method::GET, &["a b"]);
            (request.url.to_string(), request.auth)
        };
        let auth = |service: &str, region: &str| Auth::Aws {
            service: service.into(),
            region: region.into(),
        };
        let sqs = (
            "https://sqs.eu-central-1.amazonaws.com/a%20b".to_owned(),
            auth("sqs", "eu-central-1"),
        );
        assert_eq!(at(&aws(), Service::Sqs), sqs);
        let iam = ("https://iam.amazonaws.com/a%20b".to_owned(), auth("iam", NOWHERE));
        assert_eq!(at(&aws(), Service::Iam), iam);
        let stand_in = Aws::new("eu-central-1", |_| Some("http://127.0.0.1:9".to_owned())).unwrap();
        assert_eq!(at(&stand_in, Service::S3).0, "http://127.0.0.1:9/a%20b");
        assert_eq!(Aws::new("eu-central-1", |_| Some("nowhere".to_owned())), None);
    }

    #[test]
    fn what_is_not_read_says_why() {
        assert_eq!(read(200, r#"{"name": "x"}"#), Ok(Some("x".to_owned())));
        assert_eq!(read(404, "<Code>NoSuchThing</Code>"), Ok(None));
        assert_eq!(read(404, "<Code>NoSuchBucket</Code>"), Err(Unread::Missing));
        assert_eq!(read(400, r#"{"__type": "x#QueueDoesNotExist"}"#), Err(Unread::Missing));
        assert_eq!(read(403, "<Code>AccessDenied</Code>"), Err(Unread::Denied("a:Get")));
        for (status, body, words) in [
            (403, "<Code>SignatureDoesNotMatch</Code>", "does not hold"),
            (301, "", "another region"),
            (500, "", "`500`"),
            (200, "{}", "promises"),
        ] {
            let why = read(status, body).unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        }
        let unsent = answer(Err(Failure::NotSent("no route".to_owned())), "a:Get", |_| Some(()));
        assert_eq!(unsent, Err(Unread::Trouble("no route".to_owned())));
    }
}
