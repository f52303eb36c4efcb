//! What it costs in AWS, as the README has it, is what the functions take today.

use std::process::Command;

use harness::process::binaries;

#[test]
fn the_readmes_costs_are_those_of_today() {
    let mut command = Command::new(binaries().join("bench"));
    // It sees what functions do in its own process alone.
    let output = command.args(["costs", "--check"]).env_remove("TIDINGS_TEST_FUNCTIONS").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
