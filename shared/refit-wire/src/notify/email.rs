//! Mail, by SMTP after STARTTLS.

use refit_core::notice::Receipt;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::failed;
use super::{About, Notifier, Sending, Settings, Telling};
use crate::address::leads_nowhere;
use crate::http::{Reply, Secret};
use crate::outgoing::{Mail, Outgoing};
use crate::pipeline::auth::SecretRef;

/// The port of mail that is handed in.
const SUBMISSION: u16 = 587;
/// Receivers of one mail.
const TO_MAX: usize = 50;

/// Mail.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Email")]
pub struct Config {
    /// The server mail is handed to, which must offer STARTTLS with a certificate that holds.
    smtp: String,
    /// Its port. Default: 587.
    port: Option<u16>,
    /// Who logs in. Default: nobody.
    user: Option<String>,
    /// Where the password is kept.
    password: Option<SecretRef>,
    /// Whom mail is from.
    from: String,
    /// Whom it is to: at least one, at most 50.
    to: Vec<String>,
}

#[derive(Debug)]
struct Email {
    host: String,
    port: u16,
    login: Option<(String, Secret)>,
    from: String,
    to: Vec<String>,
}

impl Settings for Config {
    const ABOUT: About = About {
        sends: "plain text by SMTP, after STARTTLS",
        id: "the header `Message-ID`",
        limit: "none",
        refused: "5xx of the server to every address, but for a login it does not take",
        is_for_programs: false,
    };

    fn open(&self) -> Result<Box<dyn Notifier>, String> {
        let login = match (&self.user, &self.password) {
            (Some(user), Some(password)) => Some((user.clone(), password.resolve()?)),
            (None, None) => None,
            _ => return Err("`user` and `password` belong together".to_owned()),
        };
        let lawful = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        if self.smtp.is_empty() || !self.smtp.chars().all(lawful) {
            return Err("`smtp` is the name of a host".to_owned());
        }
        if !format!("https://{}", self.smtp).parse().is_ok_and(|url| !leads_nowhere(&url)) {
            return Err("`smtp` is a metadata server, or an address of no host".to_owned());
        }
        if self.to.is_empty() || self.to.len() > TO_MAX {
            return Err(format!("`to` takes 1 to {TO_MAX} addresses"));
        }
        let wrong = |address: &&String| !is_address(address);
        if let Some(address) = self.to.iter().chain([&self.from]).find(wrong) {
            return Err(format!("not an address such as ml@acme.example: address=`{address}`"));
        }
        let (host, port) = (self.smtp.clone(), self.port.unwrap_or(SUBMISSION));
        let (from, to) = (self.from.clone(), self.to.clone());
        Ok(Box::new(Email { host, port, login, from, to }))
    }
}

/// Whether it has the form of an address; who takes mail there is the server's business.
fn is_address(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"<>,;:\"()[]\\".contains(c);
    let parts: Vec<&str> = text.split('@').collect();
    matches!(parts[..], [name, host] if !name.is_empty() && !host.is_empty())
        && text.chars().all(plain)
}

impl Notifier for Email {
    fn tell(&self, telling: &Telling<'_>) -> Sending {
        let domain = self.from.rsplit('@').next().unwrap_or_default();
        let mail = Mail {
            host: self.host.clone(),
            port: self.port,
            login: self.login.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            subject: format!("[refit] {}", telling.title),
            text: format!("{}\n\nledger {}\nid {}\n", telling.text, telling.ledger, telling.id),
            id: format!("{}@{domain}", telling.id),
        };
        Sending { outgoing: Outgoing::Mail(Box::new(mail)), read }
    }
}

/// The status is that of the server's reply: 4xx for now, 5xx for good.
fn read(reply: Reply) -> Receipt {
    match reply {
        Ok(response) if response.is_success() => Receipt::Delivered,
        Ok(response) => {
            let message = format!("the server refused it: status=`{}`", response.status);
            match response.status {
                // A login that is not taken can be mended.
                530 | 534 | 535 | 538 => failed(message),
                500..600 => Receipt::Refused(message),
                _ => failed(message),
            }
        }
        Err(failure) => failed(failure.to_string()),
    }
}
