//! Measures the local stack: starts `tidings` on an empty folder, fills it over HTTP, and prints each operation's
//! latency and cost. The server runs as its users run it: as a separate process, with data on disk, over the network.

mod client;
mod compare;
mod costs;
mod disk;
mod failure;
mod groups;
mod idle;
mod live;
mod load;
mod operations;
mod report;
mod rows;
mod seed;
mod server;
mod sockets;
mod starts;
mod text;
mod uploads;
mod work;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::costs::Costs;
use crate::failure::Failure;
use crate::report::{grouped, say};
use crate::rows::{CLIENTS, rows};
use crate::seed::{Dataset, Pair, Size};
use crate::server::Server;
use crate::starts::Starts;

/// Number of starts, of which the median is reported.
const STARTS: usize = 5;
const USUAL: Size = Size { conversations: 1_000, messages: 10_000 };
const FULL: Size = Size { conversations: 10_000, messages: 100_000 };

/// Measure the `tidings` binary in the same folder as this one
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// Seconds per measurement
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Also measure with 10,000 conversations, one of 100,000 messages; takes some minutes
    #[arg(long)]
    full: bool,
    /// Measure only one of the tables
    #[arg(long)]
    only: Option<Table>,
}

/// Measurements of something other than the local stack.
#[derive(Debug, Subcommand)]
enum Other {
    /// Measure how long functions take from exec to the first request for work
    Starts(Starts),
    /// Compute what Tidings costs in AWS, in US dollars
    Costs(Costs),
}

/// A table of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Calls over HTTP.
    Http,
    /// Polls and sockets.
    Live,
    /// Groups, edits and logins.
    Groups,
    /// Files.
    Files,
    /// The peer of `bench/peer`, turn by turn.
    Peer,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes all calls on one thread, which leaves the other cores to the server.
fn run(options: &Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match &options.other {
        Some(Other::Starts(starts)) => return runtime.block_on(starts.measure()),
        Some(Other::Costs(costs)) => return runtime.block_on(costs.run()),
        None => {}
    }
    let start_up = server::start_up(STARTS)?;
    let server = Server::start()?;
    runtime.block_on(async {
        tokio::select! {
            done = measure(options, &server, start_up) => done,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        }
    })
}

async fn measure(options: &Options, server: &Server, start_up: Duration) -> Result<(), Failure> {
    let seconds = Duration::try_from_secs_f64(options.seconds)?;
    let fresh = server.memory()?;
    let mut datasets = Vec::new();
    let wants = |table| options.only.is_none_or(|only| only == table);
    if wants(Table::Http) || wants(Table::Live) {
        let pairs = seed::pairs(server, live::PAIRS).await?;
        if wants(Table::Http) {
            datasets = http(options, server, &pairs, seconds).await?;
            say("")?;
        }
        if wants(Table::Live) {
            live::measure(server, &pairs, seconds).await?;
            say("")?;
        }
    }
    if wants(Table::Groups) {
        groups::measure(server, seconds).await?;
        say("")?;
    }
    if wants(Table::Files) {
        uploads::measure(seconds).await?;
        say("")?;
    }
    if wants(Table::Peer) {
        compare::measure(seconds).await?;
    }
    summary(server, start_up, fresh, &datasets)
}

/// Measures and prints the first table. Returns the datasets that it was measured on.
async fn http(
    options: &Options,
    server: &Server,
    pairs: &[Pair],
    seconds: Duration,
) -> Result<Vec<Dataset>, Failure> {
    let dataset = Dataset::fill(server, "hub", USUAL).await?;
    say(&report::head())?;
    for operation in operations::writes(pairs).iter().chain(&operations::reads(&dataset)?) {
        rows(server, operation, &CLIENTS, seconds).await?;
    }
    let mut datasets = vec![dataset];
    if options.full {
        let dataset = Dataset::fill(server, "full-hub", FULL).await?;
        for operation in operations::reads(&dataset)? {
            rows(server, &operation, &CLIENTS, seconds).await?;
        }
        for operation in operations::writes_in(&dataset) {
            rows(server, &operation, &CLIENTS[..1], seconds).await?;
        }
        datasets.push(dataset);
    }
    Ok(datasets)
}

fn summary(
    server: &Server,
    start_up: Duration,
    fresh: server::Memory,
    datasets: &[Dataset],
) -> Result<(), Failure> {
    let now = server.memory()?;
    let disk = disk::folder_size(server.folder())?;
    say("")?;
    say(&format!("start-up            {:.0} ms (median of {STARTS})", start_up.as_secs_f64() * 1000.0))?;
    say(&format!(
        "resident memory     {} after start, {} after the load (peak {})",
        report::mega(fresh.resident),
        report::mega(now.resident),
        report::mega(now.peak)
    ))?;
    for dataset in datasets {
        let messages = dataset.size.messages;
        let bytes = dataset.growth / u64::try_from(messages)?;
        let (bytes, messages) = (bytes, grouped(messages));
        say(&format!("disk per message    {bytes} bytes (database growth over {messages} sends)"))?;
    }
    say(&format!("data directory      {} at the end", report::mega(disk)))
}
