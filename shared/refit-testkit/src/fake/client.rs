//! A client that sends what it is told, to the byte, and once.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The lines between the status and the body.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Reply {
    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Reads an answer that ended with its connection; `None` if it is none.
    fn read(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let (line, head) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = line.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_owned(), body: body.to_owned() })
    }
}

/// Sends bytes and reads until the other side closes the connection.
///
/// # Errors
/// The connection's.
pub async fn exchange(place: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(place).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Makes a request on a connection of its own. The headers are lines with their ends.
///
/// # Errors
/// The connection's, and `InvalidData` where it was closed without an answer.
pub async fn call(place: &str, line: &str, headers: &str, body: &[u8]) -> io::Result<Reply> {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    let answer = exchange(place, &[head.as_bytes(), body].concat()).await?;
    Reply::read(&answer).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}
