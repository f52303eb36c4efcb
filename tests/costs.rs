//! The costs in AWS that the README shows are those of the current functions.

use std::process::Command;

use harness::build::binaries;

#[test]
fn the_readmes_costs_are_current() {
    let mut command = Command::new(binaries().join("bench"));
    // It can measure functions only in its own process.
    let output = command.args(["costs", "--check"]).env_remove("TIDINGS_TEST_FUNCTIONS").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
