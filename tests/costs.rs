//! What it costs in AWS, as the README has it, is what the functions take today.

use std::process::Command;

use harness::process::{binary, root};

#[test]
fn the_readmes_costs_are_those_of_today() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo).args(["build", "--quiet", "-p", "bench"]).current_dir(root()).status();
    assert!(built.unwrap().success(), "cargo build -p bench fails");
    let output = Command::new(binary().with_file_name("bench")).args(["costs", "--check"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
