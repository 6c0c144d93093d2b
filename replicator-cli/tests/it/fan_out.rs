//! `livecopy` to several targets at once.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::time::{Duration, Instant};

use glance_client::testing::{
    EmbeddedGlance, EmbeddedGlanceBuilder, FaultAction, FaultOn, ImageContent, ImageSpec, Profile,
    RequestKind,
};

use crate::kit::images::id;
use crate::kit::program::{Ran, run};

const LEN: u64 = 6_000_000;

fn content(number: u64) -> ImageContent {
    ImageContent::pattern(number, LEN)
}

fn source(images: u64) -> EmbeddedGlance {
    let glance = EmbeddedGlance::builder().start_blocking().unwrap();
    for number in 0..images {
        glance.add_image(
            ImageSpec::new(&id(number))
                .name("an image")
                .data(content(number)),
        );
    }
    glance
}

fn targets(change: impl Fn(EmbeddedGlanceBuilder) -> EmbeddedGlanceBuilder) -> Vec<EmbeddedGlance> {
    let start = |_| change(EmbeddedGlance::builder()).start_blocking().unwrap();
    (0..3).map(start).collect()
}

fn livecopy(source: &EmbeddedGlance, targets: &[EmbeddedGlance], options: &[&str]) -> Ran {
    let targets: Vec<&str> = targets.iter().map(EmbeddedGlance::host_port).collect();
    run(&[&["livecopy", source.host_port()], &targets[..], options].concat())
}

fn is_whole(target: &EmbeddedGlance, number: u64) -> bool {
    target.image(&id(number)).is_some_and(|image| {
        image.status == "active"
            && image.content.unwrap().sha256().unwrap() == content(number).sha256().unwrap()
    })
}

#[test]
fn what_several_targets_lack_is_downloaded_once_and_a_second_run_does_nothing() {
    let (source, targets) = (source(3), targets(|builder| builder));
    let ran = livecopy(&source, &targets, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(source.count(RequestKind::Download), 3);
    // One listing serves all three: two queries of two pages each, of two images.
    assert!(
        source.count(RequestKind::Listing) <= 4,
        "{:?}",
        source.requests()
    );
    for target in &targets {
        assert!((0..3).all(|number| is_whole(target, number)));
        let line = format!("{}: livecopy: 3 copied", target.url());
        assert!(ran.stderr.contains(&line), "{ran:?}");
    }
    let ran = livecopy(&source, &targets, &[]);
    assert_eq!(ran.stderr.matches("nothing to do, 3 unchanged").count(), 3);
    assert_eq!(source.count(RequestKind::Download), 3);
}

#[test]
fn a_target_that_fails_drops_out_alone_and_is_reported() {
    let (source, targets) = (source(2), targets(|builder| builder));
    let broken = FaultOn::kind(RequestKind::Upload).image(&id(0));
    targets[1].fault(broken, FaultAction::status(403));
    let down = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap().to_string()
    };
    let ran = livecopy(&source, &targets, &[&down]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.stderr
            .contains(&format!("cannot connect to http://{down}")),
        "{ran:?}"
    );
    let said = format!(
        "{}: error: image \"an image\" ({})",
        targets[1].url(),
        id(0)
    );
    assert!(ran.stderr.contains(&said), "{ran:?}");
    for (target, whole) in targets.iter().zip([2, 1, 2]) {
        let found = (0..2).filter(|number| is_whole(target, *number)).count();
        assert_eq!(found, whole, "{ran:?}");
    }
    assert_eq!(source.count(RequestKind::Download), 2);
}

#[test]
fn a_target_that_cannot_be_reached_makes_the_exit_code_and_stops_nothing_else() {
    let (source, targets) = (source(1), targets(|builder| builder));
    let ran = livecopy(&source, &targets[..1], &["127.0.0.1:1"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(is_whole(&targets[0], 0));
}

#[test]
fn a_target_that_breaks_or_stalls_gets_the_image_again_by_itself() {
    // More than the connections hold on their way.
    const LONG: u64 = 40_000_000;
    for fault in [
        FaultAction::CutRequest(LONG / 10),
        FaultAction::StallRequest(LONG / 10, Some(Duration::from_secs(5))),
    ] {
        let (source, targets) = (source(0), targets(|builder| builder));
        let image = ImageSpec::new(&id(0)).data(ImageContent::pattern(0, LONG));
        source.add_image(image);
        let once = FaultOn::kind(RequestKind::Upload).times(1);
        targets[2].fault(once, fault.clone());
        let ran = livecopy(&source, &targets, &["--stall-timeout", "2"]);
        assert_eq!(ran.code, Some(0), "{fault:?}: {ran:?}");
        for target in &targets {
            let active = target.image(&id(0)).unwrap().status == "active";
            assert!(active, "{fault:?}: {ran:?}");
        }
        let uploads = targets
            .iter()
            .map(|target| target.count(RequestKind::Upload));
        let counts = (uploads.collect(), source.count(RequestKind::Download));
        assert_eq!(counts, (vec![1, 1, 2], 2), "{fault:?}: {ran:?}");
    }
}

#[test]
fn a_flipped_byte_reaches_no_target() {
    let (source, targets) = (source(1), targets(|builder| builder));
    let flipped = FaultAction::FlipByte(LEN - 1);
    source.fault(FaultOn::kind(RequestKind::Download), flipped);
    let ran = livecopy(&source, &targets, &[]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    for target in &targets {
        let status = || target.image(&id(0)).unwrap().status;
        // The server notices a moment later.
        let begun = Instant::now();
        while status() == "saving" && begun.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        assert_eq!(status(), "queued");
    }
}

#[test]
fn targets_with_v1_and_v2_are_served_in_one_run() {
    let source = source(2);
    let profiles = [Profile::V1Only, Profile::Legacy, Profile::Today];
    let targets = profiles.map(|profile| {
        let builder = EmbeddedGlance::builder().profile(profile);
        builder.start_blocking().unwrap()
    });
    let ran = livecopy(&source, &targets, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        targets
            .iter()
            .all(|target| is_whole(target, 0) && is_whole(target, 1))
    );
}

#[test]
fn three_targets_take_as_long_as_the_slowest_of_them() {
    const RATE: u64 = 3_000_000;
    let (source, targets) = (source(1), targets(|builder| builder.throttle(RATE)));
    let started = Instant::now();
    let ran = livecopy(&source, &targets, &[]);
    let took = started.elapsed();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(source.count(RequestKind::Download), 1);
    // One after the other they would take three times as long.
    let alone = Duration::from_secs_f64(LEN as f64 / RATE as f64);
    assert!(took >= alone && took < alone * 2, "{took:?}");
}

#[test]
fn a_target_that_is_named_twice_is_a_usage_error() {
    let (source, targets) = (source(1), targets(|builder| builder));
    let again = targets[0].url();
    let ran = livecopy(&source, &targets, &[again]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("is named as a target twice"), "{ran:?}");
    assert!(targets[0].images().is_empty());
}
