//! Runs the live suites: the tests named `live`, against the real servers of the lab.

use crate::lab;
use crate::shell::{self, Outcome, cargo};

/// Both suites must be there: a package without the feature makes cargo fail.
const SUITES: [&str; 5] = [
    "--package=glance-client",
    "--package=replicator-cli",
    "--features=glance-client/live,replicator-cli/live",
    "--test=live",
    "--no-fail-fast",
];

/// Starts and empties the lab, and runs the live suites, one test at a time: they share
/// the servers. A second run waits for the first.
pub(crate) fn run() -> Outcome {
    let _taken = lab::take()?;
    lab::up_and_empty()?;
    let mut command = if shell::has_cargo("nextest") {
        let mut nextest = cargo(&["nextest", "run"]);
        nextest.args(SUITES).arg("--test-threads=1");
        nextest
    } else {
        let mut test = cargo(&["test"]);
        test.args(SUITES).args(["--", "--test-threads=1"]);
        test
    };
    shell::run(command.envs(lab::environment()?))
}
