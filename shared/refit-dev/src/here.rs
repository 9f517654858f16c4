//! The transport of a process that is its own pipeline service.

use std::sync::Arc;

use async_trait::async_trait;
use refit_engine::port::Transport;
use refit_wire::http::{Auth, Reply, Request};
use refit_wire::outgoing::{Mail, Publish};
use url::Url;

/// The port `refit dev` listens on unless told otherwise, where rules look for the local pipeline service.
pub const PORT: u16 = 8377;
const HOST: &str = "127.0.0.1";

/// Sends what is meant for the usual place of the local pipeline service to this process, wherever it listens.
pub(crate) struct Here {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) port: u16,
}

#[async_trait]
impl Transport for Here {
    async fn send(&self, mut request: Request) -> Reply {
        if self.port != PORT && is_usual(&request.url) {
            request.url.set_port(Some(self.port)).expect("a URL with a host can have a port");
            if let Auth::GoogleAccessToken { hosts } = &mut request.auth {
                *hosts = vec![format!("{HOST}:{}", self.port)];
            }
        }
        self.transport.send(request).await
    }

    async fn mail(&self, mail: Mail) -> Reply {
        self.transport.mail(mail).await
    }

    async fn publish(&self, message: Publish) -> Reply {
        self.transport.publish(message).await
    }
}

fn is_usual(url: &Url) -> bool {
    url.scheme() == "http" && url.host_str() == Some(HOST) && url.port() == Some(PORT)
}
