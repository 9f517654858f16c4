//! Where a service answers.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

use crate::address::{self, leads_nowhere};

/// Where a service answers: an `http` or `https` URL without user, query and fragment. A path such as `/pipeline`
/// is kept, and everything is asked below it.
///
/// Plain `http` is taken for this machine, for private addresses, and for names that mean something in a cluster
/// only: a single word, or one that ends with `.svc` or `.svc.cluster.local`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Endpoint(Url);

/// From how far away a host can be reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Machine,
    Network,
    World,
}

impl Endpoint {
    /// Reads a URL.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let url: Url = text.parse().map_err(|error| format!("{error}: endpoint=`{text}`"))?;
        let endpoint = Self(url);
        match endpoint.fault() {
            None => Ok(endpoint),
            // What was written may hold a password.
            Some(fault) => Err(format!("{fault}: host=`{}`", endpoint.host())),
        }
    }

    fn fault(&self) -> Option<&'static str> {
        let url = &self.0;
        let asks_more = url.query().is_some() || url.fragment().is_some();
        match url.scheme() {
            "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
                Some("the endpoint must not hold a user or a password: see `auth`")
            }
            "http" | "https" if asks_more => {
                Some("the endpoint must not have a query or a fragment")
            }
            "http" | "https" if leads_nowhere(url) => {
                Some("no service is there: it is a metadata server, or an address of no host")
            }
            "http" if self.reach() == Reach::World => Some(
                "plain http is for private hosts: use https, or the whole name in the cluster, such as \
                 ml-pipeline.kubeflow.svc",
            ),
            "http" | "https" => None,
            _ => Some("the endpoint must be an http or https URL"),
        }
    }

    fn reach(&self) -> Reach {
        match self.0.host() {
            Some(Host::Domain("localhost")) => Reach::Machine,
            Some(Host::Domain(name)) if is_of_cluster(name) => Reach::Network,
            Some(Host::Ipv4(ip)) => reach_of(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => reach_of(IpAddr::V6(ip)),
            Some(Host::Domain(_)) | None => Reach::World,
        }
    }

    /// The host, without a port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, stated or usual.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.0.port_or_known_default()
    }

    /// Host and port, the port left out where it is the usual one: how the places of credentials are listed.
    #[must_use]
    pub fn place(&self) -> String {
        address::place(&self.0)
    }

    /// Whether this place is among those listed.
    #[must_use]
    pub fn is_listed(&self, places: &[String]) -> bool {
        address::is_listed(&self.0, places)
    }

    /// Whether a token for this audience is for whoever answers there.
    #[must_use]
    pub fn is_meant_by(&self, audience: &str) -> bool {
        address::is_meant_for(audience, &self.0)
    }

    /// Whether Google answers there, so that an access token may be sent without more being said.
    #[must_use]
    pub fn is_of_google(&self) -> bool {
        address::is_of_google(&self.0)
    }

    /// Whether what is sent there can be read on the way.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.reach() == Reach::Machine
    }

    /// The URL of something below it; every segment is encoded.
    #[must_use]
    pub fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

fn is_of_cluster(name: &str) -> bool {
    !name.contains('.') || name.ends_with(".svc") || name.ends_with(".svc.cluster.local")
}

fn reach_of(ip: IpAddr) -> Reach {
    let private = match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    };
    match (ip.is_loopback(), private) {
        (true, _) => Reach::Machine,
        (false, true) => Reach::Network,
        (false, false) => Reach::World,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_within_reach() {
        for good in [
            "http://localhost:3000",
            "http://127.0.0.1:8888",
            "http://[::1]:8888",
            "http://10.1.2.3",
            "http://[fd00::1]:8888/pipeline",
            "http://ml-pipeline:8888",
            "http://ml-pipeline.kubeflow.svc:8888",
            "http://ml-pipeline.kubeflow.svc.cluster.local:8888",
            "https://kfp.acme.example/pipeline/",
        ] {
            assert!(Endpoint::new(good).is_ok(), "{good}");
        }
        for bad in [
            "http://kfp.acme.example",
            "http://169.254.169.254",
            "https://169.254.169.254",
            "https://2852039166",
            "http://metadata",
            "https://metadata.google.internal",
            "http://[::ffff:169.254.169.254]",
            "http://0.0.0.0:8888",
            "http://8.8.8.8",
            "ftp://localhost",
            "https://user@kfp.acme.example",
            "https://:word@kfp.acme.example",
            "https://kfp.acme.example/?x=1",
            "https://kfp.acme.example/#x",
            "kfp.acme.example",
            "",
        ] {
            assert!(Endpoint::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_never_repeats_a_password() {
        let error = Endpoint::new("https://user:hush@kfp.acme.example").unwrap_err();
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn a_path_is_kept_and_segments_are_encoded() {
        let at =
            |endpoint: &str| Endpoint::new(endpoint).unwrap().at(&["runs", "a/b ?"]).to_string();
        assert_eq!(
            at("https://h.example/pipeline/"),
            "https://h.example/pipeline/runs/a%2Fb%20%3F"
        );
        assert_eq!(at("https://h.example"), "https://h.example/runs/a%2Fb%20%3F");
    }
}
