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
    use std::sync::Arc;

    use http::Method;
    use refit_core::time::Span;
    use refit_engine::port::Transport as _;
    use refit_wire::http::{Failure, Request};
    use refit_wire::outgoing::Mail;
    use url::Url;

    use super::*;
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

    #[tokio::test]
    async fn a_name_that_leads_to_a_metadata_server_is_sent_neither_a_request_nor_a_mail() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let guard = Guard { look_up: deceive };
        let transport =
            HttpTransport::guarded(Arc::new(SystemClock), Options::default(), guard).unwrap();
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
        for reply in [
            transport.send(request(Method::GET)).await,
            transport.send(request(Method::POST)).await,
            transport.mail(mail).await,
        ] {
            let Err(Failure::NotSent(why)) = reply else { panic!("{reply:?}") };
            assert!(why.contains("leads to a metadata server"), "{why}");
        }
        assert!(listener.accept().is_err(), "nobody has connected");
    }
}
