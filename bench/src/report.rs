//! The printed table: plain text, aligned.

use std::fmt::{self, Display, Formatter};
use std::io::Write;

use crate::Failure;
use crate::client::Cost;
use crate::load::Load;

/// What the first table's numbers mean, and its header.
pub(crate) fn head() -> String {
    let names = names("clients", "calls/s");
    format!(
        "depth, calls (of the database), RCU and WCU are the server's own figures for one call, on average; a search\n\
         is all its pages up to the first hits. mark as read: between two timed calls a message is sent, untimed;\n\
         its calls/s are clients / mean latency.\n\
         \n{names}"
    )
}

/// The same of the second table.
pub(crate) fn live_head() -> String {
    let names = names("senders", "sends/s");
    format!(
        "idle poll: clients with empty queues follow their cursors; senders and sends/s are polls there. send to poll:\n\
         from the start of the POST to the receipt of the answer that holds the message, by a reader that polls without\n\
         a pause. send to push: from the frame on the sender's socket to the event on the receiver's, at the rate that\n\
         the sends/s say; unpaced, each sender waits for its ack only. fan-out: until the last of a receiver's sockets\n\
         in one direct conversation has it.\n\
         \n{names}"
    )
}

/// The same of the third table.
pub(crate) fn groups_head() -> String {
    let names = names("clients", "calls/s");
    format!(
        "send to a group: each message is in all rows and queues when the call is answered; of 1,000, once the fan-out\n\
         has brought it to all, as the inbox of each says.\n\
         \n{names}"
    )
}

fn names(clients: &str, rate: &str) -> String {
    line(["operation", clients, rate, "p50 ms", "p99 ms", "depth", "calls", "RCU", "WCU"].map(Into::into))
}

/// An operation with a number of clients, measured.
pub(crate) struct Row<'a> {
    /// What was measured.
    pub name: &'a str,
    /// How many called at once.
    pub clients: usize,
    /// What they achieved.
    pub load: Load,
}

impl Display for Row<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Load { per_second, p50, p99, cost } = self.load;
        let millis = |time: std::time::Duration| format!("{:.2}", time.as_secs_f64() * 1000.0);
        let rate = if per_second < 100.0 { format!("{per_second:.1}") } else { format!("{per_second:.0}") };
        let of = |field: fn(Cost) -> f64| cost.map_or_else(|| "-".into(), |cost| short(field(cost)));
        f.write_str(&line([
            self.name.to_owned(),
            self.clients.to_string(),
            rate,
            millis(p50),
            millis(p99),
            of(|cost| cost.depth),
            of(|cost| cost.calls),
            of(|cost| cost.rcu),
            of(|cost| cost.wcu),
        ]))
    }
}

fn line([name, clients, rate, p50, p99, depth, calls, rcu, wcu]: [String; 9]) -> String {
    format!("{name:<30} {clients:>7} {rate:>8} {p50:>9} {p99:>9} {depth:>6} {calls:>6} {rcu:>7} {wcu:>6}")
}

/// One digit after the point, where it says anything.
fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map(ToOwned::to_owned).unwrap_or(text)
}

/// Prints a line of the report.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

/// Says what is being done, beside the report.
pub(crate) fn note(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stderr().lock(), "{text} ...")?)
}

/// Digits in groups of three.
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

/// Bytes in KiB.
pub(crate) fn kilo(bytes: u64) -> String {
    let tenths = bytes * 10 / 1024;
    format!("{}.{} KiB", tenths / 10, tenths % 10)
}

/// Bytes in MiB.
pub(crate) fn mega(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
