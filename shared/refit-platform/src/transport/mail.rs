//! Mail, handed in by SMTP. Nothing is said before STARTTLS has made the connection private, the login least of all.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;

use http::HeaderMap;
use lettre::Message;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials as Login, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{self, Data, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response as SmtpResponse;
use refit_core::time::Span;
use refit_wire::credential::Token;
use refit_wire::http::{Failure, Reply, Response};
use refit_wire::outgoing::Mail;

use super::guard::Guard;
use crate::clock::duration;

/// Hands a mail in, with the password of its login where it has one.
pub(super) async fn hand_in(
    mail: &Mail,
    guard: Guard,
    password: Option<&Token>,
    limit: Span,
) -> Reply {
    let message = message(mail).map_err(|why| not_sent(mail, why))?;
    let found = guard.addresses(&mail.host, mail.port).await;
    let found = found.map_err(|error| not_sent(mail, &format!("no connection, {error}")))?;
    let handed_in = async {
        let mut server = open(mail, &found, password, limit).await?;
        let told = tell(&mut server, mail, &message).await;
        server.abort().await;
        told
    };
    match handed_in.await {
        Ok(response) => Ok(answer(u16::from(response.code()))),
        Err(error) => match error.status() {
            Some(code) => Ok(answer(u16::from(code))),
            None => Err(failure(mail, &error)),
        },
    }
}

async fn open(
    mail: &Mail,
    found: &[SocketAddr],
    password: Option<&Token>,
    limit: Span,
) -> Result<AsyncSmtpConnection, SmtpError> {
    let limit = Some(duration(limit));
    let (name, host) = (ClientId::default(), TlsParameters::new(mail.host.clone())?);
    let mut server = AsyncSmtpConnection::connect_tokio1(found, limit, &name, None, None).await?;
    server.starttls(host, &name).await?;
    if let (Some((user, _)), Some(password)) = (&mail.login, password) {
        let login = Login::new(user.clone(), password.as_str().to_owned());
        server.auth(DEFAULT_MECHANISMS, &login).await?;
    }
    Ok(server)
}

/// One address that is no more must not keep a mail from the others.
async fn tell(
    server: &mut AsyncSmtpConnection,
    mail: &Mail,
    message: &Message,
) -> Result<SmtpResponse, SmtpError> {
    let envelope = message.envelope();
    server.command(commands::Mail::new(envelope.from().cloned(), Vec::new())).await?;
    let mut refused = Vec::new();
    for to in envelope.to() {
        match server.command(Rcpt::new(to.clone(), Vec::new())).await {
            Err(error) if error.is_permanent() => refused.push((to, error)),
            answer => drop(answer?),
        }
    }
    if refused.len() == envelope.to().len() {
        return Err(refused.swap_remove(0).1);
    }
    for (to, error) in refused {
        let status = error.status().map(u16::from);
        tracing::warn!(host = mail.host, %to, status, "an address of several is refused");
    }
    server.command(Data).await?;
    server.message(&message.formatted()).await
}

fn message(mail: &Mail) -> Result<Message, &'static str> {
    let address = |text: &String| text.parse().map_err(|_| "an address is none");
    let mut builder = Message::builder()
        .message_id(Some(format!("<{}>", mail.id)))
        .from(address(&mail.from)?)
        .subject(mail.subject.as_str())
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        builder = builder.to(address(to)?);
    }
    builder.body(mail.text.clone()).map_err(|_| "it cannot be written")
}

fn answer(status: u16) -> Response {
    Response { status, headers: HeaderMap::new(), body: bytes::Bytes::new() }
}

fn not_sent(mail: &Mail, why: &str) -> Failure {
    Failure::NotSent(format!("{why}: host=`{}`", mail.host))
}

fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// What the failure of an exchange with a server means. What a server says is not repeated.
fn failure(mail: &Mail, error: &SmtpError) -> Failure {
    let cause = error.source().map_or(String::new(), |cause| format!(", {cause}"));
    if error.is_client() || error.is_tls() {
        return not_sent(mail, &format!("no private connection{cause}"));
    }
    if error.source().and_then(|cause| cause.downcast_ref()).is_some_and(is_refused) {
        return not_sent(mail, &format!("no connection{cause}"));
    }
    let what = if error.is_timeout() { "no answer in time" } else { "no answer" };
    Failure::Unclear(format!("{what}{cause}: host=`{}`", mail.host))
}
