//! The `tidings` process under measurement, on a fresh folder; it ends, and the folder goes, with its guard.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Failure;

/// A server that is ready.
pub(crate) struct Server {
    /// Where it serves.
    pub address: SocketAddr,
    process: Process,
    folder: TempDir,
    binary: PathBuf,
}

/// What the process holds of memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Now (`VmRSS`).
    pub resident: u64,
    /// At most so far (`VmHWM`).
    pub peak: u64,
}

impl Memory {
    /// What a process holds, by its id.
    pub(crate) fn of(process: u32) -> Result<Self, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let field = |name: &str| -> Result<u64, Failure> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
            Ok(line.trim_end_matches("kB").trim().parse::<u64>()? * 1024)
        };
        Ok(Self { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

/// Ends its process.
struct Process {
    child: Child,
    /// Held, so that the server can go on writing to it.
    out: BufReader<ChildStdout>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts one, with its folder beside the binary: the system's temporary folder may be in memory, where a flush
    /// costs nothing.
    pub(crate) fn start() -> Result<Self, Failure> {
        let binary = binary()?;
        let beside = binary.parent().ok_or("the binary is in no folder")?;
        let folder = tempfile::Builder::new().prefix("bench-data-").tempdir_in(beside)?;
        let (process, address) = spawn(&binary, folder.path())?;
        Ok(Self { address, process, folder, binary })
    }

    /// Its data directory.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it holds of memory.
    pub(crate) fn memory(&self) -> Result<Memory, Failure> {
        Memory::of(self.process.child.id())
    }

    /// How many files it has open, sockets among them.
    pub(crate) fn open_files(&self) -> Result<usize, Failure> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.process.child.id()))?.count())
    }

    /// A token for each user, in their order.
    pub(crate) fn tokens(&self, users: &[String]) -> Result<Vec<String>, Failure> {
        let threads = thread::available_parallelism()?.get();
        let share = users.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let sign = |part| scope.spawn(move || self.tokens_of(part));
            let workers: Vec<_> = users.chunks(share).map(sign).collect();
            let parts =
                workers.into_iter().map(|worker| worker.join().map_err(|_| "a thread ended early")?);
            Ok(parts.collect::<Result<Vec<_>, Failure>>()?.concat())
        })
    }

    fn tokens_of(&self, users: &[String]) -> Result<Vec<String>, Failure> {
        users.iter().map(|user| self.token(user)).collect()
    }

    fn token(&self, user: &str) -> Result<String, Failure> {
        let mut command = bare(&self.binary);
        command.args(["token", user, "--name", user, "--data-dir"]).arg(self.folder.path());
        let output = command.output()?;
        if !output.status.success() {
            return Err(format!("no token: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// The median time of so many starts, each on an empty folder, from the process's creation to its ready line.
pub(crate) fn start_up(starts: usize) -> Result<Duration, Failure> {
    let binary = binary()?;
    let beside = binary.parent().ok_or("the binary is in no folder")?;
    let mut times = Vec::with_capacity(starts);
    for _ in 0..starts {
        let folder = tempfile::Builder::new().prefix("bench-data-").tempdir_in(beside)?;
        let began = Instant::now();
        let _process = spawn(&binary, folder.path())?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times.get(starts / 2).copied().ok_or_else(|| "no start was measured".into())
}

/// `tidings`, beside this executable.
fn binary() -> Result<PathBuf, Failure> {
    let binary = std::env::current_exe()?.with_file_name("tidings");
    if binary.is_file() {
        Ok(binary)
    } else {
        Err(format!("{} is missing: build it with cargo build --release", binary.display()).into())
    }
}

/// A command without the settings of whoever runs the benchmark.
fn bare(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("TIDINGS_") || text.starts_with("AWS_") {
            command.env_remove(&name);
        }
    }
    command
}

fn spawn(binary: &Path, folder: &Path) -> Result<(Process, SocketAddr), Failure> {
    let mut child = bare(binary)
        .args(["--port", "0", "--quiet", "--data-dir"])
        .arg(folder)
        .env("TIDINGS_RATE_LIMITS", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take().map(BufReader::new);
    let mut process = Process { child, out: out.ok_or("the server has no standard output")? };
    let mut line = String::new();
    while process.out.read_line(&mut line)? > 0 {
        if let Some(address) = line.trim_end().strip_prefix("ready http://") {
            return Ok((process, address.parse()?));
        }
        line.clear();
    }
    Err("the server ended before it was ready".into())
}
