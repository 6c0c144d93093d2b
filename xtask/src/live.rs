//! Runs the live suites: the tests named `live`, against the real servers of the lab.

use std::process::Command;

use crate::lab;
use crate::shell::{self, Outcome, cargo};

/// Both suites must be there: a package without the feature makes cargo fail.
const PACKAGES: [&str; 4] = [
    "--package=glance-client",
    "--package=replicator-cli",
    "--features=glance-client/live,replicator-cli/live",
    "--no-fail-fast",
];

/// Starts and empties the lab, and runs the live suites, one test at a time: they share
/// the servers. A second run waits for the first.
pub(crate) fn run() -> Outcome {
    let _taken = lab::take()?;
    lab::up_and_empty()?;
    shell::run(suite("live").envs(lab::environment()?))
}

/// Returns a command that runs the tests of this name, one at a time.
pub(crate) fn suite(name: &str) -> Command {
    if shell::has_cargo("nextest") {
        let mut nextest = cargo(&["nextest", "run"]);
        nextest.args(PACKAGES).arg(format!("--test={name}"));
        nextest.arg("--test-threads=1");
        nextest
    } else {
        let mut test = cargo(&["test"]);
        test.args(PACKAGES).arg(format!("--test={name}"));
        test.args(["--", "--test-threads=1"]);
        test
    }
}
