//! Servers that stall, go away, refuse or fail in the middle of a run: what the run makes of it, what
//! is left, and whether the next one heals it.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::thread;
use std::time::Duration;

use glance_client::testing::{
    At, EmbeddedGlance, EmbeddedGlanceBuilder, FaultAction, FaultOn, ImageContent, ImageSpec,
    Profile, RequestKind,
};

use crate::kit::background::{spawn, wait_until};
use crate::kit::program::{Ran, run};

const ONE: &str = "00000000-0000-4000-8000-000000000001";
const TWO: &str = "00000000-0000-4000-8000-000000000002";
const LEN: u64 = 1_500_000;
/// More than the buffers of a connection hold.
const LARGE: u64 = 32 << 20;
/// Makes an image of [`LEN`] last for a second.
const BYTES_PER_SECOND: u64 = LEN;

fn builder(profile: Profile) -> EmbeddedGlanceBuilder {
    EmbeddedGlance::builder().profile(profile)
}

fn glance(profile: Profile) -> EmbeddedGlance {
    builder(profile).start_blocking().unwrap()
}

fn slow(profile: Profile) -> EmbeddedGlance {
    let builder = builder(profile).throttle(BYTES_PER_SECOND);
    builder.start_blocking().unwrap()
}

fn image(id: &str, len: u64) -> ImageSpec {
    ImageSpec::new(id)
        .name("an image")
        .data(ImageContent::pattern(1, len))
}

fn is_right(target: &EmbeddedGlance, id: &str, len: u64) -> bool {
    let wanted = ImageContent::pattern(1, len);
    target.image(id).is_some_and(|found| {
        let content = found.content.filter(|_| found.status == "active");
        content.is_some_and(|found| found.sha256().unwrap() == wanted.sha256().unwrap())
    })
}

fn status(target: &EmbeddedGlance, id: &str) -> Option<String> {
    target.image(id).map(|image| image.status)
}

#[track_caller]
fn assert_says(ran: &Ran, code: i32, texts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    for text in texts {
        assert!(ran.stderr.contains(text), "no {text:?}: {ran:?}");
    }
}

/// Returns whether the server has taken some of an image.
fn is_under_way(target: &EmbeddedGlance) -> bool {
    let some = |kind, bytes| kind == RequestKind::Upload && bytes > LEN / 4;
    let requests = target.requests();
    requests
        .iter()
        .any(|request| some(request.kind, request.body_bytes))
}

#[test]
fn a_target_that_stalls_in_the_middle_of_an_upload_is_given_up_and_tried_again() {
    let stall = FaultAction::StallRequest(1_000_000, Some(Duration::from_secs(4)));
    for profile in [Profile::Today, Profile::V1Only] {
        let (source, target) = (glance(Profile::Today), glance(profile));
        source.add_image(image(ONE, LARGE));
        let once = FaultOn::kind(RequestKind::Upload).times(1);
        target.fault(once, stall.clone());
        let ends = [source.host_port(), target.host_port()];
        let ran = run(&["livecopy", "--stall-timeout", "2", ends[0], ends[1]]);
        let stalled = "it took none of the image data for 2s";
        if profile == Profile::V1Only {
            assert_says(&ran, 3, &["the image is killed", "hint: Glance never"]);
            assert_eq!(target.count(RequestKind::Upload), 1);
        } else {
            assert_says(&ran, 0, &[stalled, "livecopy: 1 copied"]);
            assert!(is_right(&target, ONE, LARGE), "{ran:?}");
            assert_eq!(target.count(RequestKind::Upload), 2);
        }
    }
}

#[test]
fn a_source_that_stalls_for_ever_in_the_middle_is_given_up_and_read_on_by_the_next_run() {
    let each = |profile: Profile, verb: &str| {
        let (source, target) = (glance(profile), glance(Profile::Today));
        source.add_image(image(ONE, LEN));
        let dir = tempfile::tempdir().unwrap();
        let to = match verb {
            "dump" => dir.path().to_str().unwrap(),
            _ => target.host_port(),
        };
        let download = FaultOn::kind(RequestKind::Download);
        let half = FaultAction::StallResponse(At::Percent(50), None);
        source.fault(download.clone().times(1), half);
        source.fault(download, FaultAction::StallResponse(At::Byte(0), None));
        let options = ["--stall-timeout", "1", "--retries", "1"];
        let ran = run(&[&options[..], &[verb, source.host_port(), to]].concat());
        assert_says(&ran, 3, &["no progress for too long", ONE]);

        source.clear_faults();
        source.clear_requests();
        wait_until(|| status(&target, ONE).as_deref() != Some("saving"));
        let ran = run(&[verb, source.host_port(), to]);
        assert_says(&ran, 0, &["1 copied"]);
        if verb == "livecopy" {
            assert!(is_right(&target, ONE, LEN));
            return;
        }
        let dumped = fs::read(dir.path().join(format!("{ONE}.img"))).unwrap();
        assert!(dumped == ImageContent::pattern(1, LEN).to_vec().unwrap());
        let requests = source.requests().into_iter();
        let ranges = requests.filter_map(|request| request.header("range"));
        // v1 has none.
        let wanted = usize::from(profile == Profile::Today);
        assert_eq!(ranges.count(), wanted, "{profile:?}");
    };
    thread::scope(|scope| {
        for profile in [Profile::Today, Profile::V1Only] {
            for verb in ["livecopy", "dump"] {
                scope.spawn(move || each(profile, verb));
            }
        }
    });
}

#[test]
fn what_was_stored_though_the_answer_was_lost_is_proven_and_not_sent_again() {
    for profile in [Profile::Today, Profile::Legacy, Profile::V1Only] {
        for lost in [FaultAction::LoseAnswer, FaultAction::FailAfterwards(500)] {
            let (source, target) = (glance(Profile::Today), glance(profile));
            source.add_image(image(ONE, LEN).visibility("public"));
            target.fault(FaultOn::kind(RequestKind::Upload), lost.clone());
            let ends = [source.host_port(), target.host_port()];
            let ran = run(&["livecopy", ends[0], ends[1]]);
            assert_says(&ran, 0, &["livecopy: 1 copied"]);
            assert_eq!(target.count(RequestKind::Upload), 1, "{profile:?} {lost:?}");
            assert!(is_right(&target, ONE, LEN), "{profile:?} {lost:?}");
            let visibility = target.image(ONE).unwrap().record["visibility"].clone();
            assert_eq!(visibility, "public", "{profile:?} {lost:?}");
        }
    }
}

#[test]
fn what_was_stored_wrong_though_the_answer_was_lost_is_not_published() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    source.add_image(image(ONE, LEN).visibility("public"));
    let upload = FaultOn::kind(RequestKind::Upload);
    target.fault(upload, FaultAction::FailAfterwards(500));
    let download = FaultOn::kind(RequestKind::Download);
    source.fault(download, FaultAction::FlipByte(700_000));
    let ends = [source.host_port(), target.host_port()];
    // Nothing is hashed on the way, so that it is sent.
    let ran = run(&["livecopy", "--verify", "target", ends[0], ends[1]]);
    assert_says(&ran, 6, &["the target states the sha512"]);
    let visibility = target.image(ONE).unwrap().record["visibility"].clone();
    assert_eq!(visibility, "private");
}

/// When a server begins to be out of order, which it is for [`OUTAGE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    TheBeginning,
    TheMiddle,
}

const OUTAGE: Duration = Duration::from_secs(5);

/// The end that is out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Source,
    Target,
}

/// A livecopy of two images, one after the other, during which an end is out of order.
fn livecopy_with_outage(
    profile: Profile,
    (from, end): (From, End),
    begin: impl Fn(&EmbeddedGlance),
    stop: impl Fn(&EmbeddedGlance),
) -> (Ran, EmbeddedGlance) {
    let (source, target) = (slow(Profile::Today), slow(profile));
    source.add_image(image(ONE, LEN));
    source.add_image(image(TWO, LEN / 2));
    let faulty = match end {
        End::Source => &source,
        End::Target => &target,
    };
    if from == From::TheBeginning {
        begin(faulty);
    }
    let ends = [source.host_port(), target.host_port()];
    let child = spawn(&["livecopy", "--transfers", "1", ends[0], ends[1]]);
    if from == From::TheMiddle {
        wait_until(|| is_under_way(&target));
        begin(faulty);
    }
    thread::sleep(OUTAGE);
    stop(faulty);
    let ran = Ran::from(child.wait_with_output().unwrap());
    (ran, target)
}

#[test]
fn a_server_that_answers_503_to_everything_for_5_seconds_is_waited_for() {
    let unavailable =
        |glance: &EmbeddedGlance| glance.fault(FaultOn::any(), FaultAction::status(503));
    let each = |profile: Profile, when: (From, End)| {
        let (ran, target) =
            livecopy_with_outage(profile, when, unavailable, EmbeddedGlance::clear_faults);
        assert_eq!(ran.code, Some(0), "{profile:?} {when:?}: {ran:?}");
        assert!(is_right(&target, ONE, LEN), "{profile:?} {when:?}: {ran:?}");
        assert!(
            is_right(&target, TWO, LEN / 2),
            "{profile:?} {when:?}: {ran:?}"
        );
        let uploads = target.count(RequestKind::Upload);
        assert!(uploads < 10, "{profile:?} {when:?}: {uploads} uploads");
    };
    thread::scope(|scope| {
        for profile in [Profile::Today, Profile::V1Only] {
            for from in [From::TheBeginning, From::TheMiddle] {
                for end in [End::Source, End::Target] {
                    scope.spawn(move || each(profile, (from, end)));
                }
            }
        }
    });
}

#[test]
fn a_server_that_is_restarted_in_the_middle_of_a_run_is_waited_for() {
    let restarted = |profile: Profile, end: End| {
        livecopy_with_outage(
            profile,
            (From::TheMiddle, end),
            EmbeddedGlance::go_away,
            EmbeddedGlance::come_back,
        )
    };
    thread::scope(|scope| {
        for profile in [Profile::Today, Profile::V1Only] {
            scope.spawn(move || {
                let (ran, target) = restarted(profile, End::Source);
                assert_says(&ran, 0, &["livecopy: 2 copied"]);
                assert!(is_right(&target, ONE, LEN), "{ran:?}");
                assert_eq!(target.count(RequestKind::Upload), 2, "one an image");
            });
        }
        scope.spawn(move || {
            let (ran, target) = restarted(Profile::Today, End::Target);
            assert_says(&ran, 0, &["livecopy: 2 copied"]);
            assert!(is_right(&target, ONE, LEN), "{ran:?}");
        });
        scope.spawn(move || {
            let (ran, target) = restarted(Profile::V1Only, End::Target);
            let cure = "hint: Glance never gives a used id again";
            assert_says(&ran, 3, &["the image is killed", cure]);
            assert_eq!(status(&target, ONE).as_deref(), Some("killed"));
            assert!(is_right(&target, TWO, LEN / 2), "{ran:?}");
        });
    });
}

#[test]
fn an_image_over_the_quota_is_refused_with_its_cure_and_copied_once_there_is_room() {
    const OTHER: &str = "00000000-0000-4000-8000-000000000009";
    let source = glance(Profile::Today);
    source.add_image(image(ONE, LEN));
    source.add_image(image(TWO, 1000));
    let target = builder(Profile::Today).quota(2_000_000);
    let target = target.start_blocking().unwrap();
    target.add_image(image(OTHER, 1_000_000));
    let livecopy = || run(&["livecopy", source.host_port(), target.host_port()]);

    let words = [
        "413 Payload Too Large: Image exceeds the storage quota",
        "hint: the target's quota or size limit is reached; raise it, or free room",
    ];
    assert_says(&livecopy(), 3, &words);
    assert_eq!(status(&target, ONE).as_deref(), Some("queued"));
    assert!(is_right(&target, TWO, 1000));
    target.burn(OTHER);
    assert_says(&livecopy(), 0, &["1 copied"]);
    assert!(is_right(&target, ONE, LEN));
}

#[test]
fn an_image_over_a_limit_of_a_server_is_refused_with_its_cure() {
    let source = glance(Profile::Today);
    source.add_image(image(ONE, LEN));
    let limit = "hint: the target's quota or size limit is reached";
    for (target, left, words) in [
        (
            builder(Profile::Today).size_cap(1_000_000),
            Some("queued"),
            [
                "413 Payload Too Large: The incoming image is too large",
                limit,
            ],
        ),
        (
            builder(Profile::V1Only).size_cap(1_000_000),
            None,
            ["400 Bad Request", "image larger than 1000000 bytes"],
        ),
        (
            builder(Profile::V1Only).quota(1_000_000),
            Some("killed"),
            ["413 Payload Too Large", limit],
        ),
    ] {
        let target = target.start_blocking().unwrap();
        let livecopy = || run(&["livecopy", source.host_port(), target.host_port()]);
        assert_says(&livecopy(), 3, &words);
        assert_eq!(status(&target, ONE).as_deref(), left);
        assert_eq!(target.count(RequestKind::Upload), 1, "tried once");
        let again = livecopy();
        if left == Some("killed") {
            let cure = "hint: Glance never gives a used id again";
            assert_says(&again, 3, &[ONE, "the image is killed", cure]);
        } else {
            assert_says(&again, 3, &words);
        }
    }
}

#[test]
fn data_that_a_server_does_not_take_for_its_format_is_told_with_what_is_left_of_the_record() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    source.add_image(image(ONE, LEN).formats("qcow2", "bare"));
    source.add_image(image(TWO, 1000));
    let ends = [source.host_port(), target.host_port()];
    let ran = run(&["livecopy", "--format-check", "off", ends[0], ends[1]]);
    let words = [
        "415 Unsupported Media Type: Image disk_format qcow2 does not match stream data raw",
        "hint: the target does not take the data for the image's disk_format, and its record there \
         takes none any more: delete it, and purge it from Glance's database",
    ];
    assert_says(&ran, 3, &words);
    assert_eq!(target.count(RequestKind::Upload), 2, "each tried once");
    assert_eq!(status(&target, ONE).as_deref(), Some("queued"));
    assert!(is_right(&target, TWO, 1000));
}

/// Each way to run, with the end at which something is wrong.
#[derive(Clone, Copy, Debug)]
enum Way {
    LivecopyFrom,
    LivecopyTo,
    Dump,
    Load,
}

#[test]
fn a_plain_token_that_ends_at_any_request_of_a_run_is_told_and_the_next_run_goes_on() {
    let each = |way: Way, profile: Profile| {
        let source = match way {
            Way::LivecopyFrom | Way::Dump => glance(profile),
            Way::LivecopyTo | Way::Load => glance(Profile::Today),
        };
        source.add_image(image(ONE, LEN));
        source.add_image(image(TWO, 1000).visibility("public").protected());
        let full = tempfile::tempdir().unwrap();
        let full = full.path().to_str().unwrap();
        assert_says(&run(&["dump", source.host_port(), full]), 0, &[]);
        for passed in 0.. {
            let target = match way {
                Way::LivecopyTo | Way::Load => glance(profile),
                Way::LivecopyFrom | Way::Dump => glance(Profile::Today),
            };
            let empty = tempfile::tempdir().unwrap();
            let archive = empty.path().to_str().unwrap();
            let (faulty, args) = match way {
                Way::LivecopyFrom => (
                    &source,
                    ["livecopy", source.host_port(), target.host_port()],
                ),
                Way::LivecopyTo => (
                    &target,
                    ["livecopy", source.host_port(), target.host_port()],
                ),
                Way::Dump => (&source, ["dump", source.host_port(), archive]),
                Way::Load => (&target, ["load", target.host_port(), full]),
            };
            let ended = FaultOn::any().skip(passed);
            faulty.fault(ended, FaultAction::status(401));
            let ran = run(&args);
            faulty.clear_faults();
            if ran.code == Some(0) {
                assert!(passed > 3, "{way:?}: {ran:?}");
                break;
            }
            let case = format!("{way:?} {profile:?}, after {passed} requests: {ran:?}");
            assert!(matches!(ran.code, Some(3 | 4)), "{case}");
            assert!(ran.stderr.contains("401 Unauthorized"), "{case}");
            assert!(ran.stderr.contains("hint: give a valid token"), "{case}");
            for found in target.images() {
                let is_usable = matches!(&*found.status, "queued" | "active");
                assert!(is_usable, "{} is {}: {case}", found.id, found.status);
            }
            let again = run(&args);
            assert_eq!(again.code, Some(0), "{case}, then {again:?}");
            match way {
                Way::Dump => {
                    let held = fs::read_dir(archive).unwrap().count();
                    assert_eq!(held, 4, "{case}");
                }
                _ => {
                    assert!(is_right(&target, ONE, LEN), "{case}");
                    assert!(is_right(&target, TWO, 1000), "{case}");
                }
            }
        }
    };
    thread::scope(|scope| {
        for way in [Way::LivecopyFrom, Way::LivecopyTo, Way::Dump, Way::Load] {
            for profile in [Profile::Today, Profile::V1Only] {
                scope.spawn(move || each(way, profile));
            }
        }
    });
}
