//! Functions outside this process, invoked as Lambda invokes them: with an event as JSON, and one at a time in each
//! process.
//!
//! Invariant: an invocation that has begun runs to its end or its time limit, even if its caller has stopped waiting.

mod failure;
pub(crate) mod http;
mod invoke_api;
mod processes;

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::websocket::{Functions, call};
use crate::{stream, sweeping};

pub use self::failure::{Failure, PAYLOAD};
pub use self::invoke_api::InvokeApi;
pub use self::processes::{Processes, Setup};

/// Time limit of a function, as in the template; functions of the stream have [`stream::TIMEOUT`], and those of the clock
/// [`sweeping::TIMEOUT`].
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// The runtime of the functions, if they are not code in this process.
#[derive(Clone)]
pub enum Lambda {
    /// In child processes, which ask a Runtime API for work.
    Processes(Processes),
    /// Behind an Invoke API that another program serves.
    InvokeApi(Box<InvokeApi>),
}

impl Lambda {
    /// Invokes a function by its name and returns its answer.
    ///
    /// # Errors
    /// [`Failure`], if the function has no valid answer.
    pub async fn invoke<E, A>(&self, function: &'static str, event: &E) -> Result<A, Failure>
    where
        E: Serialize + Sync,
        A: DeserializeOwned,
    {
        let invalid = |error: serde_json::Error| Failure::Broken(format!("invalid JSON: {error}"));
        let event = Bytes::from(serde_json::to_vec(event).map_err(invalid)?);
        if event.len() > PAYLOAD {
            return Err(Failure::TooLarge);
        }
        let limit = match function {
            name if functions::STREAM.contains(&name) => stream::TIMEOUT,
            name if functions::CLOCK.contains(&name) => sweeping::TIMEOUT,
            _ => TIMEOUT,
        };
        let this = self.clone();
        let run = tokio::spawn(async move {
            match this {
                Self::Processes(processes) => processes.invoke(function, event, limit).await,
                Self::InvokeApi(api) => api.invoke(function, event, limit).await,
            }
        });
        let answer = run.await.map_err(|error| Failure::Broken(error.to_string()))??;
        serde_json::from_slice(&answer).map_err(invalid)
    }

    /// Returns the functions of the `WebSocket` API.
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

    /// Returns the function that fans out changes, woken by the table's stream.
    #[must_use]
    pub fn stream_function(&self) -> stream::Function {
        self.function_of_the_stream("fan-out")
    }

    /// Returns the function that notifies users, woken by the table's stream and by the clock.
    #[must_use]
    pub fn notify_function(&self) -> stream::Function {
        self.function_of_the_stream("notify")
    }

    /// Returns the function that sweeps files, invoked by the clock.
    #[must_use]
    pub fn sweep_function(&self) -> sweeping::Function {
        let lambda = self.clone();
        call(move |event| {
            let lambda = lambda.clone();
            async move { lambda.invoke("sweep", &event).await.map_err(Failure::message) }
        })
    }

    fn function_of_the_stream(&self, name: &'static str) -> stream::Function {
        let lambda = self.clone();
        call(move |event| {
            let lambda = lambda.clone();
            async move { lambda.invoke(name, &event).await.map_err(Failure::message) }
        })
    }

    /// Stops the child processes, if there are any.
    pub async fn stop(self) {
        if let Self::Processes(processes) = self {
            processes.stop().await;
        }
    }
}
