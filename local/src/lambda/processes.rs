//! Functions as processes of one binary, behind Lambda's Runtime API.
//! (`docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html`.)
//!
//! Invariant: a process handles at most one invocation at a time. After an invocation that failed in any other way than
//! by returning an error, the process is killed, because its state is unknown.
//!
//! As in Lambda, a process is started when there is work and no idle process, and stays for later work. Unlike in
//! Lambda, work waits while the maximum number of processes is busy, and idle processes stop only with the stack.

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

use super::failure::{Failure, PAYLOAD};

/// File name of the binary: the one that the runtime `provided.al2023` starts.
const BINARY: &str = "bootstrap";
/// Time limit for a process to ask for work (Lambda's limit of the Init phase).
const INIT: Duration = Duration::from_secs(10);

/// How processes are started.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The folder that contains the binary `bootstrap`.
    pub folder: PathBuf,
    /// Environment variables, in addition to this process's own and to those that Lambda sets.
    pub variables: Vec<(String, String)>,
    /// Maximum number of processes per function.
    pub max_processes: usize,
    /// Whether to discard the processes' logs.
    pub quiet: bool,
}

/// The processes of all functions; clones share them.
#[derive(Clone)]
pub struct Processes(Arc<Inner>);

struct Inner {
    setup: Setup,
    functions: Mutex<HashMap<&'static str, Arc<Function>>>,
    /// Whether the stack is stopping. Each process's supervisor holds a receiver until the process has ended.
    stopping: watch::Sender<bool>,
}

struct Function {
    idle: Mutex<Vec<Process>>,
    permits: Arc<Semaphore>,
}

type Outcome = Result<Bytes, Failure>;

/// An event for a process.
struct Job {
    id: String,
    event: Bytes,
    /// End of the time limit, in milliseconds since 1970.
    deadline: i64,
    answer: oneshot::Sender<Outcome>,
}

/// A process, killed on drop.
struct Process {
    jobs: mpsc::Sender<Job>,
    /// Whether it has asked for work.
    ready: watch::Receiver<bool>,
    ended: watch::Receiver<bool>,
    runtime: Arc<Runtime>,
    _drop_signal: oneshot::Sender<()>,
}

impl Processes {
    /// Creates an empty set of processes; invocations start them.
    ///
    /// # Errors
    /// If the folder has no binary.
    pub fn new(setup: Setup) -> io::Result<Self> {
        let binary = setup.folder.join(BINARY);
        if !binary.is_file() {
            let text = format!("{}: the binary does not exist", binary.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let (stopping, _) = watch::channel(false);
        Ok(Self(Arc::new(Inner { setup, functions: Mutex::default(), stopping })))
    }

    /// Invokes a function in an idle process, or in a new one.
    pub(super) async fn invoke(&self, name: &'static str, event: Bytes, limit: Duration) -> Outcome {
        let function = self.function(name);
        let permit = Arc::clone(&function.permits).acquire_owned().await;
        let _permit: OwnedSemaphorePermit =
            permit.map_err(|_| Failure::Broken("the stack is stopping".to_owned()))?;
        for _ in 0..=self.0.setup.max_processes {
            let idle = std::iter::from_fn(|| lock(&function.idle).pop()).find(Process::is_running);
            let process = match idle {
                Some(process) => process,
                None => self.start(name).await.map_err(|error| {
                    tracing::error!(function = name, %error, "cannot start the function");
                    Failure::Broken(format!("cannot start the function: {error}"))
                })?,
            };
            // An idle process may have ended just now, before it saw the event: try the next one.
            let Some(outcome) = process.run(event.clone(), limit).await else { continue };
            match &outcome {
                Ok(_) | Err(Failure::Error(_)) => lock(&function.idle).push(process),
                Err(failure) => tracing::error!(function = name, %failure, "an invocation failed"),
            }
            return outcome;
        }
        Err(Failure::Broken("all processes ended before they saw the event".to_owned()))
    }

    /// Kills all processes and waits until they have ended. Pending and later invocations fail.
    pub(super) async fn stop(&self) {
        for function in lock(&self.0.functions).values() {
            function.permits.close();
        }
        self.0.stopping.send_replace(true);
        self.0.stopping.closed().await;
    }

    fn function(&self, name: &'static str) -> Arc<Function> {
        let new = || Function {
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(self.0.setup.max_processes)),
        };
        Arc::clone(lock(&self.0.functions).entry(name).or_insert_with(|| Arc::new(new())))
    }

    async fn start(&self, name: &str) -> io::Result<Process> {
        let stopping = self.0.stopping.subscribe();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = listener.local_addr()?.to_string();
        let child = self.command(name, &api).spawn()?;
        let (jobs, queue) = mpsc::channel(1);
        let (asked, ready) = watch::channel(false);
        let (set_ended, ended) = watch::channel(false);
        let (drop_signal, dropped) = oneshot::channel();
        let runtime = Arc::new(Runtime { queue: queue.into(), current: Mutex::default(), asked });
        let served = Arc::clone(&runtime);
        let name = name.to_owned();
        tokio::spawn(async move {
            supervise(&name, child, listener, served, stopping, dropped).await;
            let _ = set_ended.send(true);
        });
        Ok(Process { jobs, ready, ended, runtime, _drop_signal: drop_signal })
    }

    /// Returns the command that starts a function, with the environment that Lambda sets.
    /// (`docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html`.)
    fn command(&self, name: &str, api: &str) -> Command {
        let Setup { folder, variables, quiet, .. } = &self.0.setup;
        let mut command = Command::new(folder.join(BINARY));
        // A function's output goes to standard error: standard output belongs to the stack.
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
            // Keep Ctrl-C in a terminal from the processes: the stack stops them once they have answered.
            .process_group(0);
        command
    }
}

impl Process {
    fn is_running(&self) -> bool {
        !*self.ended.borrow()
    }

    /// Runs an event. Returns `None` if the process ended before it saw the event, unless it never asked for work: that
    /// is a failure.
    async fn run(&self, event: Bytes, limit: Duration) -> Option<Outcome> {
        let (mut ready, mut ended) = (self.ready.clone(), self.ended.clone());
        let broken = |text: &str| Some(Err(Failure::Broken(text.to_owned())));
        // The time limit does not include the start of the process.
        tokio::select! {
            biased;
            Ok(_) = ready.wait_for(|ready| *ready) => {}
            _ = ended.wait_for(|ended| *ended) => return broken("the function ended before it asked for work"),
            () = tokio::time::sleep(INIT) => return broken("the function did not ask for work within 10 s"),
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
                let seen = lock(&self.runtime.current).as_ref().is_some_and(|(current, _)| *current == id);
                if seen { broken("the function ended before it answered") } else { None }
            }
            () = tokio::time::sleep_until(until) => Some(Err(Failure::Timeout)),
        }
    }
}

/// The state of a process's Runtime API.
struct Runtime {
    queue: tokio::sync::Mutex<mpsc::Receiver<Job>>,
    /// The current invocation: its id, and where its outcome goes.
    current: Mutex<Option<(String, oneshot::Sender<Outcome>)>>,
    /// Set once the process has asked for work.
    asked: watch::Sender<bool>,
}

/// Serves a process's Runtime API until the process ends, is dropped, or the stack stops; then kills the process.
async fn supervise(
    name: &str,
    mut child: Child,
    listener: TcpListener,
    runtime: Arc<Runtime>,
    mut stopping: watch::Receiver<bool>,
    dropped: oneshot::Receiver<()>,
) {
    let served = tokio::spawn(async move { axum::serve(listener, runtime_api(runtime)).await });
    tokio::select! {
        status = child.wait() => match status {
            Ok(status) => tracing::error!(function = name, %status, "the function ended unexpectedly"),
            Err(error) => tracing::error!(function = name, %error, "cannot wait for the function's process"),
        },
        _ = dropped => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    // The process has ended after this, also if it had ended before.
    let _ = child.kill().await;
    served.abort();
}

fn runtime_api(runtime: Arc<Runtime>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .layer(DefaultBodyLimit::max(PAYLOAD))
        .with_state(runtime)
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    let _ = runtime.asked.send(true);
    let job = runtime.queue.lock().await.recv().await;
    let Some(Job { id, event, deadline, answer }) = job else { return StatusCode::GONE.into_response() };
    *lock(&runtime.current) = Some((id.clone(), answer));
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", ARN.to_owned()),
    ];
    (headers, event).into_response()
}

/// A placeholder for the function's ARN.
const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:local";

async fn response(
    State(runtime): State<Arc<Runtime>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> StatusCode {
    let (status, outcome) = match body {
        Ok(body) => (StatusCode::ACCEPTED, Ok(body)),
        Err(rejection) => (
            rejection.status(),
            Err(Failure::Error(format!("the answer cannot be read: {}", rejection.body_text()))),
        ),
    };
    runtime.complete(&id, outcome).unwrap_or(status)
}

/// The body in which a function reports an error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Diagnostic {
    error_message: String,
}

async fn error(State(runtime): State<Arc<Runtime>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    runtime.complete(&id, Err(Failure::Error(message(&body)))).unwrap_or(StatusCode::ACCEPTED)
}

async fn init_error(body: Bytes) -> StatusCode {
    tracing::error!(message = message(&body), "a function failed to start");
    StatusCode::ACCEPTED
}

/// Returns the error message in a body, or the whole body if it is not JSON of that form.
pub(super) fn message(body: &[u8]) -> String {
    let diagnostic = serde_json::from_slice(body);
    diagnostic.map_or_else(
        |_| String::from_utf8_lossy(body).into_owned(),
        |Diagnostic { error_message }| error_message,
    )
}

impl Runtime {
    /// Completes the current invocation. Returns an error status if it has another id.
    fn complete(&self, id: &str, outcome: Outcome) -> Option<StatusCode> {
        let Some((_, answer)) = lock(&self.current).take_if(|(current, _)| *current == id) else {
            return Some(StatusCode::BAD_REQUEST);
        };
        // The caller may have stopped waiting.
        let _ = answer.send(outcome);
        None
    }
}

/// Locks a mutex and ignores poisoning, because no code panics while it holds one of these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
