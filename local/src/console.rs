//! The developer's console: start-up lines, then one line per request.

use std::io::Write;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use edge::boundary::Observed;

/// Standard output, written by a separate thread so that no request waits for a terminal.
#[derive(Debug, Clone)]
pub struct Console(Sender<String>);

impl Console {
    /// Starts the writer thread, which ends when the last handle is dropped.
    #[must_use]
    pub fn start() -> (Self, thread::JoinHandle<()>) {
        let (lines, queue) = channel::<String>();
        let writer = thread::spawn(move || {
            let mut out = std::io::BufWriter::new(std::io::stdout());
            while let Ok(line) = queue.recv() {
                let _ = writeln!(out, "{line}");
                for line in queue.try_iter() {
                    let _ = writeln!(out, "{line}");
                }
                let _ = out.flush();
            }
        });
        (Self(lines), writer)
    }

    /// Prints a line.
    pub fn say(&self, line: impl Into<String>) {
        let _ = self.0.send(line.into());
    }

    /// Prints aligned pairs of name and value.
    pub fn table(&self, rows: &[(&str, String)]) {
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        for (name, value) in rows {
            self.say(format!("  {name:width$}  {value}"));
        }
    }
}

/// Prints a line for each request: method, path without query, status, time, database calls, capacity units.
pub async fn log_requests(State(console): State<Console>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let millis = began.elapsed().as_secs_f64() * 1000.0;
    let status = response.status().as_u16();
    let cost = response.extensions().get::<Observed>().map(|Observed(reading)| *reading).unwrap_or_default();
    let (calls, rcu, wcu) = (cost.calls, cost.rcu, cost.wcu);
    console.say(format!(
        "{method:6} {path:48} {status} {millis:8.2} ms  {calls:2} calls {rcu:6} rcu {wcu:6} wcu"
    ));
    response
}
