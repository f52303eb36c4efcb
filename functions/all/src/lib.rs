//! All functions by name, for the Lambda binary and for the local stack.

use axum::Router;
use edge::app::App;
use edge::run;

/// The HTTP functions with their routes.
#[must_use]
pub fn http() -> Vec<(&'static str, Router<App>)> {
    vec![
        ("send", send::routes()),
        ("inbox", inbox::routes()),
        ("conversation", conversation::routes()),
        ("mark-as-read", mark_as_read::routes()),
        ("unread-count", unread_count::routes()),
        ("search", search::routes()),
        ("delete", delete::routes()),
        ("edit", edit::routes()),
        ("conversations", conversations::routes()),
        ("rooms", rooms::routes()),
        ("block", block::routes()),
        ("users", users::routes()),
        ("auth", auth::routes()),
        ("session", session::routes()),
        ("events", events::routes()),
        ("typing", typing::routes()),
        ("presence", presence::routes()),
        ("push", push::routes()),
        ("ws-ticket", ws_ticket::routes()),
        ("attachments", attachments::routes()),
        ("about", about::routes()),
    ]
}

/// The functions of the `WebSocket` API.
pub const SOCKETS: [&str; 4] = ["ws-authorizer", "ws-connect", "ws-disconnect", "ws-message"];

/// The functions that the table's stream invokes.
pub const STREAM: [&str; 2] = ["fan-out", "notify"];

/// The functions that only the clock invokes.
pub const CLOCK: [&str; 1] = ["sweep"];

/// Runs a function in Lambda until Lambda stops the process.
///
/// # Errors
/// The reason why it did not start, for example an unknown name.
pub fn start(function: &str) -> Result<(), lambda_http::Error> {
    match function {
        "ws-authorizer" => run::run_events(ws_authorizer::handle),
        "ws-connect" => run::run_events(ws_connect::handle),
        "ws-disconnect" => run::run_events(ws_disconnect::handle),
        "ws-message" => run::run_events(ws_message::handle),
        "fan-out" => run::run_events(fan_out::handle),
        "notify" => run::run_events(notify::handle),
        "sweep" => run::run_events(sweep::handle),
        _ => {
            let found = http().into_iter().find(|(name, _)| *name == function);
            let (_, routes) = found.ok_or_else(|| format!("unknown function {function:?}"))?;
            run::run(routes)
        }
    }
}
