//! The state that every function shares, and how a function starts.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector};
use aws_types::SdkConfig;
use domain::error::{Error, Source};
use domain::id::Clock;
use domain::links::Links;
use domain::name::is_web_url;
use domain::session::Session;
use domain::user::Profile;
use domain::web_push::PushHosts;
use ipnet::IpNet;
use observe::metrics::Observer;
use store::Store;

use crate::auth::{MIN_SECRET, Signer, Verifier};
use crate::bucket::{Bucket, BucketSettings};
use crate::files::{Files, MAX_OBJECT};
use crate::jwks::JwksUrl;
use crate::page::CursorKey;
use crate::push::Push;
use crate::tokens::Tokens;
use crate::web_push::WebPush;

/// The contact that push services get if the operator names none. Apple's refuses it.
const NO_CONTACT: &str = "mailto:tidings@localhost";

/// The state of a function, built once at its start. Its clones share their parts: each request needs several.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The parts of an [`App`].
#[derive(Clone)]
pub struct Parts {
    /// The DynamoDB table.
    pub store: Store,
    /// Pushes events to sockets.
    pub push: Push,
    /// Sends notifications to browsers; `None` without a key pair.
    pub web_push: Option<Arc<WebPush>>,
    /// The files of messages, and pictures.
    pub files: Files,
    /// Verifies the bearer tokens of callers.
    pub verifier: Arc<Verifier>,
    /// Signs the access tokens of users who registered here; `None` without an HS256 secret.
    pub signer: Option<Arc<Signer>>,
    /// Whether registration is on.
    pub registration: bool,
    /// Whether user search is on.
    pub directory: bool,
    /// Signs cursors, tickets, refresh tokens and ids of uploads.
    pub cursors: Arc<CursorKey>,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Arc<[IpNet]>,
    /// Whether responses report their database cost in `Server-Timing`.
    pub metered: bool,
    /// Records one observation per request.
    pub observer: Observer,
}

/// The operator's settings, from the environment.
#[expect(clippy::struct_excessive_bools, reason = "the switches are independent")]
pub struct Settings {
    /// `TIDINGS_TABLE`: the table's name, `tidings` by default.
    pub table: String,
    /// `TIDINGS_JWT_SECRET`: the HS256 secret, at least 32 bytes; without it every HS256 token is refused.
    pub jwt_secret: Option<String>,
    /// `TIDINGS_JWKS_URL`: the key set that verifies RS256, ES256 and `EdDSA` tokens.
    pub jwks_url: Option<JwksUrl>,
    /// `TIDINGS_JWT_ISSUER`: the `iss` that tokens must have.
    pub jwt_issuer: Option<String>,
    /// `TIDINGS_JWT_AUDIENCE`: the `aud` that tokens must have.
    pub jwt_audience: Option<String>,
    /// `TIDINGS_SECRET`: the secret behind cursors, tickets, refresh tokens, ids of uploads and links
    /// to files.
    pub secret: String,
    /// `TIDINGS_SECRET_PREVIOUS`: the secret before it; what that one signed stays valid.
    pub previous_secret: Option<String>,
    /// `TIDINGS_PUSH_ENDPOINT`: the `https` URL of the `WebSocket` API's stage; without it there are no sockets.
    pub push_endpoint: Option<String>,
    /// `TIDINGS_VAPID_KEY`: the private key that identifies this server to push services; without it there are no
    /// notifications.
    pub vapid_key: Option<String>,
    /// `TIDINGS_VAPID_SUBJECT`: the `mailto:` or `https:` URL at which push services can contact the operator.
    pub vapid_subject: String,
    /// `TIDINGS_PUSH_HOSTS`: the hosts of the push services that may be called.
    pub push_hosts: PushHosts,
    /// The bucket of the files. `None` without `TIDINGS_BUCKET`, or with `TIDINGS_ATTACHMENTS=off`: attachments are off.
    pub bucket: Option<BucketSettings>,
    /// `TIDINGS_MAX_ATTACHMENT_BYTES`: the maximum size of a file, in bytes; 100 MiB by default.
    pub max_attachment_bytes: u64,
    /// `TIDINGS_PUBLIC_URL`: the URL below which clients reach the API, for links to files.
    pub public_url: String,
    /// Whether rate limits apply: yes, unless `TIDINGS_RATE_LIMITS=off`.
    pub limited: bool,
    /// Whether users may register: yes, unless `TIDINGS_REGISTRATION=off`.
    pub registration: bool,
    /// Whether there are attachments: yes, unless `TIDINGS_ATTACHMENTS=off`.
    pub attachments: bool,
    /// Whether users may search for others: yes, unless `TIDINGS_DIRECTORY=off`.
    pub directory: bool,
    /// `TIDINGS_TRUSTED_PROXIES`: the addresses or networks of proxies in front, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether responses report their database cost: only with `TIDINGS_METER=on`.
    pub metered: bool,
}

/// An environment variable. An empty one counts as unset.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Settings {
    /// Reads the environment, except for the bucket, which needs credentials. `secret` looks up a secret that is not
    /// set there, by name, and may return `None`.
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
            vapid_key: secret("TIDINGS_VAPID_KEY")?,
            vapid_subject: variable("TIDINGS_VAPID_SUBJECT").unwrap_or_else(|| NO_CONTACT.to_owned()),
            push_hosts: match variable("TIDINGS_PUSH_HOSTS") {
                Some(hosts) => hosts.parse().map_err(|error| format!("TIDINGS_PUSH_HOSTS: {error}"))?,
                None => PushHosts::default(),
            },
            bucket: None,
            max_attachment_bytes: max_attachment_bytes()?,
            public_url: public_url()?,
            limited: switch("TIDINGS_RATE_LIMITS", true)?,
            registration: switch("TIDINGS_REGISTRATION", true)?,
            directory: switch("TIDINGS_DIRECTORY", true)?,
            attachments: switch("TIDINGS_ATTACHMENTS", true)?,
            trusted_proxies: networks(&variable("TIDINGS_TRUSTED_PROXIES").unwrap_or_default())
                .map_err(|error| format!("TIDINGS_TRUSTED_PROXIES: {error}"))?,
            metered: switch("TIDINGS_METER", false)?,
        };
        if settings.jwt_secret.as_ref().is_some_and(|secret| secret.len() < MIN_SECRET) {
            return Err(format!("TIDINGS_JWT_SECRET needs at least {MIN_SECRET} bytes").into());
        }
        if settings.jwt_secret.is_none() && settings.jwks_url.is_none() {
            return Err("neither TIDINGS_JWT_SECRET nor TIDINGS_JWKS_URL is set: no token is accepted".into());
        }
        settings.web_push()?;
        Ok(settings)
    }

    /// Sends notifications. `None` without a key.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the key or the subject.
    fn web_push(&self) -> Result<Option<WebPush>, Source> {
        let Some(key) = &self.vapid_key else { return Ok(None) };
        let made = WebPush::new(key, &self.vapid_subject, self.push_hosts.clone());
        made.map(Some).map_err(|error| format!("TIDINGS_VAPID_KEY, TIDINGS_VAPID_SUBJECT: {error}").into())
    }

    /// A verifier for the tokens that these settings accept.
    #[must_use]
    pub fn verifier(&self, clock: Clock) -> Verifier {
        let (issuer, audience) = (self.jwt_issuer.clone(), self.jwt_audience.clone());
        Verifier::new(self.jwt_secret.as_deref(), self.jwks_url.clone(), issuer, audience, clock)
    }
}

/// The maximum size of a file by default: 100 MiB.
const MAX_ATTACHMENT_BYTES: u64 = 100 * 1024 * 1024;

fn max_attachment_bytes() -> Result<u64, Source> {
    let Some(text) = variable("TIDINGS_MAX_ATTACHMENT_BYTES") else { return Ok(MAX_ATTACHMENT_BYTES) };
    let number = text.parse().ok().filter(|bytes| (1..=MAX_OBJECT).contains(bytes));
    number.ok_or_else(|| "TIDINGS_MAX_ATTACHMENT_BYTES: not a number from 1 to 5000000000".into())
}

/// The public URL; empty if it is not set. It leaves room for a picture's address of 500 bytes.
fn public_url() -> Result<String, Source> {
    let url = variable("TIDINGS_PUBLIC_URL").unwrap_or_default();
    let is_valid = url.is_empty() || (is_web_url(&url, 400) && !url.contains(['?', '#']));
    if is_valid {
        Ok(url)
    } else {
        Err("TIDINGS_PUBLIC_URL is not an http(s) URL of at most 400 bytes".into())
    }
}

/// A switch in the environment, or its default. A misspelt one must not leave on what it was to turn off.
fn switch(name: &str, default: bool) -> Result<bool, Source> {
    match variable(name).as_deref() {
        None => Ok(default),
        Some("on") => Ok(true),
        Some("off") => Ok(false),
        Some(_) => Err(format!("{name} is neither on nor off").into()),
    }
}

/// The bucket that the environment names, with some credentials; `None` if it names none.
#[must_use]
pub fn bucket_from_env(credentials: Credentials, region: &str) -> Option<BucketSettings> {
    let name = variable("TIDINGS_BUCKET")?;
    let endpoint = variable("AWS_ENDPOINT_URL_S3");
    let files_url = variable("TIDINGS_FILES_URL");
    Some(BucketSettings { name, endpoint, files_url, region: region.to_owned(), credentials })
}

/// Parses a list of addresses and networks, such as `10.0.0.0/8, 192.0.2.1`.
fn networks(list: &str) -> Result<Vec<IpNet>, Source> {
    let network = |text: &str| match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => {
            text.parse::<IpNet>().map_err(|_| format!("{text} is neither an address nor a network").into())
        }
    };
    list.split(',').map(str::trim).filter(|text| !text.is_empty()).map(network).collect()
}

impl App {
    /// An app from a DynamoDB configuration and, if there are sockets, one for the API that pushes to them. `http` makes
    /// the calls to the bucket of files; without it, a client of its own.
    #[must_use]
    pub fn new(
        config: aws_sdk_dynamodb::config::Builder,
        pushes: Option<aws_sdk_apigatewaymanagement::config::Builder>,
        http: Option<SharedHttpConnector>,
        settings: Settings,
        clock: Clock,
    ) -> Self {
        let previous = settings.previous_secret.as_deref().map(str::as_bytes);
        let secrets: Vec<&[u8]> = std::iter::once(settings.secret.as_bytes()).chain(previous).collect();
        let verifier = settings.verifier(clock.clone());
        let signer = settings.jwt_secret.as_deref().map(|secret| {
            let (issuer, audience) = (settings.jwt_issuer.as_deref(), settings.jwt_audience.as_deref());
            Arc::new(Signer::hs256(secret.as_bytes(), issuer, audience))
        });
        // `Settings::from_env` has refused a key that cannot be used.
        let web_push = settings.web_push().ok().flatten().map(Arc::new);
        let links = Links::new(&settings.public_url, &secrets, clock.clone());
        let cursors = Arc::new(CursorKey::derive(&secrets));
        let bucket = settings.bucket.map(|bucket| Bucket::new(bucket, http));
        let files = Files::new(bucket, settings.max_attachment_bytes, cursors.clone(), clock.clone());
        let http_client = config.clone().build().http_client().unwrap_or_else(https_client);
        let store = Store::new(config, http_client, settings.table, clock, links, pushes.is_some());
        Self(Arc::new(Parts {
            store: store.limited(settings.limited),
            push: Push::new(pushes),
            web_push,
            files,
            verifier: Arc::new(verifier),
            registration: settings.registration && signer.is_some(),
            signer,
            directory: settings.directory,
            cursors,
            trusted_proxies: settings.trusted_proxies.into(),
            metered: settings.metered,
            observer: Observer::default(),
        }))
    }

    /// Returns an app with changed parts.
    #[must_use]
    pub fn with(&self, change: impl FnOnce(&mut Parts)) -> Self {
        let mut parts = Parts::clone(&self.0);
        change(&mut parts);
        Self(Arc::new(parts))
    }

    /// Issues the token pair for the current generation of a session.
    ///
    /// # Errors
    /// Those of [`Tokens::issue`].
    pub fn tokens(&self, session: &Session, profile: &Profile) -> Result<Tokens, Error> {
        Tokens::issue(self.signer.as_deref(), &self.cursors, session, profile, self.store.now())
    }

    /// The app of a Lambda function, from its environment, with open connections.
    ///
    /// # Errors
    /// A sentence that names the variable that is missing, too short or malformed.
    pub async fn from_env() -> Result<Self, Source> {
        let (aws, credentials) = sdk_config()?;
        let mut settings = Settings::from_env(|_| Ok(None))?;
        let region = aws.region().map(ToString::to_string).unwrap_or_default();
        settings.bucket = bucket_from_env(credentials, &region).filter(|_| settings.attachments);
        let pushes = settings
            .push_endpoint
            .as_ref()
            .map(|endpoint| aws_sdk_apigatewaymanagement::config::Builder::from(&aws).endpoint_url(endpoint));
        let observer = variable("AWS_LAMBDA_FUNCTION_NAME").map_or_else(Observer::default, Observer::of);
        observer.print_to(&settings.table, std::io::stdout());
        if variable("TIDINGS_METRICS").as_deref() == Some("basic") {
            observer.define_only_basic();
        }
        let mut table = aws_sdk_dynamodb::config::Builder::from(&aws);
        table.set_endpoint_url(variable("AWS_ENDPOINT_URL_DYNAMODB"));
        let app = Self::new(table, pushes, None, settings, Clock::default());
        let app = app.with(|parts| parts.observer = observer);
        tokio::join!(app.store.warm_up(), app.push.warm_up());
        Ok(app)
    }
}

/// Returns an HTTP client for SDK clients, which speaks TLS to `https` endpoints.
#[must_use]
pub fn https_client() -> SharedHttpClient {
    HttpClient::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
}

/// The SDK configuration from the variables that Lambda sets, with one TLS client for all SDK clients. The SDK's own
/// loader would also look for profiles and for roles to assume. No function has these, and the loader with its
/// dependencies makes up a tenth of a function's size.
fn sdk_config() -> Result<(SdkConfig, Credentials), Source> {
    let required = |name: &str| variable(name).ok_or_else(|| format!("{name} is not set"));
    let (id, secret) = (required("AWS_ACCESS_KEY_ID")?, required("AWS_SECRET_ACCESS_KEY")?);
    // They stay valid for as long as Lambda keeps the process.
    let credentials = Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
        .region(Region::new(required("AWS_REGION")?))
        .http_client(https_client())
        .build();
    Ok((config, credentials))
}
