//! Signals in the middle of a run.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::fs;
use std::process::Child;

use glance_client::testing::{
    At, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::kit::background::{spawn, wait_until};
use crate::kit::images::{contents, filled, glance, id};
use crate::kit::program::Ran;
use crate::kit::runs::{path, succeeded, summary};

#[test]
fn ctrl_c_in_the_middle_of_a_dump_leaves_nothing_that_looks_whole() {
    let source = glance(Profile::Today);
    let image = ImageSpec::new(&id(1)).data(ImageContent::pattern(1, 8_000_000));
    source.add_image(image);
    let stall = FaultAction::StallResponse(At::Byte(5_000_000), None);
    source.fault(FaultOn::kind(RequestKind::Download).times(1), stall);
    let dir = tempfile::tempdir().unwrap();
    let (archive, partial) = (
        dir.path(),
        dir.path().join(format!(".{}.img.partial", id(1))),
    );
    let child = spawn(&["dump", source.host_port(), path(archive)]);
    wait_until(|| fs::metadata(&partial).is_ok_and(|partial| partial.len() > 1_000_000));
    let ran = stop(child, Signal::INT);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stderr.contains("interrupted: finishing"), "{ran:?}");
    assert!(
        summary(&ran).ends_with("nothing copied, 1 not done"),
        "{ran:?}"
    );
    assert!(!archive.join(id(1)).exists());
    assert!(!archive.join(format!("{}.img", id(1))).exists());

    source.clear_requests();
    let again = succeeded(&["dump", source.host_port(), path(archive)]);
    assert!(summary(&again).starts_with("dump: 1 copied"), "{again:?}");
    let requests = source.requests();
    let download = requests
        .iter()
        .find(|request| request.kind == RequestKind::Download);
    assert!(
        download.unwrap().header("range").is_some(),
        "the partial file is continued"
    );
    let dumped = fs::read(archive.join(format!("{}.img", id(1)))).unwrap();
    assert!(dumped == ImageContent::pattern(1, 8_000_000).to_vec().unwrap());
}

#[test]
fn ctrl_c_in_the_middle_of_a_livecopy_leaves_nothing_that_looks_whole() {
    livecopy_that_is_ended(Signal::INT, 130);
}

#[test]
fn sigterm_in_the_middle_of_a_livecopy_leaves_nothing_that_looks_whole() {
    livecopy_that_is_ended(Signal::TERM, 143);
}

fn livecopy_that_is_ended(signal: Signal, code: i32) {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let stall = FaultAction::StallResponse(At::Byte(1_000_000), None);
    let download = FaultOn::kind(RequestKind::Download).image(&id(3));
    source.fault(download.times(1), stall);
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let ends = [source.host_port(), target.host_port()];
    let child = spawn(&["livecopy", "--report", path(&report), ends[0], ends[1]]);
    let is_under_way = |request: &glance_client::testing::RequestRecord| {
        request.kind == RequestKind::Upload && request.body_bytes > 500_000
    };
    wait_until(|| target.requests().iter().any(is_under_way) && contents(&target).len() == 5);
    let ran = stop(child, signal);
    assert_eq!(ran.code, Some(code), "{ran:?}");
    // The end of one of the others may have been cut off as well.
    assert!(summary(&ran).ends_with(" not done"), "{ran:?}");
    assert_ne!(target.image(&id(3)).unwrap().status, "active");
    let report: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["exit_code"], code);
    let images = report["images"].as_array().unwrap();
    let broken = images.iter().find(|image| image["id"] == id(3)).unwrap();
    assert_eq!(broken["outcome"], "not_done");
    assert_eq!(broken["reason"], "cancelled");

    wait_until(|| target.image(&id(3)).unwrap().status == "queued");
    succeeded(&["livecopy", source.host_port(), target.host_port()]);
    assert_eq!(contents(&target), contents(&source));
}

#[test]
fn the_second_signal_ends_the_program_at_once_even_if_its_output_is_stuck() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    for number in 0..1000 {
        source.add_image(ImageSpec::new(&id(number)));
    }
    // A line for each of them, more than a pipe holds that nobody reads.
    let mut child = spawn(&["livecopy", source.host_port(), target.host_port()]);
    wait_until(|| source.count(RequestKind::Listing) > 500);
    let mut ended = None;
    wait_until(|| {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(130));
}

fn stop(child: Child, signal: Signal) -> Ran {
    kill_process(Pid::from_child(&child), signal).unwrap();
    Ran::from(child.wait_with_output().unwrap())
}
