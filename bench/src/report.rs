//! The printed table: plain text, aligned.

use std::fmt::{self, Display, Formatter};
use std::io::Write;

use crate::Failure;
use crate::load::Load;

/// What the table's numbers mean, and its header.
pub(crate) fn head() -> String {
    let names = line([
        "operation".into(),
        "clients".into(),
        "calls/s".into(),
        "p50 ms".into(),
        "p99 ms".into(),
        "depth".into(),
        "calls".into(),
        "RCU".into(),
        "WCU".into(),
    ]);
    format!(
        "depth, calls (of the database), RCU and WCU are the server's own figures for one call, on average; a search\n\
         is all its pages up to the first hits. mark as read: between two timed calls a message is sent, untimed;\n\
         its calls/s are clients / mean latency.\n\
         \n{names}"
    )
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
        f.write_str(&line([
            self.name.to_owned(),
            self.clients.to_string(),
            rate,
            millis(p50),
            millis(p99),
            short(cost.depth),
            short(cost.calls),
            short(cost.rcu),
            short(cost.wcu),
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

/// Bytes in MiB.
pub(crate) fn mega(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
