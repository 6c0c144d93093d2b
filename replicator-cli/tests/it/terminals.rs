//! What is seen on a terminal: rows of progress, results, and what Ctrl-C does.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::time::Duration;

use glance_client::testing::{At, FaultAction, FaultOn, Profile, RequestKind, RequestRecord};

use crate::kit::background::wait_until;
use crate::kit::images::{filled, glance, id, numbered};
use crate::kit::terminal::{CTRL_C, OnTerminal};

#[test]
fn ctrl_c_ends_a_run_in_order() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let stall = FaultAction::StallResponse(At::Byte(1_000_000), None);
    source.fault(FaultOn::kind(RequestKind::Download).image(&id(3)), stall);
    let line = ["livecopy", source.host_port(), target.host_port()];
    let mut terminal = OnTerminal::run(80, &line);
    let is_under_way = |request: &RequestRecord| {
        request.kind == RequestKind::Upload && request.body_bytes > 500_000
    };
    wait_until(|| target.requests().iter().any(is_under_way));
    terminal.write(CTRL_C);
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(130), "{shown}");
    assert!(shown.contains("interrupted: finishing"), "{shown}");
    let last = shown.trim_end().lines().last().unwrap();
    assert!(last.ends_with(" not done"), "{shown}");
}

/// Returns the first line of what a terminal shows that has the text in it.
fn line_with(shown: &str, text: &str) -> String {
    let (before, behind) = shown
        .split_once(text)
        .unwrap_or_else(|| panic!("{shown:?}"));
    let begin = before.rsplit(['\n', '\r']).next().unwrap();
    // What was drawn there is cleared.
    let begin = begin.rsplit("\u{1b}[2K").next().unwrap();
    format!("{begin}{text}{}", behind.lines().next().unwrap())
}

#[test]
fn rows_of_progress_are_gone_before_a_result_is_shown() {
    let (source, target) = (numbered(3), glance(Profile::Today));
    let slow = FaultAction::StallResponse(At::Byte(0), Some(Duration::from_millis(400)));
    source.fault(FaultOn::kind(RequestKind::Listing), slow);
    let ends = [source.host_port(), target.host_port()];
    for (words, text) in [
        (&["livecopy", "--dry-run"][..], "copy (missing) "),
        (&["plan"], "copy (missing) "),
        (&["verify"], "00000000-0000-4000-8000-000000000001: missing"),
        (&["status"], "image "),
        (&["compare"], "Image 00000000"),
        (&["compare", "--format", "json"], "{\"schema\""),
        (&["compare", "--format", "csv"], "id,name"),
        (&["compare", "--format", "table"], "+---"),
    ] {
        let terminal = OnTerminal::run(100, &[words, &ends].concat());
        let (_, shown) = terminal.end();
        assert!(shown.contains("listing: "), "{words:?}: {shown}");
        let line = line_with(&shown, text);
        assert!(line.starts_with(text), "{words:?}: {line:?} of {shown:?}");
    }
}
