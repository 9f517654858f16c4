//! A transport that answers by script.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use refit_engine::port::Transport;
use refit_wire::http::{Reply, Request};

use crate::recording;

/// An answer as [recordings](crate::recording::answer) have it.
///
/// # Panics
/// If it is none.
pub fn recorded(text: &str) -> Reply {
    recording::answer(text).expect("an answer as recordings have it")
}

/// One exchange of a script.
#[derive(Clone, Debug)]
struct Exchange {
    /// Method and URL.
    line: String,
    reply: Reply,
}

/// A transport that expects requests in an order and fails the test at any other.
#[derive(Default)]
pub struct ScriptedTransport {
    script: Mutex<VecDeque<Exchange>>,
    sent: Mutex<Vec<Request>>,
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptedTransport")
    }
}

impl ScriptedTransport {
    /// A transport that expects no request yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects one more request, given as its method and URL (`GET http://host/path`), and answers it so.
    ///
    /// # Panics
    /// If another holder of the script panicked.
    #[must_use]
    pub fn expect(self, line: &str, reply: Reply) -> Self {
        let exchange = Exchange { line: line.to_owned(), reply };
        self.script.lock().expect("no holder of the lock panics").push_back(exchange);
        self
    }

    /// The requests sent so far.
    ///
    /// # Panics
    /// If another holder of the list panicked.
    #[must_use]
    pub fn sent(&self) -> Vec<Request> {
        self.sent.lock().expect("no holder of the lock panics").clone()
    }

    /// Demands that everything expected was sent.
    ///
    /// # Panics
    /// If it was not.
    pub fn done(&self) {
        let left: Vec<String> = {
            let script = self.script.lock().expect("no holder of the lock panics");
            script.iter().map(|exchange| exchange.line.clone()).collect()
        };
        assert!(left.is_empty(), "never sent: {left:?}");
    }
}

#[async_trait]
impl Transport for ScriptedTransport {
    async fn send(&self, request: Request) -> Reply {
        let line = format!("{} {}", request.method, request.url);
        let next = self.script.lock().expect("no holder of the lock panics").pop_front();
        let exchange =
            next.unwrap_or_else(|| panic!("unexpected request, the script is over: {line}"));
        assert_eq!(line, exchange.line, "unexpected request");
        self.sent.lock().expect("no holder of the lock panics").push(request);
        exchange.reply
    }
}
