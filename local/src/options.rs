//! The command line. Each option is a flag; most can also be set in the environment.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use domain::id::{MessageId, UserId};

/// Tidings: a chat backend on one machine.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// The command to run instead of the server.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of the stack.
    #[command(flatten)]
    pub options: Options,
}

/// Commands other than running the server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a token for a user, for scripts
    Token {
        /// The user's id
        user: UserId,
        /// The name in the token
        #[arg(long)]
        name: Option<String>,
        /// Days until it expires
        #[arg(long, default_value_t = 30)]
        days: u16,
    },
    /// Restore a message that was deleted for everyone in the last 30 days.
    ///
    /// The data folder is locked while the stack runs: set `AWS_ENDPOINT_URL_DYNAMODB` to the DynamoDB address that
    /// the stack has printed, or to the table's endpoint in AWS.
    Restore {
        /// The message's id
        message: MessageId,
    },
}

/// The options of the stack.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Port to serve on; 0 for any free port
    #[arg(long, global = true, env = "TIDINGS_PORT", default_value_t = 3000)]
    pub port: u16,
    /// Address to serve on
    #[arg(long, global = true, env = "TIDINGS_HOST", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port of the storage for files, which browsers upload to and load from; 0 for any free port
    #[arg(long, global = true, env = "TIDINGS_STORAGE_PORT", default_value_t = 0)]
    pub storage_port: u16,
    /// Folder for the data and the generated secrets
    #[arg(long, global = true, env = "TIDINGS_DATA_DIR", default_value = ".tidings")]
    pub data_dir: PathBuf,
    /// Keep nothing on disk
    #[arg(long, global = true)]
    pub in_memory: bool,
    /// Run the functions as processes of the binary `bootstrap` in this folder
    #[arg(
        long,
        global = true,
        env = "TIDINGS_FUNCTIONS_FROM",
        value_name = "DIR",
        conflicts_with = "invoke_url"
    )]
    pub functions_from: Option<PathBuf>,
    /// Run the functions by the Invoke API at this URL: `cargo lambda watch` or `sam local start-lambda`
    #[arg(long, global = true, env = "TIDINGS_INVOKE_URL", value_name = "URL")]
    pub invoke_url: Option<String>,
    /// Folder of the built chat page, served at /
    #[arg(long, global = true, env = "TIDINGS_WEB_DIR", value_name = "DIR", default_value = "web/dist")]
    pub web_dir: PathBuf,
    /// If the database is empty, create demo users, their conversations, and a room with this many messages
    #[arg(
        long, global = true, value_name = "MESSAGES", num_args = 0..=1, require_equals = true,
        default_missing_value = "2000"
    )]
    pub demo: Option<usize>,
    /// Origins that browsers may call from, separated by commas; * for any; if unset, all origins on this machine
    #[arg(long, global = true, env = "TIDINGS_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
    /// Do not print a line for each request
    #[arg(long, global = true)]
    pub quiet: bool,
}
