//! Runs the functions as processes of the binary that Lambda starts.

use std::path::Path;
use std::sync::OnceLock;

use aws_sdk_dynamodb::config::Credentials;
use edge::app::Settings;
use local::lambda::{Lambda, Processes, Setup};

use crate::build;
use crate::wire::Wire;

/// Whether tests should run the functions as processes wherever they can: if `TIDINGS_TEST_FUNCTIONS` is set.
pub fn wanted() -> bool {
    std::env::var_os("TIDINGS_TEST_FUNCTIONS").is_some()
}

/// Returns the folder of the binary, which is built if necessary.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build::binaries)
}

/// Sets up processes that use a wire's database and these settings, if tests should use processes.
pub(crate) fn lambda(wire: &Wire, settings: &Settings) -> Option<Lambda> {
    wanted().then(|| start(wire, settings, &[]))
}

/// Sets up processes that use a wire's database, these settings, and more environment variables.
pub fn start(wire: &Wire, settings: &Settings, more: &[(&str, &str)]) -> Lambda {
    start_from(folder(), wire, settings, more)
}

/// Like [`start`], with the binary in another folder.
pub fn start_from(folder: &Path, wire: &Wire, settings: &Settings, more: &[(&str, &str)]) -> Lambda {
    let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let no_keys = Credentials::new("test", "test", None, None, "tests");
    let keys = settings.bucket.as_ref().map_or(&no_keys, |bucket| &bucket.credentials);
    let bucket = settings.bucket.as_ref();
    let variables = [
        ("TIDINGS_BUCKET", bucket.map(|bucket| bucket.name.clone()).unwrap_or_default()),
        ("AWS_ENDPOINT_URL_S3", bucket.and_then(|bucket| bucket.endpoint.clone()).unwrap_or_default()),
        ("TIDINGS_MAX_ATTACHMENT_BYTES", settings.max_attachment_bytes.to_string()),
        ("TIDINGS_PUBLIC_URL", settings.public_url.clone()),
        ("AWS_ENDPOINT_URL_DYNAMODB", wire.serve()),
        ("AWS_ACCESS_KEY_ID", keys.access_key_id().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", keys.secret_access_key().to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        // Functions look for sockets to push to, but find none unless a test adds some.
        ("TIDINGS_PUSH_ENDPOINT", "http://127.0.0.1:9/none".to_owned()),
        ("TIDINGS_TABLE", settings.table.clone()),
        ("TIDINGS_JWT_SECRET", text(&settings.jwt_secret)),
        ("TIDINGS_SECRET", settings.secret.clone()),
        ("TIDINGS_SECRET_PREVIOUS", text(&settings.previous_secret)),
        ("TIDINGS_RATE_LIMITS", switch(settings.limited)),
        ("TIDINGS_REGISTRATION", switch(settings.registration)),
        ("TIDINGS_DIRECTORY", switch(settings.directory)),
        ("TIDINGS_METER", switch(settings.metered)),
        ("TIDINGS_VAPID_KEY", text(&settings.vapid_key)),
        ("TIDINGS_VAPID_SUBJECT", settings.vapid_subject.clone()),
        ("TIDINGS_PUSH_HOSTS", settings.push_hosts.to_string()),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let setup = Setup {
        folder: folder.to_owned(),
        variables: variables.chain(more).collect(),
        max_processes: 8,
        quiet: true,
    };
    Lambda::Processes(Processes::new(setup).expect("the binary"))
}
