//! Where a request may go, by its URL and by the credential it names.
//!
//! What a name leads to is looked at where it is resolved, in [`guard`](super::guard).

use refit_wire::address::{is_listed, is_meant_for, is_of_google, leads_nowhere, place};
use refit_wire::http::Auth;
use url::{Host, Url};

/// What is allowed beyond the rules every request is held to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    plain_http: Vec<String>,
}

impl Allowed {
    pub(crate) fn new(plain_http: Vec<String>) -> Self {
        Self { plain_http }
    }

    /// Refuses a request that may not be sent, with the reason.
    pub(crate) fn check(&self, url: &Url, auth: &Auth) -> Result<(), String> {
        let place = place(url);
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("a URL must not hold a user or a password: host=`{place}`"));
        }
        if leads_nowhere(url) {
            return Err(format!("nothing is sent to a metadata server: host=`{place}`"));
        }
        match url.scheme() {
            "https" => {}
            "http"
                if *auth == Auth::None || is_loopback(url) || is_listed(url, &self.plain_http) => {}
            "http" => {
                return Err(format!("a credential is not sent without encryption: host=`{place}`"));
            }
            other => return Err(format!("only http and https can be sent: scheme=`{other}`")),
        }
        match auth {
            Auth::GoogleAccessToken { hosts } if !is_of_google(url) && !is_listed(url, hosts) => {
                Err(format!(
                    "an access token of Google is sent to Google and to hosts that the rules list only: host=`{place}`"
                ))
            }
            Auth::GoogleIdToken { audience, hosts }
                if !is_meant_for(audience, url) && !is_listed(url, hosts) =>
            {
                Err(format!(
                    "an ID token of Google is sent to the host it is for and to hosts that the rules list only: host=`{place}`"
                ))
            }
            Auth::GithubApp(app) if app.tokens.origin() != url.origin() => Err(format!(
                "a token of a GitHub App is sent to the server that gives it only: host=`{place}`"
            )),
            Auth::None
            | Auth::GithubApp(_)
            | Auth::GoogleAccessToken { .. }
            | Auth::GoogleIdToken { .. }
            | Auth::Aws { .. }
            | Auth::Bearer(_)
            | Auth::Scheme(..)
            | Auth::Header(..)
            | Auth::Url { .. } => Ok(()),
        }
    }

    /// Refuses an address that was a secret unless it leads to one of these hosts, or below a domain among them that
    /// begins with a dot.
    pub(crate) fn check_secret(&self, url: &Url, auth: &Auth) -> Result<(), String> {
        self.check(url, auth)?;
        let Auth::Url { hosts, .. } = auth else { return Ok(()) };
        let host = url.host_str().unwrap_or_default();
        let below = |domain: &String| {
            domain.starts_with('.') && url.port().is_none() && host.ends_with(domain.as_str())
        };
        match is_listed(url, hosts) || hosts.iter().any(below) {
            true => Ok(()),
            false => {
                let hosts = hosts.join(", ");
                Err(format!("a secret address leads elsewhere than it may: allowed=`{hosts}`"))
            }
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use refit_wire::http::Secret;

    use super::*;

    fn access(hosts: &[&str]) -> Auth {
        Auth::GoogleAccessToken { hosts: hosts.iter().map(|&host| host.to_owned()).collect() }
    }

    fn check(url: &str, auth: &Auth) -> Result<(), String> {
        let allowed = Allowed::new(vec!["ml-pipeline.kubeflow:8888".to_owned()]);
        allowed.check(&url.parse().unwrap(), auth)
    }

    fn secrets() -> [Auth; 2] {
        let secret = Secret::Env("X".to_owned());
        let header = HeaderName::from_static("x-api-key");
        [Auth::Bearer(secret.clone()), Auth::Header(header, secret)]
    }

    #[test]
    fn access_tokens_go_to_google_and_to_listed_hosts_only() {
        let listed =
            access(&["kfp.example.com", "KFP.example.com:8443", "127.0.0.1:9000", "10.0.0.1"]);
        for (url, may) in [
            ("https://storage.googleapis.com/b", true),
            ("https://europe-west4-aiplatform.googleapis.com/v1", true),
            ("https://abc-dot-europe-west1.pipelines.googleusercontent.com/", true),
            ("https://STORAGE.GoogleAPIs.com/", true),
            ("https://kfp.example.com/apis", true),
            ("https://kfp.example.com:443/apis", true),
            ("https://kfp.example.com:8443/apis", true),
            ("http://127.0.0.1:9000/", true),
            ("https://10.0.0.1/", true),
            ("https://googleapis.com/", false),
            ("https://abc.pipelines.googleusercontent.com:8443/", false),
            ("https://8.8.34.bc.googleusercontent.com/", false),
            ("https://lh3.googleusercontent.com/", false),
            ("https://storage.googleapis.com:8443/", false),
            ("https://evilgoogleapis.com/", false),
            ("https://googleapis.com.evil.com/", false),
            ("https://storage.googleapis.com.evil.com/", false),
            ("https://storage.googleapis.com./", false),
            ("https://evil.com/storage.googleapis.com", false),
            ("https://kfp.example.com:9443/", false),
            ("https://sub.kfp.example.com/", false),
            ("http://storage.googleapis.com/", false),
            ("http://kfp.example.com/", false),
            ("http://10.0.0.1/", false),
            ("http://127.0.0.1:9001/", false),
            ("https://storage.googleapis.com@evil.com/", false),
        ] {
            assert_eq!(check(url, &listed).is_ok(), may, "{url}: {:?}", check(url, &listed));
        }
    }

    #[test]
    fn an_id_token_goes_to_whom_it_is_for_and_to_listed_hosts_only() {
        let id = |audience: &str| Auth::GoogleIdToken {
            audience: audience.to_owned(),
            hosts: vec!["kfp.example.com".to_owned(), "127.0.0.1:9000".to_owned()],
        };
        for (url, audience, may) in [
            ("https://tick.example.com/x", "https://tick.example.com", true),
            ("https://tick.example.com:8443/", "https://TICK.example.com/other", true),
            ("https://evil.example.com/", "https://tick.example.com", false),
            ("https://evil.example.com/tick.example.com", "https://tick.example.com", false),
            ("https://tick.example.com@evil.com/", "https://tick.example.com", false),
            ("https://evil.example.com/", "1-a.apps.googleusercontent.com", false),
            ("https://kfp.example.com/", "1-a.apps.googleusercontent.com", true),
            ("https://kfp.example.com:8443/", "1-a.apps.googleusercontent.com", false),
            ("http://127.0.0.1:9000/", "1-a.apps.googleusercontent.com", true),
            ("http://kfp.example.com/", "http://kfp.example.com", false),
            ("https://169.254.169.254/", "https://169.254.169.254/", false),
        ] {
            let auth = id(audience);
            assert_eq!(check(url, &auth).is_ok(), may, "{url}: {:?}", check(url, &auth));
        }
    }

    #[test]
    fn credentials_are_not_sent_in_clear_except_to_this_machine_and_listed_hosts() {
        for (url, may) in [
            ("https://anywhere.example.com/", true),
            ("http://localhost:5000/", true),
            ("http://127.8.8.8/", true),
            ("http://[::1]:80/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://ml-pipeline.kubeflow:8888/apis", true),
            ("http://ml-pipeline.kubeflow/apis", false),
            ("http://anywhere.example.com/", false),
            ("http://localhost.example.com/", false),
            ("http://127.0.0.1.example.com/", false),
            ("http://10.0.0.1/", false),
            ("http://0.0.0.0/", false),
            ("ftp://anywhere.example.com/", false),
            ("https://user@anywhere.example.com/", false),
            ("https://:word@anywhere.example.com/", false),
        ] {
            for auth in secrets() {
                assert_eq!(check(url, &auth).is_ok(), may, "{url} {auth:?}");
            }
        }
    }

    #[test]
    fn without_a_credential_the_rules_decide_where_to() {
        assert_eq!(check("http://anywhere.example.com/", &Auth::None), Ok(()));
        assert!(check("file:///etc/passwd", &Auth::None).is_err());
        assert!(check("https://user:word@anywhere.example.com/", &Auth::None).is_err());
    }

    #[test]
    fn nothing_leads_to_a_metadata_server_whatever_the_credential() {
        for url in [
            "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token",
            "https://169.254.169.254/",
            "http://2852039166/",
            "http://[::ffff:169.254.169.254]/",
            "http://metadata.google.internal/",
            "http://[fd00:ec2::254]/latest/meta-data/",
            "http://0.0.0.0/",
        ] {
            for auth in secrets().into_iter().chain([Auth::None, access(&["169.254.169.254"])]) {
                assert!(check(url, &auth).is_err(), "{url} {auth:?}");
            }
        }
    }

    #[test]
    fn a_refusal_names_the_host_and_nothing_else_of_the_url() {
        let text = check("http://u:canary@host:81/canary?canary#canary", &access(&[])).unwrap_err();
        assert!(text.contains("host=`host:81`") && !text.contains("canary"), "{text}");
    }
}
