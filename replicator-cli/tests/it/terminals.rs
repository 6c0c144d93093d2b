//! What is seen on a terminal: rows of progress, results, and what Ctrl-C does.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::time::Duration;

use glance_client::testing::{
    At, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind, RequestRecord,
};

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

/// The lines that are shown, without rows of progress.
fn shown(columns: u16, args: &[&str]) -> Vec<String> {
    let (code, shown) = OnTerminal::run(columns, args).end();
    assert_eq!(code, Some(0), "{shown}");
    let lines = shown.lines().map(|line| {
        let behind = line.rsplit('\r').next().unwrap_or_default();
        behind
            .rsplit("\u{1b}[2K")
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    lines.collect()
}

#[test]
fn on_a_narrow_terminal_the_fields_of_a_row_stand_one_below_another() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    let image = |number: u64| {
        let image = ImageSpec::new(&id(number)).name("an image").owner("acme");
        image.data(ImageContent::pattern(number, 3000))
    };
    (1..=2).for_each(|number| source.add_image(image(number)));
    let columns = "id,name,size,owner,checksum";
    let list = ["list", source.host_port(), "--column", columns];
    let expected = |number: u64| {
        let checksum = source.image(&id(number)).unwrap().record["checksum"].clone();
        [
            id(number),
            "  name      an image".to_owned(),
            "  size      2.9 KiB".to_owned(),
            "  owner     acme".to_owned(),
            format!("  checksum  {}", checksum.as_str().unwrap()),
        ]
    };
    for format in ["text", "table"] {
        let lines = shown(40, &[&list[..], &["-f", format]].concat());
        assert_eq!(lines, [expected(1), expected(2)].concat());
    }
    // Where there is room for the first two, the others are left out.
    let lines = shown(50, &list);
    assert_eq!(
        lines[0].trim_end(),
        "id                                    name"
    );
    let last = "no room for size, owner, checksum: --column chooses";
    assert_eq!(lines.last().unwrap(), last);
    // No target is left out.
    let status = ["status", source.host_port(), target.host_port()];
    let lines = shown(80, &[&status[..], &["--progress", "none"]].concat());
    let named = format!("\"an image\" ({})", id(1));
    let place = lines.iter().position(|line| *line == named).unwrap();
    let width = target.url().len();
    assert_eq!(lines[place + 1], format!("  {:width$}  2.9 KiB", "size"));
    assert_eq!(lines[place + 2], format!("  {}  missing", target.url()));
}
