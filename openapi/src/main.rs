//! Writes both documents into the folder given as an argument, by default `docs`. `make openapi` runs it.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map_or_else(|| PathBuf::from("docs"), PathBuf::from);
    fs::write(folder.join("openapi.json"), openapi::openapi())?;
    fs::write(folder.join("asyncapi.json"), openapi::asyncapi())
}
