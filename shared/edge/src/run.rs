//! Running a function in Lambda.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use axum::Router;
use domain::id;
use lambda_runtime::{Context, LambdaEvent};
use observe::log;
use observe::meter::{self, Meter};
use observe::metrics::Metric;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::util::MapRequest;
use tracing::Instrument as _;

use crate::app::App;
use crate::boundary::{boundary, with_encoded_path};

/// Runs an HTTP function in Lambda; its `main` calls only this.
///
/// # Errors
/// The reason why it did not start; Lambda logs it.
pub fn run(routes: Router<App>) -> Result<(), lambda_http::Error> {
    start(async |app| lambda_http::run(MapRequest::new(boundary(routes, app), with_encoded_path)).await)
}

/// Runs a function in Lambda that handles events of the `WebSocket` API, of the table's stream or of the clock; its `main`
/// calls only this.
///
/// # Errors
/// The reason why it did not start; Lambda logs it.
pub fn run_events<E, A, F>(
    handler: impl Fn(App, E) -> F + Send + Sync + 'static,
) -> Result<(), lambda_http::Error>
where
    E: DeserializeOwned,
    A: Serialize,
    F: Future<Output = Result<A, String>> + Send + 'static,
{
    // Erases the handler's type, so that Lambda's runtime is compiled once instead of once per function.
    let handler: JsonHandler = Box::new(move |app, event| match serde_json::from_value(event) {
        Ok(event) => {
            let call = handler(app, event);
            Box::pin(async move { serde_json::to_value(call.await?).map_err(|error| error.to_string()) })
        }
        Err(error) => Box::pin(std::future::ready(Err(format!("malformed event: {error}")))),
    });
    run_json_events(&handler)
}

type JsonCall = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;
type JsonHandler = Box<dyn Fn(App, Value) -> JsonCall + Send + Sync>;

fn run_json_events(handler: &JsonHandler) -> Result<(), lambda_http::Error> {
    start(async |app| {
        let handle = |event: LambdaEvent<Value>| {
            let call = handler(app.clone(), event.payload);
            observed(app.clone(), None, event.context, call)
        };
        lambda_runtime::run(lambda_runtime::service_fn(handle)).await
    })
}

/// Runs a call of an event function and records it as one observation, with Lambda's ids if there are any. A process
/// that runs several functions names the `function`.
///
/// # Errors
/// Those of the call.
pub async fn observed<A>(
    app: App,
    function: Option<&'static str>,
    context: Context,
    call: impl Future<Output = Result<A, String>>,
) -> Result<A, String> {
    let began = Instant::now();
    let in_lambda = !context.request_id.is_empty();
    let request_id = if in_lambda { context.request_id } else { id::request_token() };
    let trace_id = context.xray_trace_id.as_deref().and_then(log::trace_id);
    let span = tracing::error_span!("request", request_id, trace_id);
    let meter = Meter::default();
    let call = async {
        function.into_iter().for_each(meter::serve_as);
        call.await
    };
    let answer = meter.watch(call.instrument(span)).await;
    let mut observation = meter.observation();
    observation.add(Metric::Latency, meter::millis(began.elapsed()));
    if let Some(trace_id) = trace_id {
        observation.fields.insert("trace_id".to_owned(), trace_id.into());
    }
    if in_lambda {
        observation.fields.insert("lambda_request_id".to_owned(), request_id.as_str().into());
    }
    observation.fields.insert("request_id".to_owned(), request_id.into());
    app.observer.record(&observation, app.store.now());
    answer
}

fn start<F>(run: impl FnOnce(App) -> F) -> Result<(), lambda_http::Error>
where
    F: Future<Output = Result<(), lambda_http::Error>>,
{
    tracing::subscriber::set_global_default(log::json(std::io::stdout))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { run(App::from_env().await?).await })
}
