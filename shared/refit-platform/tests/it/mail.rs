//! Mail, against a server that others wrote (aiosmtpd), and against one that keeps nothing private.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use refit_engine::port::Transport as _;
use refit_platform::transport::Options;
use refit_testkit::counterpart::Kind;
use refit_wire::http::{Failure, Secret};
use refit_wire::outgoing::Mail;

use crate::alone::{alone, given, new_folder, passes};
use crate::requests::transport;

fn mail(port: u16, to: &str, password: Option<&str>) -> Mail {
    Mail {
        host: "localhost".to_owned(),
        port,
        login: password.map(|name| ("refit".to_owned(), Secret::Env(name.to_owned()))),
        from: "refit@acme.example".to_owned(),
        to: vec![to.to_owned(), "ops@acme.example".to_owned()],
        subject: "[refit] A run failed: größe".to_owned(),
        text: "first line\n.\nlast line, ä\n".to_owned(),
        id: "0011@acme.example".to_owned(),
    }
}

/// Writes a certificate for this machine, and its key.
fn certify(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

#[test]
fn mail_is_taken_or_refused_by_a_real_server() {
    let folder = new_folder();
    certify(folder.path());
    let test = "mail::mail_is_taken_or_refused_by_a_real_server";
    let Some(server) = Kind::Smtp.start_with(test, |command| {
        command.arg(folder.path());
    }) else {
        return;
    };
    let port = server.place().rsplit(':').next().unwrap().to_owned();
    let mut command = alone("mail::hands_mail_in", OsStr::new(&port));
    command.env("SSL_CERT_FILE", folder.path().join("cert.pem")).env_remove("SSL_CERT_DIR");
    command.env("REFIT_TEST_PASSWORD", "canary").env("REFIT_TEST_WRONG", "canary-of-another");
    passes(command);
    let first = fs::read_to_string(folder.path().join("1.eml")).unwrap();
    for line in [
        "X-To: ml@acme.example, ops@acme.example",
        "X-Login: True",
        "Message-ID: <0011@acme.example>",
        "From: refit@acme.example",
    ] {
        assert!(first.lines().any(|it| it.trim_end() == line), "{line}: {first}");
    }
    assert!(!first.contains("canary"), "{first}");
    let second = fs::read_to_string(folder.path().join("2.eml")).unwrap();
    assert!(second.contains("X-Login: False") && second.contains("<0011@acme.example>"));
    let third = fs::read_to_string(folder.path().join("3.eml")).unwrap();
    assert!(third.contains("X-To: ops@acme.example"), "{third}");
    assert!(!folder.path().join("4.eml").exists());
}

#[tokio::test]
#[ignore = "run by mail_is_taken_or_refused_by_a_real_server, with SSL_CERT_FILE"]
async fn hands_mail_in() {
    let Some(port) = given() else { return };
    let port = port.parse().unwrap();
    let transport = transport(Options::default());
    let status = async |to: &str, password: Option<&str>| {
        let reply = transport.mail(mail(port, to, password)).await;
        assert!(!format!("{reply:?}").contains("canary"), "{reply:?}");
        reply.unwrap().status
    };
    let nobody = Mail { to: vec!["nobody@acme.example".to_owned()], ..mail(port, "", None) };
    assert_eq!(transport.mail(nobody).await.unwrap().status, 550);
    assert_eq!(status("ml@acme.example", Some("REFIT_TEST_PASSWORD")).await, 250);
    assert_eq!(status("ml@acme.example", None).await, 250);
    assert_eq!(status("ml@acme.example", Some("REFIT_TEST_WRONG")).await, 535);
    assert_eq!(status("nobody@acme.example", None).await, 250, "the other one is told");
    assert_eq!(status("later@acme.example", None).await, 451);
    let missing = transport.mail(mail(port, "ml@acme.example", Some("REFIT_TEST_NONE"))).await;
    let Err(Failure::NotSent(message)) = missing else { panic!("{missing:?}") };
    assert!(message.contains("variable=`REFIT_TEST_NONE`"), "{message}");
}

#[tokio::test]
async fn a_server_nobody_vouches_for_is_told_nothing() {
    let folder = new_folder();
    certify(folder.path());
    let test = "mail::a_server_nobody_vouches_for_is_told_nothing";
    let Some(server) = Kind::Smtp.start_with(test, |command| {
        command.arg(folder.path());
    }) else {
        return;
    };
    let port = server.place().rsplit(':').next().unwrap().parse().unwrap();
    let reply = transport(Options::default()).mail(mail(port, "ml@acme.example", None)).await;
    assert!(matches!(reply, Err(Failure::NotSent(_) | Failure::Unclear(_))), "{reply:?}");
    assert!(!folder.path().join("1.eml").exists());
}

#[tokio::test]
async fn a_server_without_starttls_is_told_neither_login_nor_mail() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        (&stream).write_all(b"220 here\r\n").unwrap();
        let mut heard = Vec::new();
        for line in BufReader::new(&stream).lines().map_while(Result::ok) {
            (&stream).write_all(b"250 as you like\r\n").unwrap();
            heard.push(line);
        }
        heard
    });
    // `HOME` is there on every machine, and what is in it would be the password.
    let reply = transport(Options::default()).mail(mail(port, "a@b.example", Some("HOME"))).await;
    assert!(matches!(reply, Err(Failure::NotSent(_))), "{reply:?}");
    let heard = heard.join().unwrap();
    let may = |line: &String| ["EHLO ", "QUIT"].iter().any(|word| line.starts_with(word));
    assert!(heard.iter().all(may), "{heard:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_was_told_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let reply = transport(Options::default()).mail(mail(port, "a@b.example", None)).await;
    assert!(matches!(reply, Err(Failure::NotSent(_))), "{reply:?}");
}
