//! The binary against real Glance servers.

use assert_cmd::Command;

#[test]
fn size_of_a_real_server() {
    let server = std::env::var("GLANCE_LAB_TODAY_ONE").expect("the lab is up");
    let mut command = Command::cargo_bin("glance-replicator").unwrap();
    let assert = command.args(["size", &server]).assert().success();
    let stdout = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(stdout.starts_with("Total size is "), "{stdout}");
}
