//! The `tidings` binary as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::binaries;

/// The binary, built if need be.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| binaries().join("tidings"))
}

/// The folder of the binaries, which are built if need be: all at once and as in the Makefile, for each selection of
/// packages is another set of features, with which everything would be compiled again.
pub fn binaries() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let packages = ["build", "--quiet", "--package=local", "--package=functions", "--package=bench"];
    let built = Command::new(cargo).args(packages).current_dir(root()).status();
    assert!(built.is_ok_and(|status| status.success()), "the binaries cannot be built");
    let test = std::env::current_exe().expect("a path");
    test.ancestors().nth(2).expect("target/debug").to_owned()
}

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace")
}

/// A running server; it is killed when this is dropped.
pub struct Server {
    /// Where it serves.
    pub url: String,
    /// What it printed before it was ready.
    pub welcome: Vec<String>,
    child: Child,
}

impl Server {
    /// Starts the binary on any free port, and waits until it is ready.
    pub fn start(folder: &Path, flags: &[&str]) -> Self {
        Self::start_with(folder, flags, &[])
    }

    /// Starts it with variables in its environment.
    pub fn start_with(folder: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = command(folder, flags);
        command.envs(binaries::wanted().then(|| ("TIDINGS_FUNCTIONS_FROM", binaries::folder())));
        Self::run(command.envs(variables.iter().copied()))
    }

    /// Starts it with all its functions in its own process, whatever the environment says.
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
                // It must not block on a full pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Self { url, welcome, child };
            }
            welcome.push(line);
        }
        let ended = child.wait();
        panic!("the server ended before it was ready: {ended:?} {welcome:?}");
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once, as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Asks it to stop, and gives its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        self.child.wait().expect("it ends").code()
    }
}

fn command(folder: &Path, flags: &[&str]) -> Command {
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

/// A token that the server of a folder accepts.
pub fn token(folder: &Path, user: &str) -> String {
    let output = Command::new(binary()).args(["token", user, "--data-dir"]).arg(folder).output();
    let output = output.expect("the binary starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
