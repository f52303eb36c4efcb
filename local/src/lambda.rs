//! Functions outside this process, invoked as Lambda invokes them: with an event as JSON, one at a time in each
//! process.
//!
//! Invariant: an invocation, once begun, runs to its end or to its time limit, whoever still waits for it.

mod elsewhere;
mod http;
mod processes;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::stream;
use crate::websocket::{Functions, call};

pub use self::elsewhere::Elsewhere;
pub(crate) use self::http::routes;
pub use self::processes::{Processes, Setup};

/// The largest event and the largest answer, in bytes (Lambda's quota for synchronous invocations).
pub const PAYLOAD: usize = 6 * 1024 * 1024;
/// How long a function may take, as in the template; those of the stream have [`stream::TIMEOUT`].
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// Where the functions run, if not in this process as plain code.
#[derive(Clone)]
pub enum Lambda {
    /// In processes of this machine, which ask a Runtime API for work.
    Processes(Processes),
    /// Behind an Invoke API, which whoever started it keeps running.
    Elsewhere(Box<Elsewhere>),
}

/// Why an invocation has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The function's own error: its `errorMessage`.
    Error(String),
    /// It did not start, ended before it had answered, or answered what cannot be read.
    Broken(String),
    /// It took too long.
    Timeout,
    /// The event is larger than [`PAYLOAD`].
    TooLarge,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(message) => write!(f, "it failed: {message}"),
            Self::Broken(what) => f.write_str(what),
            Self::Timeout => f.write_str("it took too long"),
            Self::TooLarge => f.write_str("its event is over 6 MB"),
        }
    }
}

impl Lambda {
    /// Invokes a function, by its name, with an event; gives its answer.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn invoke<E, A>(&self, function: &'static str, event: &E) -> Result<A, Failure>
    where
        E: Serialize + Sync,
        A: DeserializeOwned,
    {
        let unreadable = |error: serde_json::Error| Failure::Broken(format!("unreadable: {error}"));
        let event = Bytes::from(serde_json::to_vec(event).map_err(unreadable)?);
        if event.len() > PAYLOAD {
            return Err(Failure::TooLarge);
        }
        let limit = if functions::STREAM.contains(&function) { stream::TIMEOUT } else { TIMEOUT };
        let this = self.clone();
        let run = tokio::spawn(async move {
            match this {
                Self::Processes(processes) => processes.invoke(function, event, limit).await,
                Self::Elsewhere(elsewhere) => elsewhere.invoke(function, event, limit).await,
            }
        });
        let answer = run.await.map_err(|error| Failure::Broken(error.to_string()))??;
        serde_json::from_slice(&answer).map_err(unreadable)
    }

    /// The functions of the `WebSocket` API.
    #[must_use]
    pub fn socket_functions(&self) -> Functions {
        macro_rules! on {
            ($function:literal) => {{
                let lambda = self.clone();
                call(move |event| {
                    let lambda = lambda.clone();
                    async move { lambda.invoke($function, &event).await.map_err(Failure::message) }
                })
            }};
        }
        Functions {
            authorize: on!("ws-authorizer"),
            connect: on!("ws-connect"),
            disconnect: on!("ws-disconnect"),
            message: on!("ws-message"),
        }
    }

    /// The function that the table's stream wakes.
    #[must_use]
    pub fn stream_function(&self) -> stream::Function {
        let lambda = self.clone();
        call(move |event| {
            let lambda = lambda.clone();
            async move { lambda.invoke("fan-out", &event).await.map_err(Failure::message) }
        })
    }

    /// Ends the processes, if they are of this machine.
    pub async fn stop(self) {
        if let Self::Processes(processes) = self {
            processes.stop().await;
        }
    }
}

impl Failure {
    /// What the gateway of sockets tells failures apart by: the function's own words.
    fn message(self) -> String {
        match self {
            Self::Error(message) => message,
            other => other.to_string(),
        }
    }
}
