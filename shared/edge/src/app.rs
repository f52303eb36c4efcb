//! What a function holds, and how it starts.

use std::sync::Arc;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_types::SdkConfig;
use domain::error::{Error, Source};
use domain::id::Clock;
use domain::session::Session;
use domain::user::Profile;
use observe::metrics::Observer;
use store::Store;

use crate::auth::{MIN_SECRET, Signer, Verifier};
use crate::jwks::JwksUrl;
use crate::page::CursorKey;
use crate::push::Push;
use crate::tokens::Tokens;

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

    /// The verifier of the tokens that these settings accept.
    #[must_use]
    pub fn verifier(&self, clock: Clock) -> Verifier {
        let (issuer, audience) = (self.jwt_issuer.clone(), self.jwt_audience.clone());
        Verifier::new(self.jwt_secret.as_deref(), self.jwks_url.clone(), issuer, audience, clock)
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
        let verifier = settings.verifier(clock.clone());
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

    /// The tokens of a session's generation.
    ///
    /// # Errors
    /// Those of [`Tokens::issue`].
    pub fn tokens(&self, session: &Session, profile: &Profile) -> Result<Tokens, Error> {
        Tokens::issue(self.signer.as_deref(), &self.cursors, session, profile, self.store.now())
    }

    /// The app of a function in Lambda, from its environment, with a warm connection.
    ///
    /// # Errors
    /// A sentence that names the variable that is missing.
    pub async fn from_env() -> Result<Self, Source> {
        let settings = Settings::from_env(|_| Ok(None))?;
        let aws = sdk_config()?;
        let pushes = settings
            .push_endpoint
            .as_ref()
            .map(|endpoint| aws_sdk_apigatewaymanagement::config::Builder::from(&aws).endpoint_url(endpoint));
        let observer = variable("AWS_LAMBDA_FUNCTION_NAME").map_or_else(Observer::default, Observer::of);
        observer.print_to(&settings.table, std::io::stdout());
        let mut table = aws_sdk_dynamodb::config::Builder::from(&aws);
        table.set_endpoint_url(variable("AWS_ENDPOINT_URL_DYNAMODB"));
        let app = Self { observer, ..Self::new(table, pushes, settings, Clock::default()) };
        tokio::join!(app.store.warm_up(), app.push.warm_up());
        Ok(app)
    }
}

/// The SDK's configuration from what Lambda sets in a function's environment, with one TLS client for all. The SDK's
/// own loader would look for profiles and for roles to assume as well, which no function has: it and what it brings
/// along are a tenth of a function's size.
fn sdk_config() -> Result<SdkConfig, Source> {
    let set = |name: &str| variable(name).ok_or_else(|| format!("{name} is not set"));
    let (id, secret) = (set("AWS_ACCESS_KEY_ID")?, set("AWS_SECRET_ACCESS_KEY")?);
    // They hold for as long as Lambda keeps the process.
    let credentials = Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment");
    Ok(SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .region(Region::new(set("AWS_REGION")?))
        .http_client(HttpClient::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https())
        .build())
}
