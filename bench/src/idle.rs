//! What sockets that are only held take of the server's memory.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::report::{grouped, kilo, mega, note, say};
use crate::server::Server;
use crate::sockets::Socket;
use crate::{Failure, seed};

/// How many sockets are held, less first.
const HELD: [usize; 2] = [1_000, 5_000];
/// Users whose they are, in turn.
const USERS: usize = 100;
/// Sockets that are opened at once.
const AT_ONCE: usize = 16;
/// Files that a process has open beside its sockets.
const OTHER_FILES: u64 = 500;
/// How long the server is left alone before its memory is read.
const REST: Duration = Duration::from_secs(2);

/// Opens sockets to a server of their own, and says what its memory was before and after.
pub(crate) async fn measure() -> Result<(), Failure> {
    say("")?;
    let mut allowed = Vec::new();
    for count in HELD {
        if may_open(u64::try_from(count)? + OTHER_FILES)? {
            allowed.push(count);
        } else {
            say(&format!("{} idle sockets skipped: the limit of open files is too low", grouped(count)))?;
        }
    }
    if allowed.is_empty() {
        return Ok(());
    }
    note("holding idle sockets")?;
    let server = Server::start()?;
    let users = seed::users(&server, (0..USERS).map(|index| format!("holder-{index}")).collect()).await?;
    let mut held = Vec::new();
    let open = async |held: &mut Vec<Socket>, count: usize| -> Result<u64, Failure> {
        let limit = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks = JoinSet::new();
        for index in held.len()..count {
            let (user, limit, address) = (users[index % USERS].clone(), limit.clone(), server.address);
            tasks.spawn(async move {
                let _permit = limit.acquire().await?;
                Socket::open(address, &user).await
            });
        }
        while let Some(opened) = tasks.join_next().await {
            held.push(opened??);
        }
        sleep(REST).await;
        Ok(server.memory()?.resident)
    };
    // What the first few take for all that follow is not theirs.
    open(&mut held, AT_ONCE).await?;
    held.clear();
    let before = open(&mut held, 0).await?;
    for count in allowed {
        let after = open(&mut held, count).await?;
        if server.open_files()? < count {
            return Err("the server has closed idle sockets".into());
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

/// Whether this process, and with it a server that it starts, may open so many files. Raises the limit if need be.
fn may_open(files: u64) -> Result<bool, Failure> {
    if limit()? >= files {
        return Ok(true);
    }
    let pid = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={files}:")]).output();
    Ok(raised.is_ok() && limit()? >= files)
}

/// How many files this process may open.
fn limit() -> Result<u64, Failure> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()).ok_or("no limit of open files")?;
    Ok(if soft == "unlimited" { u64::MAX } else { soft.parse()? })
}
