//! What each fault of a server does to each verb: how the run ends, what is left, and whether the next
//! run heals it.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use glance_client::testing::{
    At, EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};

use crate::kit::images::glance;
use crate::kit::program::{Ran, run};

/// The image that the fault befalls, and one that must not notice.
const STRUCK: &str = "00000000-0000-4000-8000-000000000001";
const OTHER: &str = "00000000-0000-4000-8000-000000000002";
const LEN: u64 = 1_500_000;

/// Lasts until it is cleared.
const ALWAYS: u64 = u64::MAX;

/// What befalls the requests of one kind for the one image, and how a run with one retry ends.
struct Case {
    name: &'static str,
    on: RequestKind,
    action: FaultAction,
    times: u64,
    code: i32,
    /// Where v1 ends otherwise.
    code_v1: i32,
}

fn case(name: &'static str, on: RequestKind, action: FaultAction, times: u64, code: i32) -> Case {
    Case {
        name,
        on,
        action,
        times,
        code,
        code_v1: code,
    }
}

impl Case {
    fn or_v1(mut self, code: i32) -> Self {
        self.code_v1 = code;
        self
    }

    fn code(&self, profile: Profile) -> i32 {
        match profile {
            Profile::V1Only => self.code_v1,
            _ => self.code,
        }
    }

    fn strike(&self, glance: &EmbeddedGlance) {
        let mut on = FaultOn::kind(self.on);
        // No listing is that of one image, and a create of v2 names it in its body only.
        if matches!(self.on, RequestKind::Download | RequestKind::Upload) {
            on = on.image(STRUCK);
        }
        glance.fault(on.times(self.times), self.action.clone());
    }
}

fn of_the_source() -> Vec<Case> {
    use FaultAction as Do;
    use RequestKind::{Download, Listing};
    let wrong_status = |status| Do::status(status);
    vec![
        case("reset at 0 %", Download, Do::Reset, 1, 0),
        case("reset at 0 %, for ever", Download, Do::Reset, ALWAYS, 3),
        case(
            "cut at 0 %",
            Download,
            Do::CutResponse(At::Percent(0)),
            1,
            0,
        ),
        case(
            "cut at 1 %",
            Download,
            Do::CutResponse(At::Percent(1)),
            1,
            0,
        ),
        case(
            "cut at 50 %",
            Download,
            Do::CutResponse(At::Percent(50)),
            1,
            0,
        ),
        case(
            "cut at 99 %",
            Download,
            Do::CutResponse(At::Percent(99)),
            1,
            0,
        ),
        case("answer lost", Download, Do::LoseAnswer, 1, 0),
        case(
            "reset at 50 %",
            Download,
            Do::ResetResponse(At::Percent(50)),
            1,
            0,
        ),
        case(
            "reset behind the head, for ever",
            Download,
            Do::ResetResponse(At::Byte(0)),
            ALWAYS,
            3,
        ),
        case(
            "reset at 100 %",
            Download,
            Do::ResetResponse(At::Percent(100)),
            1,
            0,
        ),
        case(
            "stall",
            Download,
            Do::StallResponse(At::Percent(50), None),
            1,
            0,
        ),
        case(
            "stall for ever",
            Download,
            Do::StallResponse(At::Byte(0), None),
            ALWAYS,
            3,
        ),
        case(
            "short, as declared",
            Download,
            Do::ShortenResponse(At::Percent(50)),
            ALWAYS,
            6,
        ),
        case("flipped byte", Download, Do::FlipByte(700_000), ALWAYS, 6),
        case(
            "flipped last byte",
            Download,
            Do::FlipByte(LEN - 1),
            ALWAYS,
            6,
        ),
        case("10 bytes more", Download, Do::ExtendResponse(10), ALWAYS, 6),
        case("401", Download, wrong_status(401), ALWAYS, 3),
        case("403", Download, wrong_status(403), ALWAYS, 3),
        case(
            "404 after the listing",
            Download,
            wrong_status(404),
            ALWAYS,
            3,
        ),
        case(
            "429 with Retry-After",
            Download,
            Do::retry_after(429, 1),
            1,
            0,
        ),
        case("429 for ever", Download, Do::retry_after(429, 1), ALWAYS, 3),
        case("500 once", Download, wrong_status(500), 1, 0),
        case("503 once", Download, Do::retry_after(503, 1), 1, 0),
        case("503 for ever", Download, wrong_status(503), ALWAYS, 3),
        case("listing: 500 once", Listing, wrong_status(500), 1, 0),
        case("listing: 403", Listing, wrong_status(403), ALWAYS, 4),
        case(
            "listing: 503 for ever",
            Listing,
            wrong_status(503),
            ALWAYS,
            1,
        ),
    ]
}

fn of_the_target() -> Vec<Case> {
    use FaultAction as Do;
    use RequestKind::{Create, Listing, Upload};
    // An upload that broke is not sent to v1 again: its id is used up.
    vec![
        case("reset at 0 %", Upload, Do::Reset, 1, 0),
        case("reset at 0 %, for ever", Upload, Do::Reset, ALWAYS, 3),
        case("reset at 1 %", Upload, Do::CutRequest(LEN / 100), 1, 0).or_v1(3),
        case("reset at 50 %", Upload, Do::CutRequest(LEN / 2), 1, 0).or_v1(3),
        case(
            "reset at 99 %",
            Upload,
            Do::CutRequest(LEN / 100 * 99),
            1,
            0,
        )
        .or_v1(3),
        case(
            "reset at 100 %, before it is stored",
            Upload,
            Do::CutRequest(LEN),
            1,
            0,
        )
        .or_v1(3),
        case(
            "reset at 50 %, for ever",
            Upload,
            Do::CutRequest(LEN / 2),
            ALWAYS,
            3,
        ),
        case(
            "a pause in reading, shorter than the stall timeout",
            Upload,
            Do::StallRequest(LEN / 20, Some(Duration::from_millis(500))),
            1,
            0,
        ),
        case(
            "reset at 100 %, after it is stored",
            Upload,
            Do::LoseAnswer,
            1,
            0,
        ),
        case(
            "500 after it is stored",
            Upload,
            Do::FailAfterwards(500),
            1,
            0,
        ),
        case("401", Upload, Do::status(401), ALWAYS, 3),
        case("403", Upload, Do::status(403), ALWAYS, 3),
        case("413", Upload, Do::status(413), ALWAYS, 3),
        case("415", Upload, Do::status(415), ALWAYS, 3),
        case("409 at create", Create, Do::status(409), ALWAYS, 3).or_v1(0),
        case("409 at upload", Upload, Do::status(409), ALWAYS, 3),
        case("create: answer lost", Create, Do::LoseAnswer, 1, 0),
        case("create: 403", Create, Do::status(403), ALWAYS, 3).or_v1(0),
        case(
            "429 with Retry-After",
            Upload,
            Do::retry_after(429, 1),
            1,
            0,
        ),
        case("500 once", Upload, Do::status(500), 1, 0),
        case("503 once", Upload, Do::retry_after(503, 1), 1, 0),
        case("503 for ever", Upload, Do::status(503), ALWAYS, 3),
        case("listing: 500 once", Listing, Do::status(500), 1, 0),
        case("listing: 403", Listing, Do::status(403), ALWAYS, 4),
    ]
}

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

/// Whatever happened, what is active is right.
#[track_caller]
fn nothing_is_wrong(target: &EmbeddedGlance, name: &str, ran: &Ran) {
    for image in target.images() {
        if image.status == "active" {
            let (found, wanted) = (image.content.unwrap(), content(&image.id));
            assert!(
                found.sha256().unwrap() == wanted.sha256().unwrap(),
                "{name}: {} is active and wrong: {ran:?}",
                image.id
            );
        }
    }
}

fn is_active(target: &EmbeddedGlance, id: &str) -> bool {
    target
        .image(id)
        .is_some_and(|image| image.status == "active")
}

/// What a run has left of the image, once the server has noticed that the run is over.
fn settled_status(target: &EmbeddedGlance) -> Option<String> {
    let status = || target.image(STRUCK).map(|image| image.status);
    let began = Instant::now();
    while status().as_deref() == Some("saving") && began.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(10));
    }
    status()
}

/// Judges a run into a Glance, and heals it by another one.
fn judge_target(
    case: &Case,
    name: &str,
    code: i32,
    target: &EmbeddedGlance,
    again: impl Fn() -> Ran,
    ran: &Ran,
) {
    assert_eq!(ran.code, Some(code), "{name}: {ran:?}");
    nothing_is_wrong(target, name, ran);
    assert_eq!(is_active(target, STRUCK), code == 0, "{name}: {ran:?}");
    let of_one_image = code == 3 || code == 6;
    if of_one_image {
        assert!(
            case.on == RequestKind::Create || is_active(target, OTHER),
            "{name}: the others go on: {ran:?}"
        );
        assert!(
            ran.stderr.contains(&format!("failed: {STRUCK}")),
            "{name}: {ran:?}"
        );
    }
    let left = settled_status(target);
    let is_burnt = left.as_deref() == Some("killed");
    if is_burnt {
        let ran = again();
        assert_eq!(ran.code, Some(3), "{name}: the next run: {ran:?}");
        let cure = ran.stderr.contains(STRUCK) && ran.stderr.contains("the image is killed");
        assert!(cure && ran.stderr.contains("hint: "), "{name}: {ran:?}");
        nothing_is_wrong(target, name, &ran);
        return;
    }
    let is_reusable = matches!(left.as_deref(), None | Some("active" | "queued"));
    assert!(
        is_reusable || code == 0,
        "{name}: {left:?} is left: {ran:?}"
    );
    let ran = again();
    assert_eq!(ran.code, Some(0), "{name}: the next run: {ran:?}");
    nothing_is_wrong(target, name, &ran);
    assert!(
        is_active(target, STRUCK) && is_active(target, OTHER),
        "{name}: {ran:?}"
    );
}

fn judge_archive(name: &str, code: i32, archive: &Path, again: impl Fn() -> Ran, ran: &Ran) {
    assert_eq!(ran.code, Some(code), "{name}: {ran:?}");
    let holds = |id: &str| archive.join(id).exists();
    let is_whole = |id: &str| {
        let data = fs::read(archive.join(format!("{id}.img"))).unwrap();
        data == content(id).to_vec().unwrap()
    };
    for id in [STRUCK, OTHER] {
        assert!(
            !holds(id) || is_whole(id),
            "{name}: {id} looks whole and is not: {ran:?}"
        );
    }
    assert_eq!(holds(STRUCK), code == 0, "{name}: {ran:?}");
    if code == 3 || code == 6 {
        assert!(holds(OTHER), "{name}: the others go on: {ran:?}");
        assert!(
            ran.stderr.contains(&format!("failed: {STRUCK}")),
            "{name}: {ran:?}"
        );
    }
    let ran = again();
    assert_eq!(ran.code, Some(0), "{name}: the next run: {ran:?}");
    let (mut left, mut wanted) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(archive).unwrap() {
        left.push(entry.unwrap().file_name().into_string().unwrap());
    }
    left.retain(|name| name.starts_with("0000") || name.ends_with(".partial"));
    left.sort();
    for id in [STRUCK, OTHER] {
        wanted.extend([id.to_owned(), format!("{id}.img")]);
        assert!(is_whole(id), "{name}: {ran:?}");
    }
    assert_eq!(left, wanted, "{name}: stray files: {ran:?}");
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
