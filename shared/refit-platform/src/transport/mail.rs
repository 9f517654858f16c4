//! Mail, handed in by SMTP. Nothing is said before STARTTLS has made the connection private, the login least of all.

use std::error::Error as _;
use std::io;

use http::HeaderMap;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials as Login;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use refit_core::time::Span;
use refit_wire::http::{Failure, Reply, Response};
use refit_wire::outgoing::Mail;

use crate::auth::Token;
use crate::clock::duration;

/// Hands a mail in, with the password of its login where it has one.
pub(super) async fn hand_in(mail: &Mail, password: Option<&Token>, limit: Span) -> Reply {
    let message = message(mail).map_err(|why| not_sent(mail, why))?;
    let server = AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&mail.host)
        .map_err(|_| not_sent(mail, "not the name of a server"))?;
    let server = server.port(mail.port).timeout(Some(duration(limit)));
    let server = match (&mail.login, password) {
        (Some((user, _)), Some(password)) => {
            server.credentials(Login::new(user.clone(), password.as_str().to_owned()))
        }
        _ => server,
    };
    match server.build().send(message).await {
        Ok(response) => Ok(answer(u16::from(response.code()))),
        Err(error) => match error.status() {
            Some(code) => Ok(answer(u16::from(code))),
            None => Err(failure(mail, &error)),
        },
    }
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
