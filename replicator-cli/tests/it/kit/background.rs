//! Runs of the program that a test watches from outside.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::program::program;

/// Starts the program; its output is kept until it is waited for.
pub(crate) fn spawn(args: &[&str]) -> Child {
    let mut command = program();
    command
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for something that comes to be by itself, if all is well.
#[track_caller]
pub(crate) fn wait_until(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it never came to be"
        );
        thread::sleep(Duration::from_millis(2));
    }
}
