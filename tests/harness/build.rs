//! Builds the binaries that tests start.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the binaries if necessary and returns their folder. Builds the whole workspace, as the Makefile does:
/// another selection has other features, and cargo would compile everything again.
pub fn binaries() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let packages = ["build", "--quiet", "--bins"];
    let built = Command::new(cargo).args(packages).current_dir(root()).status();
    assert!(built.is_ok_and(|status| status.success()), "the binaries cannot be built");
    let test = std::env::current_exe().expect("a path");
    test.ancestors().nth(2).expect("target/debug").to_owned()
}

/// Returns the repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace")
}
