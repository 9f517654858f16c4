//! Names that lead to a metadata server lead nowhere, whoever says so: looked at in the very answer that is connected to.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use refit_wire::address::is_closed;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The addresses of a host, with a port.
type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Resolves names, and refuses one that leads to a closed address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    look_up: fn(String, u16) -> Found,
}

impl Guard {
    /// Resolves as the system does.
    pub(super) fn of_system() -> Self {
        let look_up = |host, port| {
            let found = async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) };
            Box::pin(found) as Found
        };
        Self { look_up }
    }

    /// The addresses of a host that may be connected to.
    ///
    /// # Errors
    /// The look-up's, and one where any of them is closed.
    pub(super) async fn addresses(self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        open((self.look_up)(host.to_owned(), port).await?)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = *self;
        Box::pin(async move {
            // The port is put in by whoever asks.
            let open = guard.addresses(name.as_str(), 0).await?;
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

/// The addresses, if none of them is closed: an answer with one that is was made to deceive.
fn open(found: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    match found.iter().any(|address| is_closed(address.ip())) {
        false => Ok(found),
        true => Err(io::Error::other("its name leads to a metadata server, or to no host")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, TcpListener};
    use std::process::Command;
    use std::sync::Arc;

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use http::Method;
    use refit_core::time::Span;
    use refit_engine::port::Transport as _;
    use refit_testkit::fake::metadata::Metadata;
    use refit_testkit::fake::server::{self, Answer, Reacting, Reaction, Server, Site};
    use refit_testkit::skip::skipped;
    use refit_wire::http::{Auth, Failure, GithubApp, Reply, Request, Secret};
    use refit_wire::outgoing::Mail;
    use serde_json::json;
    use url::Url;

    use super::*;
    use crate::auth::Places;
    use crate::clock::SystemClock;
    use crate::transport::{HttpTransport, Options};

    #[test]
    fn an_answer_with_a_closed_address_is_refused_whole() {
        let all = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        for (addresses, may) in [
            (&["10.0.0.1:0", "[fd00::1]:0"][..], true),
            (&["127.0.0.1:0"], true),
            (&["8.8.8.8:0", "169.254.169.254:0"], false),
            (&["[::ffff:169.254.169.254]:0"], false),
            (&["[fd00:ec2::254]:0", "10.0.0.1:0"], false),
            (&["0.0.0.0:0"], false),
        ] {
            assert_eq!(open(all(addresses)).is_ok(), may, "{addresses:?}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_resolved() {
        let found = Guard::of_system().resolve("localhost".parse().unwrap()).await.unwrap();
        assert!(found.map(|address| address.ip()).all(|address| address.is_loopback()));
    }

    /// The first address is that of this machine, where somebody listens.
    fn deceive(_: String, port: u16) -> Found {
        let all = ["127.0.0.1", "169.254.169.254"].map(|ip| (ip.parse::<IpAddr>().unwrap(), port));
        Box::pin(async move { Ok(all.map(SocketAddr::from).to_vec()) })
    }

    fn deceived(options: Options) -> HttpTransport {
        let guard = Guard { look_up: deceive };
        HttpTransport::guarded(Arc::new(SystemClock), options, guard).unwrap()
    }

    /// Somebody at the first address, who notices that a connection was made.
    fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    fn refused(reply: Reply) {
        let Err(Failure::NotSent(why)) = reply else { panic!("{reply:?}") };
        assert!(why.contains("leads to a metadata server"), "{why}");
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_metadata_server_is_sent_neither_a_request_nor_a_mail() {
        let (listener, port) = listener();
        let transport = deceived(Options::default());
        let url: Url = format!("http://localhost:{port}/").parse().unwrap();
        let request =
            |method| Request { timeout: Some(Span::secs(1)), ..Request::new(method, url.clone()) };
        let mail = Mail {
            host: "localhost".to_owned(),
            port,
            login: None,
            from: "a@b.example".to_owned(),
            to: vec!["c@b.example".to_owned()],
            subject: String::new(),
            text: String::new(),
            id: "1@b.example".to_owned(),
        };
        refused(transport.send(request(Method::GET)).await);
        refused(transport.send(request(Method::POST)).await);
        refused(transport.mail(mail).await);
        assert!(listener.accept().is_err(), "nobody has connected");
    }

    /// Secret Manager with one secret under every name.
    struct Vault(Vec<u8>);

    impl Site for Vault {
        fn react(self: Arc<Self>, _: server::Request) -> Reacting {
            let body = json!({ "payload": { "data": BASE64_STANDARD.encode(&self.0) } });
            Box::pin(async move { Reaction::Answer(Answer::json(200, &body)) })
        }
    }

    #[tokio::test]
    async fn a_github_app_asks_for_no_token_where_a_name_leads_to_a_metadata_server() {
        let test = "a_github_app_asks_for_no_token_where_a_name_leads_to_a_metadata_server";
        let made = Command::new("openssl").args(["genrsa", "-traditional"]).output();
        let Some(key) = made.ok().filter(|made| made.status.success()) else {
            return skipped(test, "there is no openssl to make a key with");
        };
        let (metadata, vault, (listener, port)) = (Metadata::start(), Server::new(), listener());
        vault.open(Arc::new(Vault(key.stdout)));
        let places = Places {
            metadata: Some(metadata.place()),
            secret_manager: format!("http://{}/", vault.place()).parse().unwrap(),
            ..Places::default()
        };
        let url: Url = format!("http://localhost:{port}/").parse().unwrap();
        let app = GithubApp {
            tokens: url.join("app/installations/42/access_tokens").unwrap(),
            client_id: "Iv23liAbCd".to_owned(),
            private_key: Secret::Google("projects/p/secrets/s/versions/1".to_owned()),
            repository: "training".to_owned(),
        };
        let request = Request::new(Method::GET, url).auth(Auth::GithubApp(Box::new(app)));
        refused(deceived(Options { places, ..Options::default() }).send(request).await);
        assert_eq!(metadata.given(), 1, "its key was read");
        assert!(listener.accept().is_err(), "nobody has connected");
    }
}
