//! The `tidings` binary: runs the local stack.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use domain::error::{Error, Source};
use domain::id::MessageId;
use domain::message::Message;
use edge::app::App;
use edge::auth;
use local::console::Console;
use local::options::{Cli, Command, Options};
use local::stack::{ENVIRONMENT, Stack};
use local::{demo, secrets};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Replaces the system's allocator, because the engine makes many small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "tidings: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(Cli { command, options }: Cli) -> Result<(), Source> {
    match command {
        Some(Command::Token { user, name, days }) => {
            secrets::create_folder(&options.data_dir)?;
            let settings = secrets::settings(Some(&options.data_dir))?;
            let expires = secrets::days_from_now(days.into());
            let secret =
                settings.jwt_secret.ok_or("TIDINGS_JWT_SECRET is not set: no token can be signed")?;
            let token = auth::sign(secret.as_bytes(), &user, name.as_deref(), expires)?;
            Ok(writeln!(std::io::stdout(), "{token}")?)
        }
        Some(Command::Restore { message }) => runtime()?.block_on(restore(&options, &message)),
        None => runtime()?.block_on(serve(&options)),
    }
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Restores a deleted message. No sockets are open on this process, so clients learn of it by polling.
async fn restore(options: &Options, message: &MessageId) -> Result<(), Source> {
    let options =
        Options { port: 0, storage_port: 0, functions_from: None, invoke_url: None, ..options.clone() };
    let stack = Stack::start(&options, None, None).await?;
    let restored = restore_with_files(&stack.app, message).await;
    stack.stop().await;
    let restored = restored?;
    Ok(writeln!(
        std::io::stdout(),
        "restored {} of {}: version {}",
        restored.id,
        restored.sender,
        restored.version
    )?)
}

/// Brings the files of a deleted message back, then the message, so that it is never without them.
async fn restore_with_files(app: &App, id: &MessageId) -> Result<Message, Error> {
    let files = app.store.recoverable_files(id).await?;
    app.files.restore(&files).await?;
    match app.store.restore_message(id).await {
        Ok(changed) => Ok(changed.message),
        Err(refusal) => {
            // The database did not say whether the message is restored.
            if !matches!(refusal, Error::Unavailable(_) | Error::Internal(_)) {
                app.files.remove(&files).await?;
            }
            Err(refusal)
        }
    }
}

async fn serve(options: &Options) -> Result<(), Source> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (console, writer) = Console::start();
    let stack = Stack::start(options, (!options.quiet).then(|| console.clone()), None).await?;
    if let Some(messages) = options.demo {
        demo::fill(&stack.app, messages).await?;
    }
    welcome(&console, &stack, options)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stack.stop().await;
    drop(console);
    let _ = writer.join();
    Ok(())
}

fn welcome(console: &Console, stack: &Stack, options: &Options) -> Result<(), Source> {
    let url = stack.url();
    let folder = if options.in_memory { "none: kept in memory".to_owned() } else { data_dir(options) };
    console.say("Tidings");
    console.table(&[("API", format!("{url}/api")), ("DynamoDB", stack.database.clone()), ("data", folder)]);
    if let Some(url) = &options.invoke_url {
        console.table(&[("functions", invoke_api(url, options))]);
    }
    if options.demo.is_some() {
        let tokens = stack.demo_tokens()?;
        console.say("People");
        console.table(&tokens);
        console.say(format!("  or sign in with one of these names and the password {:?}", demo::PASSWORD));
        if let Some((_, token)) = tokens.first() {
            console.say(format!("Try\n  curl -H 'Authorization: Bearer {token}' {url}/api/messages/inbox"));
        }
    }
    console.say(format!("ready {url}"));
    Ok(())
}

fn invoke_api(url: &str, options: &Options) -> String {
    if options.in_memory {
        return format!("run at {url}");
    }
    format!("run at {url}, with the environment in {}/{ENVIRONMENT}", data_dir(options))
}

fn data_dir(options: &Options) -> String {
    let path = std::path::absolute(&options.data_dir).unwrap_or_else(|_| options.data_dir.clone());
    path.display().to_string()
}
