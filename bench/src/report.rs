//! Prints the report: tables as aligned plain text.

use std::fmt::{self, Display, Formatter};
use std::io::Write;

use crate::client::Cost;
use crate::failure::Failure;
use crate::load::Load;

/// Returns the legend and the header of the first table.
pub(crate) fn head() -> String {
    let names = names("clients", "calls/s");
    format!(
        "depth, calls (to the database), RCU and WCU: the server's own figures, as means per call; a search counts all its\n\
         pages up to the first hits. mark as read: a message is sent, untimed, before each timed call; calls/s is\n\
         clients / mean latency.\n\
         \n{names}"
    )
}

/// Returns the legend and the header of the second table.
pub(crate) fn live_head() -> String {
    let names = names("senders", "sends/s");
    format!(
        "idle poll: clients with empty queues follow their cursors; here \"senders\" are clients and sends/s are polls/s.\n\
         send to poll: from the start of the POST until a reader that polls without a pause has the response with the\n\
         message. send to push: from the frame on the sender's socket to the event on the receiver's, at the rate in\n\
         sends/s; unpaced senders wait only for each ack. fan-out: the receiver in one direct conversation has several\n\
         sockets; the time is until the last of them has the event.\n\
         \n{names}"
    )
}

/// Returns the legend and the header of the third table.
pub(crate) fn groups_head() -> String {
    let names = names("clients", "calls/s");
    format!(
        "send to a group: each message is in all rows and queues when the call returns. In the group of 1,000 the fan-out\n\
         writes them later: the time is until the inboxes of all participants show the message.\n\
         \n{names}"
    )
}

/// Returns the legend and the header of the table of files.
pub(crate) fn uploads_head() -> String {
    let names = names("clients", "files/s");
    format!(
        "upload and send: the form is asked for, the file is posted to the storage, and the message is sent. picture chosen\n\
         to picture seen: from before the upload of 1 MiB until the other user, who has a socket, has loaded all of it.\n\
         picture sent to first byte: from the send until its first bytes are there.\n\
         \n{names}"
    )
}

fn names(clients: &str, rate: &str) -> String {
    line(["operation", clients, rate, "p50 ms", "p99 ms", "depth", "calls", "RCU", "WCU"].map(Into::into))
}

/// A row of a table: an operation measured with a number of clients.
pub(crate) struct Row<'a> {
    /// The operation's name.
    pub name: &'a str,
    /// Number of concurrent clients.
    pub clients: usize,
    /// The results.
    pub load: Load,
}

impl Display for Row<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Load { per_second, p50, p99, cost, .. } = self.load;
        let millis = |time: std::time::Duration| format!("{:.2}", time.as_secs_f64() * 1000.0);
        let rate = if per_second < 100.0 { format!("{per_second:.1}") } else { format!("{per_second:.0}") };
        let mean = |field: fn(Cost) -> f64| cost.map_or_else(|| "-".into(), |cost| short(field(cost)));
        f.write_str(&line([
            self.name.to_owned(),
            self.clients.to_string(),
            rate,
            millis(p50),
            millis(p99),
            mean(|cost| cost.depth),
            mean(|cost| cost.calls),
            mean(|cost| cost.rcu),
            mean(|cost| cost.wcu),
        ]))
    }
}

fn line([name, clients, rate, p50, p99, depth, calls, rcu, wcu]: [String; 9]) -> String {
    format!("{name:<30} {clients:>7} {rate:>8} {p50:>9} {p99:>9} {depth:>6} {calls:>6} {rcu:>7} {wcu:>6}")
}

/// Formats a number with one decimal, unless that is 0.
fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map(ToOwned::to_owned).unwrap_or(text)
}

/// Prints a line of the report.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

/// Prints progress to standard error.
pub(crate) fn note(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stderr().lock(), "{text} ...")?)
}

/// Formats a number with thousands separators.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats bytes as KiB.
pub(crate) fn kilo(bytes: u64) -> String {
    let tenths = bytes * 10 / 1024;
    format!("{}.{} KiB", tenths / 10, tenths % 10)
}

/// Formats bytes as MiB.
pub(crate) fn mega(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
