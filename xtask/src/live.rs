//! Runs the live suites: the tests named `live`, against the real servers of the lab.

use std::process::Command;

use crate::lab;
use crate::shell::{self, Outcome, cargo};

/// The packages and features with which all tests are built in a whole run: each other choice would
/// build the crates once more, and those that they stand on. Both suites must be there: a package
/// without the feature makes cargo fail.
pub(crate) const BUILT: [&str; 2] = [
    "--workspace",
    "--features=glance-client/live,replicator-cli/live",
];

/// Starts and empties the lab, and runs the live suites. A second run waits for the first.
pub(crate) fn run() -> Outcome {
    let _taken = lab::take()?;
    lab::up_and_empty()?;
    shell::run(suite("live").envs(lab::environment()?))
}

/// Returns a command that runs the tests of this name, those that share servers one at a time: nextest
/// knows which they are (`.config/nextest.toml`).
pub(crate) fn suite(name: &str) -> Command {
    if shell::has_cargo("nextest") {
        let mut nextest = cargo(&["nextest", "run"]);
        nextest.args(BUILT).arg(format!("--test={name}"));
        nextest.arg("--no-fail-fast");
        nextest
    } else {
        let mut test = cargo(&["test"]);
        test.args(BUILT).arg(format!("--test={name}"));
        test.args(["--no-fail-fast", "--", "--test-threads=1"]);
        test
    }
}
