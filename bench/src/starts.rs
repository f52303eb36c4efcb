//! Measures how long functions take to start: from the process's creation to its first request for work, which is the
//! time that Lambda counts.
//!
//! A fake Runtime API on loopback also answers the warm-up call to the database, over plain HTTP. The measured time
//! includes building the TLS client and its trusted roots, which the SDK does before its first call.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::failure::Failure;
use crate::report::{mega, say};
use crate::server::Memory;

/// How long a function may take before it counts as broken.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Part of the runtime's request for work (AWS Lambda's guide, "Using the Lambda runtime API for custom runtimes").
const NEXT: &str = "/invocation/next ";
/// The response to all other requests: an empty object, which to the database's client is an item that does not exist.
const NO_ITEM: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}";

/// Measure how long functions take to start
#[derive(Debug, Args)]
pub(crate) struct Starts {
    /// Number of starts of each function, of which the median counts
    #[arg(long, default_value_t = 20)]
    times: usize,
    /// Names of the handlers to start
    #[arg(long, value_delimiter = ',', default_value = "bootstrap")]
    handlers: Vec<String>,
    /// The functions' binaries; each is started once for each handler
    #[arg(required = true)]
    binaries: Vec<PathBuf>,
}

/// One start of a function.
struct Start {
    took: Duration,
    /// CPU time of the process, which does not depend on the machine's other load.
    cpu_time: Duration,
    memory: Memory,
}

/// A function's process, killed on drop.
struct Function(Child);

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Starts {
    /// Prints a line for each function.
    ///
    /// # Errors
    /// If a function cannot be started or does not ask for work within 10 s.
    pub(crate) async fn measure(&self) -> Result<(), Failure> {
        let api = TcpListener::bind(("127.0.0.1", 0)).await?;
        say(&line(["function", "ready ms", "slowest", "CPU ms", "resident"]))?;
        for binary in &self.binaries {
            for handler in &self.handlers {
                let mut starts = Vec::with_capacity(self.times);
                for _ in 0..self.times {
                    let start = start(&api, binary, handler).await;
                    starts.push(start.map_err(|error| format!("{} {handler}: {error}", binary.display()))?);
                }
                say(&row(binary, handler, &starts)?)?;
            }
        }
        Ok(())
    }
}

/// Starts a function and waits until it asks for work.
async fn start(api: &TcpListener, binary: &Path, handler: &str) -> Result<Start, Failure> {
    let address = api.local_addr()?;
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("_HANDLER", handler)
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", handler)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "none")
        .env("AWS_SECRET_ACCESS_KEY", "none")
        .env("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{address}"))
        .env("TIDINGS_PUSH_ENDPOINT", format!("http://{address}"))
        .env("TIDINGS_JWT_SECRET", "a secret that is only measured with, of 32 bytes")
        .env("TIDINGS_SECRET", "a secret that is only measured with")
        .stdout(Stdio::null());
    // Keeps the connections open until the function has ended; otherwise it would log errors.
    let mut connections = Vec::new();
    let began = Instant::now();
    let function = Function(command.spawn()?);
    let asked = timeout(START_LIMIT, async {
        loop {
            let (mut stream, _) = api.accept().await?;
            let head = head(&mut stream).await?;
            if head.lines().next().is_some_and(|line| line.contains(NEXT)) {
                connections.push(stream);
                return Ok::<_, Failure>(began.elapsed());
            }
            stream.write_all(NO_ITEM).await?;
            connections.push(stream);
        }
    });
    let took = asked.await.map_err(|_| "it did not ask for work in time")??;
    let process = function.0.id();
    Ok(Start { took, cpu_time: cpu_time(process)?, memory: Memory::of(process)? })
}

/// Returns the CPU time of all threads of a process (proc(5), `schedstat`).
fn cpu_time(process: u32) -> Result<Duration, Failure> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let figures = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += figures.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Reads a request up to at least the end of its head.
async fn head(stream: &mut TcpStream) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn row(binary: &Path, handler: &str, starts: &[Start]) -> Result<String, Failure> {
    let millis = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
    let took = || starts.iter().map(|start| start.took);
    let ready = millis(median(took()).ok_or("no start was measured")?);
    let slowest = millis(took().max().unwrap_or_default());
    let cpu_time = millis(median(starts.iter().map(|start| start.cpu_time)).unwrap_or_default());
    let resident = mega(median(starts.iter().map(|start| start.memory.resident)).unwrap_or_default());
    let name = binary.file_name().unwrap_or_default().to_string_lossy();
    let name = if handler == "bootstrap" { name.into_owned() } else { handler.to_owned() };
    Ok(line([&name, &ready, &slowest, &cpu_time, &resident]))
}

fn median<T: Ord>(figures: impl Iterator<Item = T>) -> Option<T> {
    let mut figures: Vec<T> = figures.collect();
    figures.sort_unstable();
    let middle = figures.len() / 2;
    figures.into_iter().nth(middle)
}

fn line([name, ready, slowest, cpu_time, resident]: [&str; 5]) -> String {
    format!("{name:<16} {ready:>9} {slowest:>9} {cpu_time:>9} {resident:>10}")
}
