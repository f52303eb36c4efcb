//! How long functions take to start: from their process's creation to the first request for work, as Lambda counts.
//!
//! The Runtime API is a fake on loopback; it answers the warm-up call to the database as well, over plain HTTP. The
//! function has its TLS client, trusted roots included, by then: the SDK builds both before the first call.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::Failure;
use crate::report::{mega, say};
use crate::server::Memory;

/// How long a function may take before it counts as broken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where the runtime asks for work (AWS Lambda's guide, "Using the Lambda runtime API for custom runtimes").
const NEXT: &str = "/invocation/next ";
/// An answer to any call that is not for work: an item that does not exist.
const NOTHING: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}";

/// Measures how functions start.
#[derive(Debug, Args)]
pub(crate) struct Starts {
    /// Starts of each, of which the median counts
    #[arg(long, default_value_t = 20)]
    times: usize,
    /// The handler's name that the functions are given
    #[arg(long, value_delimiter = ',', default_value = "bootstrap")]
    handlers: Vec<String>,
    /// The functions' binaries; with several handlers each is started as each of them
    #[arg(required = true)]
    binaries: Vec<PathBuf>,
}

/// One start of a function.
struct Start {
    took: Duration,
    memory: Memory,
}

/// Ends its process.
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
    /// A sentence about a function that does not ask for work.
    pub(crate) async fn measure(&self) -> Result<(), Failure> {
        let api = TcpListener::bind(("127.0.0.1", 0)).await?;
        say(&line(["function", "binary", "ready ms", "slowest", "resident"]))?;
        for binary in &self.binaries {
            for handler in &self.handlers {
                let mut starts = Vec::with_capacity(self.times);
                for _ in 0..self.times {
                    let start = start(&api, binary, handler).await;
                    starts.push(start.map_err(|error| format!("{} {handler}: {error}", binary.display()))?);
                }
                say(&row(binary, handler, starts)?)?;
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
    let began = Instant::now();
    let function = Function(command.spawn()?);
    // Open until the memory is read, as in Lambda.
    let mut open = Vec::new();
    let asked = timeout(PATIENCE, async {
        loop {
            let (mut stream, _) = api.accept().await?;
            let head = head(&mut stream).await?;
            if head.lines().next().is_some_and(|line| line.contains(NEXT)) {
                open.push(stream);
                return Ok::<_, Failure>(began.elapsed());
            }
            stream.write_all(NOTHING).await?;
            open.push(stream);
        }
    });
    let took = asked.await.map_err(|_| "does not ask for work")??;
    Ok(Start { took, memory: Memory::of(function.0.id())? })
}

/// A request, up to the end of its head at least.
async fn head(stream: &mut TcpStream) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn row(binary: &Path, handler: &str, mut starts: Vec<Start>) -> Result<String, Failure> {
    starts.sort_unstable_by_key(|start| start.took);
    let millis = |start: &Start| format!("{:.1}", start.took.as_secs_f64() * 1000.0);
    let slowest = starts.last().map(millis).ok_or("no start was measured")?;
    let median = starts.get(starts.len() / 2).map(millis).ok_or("no start was measured")?;
    starts.sort_unstable_by_key(|start| start.memory.resident);
    let resident = starts.get(starts.len() / 2).map(|start| mega(start.memory.resident));
    let name = binary.file_name().unwrap_or_default().to_string_lossy();
    let name = if handler == "bootstrap" { name.into_owned() } else { handler.to_owned() };
    let size = mega(binary.metadata()?.len());
    Ok(line([&name, &size, &median, &slowest, &resident.ok_or("no start was measured")?]))
}

fn line([name, size, median, slowest, resident]: [&str; 5]) -> String {
    format!("{name:<16} {size:>10} {median:>9} {slowest:>9} {resident:>10}")
}
