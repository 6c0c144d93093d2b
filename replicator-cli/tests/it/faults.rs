//! Each fault of a server, at each verb: how the run ends, what is left, and whether the next
//! run heals it.
#![expect(clippy::unwrap_used, reason = "test helpers")]

mod cases;
mod judge;

use std::path::Path;
use std::thread;
use std::time::Duration;

use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};

use self::cases::{Case, of_the_source, of_the_target};
use self::judge::{is_active, judge_archive, judge_target, nothing_is_wrong};
use crate::kit::images::glance;
use crate::kit::program::{Ran, run};

/// The image that the fault befalls, and one that must not notice.
const STRUCK: &str = "00000000-0000-4000-8000-000000000001";
const OTHER: &str = "00000000-0000-4000-8000-000000000002";
const LEN: u64 = 1_500_000;

fn content(id: &str) -> ImageContent {
    match id {
        STRUCK => ImageContent::pattern(1, LEN),
        _ => ImageContent::pattern(2, 1000),
    }
}

fn filled(profile: Profile) -> EmbeddedGlance {
    let glance = glance(profile);
    for id in [STRUCK, OTHER] {
        glance.add_image(ImageSpec::new(id).name("an image").data(content(id)));
    }
    glance
}

fn replicate(args: &[&str]) -> Ran {
    let options = ["--retries", "1", "--stall-timeout", "2"];
    run(&[&options, args].concat())
}

/// Runs all cases, some at a time, and names all that went wrong.
fn each(cases: Vec<Case>, profile: Profile, check: impl Fn(&Case, &str, i32) + Sync) {
    let check = &check;
    let mut wrong = Vec::new();
    for some in cases.chunks(8) {
        thread::scope(|scope| {
            let threads: Vec<_> = some
                .iter()
                .map(|case| {
                    let name = format!("{}, {profile:?}", case.name);
                    scope.spawn(move || check(case, &name, case.code(profile)))
                })
                .collect();
            for (thread, case) in threads.into_iter().zip(some) {
                if thread.join().is_err() {
                    wrong.push(case.name);
                }
            }
        });
    }
    assert!(wrong.is_empty(), "{profile:?}: {wrong:?}");
}

fn livecopy_from_faulty(profile: Profile) {
    each(of_the_source(), profile, |case, name, code| {
        let (source, target) = (filled(profile), glance(Profile::Today));
        case.strike(&source);
        let livecopy = || replicate(&["livecopy", source.host_port(), target.host_port()]);
        let ran = livecopy();
        source.clear_faults();
        judge_target(case, name, code, &target, livecopy, &ran);
    });
}

fn livecopy_to_faulty(profile: Profile) {
    each(of_the_target(), profile, |case, name, code| {
        let (source, target) = (filled(Profile::Today), glance(profile));
        case.strike(&target);
        let livecopy = || replicate(&["livecopy", source.host_port(), target.host_port()]);
        let ran = livecopy();
        target.clear_faults();
        judge_target(case, name, code, &target, livecopy, &ran);
    });
}

fn dump_from_faulty(profile: Profile) {
    each(of_the_source(), profile, |case, name, code| {
        let source = filled(profile);
        let dir = tempfile::tempdir().unwrap();
        case.strike(&source);
        let dump = || replicate(&["dump", source.host_port(), dir.path().to_str().unwrap()]);
        let ran = dump();
        source.clear_faults();
        judge_archive(name, code, dir.path(), dump, &ran);
    });
}

fn load_to_faulty(profile: Profile) {
    let source = filled(Profile::Today);
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().to_str().unwrap();
    assert_eq!(run(&["dump", source.host_port(), archive]).code, Some(0));
    each(of_the_target(), profile, |case, name, code| {
        let target = glance(profile);
        case.strike(&target);
        let load = || replicate(&["load", target.host_port(), archive]);
        let ran = load();
        target.clear_faults();
        judge_target(case, name, code, &target, load, &ran);
    });
}

#[test]
fn livecopy_from_a_faulty_v2() {
    livecopy_from_faulty(Profile::Today);
}

#[test]
fn livecopy_from_a_faulty_v1() {
    livecopy_from_faulty(Profile::V1Only);
}

#[test]
fn livecopy_to_a_faulty_v2() {
    livecopy_to_faulty(Profile::Today);
}

#[test]
fn livecopy_to_a_faulty_v1() {
    livecopy_to_faulty(Profile::V1Only);
}

#[test]
fn dump_from_a_faulty_v2() {
    dump_from_faulty(Profile::Today);
}

#[test]
fn dump_from_a_faulty_v1() {
    dump_from_faulty(Profile::V1Only);
}

#[test]
fn load_to_a_faulty_v2() {
    load_to_faulty(Profile::Today);
}

#[test]
fn load_to_a_faulty_v1() {
    load_to_faulty(Profile::V1Only);
}

#[test]
fn a_server_that_is_not_there_is_an_error_of_the_run_and_leaves_nothing() {
    let there = filled(Profile::Today);
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    let archive = archive.to_str().unwrap();
    let port = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap().to_string()
    };
    let full = dir.path().join("full");
    let full = full.to_str().unwrap();
    assert_eq!(run(&["dump", there.host_port(), full]).code, Some(0));
    for args in [
        ["livecopy", &port, there.host_port()],
        ["livecopy", there.host_port(), &port],
        ["dump", &port, archive],
        ["load", &port, full],
    ] {
        let ran = replicate(&args);
        assert_eq!(ran.code, Some(1), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(&port), "{args:?}: {ran:?}");
    }
    assert_eq!(there.images().len(), 2);
    assert!(!Path::new(archive).join(STRUCK).exists());
}

#[test]
fn a_server_that_is_busy_for_seconds_is_waited_for() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    for glance in [&source, &target] {
        for kind in [RequestKind::Download, RequestKind::Upload] {
            let busy = FaultOn::kind(kind).image(STRUCK).times(2);
            glance.fault(busy, FaultAction::retry_after(503, 2));
        }
    }
    let started = std::time::Instant::now();
    let ran = run(&["livecopy", source.host_port(), target.host_port()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(started.elapsed() >= Duration::from_secs(6), "{ran:?}");
    nothing_is_wrong(&target, "busy", &ran);
    assert!(is_active(&target, STRUCK), "{ran:?}");
}
