//! Runs the `tidings` binary as a separate process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::binaries;
use crate::build::binaries as build_binaries;

/// Returns the path of the binary, which is built if necessary.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build_binaries().join("tidings"))
}

/// A running server, killed on drop.
pub struct Server {
    /// The URL of its main port.
    pub url: String,
    /// The lines that it printed before the ready line.
    pub welcome: Vec<String>,
    child: Child,
}

impl Server {
    /// Starts the binary on any free port, and waits until it is ready.
    pub fn start(folder: &Path, flags: &[&str]) -> Self {
        Self::start_with(folder, flags, &[])
    }

    /// Starts the binary with variables in its environment.
    pub fn start_with(folder: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = command(folder, flags);
        command.envs(binaries::wanted().then(|| ("TIDINGS_FUNCTIONS_FROM", binaries::folder())));
        Self::run(command.envs(variables.iter().copied()))
    }

    /// Starts the binary with all functions in its own process, whatever the environment says.
    pub fn start_alone(folder: &Path, flags: &[&str]) -> Self {
        Self::run(&mut command(folder, flags))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let out = child.stdout.take().expect("its standard output");
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let mut welcome = Vec::new();
        for line in lines.by_ref() {
            if let Some(url) = line.strip_prefix("ready ") {
                let url = url.to_owned();
                // Drain the pipe, so that the server does not block on a full one.
                std::thread::spawn(move || lines.for_each(drop));
                return Self { url, welcome, child };
            }
            welcome.push(line);
        }
        let ended = child.wait();
        panic!("the server ended before it was ready: {ended:?} {welcome:?}");
    }

    /// Returns the process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process immediately, like a power cut.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Sends SIGTERM, waits for the end, and returns the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        self.child.wait().expect("it ends").code()
    }
}

/// The command that starts the binary on any free port.
pub fn command(folder: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(["--port", "0", "--data-dir"]).arg(folder).args(flags);
    command.env_remove("TIDINGS_JWT_SECRET").env_remove("AWS_ENDPOINT_URL_DYNAMODB");
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Signs a token that the server with this data directory accepts.
pub fn token(folder: &Path, user: &str) -> String {
    let output = Command::new(binary()).args(["token", user, "--data-dir"]).arg(folder).output();
    let output = output.expect("the binary starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
