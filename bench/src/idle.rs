//! Measures how much of the server's memory an idle socket takes.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::failure::Failure;
use crate::report::{grouped, kilo, mega, note, say};
use crate::seed;
use crate::server::Server;
use crate::sockets::{Protocol, Socket};

/// Numbers of idle sockets to measure with, in ascending order.
const COUNTS: [usize; 2] = [1_000, 5_000];
/// Users who share the sockets evenly.
const USERS: usize = 100;
/// Sockets that are opened concurrently.
const CONCURRENT: usize = 16;
/// Upper bound for the files that a process has open besides its sockets.
const OTHER_FILES: u64 = 500;
/// Pause before the server's memory is read.
const PAUSE: Duration = Duration::from_secs(2);

/// Opens idle sockets to a new server and prints the server's memory before and after.
pub(crate) async fn measure() -> Result<(), Failure> {
    say("")?;
    let mut allowed = Vec::new();
    for count in COUNTS {
        if may_open(u64::try_from(count)? + OTHER_FILES)? {
            allowed.push(count);
        } else {
            say(&format!("{} idle sockets skipped: the limit of open files is too low", grouped(count)))?;
        }
    }
    if allowed.is_empty() {
        return Ok(());
    }
    note("opening idle sockets")?;
    let server = Server::start()?;
    let users = seed::users(&server, (0..USERS).map(|index| format!("holder-{index}")).collect()).await?;
    let mut sockets = Vec::new();
    let open = async |sockets: &mut Vec<Socket>, count: usize| -> Result<u64, Failure> {
        let limit = Arc::new(Semaphore::new(CONCURRENT));
        let mut tasks = JoinSet::new();
        for index in sockets.len()..count {
            let (user, limit, address) = (users[index % USERS].clone(), limit.clone(), server.address);
            tasks.spawn(async move {
                let _permit = limit.acquire().await?;
                Socket::open(address, &user, Protocol::Tidings).await
            });
        }
        while let Some(opened) = tasks.join_next().await {
            sockets.push(opened??);
        }
        sleep(PAUSE).await;
        Ok(server.memory()?.resident)
    };
    // The first sockets also cause allocations that all later ones share: leave these out of the measurement.
    open(&mut sockets, CONCURRENT).await?;
    sockets.clear();
    let before = open(&mut sockets, 0).await?;
    for count in allowed {
        let after = open(&mut sockets, count).await?;
        if server.open_files()? < count {
            return Err("the server closed idle sockets".into());
        }
        let each = after.saturating_sub(before) / u64::try_from(count)?;
        say(&format!(
            "{:<19} {} resident before, {} with them: {} each",
            format!("{} idle sockets", grouped(count)),
            mega(before),
            mega(after),
            kilo(each)
        ))?;
    }
    Ok(())
}

/// Whether this process, and a server that inherits its limit, may open this many files. Raises the limit if necessary.
fn may_open(files: u64) -> Result<bool, Failure> {
    if limit()? >= files {
        return Ok(true);
    }
    let pid = std::process::id().to_string();
    let prlimit = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={files}:")]).output();
    Ok(prlimit.is_ok() && limit()? >= files)
}

/// Returns how many files this process may open.
fn limit() -> Result<u64, Failure> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft =
        line.and_then(|line| line.split_whitespace().next()).ok_or("cannot read the limit of open files")?;
    Ok(if soft == "unlimited" { u64::MAX } else { soft.parse()? })
}
