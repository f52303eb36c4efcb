//! Functions as processes of one binary, behind Lambda's Runtime API.
//! (`docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html`.)
//!
//! Invariant: a process has at most one invocation, and one that has failed at it in any way but by saying so is
//! never given another.
//!
//! As in Lambda, processes are started when there is work and no idle one, and stay for later work. Unlike in
//! Lambda, work waits where as many run as may, and idle processes are ended only with the stack.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use domain::id::{self, Clock};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::{Failure, PAYLOAD};

/// The binary's name in its folder: the one that the runtime `provided.al2023` starts.
const BINARY: &str = "bootstrap";
/// How long a process may take until it asks for work (Lambda's limit of the Init phase).
const INIT: Duration = Duration::from_secs(10);

/// How processes are started.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The folder of the binary `bootstrap`.
    pub folder: PathBuf,
    /// Variables of their environment, besides this process's own and those that Lambda sets.
    pub variables: Vec<(String, String)>,
    /// How many processes a function may have at once.
    pub most: usize,
    /// Whether what they log is thrown away.
    pub quiet: bool,
}

/// The processes of all functions; clones are the same ones.
#[derive(Clone)]
pub struct Processes(Arc<Inner>);

struct Inner {
    setup: Setup,
    functions: Mutex<HashMap<&'static str, Arc<Function>>>,
    /// Whether the stack stops; each process's keeper listens, to its end.
    stopping: watch::Sender<bool>,
}

struct Function {
    idle: Mutex<Vec<Process>>,
    places: Arc<Semaphore>,
}

type Outcome = Result<Bytes, Failure>;

/// An event for a process.
struct Job {
    id: String,
    event: Bytes,
    /// The end of its time, in milliseconds since 1970.
    deadline: i64,
    answer: oneshot::Sender<Outcome>,
}

/// A process; dropped, it is killed.
struct Process {
    jobs: mpsc::Sender<Job>,
    /// Whether it has asked for work.
    ready: watch::Receiver<bool>,
    ended: watch::Receiver<bool>,
    desk: Arc<Desk>,
    _keep: oneshot::Sender<()>,
}

impl Processes {
    /// No processes yet.
    ///
    /// # Errors
    /// Where the folder has no binary.
    pub fn new(setup: Setup) -> io::Result<Self> {
        let binary = setup.folder.join(BINARY);
        if !binary.is_file() {
            let text = format!("{}: there is no such binary", binary.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let (stopping, _) = watch::channel(false);
        Ok(Self(Arc::new(Inner { setup, functions: Mutex::default(), stopping })))
    }

    /// Has an idle process do it, or a new one.
    pub(super) async fn invoke(&self, name: &'static str, event: Bytes, limit: Duration) -> Outcome {
        let function = self.function(name);
        let place = Arc::clone(&function.places).acquire_owned().await;
        let _place: OwnedSemaphorePermit =
            place.map_err(|_| Failure::Broken("the stack stops".to_owned()))?;
        for _ in 0..=self.0.setup.most {
            let idle = std::iter::from_fn(|| locked(&function.idle).pop()).find(Process::lives);
            let process = match idle {
                Some(process) => process,
                None => self.start(name).await.map_err(|error| {
                    tracing::error!(function = name, %error, "the function does not start");
                    Failure::Broken(format!("it does not start: {error}"))
                })?,
            };
            // An idle one may have ended this moment, without having seen the event.
            let Some(outcome) = process.run(event.clone(), limit).await else { continue };
            match &outcome {
                Ok(_) | Err(Failure::Error(_)) => locked(&function.idle).push(process),
                Err(failure) => tracing::error!(function = name, %failure, "an invocation has failed"),
            }
            return outcome;
        }
        Err(Failure::Broken("its processes end before they see the event".to_owned()))
    }

    /// Kills all processes and waits for their ends. What is under way fails, and so does what comes later.
    pub(super) async fn stop(&self) {
        for function in locked(&self.0.functions).values() {
            function.places.close();
        }
        self.0.stopping.send_replace(true);
        self.0.stopping.closed().await;
    }

    fn function(&self, name: &'static str) -> Arc<Function> {
        let new = || Function { idle: Mutex::default(), places: Arc::new(Semaphore::new(self.0.setup.most)) };
        Arc::clone(locked(&self.0.functions).entry(name).or_insert_with(|| Arc::new(new())))
    }

    async fn start(&self, name: &str) -> io::Result<Process> {
        let stopping = self.0.stopping.subscribe();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = listener.local_addr()?.to_string();
        let child = self.command(name, &api).spawn()?;
        let (jobs, queue) = mpsc::channel(1);
        let (asked, ready) = watch::channel(false);
        let (over, ended) = watch::channel(false);
        let (keep, dropped) = oneshot::channel();
        let desk = Arc::new(Desk { queue: queue.into(), current: Mutex::default(), asked });
        let served = Arc::clone(&desk);
        let name = name.to_owned();
        tokio::spawn(async move {
            see_through(&name, child, listener, served, stopping, dropped).await;
            let _ = over.send(true);
        });
        Ok(Process { jobs, ready, ended, desk, _keep: keep })
    }

    /// The command of a function, with the environment that Lambda gives it.
    /// (`docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html`.)
    fn command(&self, name: &str, api: &str) -> Command {
        let Setup { folder, variables, quiet, .. } = &self.0.setup;
        let mut command = Command::new(folder.join(BINARY));
        // What a function says goes to the log: standard output is the stack's own.
        let log = || if *quiet { Stdio::null() } else { Stdio::from(io::stderr()) };
        command
            .env("AWS_LAMBDA_RUNTIME_API", api)
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023")
            .env("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true")
            .env("LAMBDA_TASK_ROOT", folder)
            .env("TZ", ":UTC")
            .env("_HANDLER", name)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .kill_on_drop(true)
            // Ctrl-C in a terminal is for the stack, which ends them once they have answered.
            .process_group(0);
        command
    }
}

impl Process {
    fn lives(&self) -> bool {
        !*self.ended.borrow()
    }

    /// Has it handle an event; `None` where it has ended and has not seen it. One that never asked for work has failed.
    async fn run(&self, event: Bytes, limit: Duration) -> Option<Outcome> {
        let (mut ready, mut ended) = (self.ready.clone(), self.ended.clone());
        let broken = |text: &str| Some(Err(Failure::Broken(text.to_owned())));
        // The time to start is not the invocation's.
        tokio::select! {
            biased;
            Ok(_) = ready.wait_for(|ready| *ready) => {}
            _ = ended.wait_for(|ended| *ended) => return broken("it ended before it asked for work"),
            () = tokio::time::sleep(INIT) => return broken("it did not ask for work in 10 s"),
        }
        let now = Clock::default().now().millis();
        let deadline = now.saturating_add(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX));
        let until = Instant::now() + limit;
        let (answer, answered) = oneshot::channel();
        let id = id::request_token();
        self.jobs.send(Job { id: id.clone(), event, deadline, answer }).await.ok()?;
        tokio::select! {
            biased;
            Ok(outcome) = answered => Some(outcome),
            _ = ended.wait_for(|ended| *ended) => {
                let seen = locked(&self.desk.current).as_ref().is_some_and(|(current, _)| *current == id);
                if seen { broken("it ended before it had answered") } else { None }
            }
            () = tokio::time::sleep_until(until) => Some(Err(Failure::Timeout)),
        }
    }
}

/// What a process asks.
struct Desk {
    queue: tokio::sync::Mutex<mpsc::Receiver<Job>>,
    current: Mutex<Option<(String, oneshot::Sender<Outcome>)>>,
    asked: watch::Sender<bool>,
}

/// The whole life of a process, with a Runtime API of its own.
async fn see_through(
    name: &str,
    mut child: Child,
    listener: TcpListener,
    desk: Arc<Desk>,
    mut stopping: watch::Receiver<bool>,
    dropped: oneshot::Receiver<()>,
) {
    let served = tokio::spawn(async move { axum::serve(listener, runtime_api(desk)).await });
    tokio::select! {
        status = child.wait() => match status {
            Ok(status) => tracing::error!(function = name, %status, "the function has ended by itself"),
            Err(error) => tracing::error!(function = name, %error, "the function is lost"),
        },
        _ = dropped => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    // It is gone after this, also where it had ended already.
    let _ = child.kill().await;
    served.abort();
}

fn runtime_api(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .layer(DefaultBodyLimit::max(PAYLOAD))
        .with_state(desk)
}

async fn next(State(desk): State<Arc<Desk>>) -> Response {
    let _ = desk.asked.send(true);
    let job = desk.queue.lock().await.recv().await;
    let Some(Job { id, event, deadline, answer }) = job else { return StatusCode::GONE.into_response() };
    *locked(&desk.current) = Some((id.clone(), answer));
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", ARN.to_owned()),
    ];
    (headers, event).into_response()
}

/// Some function of no account.
const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:local";

async fn response(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> StatusCode {
    let (status, outcome) = match body {
        Ok(body) => (StatusCode::ACCEPTED, Ok(body)),
        Err(rejection) => {
            (rejection.status(), Err(Failure::Error(format!("its answer: {}", rejection.body_text()))))
        }
    };
    desk.settle(&id, outcome).unwrap_or(status)
}

/// What a function says of its own failure.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Diagnostic {
    error_message: String,
}

async fn error(State(desk): State<Arc<Desk>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    desk.settle(&id, Err(Failure::Error(message(&body)))).unwrap_or(StatusCode::ACCEPTED)
}

async fn init_error(body: Bytes) -> StatusCode {
    tracing::error!(message = message(&body), "a function has failed to start");
    StatusCode::ACCEPTED
}

/// The message of an error's body.
pub(super) fn message(body: &[u8]) -> String {
    let diagnostic = serde_json::from_slice(body);
    diagnostic.map_or_else(
        |_| String::from_utf8_lossy(body).into_owned(),
        |Diagnostic { error_message }| error_message,
    )
}

impl Desk {
    /// Ends the invocation under way; a status where it is another.
    fn settle(&self, id: &str, outcome: Outcome) -> Option<StatusCode> {
        let Some((_, answer)) = locked(&self.current).take_if(|(current, _)| *current == id) else {
            return Some(StatusCode::BAD_REQUEST);
        };
        // Whoever waited for it may be gone.
        let _ = answer.send(outcome);
        None
    }
}

/// Nothing panics while it holds one of these.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
