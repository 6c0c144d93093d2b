//! Runs of the program.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::process::{Command, Output};

/// The result of a run of the program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Returns whether the image of this id is listed among those that failed.
    pub(crate) fn lists_as_failed(&self, id: &str) -> bool {
        let id = format!("({id}): ");
        let mut lines = self.stderr.lines();
        lines.any(|line| line.contains("failed: ") && line.contains(&id))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The program, with nothing set in its environment but that lines carry no time.
pub(crate) fn program() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("glance-replicator"));
    command.env_clear();
    command.env("GLANCE_REPLICATOR_LOG_FORMAT", "plain");
    command
}

/// Runs the program; whatever happens, it must not panic.
pub(crate) fn run(args: &[&str]) -> Ran {
    let ran = Ran::from(program().args(args).output().unwrap());
    assert!(!ran.stderr.contains("panicked"), "{args:?}: {ran:?}");
    ran
}

/// The line with TIME for the seconds and the rate, which differ from run to run.
pub(crate) fn timeless(line: &str) -> String {
    let parts = line.split_once(" in ");
    let parts = parts.and_then(|(bytes, rest)| Some((bytes, rest.split_once("/s)")?.1)));
    match parts {
        Some((bytes, counts)) => format!("{bytes} in TIME){counts}"),
        None => line.to_owned(),
    }
}
