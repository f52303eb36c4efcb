//! Measures the local stack: starts `tidings` on a fresh folder, fills it over HTTP, and prints what each operation
//! takes. The server runs as its users run it: a process of its own, on file, reached over sockets.

mod client;
mod costs;
mod disk;
mod groups;
mod idle;
mod live;
mod load;
mod operations;
mod report;
mod seed;
mod server;
mod sockets;
mod starts;
mod text;
mod work;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::costs::Costs;
use crate::operations::Operation;
use crate::report::{Row, grouped, say};
use crate::seed::{Pair, Size, Stage};
use crate::server::Server;
use crate::starts::Starts;

/// What ends a measurement: a sentence for people.
type Failure = Box<dyn Error + Send + Sync>;

/// How many clients call at once.
const CLIENTS: [usize; 3] = [1, 8, 32];
/// Starts of which the median is told.
const STARTS: usize = 5;
const USUAL: Size = Size { conversations: 1_000, messages: 10_000 };
const FULL: Size = Size { conversations: 10_000, messages: 100_000 };

/// Measures the `tidings` binary that lies beside this one.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// Seconds that each measurement takes
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Also with 10,000 conversations and 100,000 messages in one: takes some minutes
    #[arg(long)]
    full: bool,
    /// Only one of the tables
    #[arg(long)]
    only: Option<Table>,
}

/// What is measured beside the local stack.
#[derive(Debug, Subcommand)]
enum Other {
    /// From a function's exec to its first request for work
    Starts(Starts),
    /// Dollars, in AWS
    Costs(Costs),
}

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Calls over HTTP.
    Http,
    /// Polls and sockets.
    Live,
    /// Groups, changes and logins.
    Groups,
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

/// One thread makes all calls, so that the server has the other cores to itself.
fn run(options: &Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match &options.other {
        Some(Other::Starts(starts)) => return runtime.block_on(starts.measure()),
        Some(Other::Costs(costs)) => return runtime.block_on(costs.tell()),
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
    let mut stages = Vec::new();
    let wants = |table| options.only.is_none_or(|only| only == table);
    if wants(Table::Http) || wants(Table::Live) {
        let pairs = seed::pairs(server, live::PAIRS).await?;
        if wants(Table::Http) {
            stages = http(options, server, &pairs, seconds).await?;
            say("")?;
        }
        if wants(Table::Live) {
            live::measure(server, &pairs, seconds).await?;
            say("")?;
        }
    }
    if wants(Table::Groups) {
        groups::measure(server, seconds).await?;
    }
    summary(server, start_up, fresh, &stages)
}

/// The first table; gives what it was measured on.
async fn http(
    options: &Options,
    server: &Server,
    pairs: &[Pair],
    seconds: Duration,
) -> Result<Vec<Stage>, Failure> {
    let stage = Stage::fill(server, "hub", USUAL).await?;
    say(&report::head())?;
    for operation in operations::writes(pairs).iter().chain(&operations::reads(&stage)?) {
        rows(server, operation, &CLIENTS, seconds).await?;
    }
    let mut stages = vec![stage];
    if options.full {
        let stage = Stage::fill(server, "full-hub", FULL).await?;
        for operation in operations::reads(&stage)? {
            rows(server, &operation, &CLIENTS, seconds).await?;
        }
        for operation in operations::writes_in(&stage) {
            rows(server, &operation, &CLIENTS[..1], seconds).await?;
        }
        stages.push(stage);
    }
    Ok(stages)
}

/// Measures an operation with each number of clients.
async fn rows(
    server: &Server,
    operation: &Operation,
    clients: &[usize],
    seconds: Duration,
) -> Result<(), Failure> {
    for &clients in clients {
        let works = (0..clients).map(|index| operation.work(index)).collect();
        let load = load::run(server.address, works, seconds).await;
        let load = load.map_err(|error| format!("{}, {clients} clients: {error}", operation.name))?;
        say(&Row { name: &operation.name, clients, load }.to_string())?;
    }
    Ok(())
}

fn summary(
    server: &Server,
    start_up: Duration,
    fresh: server::Memory,
    stages: &[Stage],
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
    for stage in stages {
        let messages = stage.size.messages;
        let bytes = stage.growth / u64::try_from(messages)?;
        let (bytes, messages) = (bytes, grouped(messages));
        say(&format!("disk per message    {bytes} bytes (database growth over {messages} sends)"))?;
    }
    say(&format!("data directory      {} at the end", report::mega(disk)))
}
