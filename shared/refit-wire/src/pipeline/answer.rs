//! What answers mean: the same for every service, but for the words a service uses.

use std::fmt;

use refit_core::plan::Outcome;
use refit_core::run::{ExternalRun, Phase};
use refit_core::time::Span;
use serde_json::Value;

use crate::http::{Failure, Reply, Response};

/// How long a start waits that was not let in: someone has to grant something first.
const UNAUTHORIZED_WAIT: Span = Span::mins(10);
/// The longest wait a service may ask for.
const THROTTLED_WAIT_MAX: Span = Span::hours(1);
/// How much of a service's own words is repeated.
const WORDS_CHARS_MAX: usize = 300;

/// Finds a service's own words in the body of an error; none where the body is not the service's, as where a proxy
/// answers in its place.
pub(crate) type Words = fn(&Value) -> Option<&str>;

/// Why a read gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The service says there is no such thing.
    Missing,
    /// The service refused for good.
    Refused { status: u16, message: String },
    /// The credential is missing or not good enough.
    Unauthorized(String),
    /// Not now.
    Throttled { after: Option<Span>, message: String },
    /// Nothing can be told from the answer, or there is none.
    Unavailable(String),
}

/// Reads the answer to something that may be repeated at will: the JSON object, or why there is none.
pub(crate) fn read(reply: Reply, words: Words) -> Result<Value, Fault> {
    let response = match reply {
        Ok(response) => response,
        Err(failure) => return Err(Fault::Unavailable(failure.to_string())),
    };
    match response.json().filter(Value::is_object) {
        Some(body) if response.is_success() => Ok(body),
        _ => Err(fault(&response, words)),
    }
}

/// Reads the answer to a question for a file: its text, or why there is none.
pub(crate) fn read_text(reply: Reply, words: Words) -> Result<String, Fault> {
    match reply {
        Ok(response) if response.is_success() => String::from_utf8(response.body.into())
            .map_err(|_| Fault::Unavailable("the answer is no text".to_owned())),
        Ok(response) => Err(fault(&response, words)),
        Err(failure) => Err(Fault::Unavailable(failure.to_string())),
    }
}

/// What an answer to a look-up says of a run.
pub(crate) fn status(
    reply: Reply,
    words: Words,
    standing: impl FnOnce(&Value) -> Option<(Phase, Option<String>)>,
) -> Option<Outcome> {
    match read(reply, words) {
        Ok(run) => standing(&run).map(|(phase, message)| Outcome::Status { phase, message }),
        Err(fault) => fault.of_run(),
    }
}

/// What an answer to a request to end a run says. A run that is gone, or is said to have ended, needs no more.
pub(crate) fn cancelled(reply: Reply, words: Words, ended: u16) -> Result<(), String> {
    match read_any(reply, words) {
        Ok(()) | Err(Fault::Missing) => Ok(()),
        Err(Fault::Refused { status, .. }) if status == ended => Ok(()),
        Err(fault) => Err(fault.to_string()),
    }
}

/// Reads an answer that need not hold anything.
fn read_any(reply: Reply, words: Words) -> Result<(), Fault> {
    match reply {
        Ok(response) if response.is_success() && response.body.is_empty() => Ok(()),
        reply => read(reply, words).map(|_| ()),
    }
}

/// A state that is in no table: the run goes on, and a person is told.
pub(crate) fn unknown_state(state: &str) -> (Phase, Option<String>) {
    (Phase::Running, Some(format!("unknown state: state=`{}`", clip(state))))
}

/// A text that is there and not empty.
pub(crate) fn text_at<'a>(body: &'a Value, pointer: &str) -> Option<&'a str> {
    body.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

fn fault(response: &Response, words: Words) -> Fault {
    let message = describe(response, words);
    let own = is_own(response, words);
    match response.status {
        // 2xx without data is most often a login page.
        200..=399 | 401 | 403 => Fault::Unauthorized(message),
        404 if own => Fault::Missing,
        429 => Fault::Throttled { after: retry_after(response), message },
        // Given up on the way, by whoever did.
        408 | 425 | 499 => Fault::Unavailable(message),
        400..=499 if own => Fault::Refused { status: response.status, message },
        _ => Fault::Unavailable(message),
    }
}

/// Reads the answer to a start.
pub(crate) fn started(
    reply: Reply,
    words: Words,
    run: impl FnOnce(&Value) -> Option<ExternalRun>,
) -> Outcome {
    let response = match reply {
        Ok(response) => response,
        Err(Failure::NotSent(message)) => return Outcome::NotStarted { after: None, message },
        Err(Failure::Unclear(message)) => return Outcome::Unclear(message),
    };
    if response.is_success() {
        let run = response.json().and_then(|body| run(&body));
        let unclear = || Outcome::Unclear("a start was answered without a run".to_owned());
        return run.map_or_else(unclear, Outcome::Started);
    }
    not_started(&response, words)
}

fn not_started(response: &Response, words: Words) -> Outcome {
    let message = describe(response, words);
    match response.status {
        // A login stands before the service, which itself answers no start so. Limits of a rate come as 403 as well, with
        // a time to wait.
        301 | 302 | 307 | 308 | 401 | 403 => {
            let after = retry_after(response).unwrap_or(UNAUTHORIZED_WAIT);
            Outcome::NotStarted { after: Some(after), message }
        }
        // It was given up on the way, or collided with something, which may be its own run.
        408 | 409 | 425 | 499 => Outcome::Unclear(message),
        429 => Outcome::NotStarted { after: retry_after(response), message },
        413 => Outcome::Rejected(message),
        400..=499 if is_own(response, words) => Outcome::Rejected(message),
        // Something in between refused it, which may pass.
        400..=499 => Outcome::NotStarted { after: None, message },
        _ => Outcome::Unclear(message),
    }
}

/// A start that was refused for good, in the service's words.
pub(crate) fn rejected(response: &Response, words: Words) -> Outcome {
    Outcome::Rejected(describe(response, words))
}

impl Fault {
    /// What a look-up that gave nothing says of a run; nothing where the service could not say.
    pub(crate) fn of_run(self) -> Option<Outcome> {
        match self {
            Self::Missing => Some(Outcome::Vanished),
            Self::Refused { message, .. } | Self::Unauthorized(message) => {
                Some(Outcome::Unseen(message))
            }
            Self::Throttled { .. } | Self::Unavailable(_) => None,
        }
    }

    /// What a fault means to a start that was not sent yet.
    pub(crate) fn before_start(self) -> Outcome {
        let message = self.to_string();
        match self {
            Self::Missing => {
                Outcome::Rejected("the service no longer knows what is to be run".to_owned())
            }
            // What is read is being changed.
            Self::Refused { status: 409, .. } => Outcome::NotStarted { after: None, message },
            Self::Refused { .. } => Outcome::Rejected(message),
            Self::Unauthorized(_) => {
                Outcome::NotStarted { after: Some(UNAUTHORIZED_WAIT), message }
            }
            Self::Throttled { after, .. } => Outcome::NotStarted { after, message },
            Self::Unavailable(_) => Outcome::NotStarted { after: None, message },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the service knows no such thing"),
            Self::Refused { message, .. }
            | Self::Unauthorized(message)
            | Self::Throttled { message, .. }
            | Self::Unavailable(message) => f.write_str(message),
        }
    }
}

/// A short text of what a service said, on one line.
pub(crate) fn clip(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn is_own(response: &Response, words: Words) -> bool {
    response.json().is_some_and(|body| words(&body).is_some())
}

fn describe(response: &Response, words: Words) -> String {
    let status = response.status;
    let said = response.json().and_then(|body| words(&body).map(clip));
    let what = match status {
        300..=399 => "the service sends to a login, or elsewhere",
        401 | 403 => "the service does not let us in",
        408 | 425 | 499 => "the request was given up",
        429 => "the service asks to wait",
        500..=599 => "the service is in trouble",
        400..=499 if said.is_some() => "the service refused",
        _ => "the answer is not the service's, as where a credential is missing",
    };
    match said {
        Some(said) if !said.is_empty() => format!("{what}: status=`{status}`, message=`{said}`"),
        _ => format!("{what}: status=`{status}`"),
    }
}

fn retry_after(response: &Response) -> Option<Span> {
    response.retry_after().map(|wait| wait.min(THROTTLED_WAIT_MAX))
}
