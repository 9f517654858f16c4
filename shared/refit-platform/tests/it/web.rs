//! A server on this machine that answers by script, to the byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the server does when it has read a request.
pub(crate) enum Answer {
    /// Sends this and closes the connection.
    Send(Vec<u8>),
    /// Sends this and keeps the connection open, silent.
    Hang(Vec<u8>),
}

impl Answer {
    /// A whole response.
    pub(crate) fn response(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        Self::Send([head.as_bytes(), body].concat())
    }

    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::response("200 OK", &[], body)
    }
}

/// A running server.
pub(crate) struct Server {
    /// Its host and port.
    pub(crate) place: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server that answers every request as `script` says, given the whole request.
    pub(crate) async fn start(script: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(script), Arc::clone(&requests));
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(connection, Arc::clone(&script), Arc::clone(&log)));
            }
        });
        Self { place, requests }
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, path: &str) -> url::Url {
        format!("http://{}{path}", self.place).parse().unwrap()
    }
}

async fn serve(
    mut connection: TcpStream,
    script: Arc<impl Fn(&str) -> Answer + Send + Sync>,
    log: Arc<Mutex<Vec<String>>>,
) {
    let Some(request) = read(&mut connection).await else { return };
    log.lock().unwrap().push(request.clone());
    match script(&request) {
        // Who gives up early may have closed the connection before all was written.
        Answer::Send(bytes) => drop(connection.write_all(&bytes).await),
        Answer::Hang(bytes) => {
            drop(connection.write_all(&bytes).await);
            std::future::pending::<()>().await;
        }
    }
}

/// Reads a request to the end of its body; `None` if the connection ends before.
async fn read(connection: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
