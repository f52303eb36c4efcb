//! The `tidings` process under measurement, on an empty folder. Dropping the guard kills it and deletes the folder.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::failure::Failure;

/// A running server that has reported ready.
pub(crate) struct Server {
    /// The address it listens on.
    pub address: SocketAddr,
    process: Process,
    folder: TempDir,
    binary: PathBuf,
}

/// The resident memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Current size (`VmRSS`).
    pub resident: u64,
    /// Peak size (`VmHWM`).
    pub peak: u64,
}

impl Memory {
    /// Reads the memory of the process with this id.
    pub(crate) fn of(process: u32) -> Result<Self, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let field = |name: &str| -> Result<u64, Failure> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
            Ok(line.trim_end_matches("kB").trim().parse::<u64>()? * 1024)
        };
        Ok(Self { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

/// A child process, killed on drop.
struct Process {
    child: Child,
    /// Kept open, so that the server can continue to write to it.
    out: BufReader<ChildStdout>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts a server with its data beside the binary.
    pub(crate) fn start() -> Result<Self, Failure> {
        let binary = binary()?;
        let folder = data_folder(&binary)?;
        let (process, address) = spawn(tidings(&binary, folder.path()))?;
        Ok(Self { address, process, folder, binary })
    }

    /// Starts the peer of `bench/peer` in the same way. `None` without Node or the peer's packages.
    pub(crate) fn start_peer() -> Result<Option<Self>, Failure> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer/peer.mjs");
        let has_packages = script.with_file_name("node_modules/better-sqlite3").is_dir();
        let has_node = Command::new("node").arg("--version").output().is_ok();
        if !has_packages || !has_node {
            return Ok(None);
        }
        let binary = binary()?;
        let folder = data_folder(&binary)?;
        let mut command = clean_command(Path::new("node"));
        command.arg(script).arg(folder.path().join("tidings.db"));
        let (process, address) = spawn(command)?;
        Ok(Some(Self { address, process, folder, binary }))
    }

    /// Returns the CPU time that the process has used so far, to a hundredth of a second.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.child.id()))?;
        // The name, the second field, may contain spaces; user and system time are fields 14 and 15 of proc(5).
        let (_, fields) = stat.rsplit_once(')').ok_or("no process name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Ok(Duration::from_millis(ticks.sum::<Result<u64, _>>()? * 10))
    }

    /// Returns the data directory.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Reads the server's memory.
    pub(crate) fn memory(&self) -> Result<Memory, Failure> {
        Memory::of(self.process.child.id())
    }

    /// Returns how many files the server has open, including sockets.
    pub(crate) fn open_files(&self) -> Result<usize, Failure> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.process.child.id()))?.count())
    }

    /// Signs a token for each user, in the same order.
    pub(crate) fn tokens(&self, users: &[String]) -> Result<Vec<String>, Failure> {
        let threads = thread::available_parallelism()?.get();
        let share = users.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let sign = |part| scope.spawn(move || self.tokens_of(part));
            let workers: Vec<_> = users.chunks(share).map(sign).collect();
            let parts = workers.into_iter().map(|worker| worker.join().map_err(|_| "a thread panicked")?);
            Ok(parts.collect::<Result<Vec<_>, Failure>>()?.concat())
        })
    }

    fn tokens_of(&self, users: &[String]) -> Result<Vec<String>, Failure> {
        users.iter().map(|user| self.token(user)).collect()
    }

    fn token(&self, user: &str) -> Result<String, Failure> {
        let mut command = clean_command(&self.binary);
        command.args(["token", user, "--name", user, "--data-dir"]).arg(self.folder.path());
        let output = command.output()?;
        if !output.status.success() {
            return Err(format!("cannot sign a token: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// Starts the server several times, each time on an empty folder. Returns the median time from the process's creation
/// to its ready line.
pub(crate) fn start_up(starts: usize) -> Result<Duration, Failure> {
    let binary = binary()?;
    let mut times = Vec::with_capacity(starts);
    for _ in 0..starts {
        let folder = data_folder(&binary)?;
        let began = Instant::now();
        let _process = spawn(tidings(&binary, folder.path()))?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times.get(starts / 2).copied().ok_or_else(|| "no start was measured".into())
}

/// Returns the path of `tidings`, in the folder of this executable.
fn binary() -> Result<PathBuf, Failure> {
    let binary = std::env::current_exe()?.with_file_name("tidings");
    if binary.is_file() {
        Ok(binary)
    } else {
        let command = "cargo build --profile optimized --bin tidings";
        Err(format!("{} is missing: build it with {command}", binary.display()).into())
    }
}

/// Returns a new folder beside the binary: the system's temporary folder may be in memory, where a flush costs nothing.
fn data_folder(binary: &Path) -> Result<TempDir, Failure> {
    let beside = binary.parent().ok_or("the binary has no parent folder")?;
    Ok(tempfile::Builder::new().prefix("bench-data-").tempdir_in(beside)?)
}

/// The secret of all servers' tokens, so that each takes the other's.
const SECRET: &str = "a secret of the benchmark, of more than 32 bytes";

/// Creates a command without the `TIDINGS_` and `AWS_` variables of the caller's environment.
fn clean_command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("TIDINGS_") || text.starts_with("AWS_") {
            command.env_remove(&name);
        }
    }
    command.env("TIDINGS_JWT_SECRET", SECRET);
    command
}

fn tidings(binary: &Path, folder: &Path) -> Command {
    let mut command = clean_command(binary);
    command.args(["--port", "0", "--quiet", "--data-dir"]).arg(folder).env("TIDINGS_RATE_LIMITS", "off");
    command
}

/// Starts a server, and waits until it is ready.
fn spawn(mut command: Command) -> Result<(Process, SocketAddr), Failure> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
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
