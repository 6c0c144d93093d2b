//! Runs that have to succeed, and the last line of what they say.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::path::Path;

use crate::kit::program::{Ran, run, timeless};

/// The last line, which sums the run up, without its times.
pub(crate) fn summary(ran: &Ran) -> String {
    timeless(ran.stderr.lines().last().unwrap())
}

/// The path as an argument.
pub(crate) fn path(dir: &Path) -> &str {
    dir.to_str().unwrap()
}

/// Runs the program, which must succeed.
#[track_caller]
pub(crate) fn succeeded(args: &[&str]) -> Ran {
    ended(0, args)
}

/// Runs the program, which must end with this code.
#[track_caller]
pub(crate) fn ended(code: i32, args: &[&str]) -> Ran {
    let ran = run(args);
    assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
    ran
}

/// The options that give images new ids, and keep them in this file.
pub(crate) fn new_ids(map: &Path) -> [&str; 4] {
    ["--on-id-conflict", "new-id", "--id-map", path(map)]
}

/// Fails unless the run ended with this code, wrote nothing to stdout, and said each of these texts.
#[track_caller]
pub(crate) fn assert_error(ran: &Ran, code: i32, texts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert_eq!(ran.stdout, "", "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    for text in texts {
        assert!(ran.stderr.contains(text), "no {text:?}: {ran:?}");
    }
}
