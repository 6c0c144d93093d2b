//! Runs that have to succeed, and the last line of what they say.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use crate::kit::program::{Ran, run};
use std::path::Path;

/// The line that sums the run up.
pub(crate) fn summary(ran: &Ran) -> &str {
    ran.stderr.lines().last().unwrap()
}

/// The path as an argument.
pub(crate) fn path(dir: &Path) -> &str {
    dir.to_str().unwrap()
}

/// Runs the program, which must succeed.
#[track_caller]
pub(crate) fn succeeded(args: &[&str]) -> Ran {
    let ran = run(args);
    assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    ran
}
