//! Starts and stops the stack: database, functions and gateway.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use aws_lambda_events::dynamodb::Event;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_types::SdkConfig;
use axum::Router;
use axum::serve::ListenerExt;
use domain::error::Source;
use domain::id::Clock;
use edge::app::{App, Settings, bucket_from_env, variable};
use edge::bucket::BucketSettings;
use store::table;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::console::Console;
use crate::engine::Engine;
use crate::lambda::{InvokeApi, Lambda, Processes, Setup};
use crate::options::Options;
use crate::server::{self, ServerLimits};
use crate::storage::{self, Keys, Storage};
use crate::stream::{self, Tail};
use crate::websocket::{Api, Gateway, Limits, Management, invoke};
use crate::{demo, gateway, secrets, sweeping, web};

/// How long in-flight requests may take to finish when the stack stops.
const GRACE: Duration = Duration::from_secs(10);
/// Interval at which `notify` looks for users who were active and whose time is over.
const CLOCK: Duration = Duration::from_secs(10);
/// The stage of the local `WebSocket` API.
const STAGE: &str = "local";
/// Maximum number of processes per function.
const PROCESSES: usize = 8;
/// Name of the file with the environment for functions behind an Invoke API.
pub const ENVIRONMENT: &str = "functions.env";

/// A running stack.
pub struct Stack {
    /// The address of the main port.
    pub address: SocketAddr,
    /// The URL of the database.
    pub database: String,
    /// The state that the functions in this process share.
    pub app: App,
    /// The HS256 secret that signs tokens.
    pub jwt_secret: String,
    /// The runtime of the functions; `None` if they run in this process.
    pub lambda: Option<Lambda>,
    /// The storage for files, unless the environment names another or attachments are off.
    pub storage: Option<Storage>,
    sockets: Gateway,
    tails: [Tail; 2],
    sweeper: JoinHandle<()>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    /// Held while the stack runs, because two stacks must not share a data directory.
    _lock: Option<File>,
}

impl Stack {
    /// Starts the stack, which serves requests once this returns. With an `interceptor`, functions in this process call
    /// the database and sockets through the SDK's clients, and it sees every call. Without one, they bypass the clients.
    ///
    /// # Errors
    /// An explanation for the user if, for example, the port is taken, the folder cannot be used, or a secret is too
    /// short.
    pub async fn start(
        options: &Options,
        console: Option<Console>,
        interceptor: Option<SharedInterceptor>,
    ) -> Result<Self, Source> {
        let endpoint = variable("AWS_ENDPOINT_URL_DYNAMODB");
        let on_disk = !options.in_memory && endpoint.is_none();
        let lock = if on_disk { Some(lock(&options.data_dir)?) } else { None };
        let folder = (!options.in_memory).then_some(options.data_dir.as_path());
        if let Some(folder) = folder {
            secrets::create_folder(folder)?;
        }
        let mut settings = secrets::settings(folder)?;

        let listener = bind(options).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let mut servers = Vec::new();
        if settings.public_url.is_empty() {
            settings.public_url = format!("http://{}", reachable(address));
        }
        let credentials = credentials(&settings);
        settings.bucket = bucket_from_env(credentials.clone(), &region()).filter(|_| settings.attachments);
        let mut storage = None;
        if settings.bucket.is_none() && settings.attachments {
            let (files, bucket, server) = serve_files(options, folder, &credentials, &stopped).await?;
            servers.push(server);
            settings.bucket = Some(bucket);
            storage = Some(files);
        }
        let (config, database, engine) = if let Some(endpoint) = endpoint {
            (config(&endpoint, None), endpoint, None)
        } else {
            let engine = if on_disk {
                Engine::on_disk(&options.data_dir.join("tidings.db"))?
            } else {
                Engine::in_memory()?
            };
            let port = TcpListener::bind("127.0.0.1:0").await?;
            let url = format!("http://{}", port.local_addr()?);
            servers.push(serve(port, engine.routes(), stopped.clone()));
            (config(&url, Some(&engine)), url, Some(engine))
        };
        let mut calls = aws_sdk_dynamodb::config::Builder::from(&config).allow_no_auth();
        table::create_if_missing(&Client::from_conf(calls.clone().build()), &settings.table).await?;
        let (table, records) = (settings.table.clone(), streams(&config));
        let file_origins = settings.bucket.as_ref().map(BucketSettings::origins).unwrap_or_default();
        let jwt_secret =
            settings.jwt_secret.clone().ok_or("TIDINGS_JWT_SECRET is not set: no token can be signed")?;
        let port = TcpListener::bind("127.0.0.1:0").await?;
        let domain_name = port.local_addr()?.to_string();
        let push_endpoint = format!("http://{domain_name}/{STAGE}");
        let lambda =
            lambda(options, folder, environment(&settings, &credentials, &database, &push_endpoint))?;
        let management = Management::default();
        let mut pushes = pushes(&push_endpoint, &management);
        let bypasses_clients = interceptor.is_none();
        if let Some(interceptor) = interceptor {
            calls.push_interceptor(interceptor.clone());
            pushes.push_interceptor(interceptor);
        }
        let mut app = App::new(calls, Some(pushes), None, settings, Clock::default());
        if bypasses_clients {
            app = app.with(|app| {
                if let Some(engine) = engine {
                    app.store = app.store.clone().in_process(engine.connector());
                }
                app.push = app.push.clone().in_process(management.connector());
            });
        }
        if on_disk {
            // No other stack uses this database, and the sockets of an earlier process are gone.
            app.store.remove_sockets_before(app.store.now()).await?;
        }
        let (tails, clock) = follow_stream(&app, lambda.as_ref(), &records, &table, stopped.clone());
        servers.push(clock);
        let socket_functions =
            lambda.as_ref().map_or_else(|| gateway::socket_functions(&app), Lambda::socket_functions);
        let api = Api { id: "local".to_owned(), stage: STAGE.to_owned(), domain_name, routes: Vec::new() };
        let sockets = Gateway::new(api, socket_functions, Limits::default());
        management.set(&sockets);
        servers.push(serve(port, sockets.management(), stopped.clone()));
        let service =
            gateway::service(app.clone(), lambda.as_ref(), &sockets, &options.cors_origins, console);
        let demo = options.demo.is_some().then(|| jwt_secret.clone());
        let service = service.merge(web::routes(&options.web_dir, demo, &file_origins));
        servers.push(tokio::spawn(server::serve(listener, service, stopped, ServerLimits::default())));
        let sweep = lambda.as_ref().map_or_else(|| gateway::sweep_function(&app), Lambda::sweep_function);
        let sweeper = sweeping::start(sweep, storage.clone());
        Ok(Self {
            address,
            database,
            app,
            lambda,
            jwt_secret,
            storage,
            sockets,
            tails,
            sweeper,
            stop,
            servers,
            _lock: lock,
        })
    }

    /// Signs a token for each of the demo's people. Returns their ids and tokens.
    ///
    /// # Errors
    /// If signing fails.
    pub fn demo_tokens(&self) -> Result<Vec<(&'static str, String)>, Source> {
        demo::PEOPLE
            .into_iter()
            .map(|person| Ok((person.0, demo::token(&self.jwt_secret, person)?)))
            .collect()
    }

    /// Returns the URL of the main port.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops the stack: closes sockets with 1001, accepts no new connections, and lets in-flight requests finish.
    pub async fn stop(self) {
        self.sockets.close_all().await;
        let _ = self.stop.send(true);
        self.sweeper.abort();
        let all = async {
            for server in self.servers {
                let _ = server.await;
            }
            for tail in self.tails {
                tail.stop().await;
            }
        };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!("some requests did not finish in time");
        }
        if let Some(lambda) = self.lambda {
            lambda.stop().await;
        }
    }
}

/// Starts the storage of files, in a folder or in memory, on a port of its own. Returns it, its settings, and its server.
async fn serve_files(
    options: &Options,
    folder: Option<&Path>,
    credentials: &Credentials,
    stopped: &watch::Receiver<bool>,
) -> Result<(Storage, BucketSettings, JoinHandle<()>), Source> {
    let port = TcpListener::bind(SocketAddr::new(options.host, options.storage_port)).await?;
    let endpoint = format!("http://{}", reachable(port.local_addr()?));
    let id = credentials.access_key_id().to_owned();
    let keys = Keys { id, secret: credentials.secret_access_key().to_owned() };
    let files = folder.map(|folder| folder.join("files"));
    let files = Storage::new(files.as_deref(), keys, Clock::default());
    let routes = storage::routes(&files).layer(gateway::cors(&options.cors_origins));
    let bucket = BucketSettings {
        name: storage::BUCKET.to_owned(),
        endpoint: Some(endpoint),
        files_url: variable("TIDINGS_FILES_URL"),
        region: region(),
        credentials: credentials.clone(),
    };
    Ok((files, bucket, serve(port, routes, stopped.clone())))
}

/// Invokes the functions that the table's stream wakes, and one of them, `notify`, also by the clock.
fn follow_stream(
    app: &App,
    lambda: Option<&Lambda>,
    records: &aws_sdk_dynamodbstreams::Client,
    table: &str,
    stopped: watch::Receiver<bool>,
) -> ([Tail; 2], JoinHandle<()>) {
    let (fan_out, notify) = match lambda {
        Some(lambda) => (lambda.stream_function(), lambda.notify_function()),
        None => (gateway::stream_function(app), gateway::notify_function(app)),
    };
    let clock = tokio::spawn(invoke_by_the_clock(notify.clone(), stopped));
    let tails = [(stream::FAN_OUT, fan_out), (stream::NOTIFY, notify)]
        .map(|(mapping, function)| stream::follow(records.clone(), table, mapping, function));
    (tails, clock)
}

/// Invokes `notify` regularly without records, as the template's schedule does, only more often.
async fn invoke_by_the_clock(notify: stream::Function, mut stopped: watch::Receiver<bool>) {
    while tokio::time::timeout(CLOCK, stopped.wait_for(|stopped| *stopped)).await.is_err() {
        if let Err(failure) = invoke(&notify, Event::default(), stream::TIMEOUT).await {
            tracing::warn!(%failure, "notify failed");
        }
    }
}

/// Returns where the functions run, if not in this process. For an Invoke API, also writes the functions' environment
/// to a file in the folder, for the program that runs them.
fn lambda(
    options: &Options,
    folder: Option<&Path>,
    variables: Vec<(String, String)>,
) -> Result<Option<Lambda>, Source> {
    if let Some(url) = &options.invoke_url {
        if let Some(folder) = folder {
            let lines = variables.iter().map(|(name, value)| format!("{name}={}\n", quoted(value)));
            secrets::write(&folder.join(ENVIRONMENT), &lines.collect::<String>())?;
        }
        return Ok(Some(Lambda::InvokeApi(Box::new(InvokeApi::new(url)?))));
    }
    let Some(folder) = options.functions_from.clone() else { return Ok(None) };
    let setup = Setup { folder, variables, max_processes: PROCESSES, quiet: false };
    Ok(Some(Lambda::Processes(Processes::new(setup)?)))
}

/// Encloses a value for the environment file in quotes that it does not contain. Unquoted, a value with a space or `=`
/// would be misread.
fn quoted(value: &str) -> String {
    let quote = ['\'', '`'].into_iter().find(|quote| !value.contains(*quote)).unwrap_or('"');
    format!("{quote}{value}{quote}")
}

/// Returns all variables that functions need, as the template sets them in AWS. A program behind an Invoke API gets
/// nothing else from this process, so settings of its environment are among them.
fn environment(
    settings: &Settings,
    credentials: &Credentials,
    database: &str,
    push_endpoint: &str,
) -> Vec<(String, String)> {
    let switch = |is_on: bool| if is_on { "on" } else { "off" }.to_owned();
    let text = |setting: &Option<String>| setting.clone().unwrap_or_default();
    let mut variables = vec![
        ("AWS_ENDPOINT_URL_DYNAMODB", database.to_owned()),
        ("TIDINGS_TABLE", settings.table.clone()),
        ("TIDINGS_SECRET", settings.secret.clone()),
        ("TIDINGS_PUSH_ENDPOINT", push_endpoint.to_owned()),
        ("TIDINGS_JWT_SECRET", text(&settings.jwt_secret)),
        ("TIDINGS_SECRET_PREVIOUS", text(&settings.previous_secret)),
        ("TIDINGS_JWKS_URL", variable("TIDINGS_JWKS_URL").unwrap_or_default()),
        ("TIDINGS_JWT_ISSUER", text(&settings.jwt_issuer)),
        ("TIDINGS_JWT_AUDIENCE", text(&settings.jwt_audience)),
        ("TIDINGS_REGISTRATION", switch(settings.registration)),
        ("TIDINGS_DIRECTORY", switch(settings.directory)),
        ("TIDINGS_RATE_LIMITS", switch(settings.limited)),
        ("TIDINGS_METER", switch(settings.metered)),
        ("TIDINGS_VAPID_KEY", text(&settings.vapid_key)),
        ("TIDINGS_VAPID_SUBJECT", settings.vapid_subject.clone()),
        ("TIDINGS_PUSH_HOSTS", settings.push_hosts.to_string()),
        ("TIDINGS_TRUSTED_PROXIES", variable("TIDINGS_TRUSTED_PROXIES").unwrap_or_default()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    variables.extend([
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key().to_owned()),
        ("AWS_REGION", region()),
        ("TIDINGS_PUBLIC_URL", settings.public_url.clone()),
        ("TIDINGS_FILES_URL", variable("TIDINGS_FILES_URL").unwrap_or_default()),
        ("TIDINGS_MAX_ATTACHMENT_BYTES", settings.max_attachment_bytes.to_string()),
        ("TIDINGS_ATTACHMENTS", switch(settings.bucket.is_some())),
    ]);
    variables.extend(credentials.session_token().map(|token| ("AWS_SESSION_TOKEN", token.to_owned())));
    if let Some(BucketSettings { name, endpoint, .. }) = &settings.bucket {
        variables.push(("TIDINGS_BUCKET", name.clone()));
        variables.push(("AWS_ENDPOINT_URL_S3", endpoint.clone().unwrap_or_default()));
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns an address at which programs on this machine reach a server, also if it serves all addresses.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

fn region() -> String {
    variable("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned())
}

/// Returns the credentials of the functions: those of the environment, or made up. Pages in a browser also reach the
/// storage, so its secret must not be known.
fn credentials(settings: &Settings) -> Credentials {
    let id = variable("AWS_ACCESS_KEY_ID").unwrap_or_else(|| "local".to_owned());
    let secret = variable("AWS_SECRET_ACCESS_KEY");
    let secret = secret.unwrap_or_else(|| secrets::derived(&settings.secret, "tidings storage"));
    Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment")
}

/// Returns a configuration that cannot reach AWS by accident: it has an explicit endpoint, and fake credentials unless
/// real ones are set. Requests to an engine inside the process are not signed, since nobody checks it.
fn config(endpoint: &str, engine: Option<&Engine>) -> SdkConfig {
    let id = variable("AWS_ACCESS_KEY_ID").unwrap_or_else(|| "local".to_owned());
    let secret = variable("AWS_SECRET_ACCESS_KEY").unwrap_or_else(|| "local".to_owned());
    let session = variable("AWS_SESSION_TOKEN");
    let credentials = Credentials::new(id, secret, session, None, "environment");
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region()))
        .endpoint_url(endpoint);
    if engine.is_none() {
        config.set_credentials_provider(Some(SharedCredentialsProvider::new(credentials)));
    }
    config.set_http_client(engine.map(Engine::http_client));
    config.build()
}

/// Returns a client for the stream, with the table's endpoint unless the stream has its own.
fn streams(config: &SdkConfig) -> aws_sdk_dynamodbstreams::Client {
    let config = aws_sdk_dynamodbstreams::config::Builder::from(config).allow_no_auth();
    let own_endpoint = variable("AWS_ENDPOINT_URL_DYNAMODB_STREAMS");
    aws_sdk_dynamodbstreams::Client::from_conf(match own_endpoint {
        Some(endpoint) => config.endpoint_url(endpoint).build(),
        None => config.build(),
    })
}

/// Returns a configuration for pushes to the sockets of this stack, by functions in this process.
fn pushes(endpoint: &str, management: &Management) -> aws_sdk_apigatewaymanagement::config::Builder {
    aws_sdk_apigatewaymanagement::config::Builder::new()
        .behavior_version(aws_sdk_apigatewaymanagement::config::BehaviorVersion::latest())
        .http_client(management.http_client())
        .allow_no_auth()
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
}

async fn bind(options: &Options) -> Result<TcpListener, Source> {
    let address = SocketAddr::new(options.host, options.port);
    TcpListener::bind(address).await.map_err(|error| {
        let port = options.port;
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("port {port} is taken: choose another with --port, or --port 0 for any free one")
                    .into()
            }
            _ => format!("cannot serve on {address}: {error}").into(),
        }
    })
}

fn lock(folder: &Path) -> Result<File, Source> {
    let name = folder.display();
    secrets::create_folder(folder)?;
    let file = File::create(folder.join("lock"))?;
    file.try_lock().map_err(|_| {
        format!("{name} is in use by another tidings: choose another folder with --data-dir, or --in-memory")
    })?;
    Ok(file)
}

/// Serves a loopback port, which only this process and its functions use.
fn serve(listener: TcpListener, service: Router, mut stopped: watch::Receiver<bool>) -> JoinHandle<()> {
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let stop = async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    tokio::spawn(async move {
        let service = service.into_make_service_with_connect_info::<SocketAddr>();
        if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stop).await {
            tracing::error!(%error, "a server failed");
        }
    })
}
