//! Whole outputs of runs, as people read them: on stderr, and on stdout where a command has results.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::net::TcpListener;

use glance_client::testing::Profile::Today;
use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, RequestKind,
};

use crate::kit::images::{filled, glance, id};
use crate::kit::program::{Ran, run, timeless};

fn image(number: u64) -> ImageSpec {
    ImageSpec::new(&id(number))
        .name(&format!("image {number}"))
        .data(ImageContent::pattern(number, 5000 * number))
}

fn source(images: u64) -> EmbeddedGlance {
    let glance = glance(Today);
    for number in 1..=images {
        glance.add_image(image(number));
    }
    glance
}

fn target() -> EmbeddedGlance {
    glance(Today)
}

fn on(kind: RequestKind, number: u64) -> FaultOn {
    FaultOn::kind(kind).image(&id(number))
}

/// What a run said, with names for ends, and without what differs from run to run. The lines on
/// what went well come first, since images are worked on at the same time, in any order.
fn said(ran: &Ran, ends: &[(&str, &str)]) -> String {
    let mut text = format!("exit {}\n", ran.code.unwrap());
    for (stream, of_it) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        let lines = of_it.lines().map(|line| redacted(line, ends));
        let is_progress = |line: &String| line.contains("Image \"") || line.contains("Storing: ");
        let (mut progress, others): (Vec<String>, Vec<String>) = lines.partition(is_progress);
        progress.sort();
        if !of_it.is_empty() {
            text += &format!("--- {stream}\n");
        }
        for line in progress.iter().chain(&others) {
            text += &format!("{line}\n");
        }
    }
    text
}

fn redacted(line: &str, ends: &[(&str, &str)]) -> String {
    // Its server may not have noticed yet that the upload has ended.
    let mut line = timeless(line).replace("its record, saving", "its record, queued, without data");
    for (end, name) in ends {
        line = line.replace(end, name);
    }
    let mut shown = String::new();
    for word in line.split_inclusive(' ') {
        let is_time = word.starts_with("20") && word.contains('T') && word.contains(":");
        match word.strip_prefix("req-") {
            Some(_) => shown += "ID) ",
            None if is_time => shown += "A-TIME ",
            None => shown += word,
        }
    }
    shown.trim_end().to_owned()
}

fn between(source: &EmbeddedGlance, target: &EmbeddedGlance, words: &[&str]) -> String {
    let [verb, options @ ..] = words else {
        return String::new();
    };
    let ends = [source.host_port(), target.host_port()];
    let ran = run(&[&[*verb], options, &["--retries", "0"], &ends].concat());
    said(&ran, &[(ends[0], "SOURCE"), (ends[1], "TARGET")])
}

#[test]
fn a_run_that_succeeds_and_one_that_has_nothing_to_do() {
    let (source, target) = (filled(Today), target());
    insta::assert_snapshot!(
        "dry_run",
        between(&source, &target, &["livecopy", "--dry-run"])
    );
    insta::assert_snapshot!("success", between(&source, &target, &["livecopy"]));
    insta::assert_snapshot!("nothing_to_do", between(&source, &target, &["livecopy"]));
    insta::assert_snapshot!("same", between(&source, &target, &["compare"]));
    insta::assert_snapshot!("verified", between(&source, &target, &["verify"]));
    source.add_image(image(3).name("renamed"));
    source.add_image(image(8));
    insta::assert_snapshot!("differences", between(&source, &target, &["compare"]));
    insta::assert_snapshot!("missing", between(&source, &target, &["verify"]));
    insta::assert_snapshot!(
        "dry_run_again",
        between(&source, &target, &["livecopy", "--dry-run"])
    );
    insta::assert_snapshot!("metaonly", between(&source, &target, &["livecopy", "-m"]));
}

#[test]
fn a_run_into_an_archive_and_out_of_it() {
    let (source, target) = (filled(Today), target());
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    let archive = archive.to_str().unwrap();
    let parent = dir.path().to_str().unwrap();
    let ends = [
        (source.host_port(), "SOURCE"),
        (target.host_port(), "TARGET"),
        (archive, "DIR"),
        (parent, "PARENT"),
    ];
    let ran = |words: &[&str]| said(&run(words), &ends);
    insta::assert_snapshot!("dump", ran(&["dump", source.host_port(), archive]));
    insta::assert_snapshot!("dump_again", ran(&["dump", source.host_port(), archive]));
    let path = dir.path().join("archive").join(format!("{}.img", id(3)));
    let mut data = std::fs::read(&path).unwrap();
    data[0] ^= 1;
    std::fs::write(&path, data).unwrap();
    let end = format!("dir:{archive}");
    insta::assert_snapshot!("verify_archive", ran(&["verify", &end]));
    insta::assert_snapshot!("load_damaged", ran(&["load", target.host_port(), archive]));
    insta::assert_snapshot!(
        "dump_heals",
        ran(&["dump", "--verify", "read-back", source.host_port(), archive])
    );
    insta::assert_snapshot!("size_of_archive", ran(&["size", &end]));
    insta::assert_snapshot!("empty_archive", ran(&["load", target.host_port(), parent]));
}

#[test]
fn images_that_fail() {
    let refused = || {
        let (source, target) = (source(2), target());
        target.fault(on(RequestKind::Upload, 1), FaultAction::status(403));
        (source, target)
    };
    let (one, other) = refused();
    insta::assert_snapshot!("one_failed", between(&one, &other, &["livecopy"]));
    let (one, other) = (source(2), target());
    other.fault(
        FaultOn::kind(RequestKind::Create).times(1),
        FaultAction::status(403),
    );
    insta::assert_snapshot!("refused_record", between(&one, &other, &["livecopy"]));
    let (one, other) = (source(2), target());
    other.fault(on(RequestKind::Upload, 1), FaultAction::status(413));
    insta::assert_snapshot!("quota", between(&one, &other, &["livecopy"]));
    let (one, other) = (source(2), target());
    one.fault(on(RequestKind::Download, 1), FaultAction::FlipByte(7));
    insta::assert_snapshot!("wrong_digest", between(&one, &other, &["livecopy"]));
    let (one, other) = (source(2), target());
    one.fault(on(RequestKind::Download, 1), FaultAction::Reset);
    insta::assert_snapshot!("broken_off", between(&one, &other, &["livecopy"]));
    let (one, other) = (source(1), target());
    one.add_image(image(2).formats("qcow2", "bare"));
    insta::assert_snapshot!("held_back", between(&one, &other, &["livecopy"]));
    let (one, other) = (source(2), target());
    other.add_image(image(1).data(ImageContent::pattern(9, 5000)));
    insta::assert_snapshot!("another_image", between(&one, &other, &["livecopy"]));
    insta::assert_snapshot!(
        "verify_another",
        between(&one, &other, &["verify", "--read-back"])
    );
    let (one, other) = (source(2), target());
    other.add_image(ImageSpec::new(&id(1)).status("deleted"));
    insta::assert_snapshot!("used_up", between(&one, &other, &["livecopy"]));
    insta::assert_snapshot!(
        "used_up_skipped",
        between(&one, &other, &["livecopy", "--on-id-conflict", "skip"])
    );
    let (one, other) = (source(2), target());
    other.add_image(ImageSpec::new(&id(1)).status("saving"));
    insta::assert_snapshot!("left", between(&one, &other, &["livecopy"]));
}

#[test]
fn many_images_that_fail() {
    let (source, target) = (source(25), target());
    target.fault(FaultOn::kind(RequestKind::Upload), FaultAction::status(403));
    insta::assert_snapshot!(between(&source, &target, &["livecopy", "--transfers", "1"]));
}

#[test]
fn ends_that_cannot_be_used() {
    let down = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap().to_string()
    };
    let (source, target) = (source(2), target());
    let ends = [
        (source.host_port(), "SOURCE"),
        (target.host_port(), "TARGET"),
        (&*down, "DOWN"),
    ];
    let ran = |words: &[&str]| said(&run(&[words, &["--retries", "0"]].concat()), &ends);
    let (one, other) = (source.host_port(), target.host_port());
    insta::assert_snapshot!("unreachable", ran(&["livecopy", &down, other]));
    insta::assert_snapshot!("one_target_down", ran(&["livecopy", one, other, &down]));
    insta::assert_snapshot!("check_down", ran(&["check", one, &down]));
    insta::assert_snapshot!("misspelt", ran(&["livecopy", "prod", other]));
    insta::assert_snapshot!("same_end", ran(&["livecopy", one, one]));
    source.fault(
        FaultOn::kind(RequestKind::Listing),
        FaultAction::status(401),
    );
    insta::assert_snapshot!("not_signed_in", ran(&["size", one]));
    target.fault(
        FaultOn::kind(RequestKind::Listing),
        FaultAction::status(500),
    );
    insta::assert_snapshot!("listing_fails", ran(&["size", other]));
    insta::assert_snapshot!("no_option", ran(&["size", "--transfers", "3", other]));
    insta::assert_snapshot!(
        "wrong_value",
        ran(&["livecopy", "--verify", "ful", one, other])
    );
}
