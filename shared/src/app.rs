//! What a function holds, and how it starts.

use std::sync::Arc;
use std::time::Instant;

use aws_config::BehaviorVersion;
use axum::Router;
use lambda_runtime::{Context, LambdaEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::auth::{MIN_SECRET, Signer, Verifier};
use crate::error::Source;
use crate::http::boundary;
use crate::id::{self, Clock};
use crate::jwks::JwksUrl;
use crate::log;
use crate::meter::{self, Meter};
use crate::metrics::{Metric, Observer};
use crate::page::CursorKey;
use crate::push::Push;
use crate::store::Store;

/// What every function holds: built once, cloned for each request.
#[derive(Clone)]
pub struct App {
    /// The table.
    pub store: Store,
    /// The way to the sockets.
    pub push: Push,
    /// Who is calling.
    pub verifier: Arc<Verifier>,
    /// What signs the tokens of those who registered here.
    pub signer: Option<Arc<Signer>>,
    /// Whether people may register.
    pub registration: bool,
    /// Whether users may be searched for.
    pub directory: bool,
    /// What signs cursors, tickets and refresh tokens.
    pub cursors: Arc<CursorKey>,
    /// Whether answers say what they cost, in `Server-Timing`.
    pub metered: bool,
    /// What is told of each request.
    pub observer: Observer,
}

/// What an operator sets, from the environment.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// `TIDINGS_TABLE`, `tidings` unless set.
    pub table: String,
    /// `TIDINGS_JWT_SECRET`: the HS256 secret, at least 32 bytes; without it no HS256 token holds.
    pub jwt_secret: Option<String>,
    /// `TIDINGS_JWKS_URL`: where the keys are whose RS256, ES256 and `EdDSA` tokens hold.
    pub jwks_url: Option<JwksUrl>,
    /// `TIDINGS_JWT_ISSUER`: the `iss` that tokens must have.
    pub jwt_issuer: Option<String>,
    /// `TIDINGS_JWT_AUDIENCE`: the `aud` that tokens must have.
    pub jwt_audience: Option<String>,
    /// `TIDINGS_SECRET`: the key of cursors, tickets and refresh tokens.
    pub secret: String,
    /// `TIDINGS_SECRET_PREVIOUS`: the one before it, whose cursors still hold.
    pub previous_secret: Option<String>,
    /// `TIDINGS_PUSH_ENDPOINT`: the `https` URL of the `WebSocket` API's stage; without it there are no sockets.
    pub push_endpoint: Option<String>,
    /// `TIDINGS_RATE_LIMITS=off`: nothing limits how often things may be done.
    pub limited: bool,
    /// `TIDINGS_REGISTRATION=off`: nobody may register.
    pub registration: bool,
    /// `TIDINGS_DIRECTORY=off`: users cannot be searched for.
    pub directory: bool,
    /// `TIDINGS_METER=on`: answers say what they cost.
    pub metered: bool,
}

/// A variable of the environment; set and empty counts as unset.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Settings {
    /// Reads the environment. `secret` is asked for the secrets that are not set, by name; it may have none.
    ///
    /// # Errors
    /// A sentence that names the variable that is missing, too short or malformed.
    pub fn from_env(secret: impl Fn(&str) -> Result<Option<String>, Source>) -> Result<Self, Source> {
        let secret = |name: &str| variable(name).map_or_else(|| secret(name), |value| Ok(Some(value)));
        let jwks_url = variable("TIDINGS_JWKS_URL").map(|url| url.parse()).transpose();
        let settings = Self {
            table: variable("TIDINGS_TABLE").unwrap_or_else(|| "tidings".to_owned()),
            jwt_secret: secret("TIDINGS_JWT_SECRET")?,
            jwks_url: jwks_url.map_err(|error| format!("TIDINGS_JWKS_URL: {error}"))?,
            jwt_issuer: variable("TIDINGS_JWT_ISSUER"),
            jwt_audience: variable("TIDINGS_JWT_AUDIENCE"),
            secret: secret("TIDINGS_SECRET")?.ok_or("TIDINGS_SECRET is not set")?,
            previous_secret: variable("TIDINGS_SECRET_PREVIOUS"),
            push_endpoint: variable("TIDINGS_PUSH_ENDPOINT"),
            limited: variable("TIDINGS_RATE_LIMITS").as_deref() != Some("off"),
            registration: variable("TIDINGS_REGISTRATION").as_deref() != Some("off"),
            directory: variable("TIDINGS_DIRECTORY").as_deref() != Some("off"),
            metered: variable("TIDINGS_METER").as_deref() == Some("on"),
        };
        if settings.jwt_secret.as_ref().is_some_and(|secret| secret.len() < MIN_SECRET) {
            return Err(format!("TIDINGS_JWT_SECRET needs at least {MIN_SECRET} bytes").into());
        }
        if settings.jwt_secret.is_none() && settings.jwks_url.is_none() {
            return Err("neither TIDINGS_JWT_SECRET nor TIDINGS_JWKS_URL is set: no token would hold".into());
        }
        Ok(settings)
    }
}

impl App {
    /// An app on a database configuration and, where there can be sockets, one for pushes.
    #[must_use]
    pub fn new(
        config: aws_sdk_dynamodb::config::Builder,
        pushes: Option<aws_sdk_apigatewaymanagement::config::Builder>,
        settings: Settings,
        clock: Clock,
    ) -> Self {
        let previous = settings.previous_secret.as_deref().map(str::as_bytes);
        let secrets: Vec<&[u8]> = std::iter::once(settings.secret.as_bytes()).chain(previous).collect();
        let verifier = Verifier::new(&settings, clock.clone());
        let signer = settings.jwt_secret.as_deref().map(|secret| {
            let (issuer, audience) = (settings.jwt_issuer.as_deref(), settings.jwt_audience.as_deref());
            Arc::new(Signer::hs256(secret.as_bytes(), issuer, audience))
        });
        let store = Store::new(config, settings.table, clock, pushes.is_some());
        Self {
            store: store.limited(settings.limited),
            push: Push::new(pushes),
            verifier: Arc::new(verifier),
            registration: settings.registration && signer.is_some(),
            signer,
            directory: settings.directory,
            cursors: Arc::new(CursorKey::derive(&secrets)),
            metered: settings.metered,
            observer: Observer::default(),
        }
    }

    /// The app of a function in Lambda, from its environment, with a warm connection.
    ///
    /// # Errors
    /// A sentence that names the variable that is missing.
    pub async fn from_env() -> Result<Self, Source> {
        let settings = Settings::from_env(|_| Ok(None))?;
        let aws = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let pushes = settings
            .push_endpoint
            .as_ref()
            .map(|endpoint| aws_sdk_apigatewaymanagement::config::Builder::from(&aws).endpoint_url(endpoint));
        let observer = variable("AWS_LAMBDA_FUNCTION_NAME").map_or_else(Observer::default, Observer::of);
        observer.print_to(&settings.table, std::io::stdout());
        let app =
            Self::new(aws_sdk_dynamodb::config::Builder::from(&aws), pushes, settings, Clock::default());
        let app = Self { observer, ..app };
        tokio::join!(app.store.warm_up(), app.push.warm_up());
        Ok(app)
    }
}

/// Runs an HTTP function in Lambda: all of its `main`.
///
/// # Errors
/// What kept it from starting; Lambda logs it.
pub fn run(routes: Router<App>) -> Result<(), lambda_http::Error> {
    start(async |app| lambda_http::run(boundary(routes, app)).await)
}

/// Runs a function that is given events, of the `WebSocket` API or the table's stream, in Lambda: all of its `main`.
///
/// # Errors
/// What kept it from starting; Lambda logs it.
pub fn run_events<E, A, F>(handler: impl Fn(App, E) -> F) -> Result<(), lambda_http::Error>
where
    E: DeserializeOwned,
    A: Serialize,
    F: Future<Output = Result<A, String>>,
{
    start(async |app| {
        let handle = |event: LambdaEvent<E>| {
            let call = handler(app.clone(), event.payload);
            observed(app.clone(), None, event.context, call)
        };
        lambda_runtime::run(lambda_runtime::service_fn(handle)).await
    })
}

/// Calls a function that is given events, and takes what was seen of it as one observation: under the name of a function
/// where the process has several, with Lambda's ids where there are any.
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
    let mut seen = meter.observation();
    seen.add(Metric::Latency, meter::millis(began.elapsed()));
    if let Some(trace_id) = trace_id {
        seen.fields.insert("trace_id".to_owned(), trace_id.into());
    }
    if in_lambda {
        seen.fields.insert("lambda_request_id".to_owned(), request_id.as_str().into());
    }
    seen.fields.insert("request_id".to_owned(), request_id.into());
    app.observer.record(&seen, app.store.now());
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
