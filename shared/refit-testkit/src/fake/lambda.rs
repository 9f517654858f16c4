//! AWS Lambda, as its documentation describes it: the runtime interface (version 2018-06-01), by which a function asks
//! for the next invocation and says what came of it, and the one by which others invoke it (version 2015-03-31).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use super::server::{Answer, Reacting, Reaction, Request, Server, Site};

/// What every path of the runtime begins with.
const ROOT: [&str; 2] = ["2018-06-01", "runtime"];
/// What every path to a function begins with.
const FUNCTIONS: [&str; 2] = ["2015-03-31", "functions"];
/// The function, as headers name it.
const FUNCTION: &str = "arn:aws:lambda:eu-central-1:111122223333:function:refit";
/// The end of the time a function has, in milliseconds since 1970: far off.
const DEADLINE: &str = "4102444800000";

/// What came of an invocation: the answer, or the error with its `errorType` and `errorMessage`.
pub type Outcome = Result<Value, Value>;

/// An invocation that nobody waits for, as it was asked for.
#[derive(Clone, Debug)]
pub struct Invoked {
    /// The function, by its ARN.
    pub function: String,
    /// The header `authorization`.
    pub signature: String,
    /// What the function is given.
    pub payload: Value,
}

/// Both interfaces for one function, of which one instance runs.
pub struct Lambda {
    server: Server,
    invocations: Arc<Invocations>,
}

#[derive(Default)]
struct Invocations {
    line: Mutex<Line>,
    queued: Notify,
}

#[derive(Default)]
struct Line {
    count: usize,
    waiting: VecDeque<(String, String)>,
    under_way: BTreeMap<String, oneshot::Sender<Outcome>>,
    invoked: Vec<Invoked>,
}

impl fmt::Debug for Lambda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lambda").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl Lambda {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        let lambda = Self { server: Server::new(), invocations: Arc::default() };
        lambda.server.open(Arc::<Invocations>::clone(&lambda.invocations));
        lambda
    }

    /// Host and port.
    #[must_use]
    pub fn place(&self) -> String {
        self.server.place()
    }

    /// The variables Lambda sets for a function.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_LAMBDA_RUNTIME_API", self.place()),
            ("AWS_LAMBDA_FUNCTION_NAME", "refit".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ]
    }

    /// The invocations that others have asked for, and did not wait for.
    #[must_use]
    pub fn invoked(&self) -> Vec<Invoked> {
        self.invocations.lock().invoked.clone()
    }

    /// Invokes the function and waits for what comes of it.
    ///
    /// # Panics
    /// If the interface is gone.
    pub async fn invoke(&self, payload: &Value) -> Outcome {
        let outcome = self.invocations.queue(payload);
        outcome.await.expect("an invocation ends once")
    }
}

impl Invocations {
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, payload: &Value) -> oneshot::Receiver<Outcome> {
        let (ended, outcome) = oneshot::channel();
        let mut line = self.lock();
        line.count += 1;
        let id = format!("invocation-{}", line.count);
        line.waiting.push_back((id.clone(), payload.to_string()));
        line.under_way.insert(id, ended);
        drop(line);
        self.queued.notify_one();
        outcome
    }

    async fn next(&self) -> Answer {
        loop {
            let queued = self.queued.notified();
            if let Some((id, payload)) = self.lock().waiting.pop_front() {
                return Answer::text(200, "application/json", &payload)
                    .with("lambda-runtime-aws-request-id", &id)
                    .with("lambda-runtime-deadline-ms", DEADLINE)
                    .with("lambda-runtime-invoked-function-arn", FUNCTION);
            }
            queued.await;
        }
    }

    fn end(&self, id: &str, outcome: Outcome) -> Answer {
        match self.lock().under_way.remove(id) {
            Some(ended) => {
                // Whoever invoked may not wait any more.
                let _ = ended.send(outcome);
                Answer::json(202, &json!({ "status": "OK" }))
            }
            None => Answer::json(400, &json!({ "errorType": "InvalidRequestID" })),
        }
    }

    /// Queues an invocation and answers that it is queued.
    fn invoke(&self, function: &str, request: &Request) -> Answer {
        if request.header("x-amz-invocation-type") != "Event" {
            let message = "only invocations that nobody waits for are played";
            return Answer::json(400, &json!({ "message": message }));
        }
        let (signature, payload) = (request.header("authorization").to_owned(), request.json());
        // Nobody hears what comes of it.
        drop(self.queue(&payload));
        self.lock().invoked.push(Invoked { function: function.to_owned(), signature, payload });
        Answer::text(202, "application/json", "")
    }

    async fn answer(&self, request: Request) -> Answer {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        if let (true, Some([function, "invocations"])) =
            (request.method == "POST", path.strip_prefix(&FUNCTIONS))
        {
            return self.invoke(function, &request);
        }
        match (request.method.as_str(), path.strip_prefix(&ROOT)) {
            ("GET", Some(["invocation", "next"])) => self.next().await,
            ("POST", Some(["invocation", id, "response"])) => self.end(id, Ok(request.json())),
            ("POST", Some(["invocation", id, "error"])) => self.end(id, Err(request.json())),
            _ => Answer::json(404, &json!({})),
        }
    }
}

impl Site for Invocations {
    fn react(self: Arc<Self>, request: Request) -> Reacting {
        Box::pin(async move { Reaction::Answer(self.answer(request).await) })
    }
}
