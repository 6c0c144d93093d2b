//! Servers that are far away: the round trips of a run, and the requests of an image.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::thread;
use std::time::{Duration, Instant};

use glance_client::testing::{
    EmbeddedGlance, EmbeddedGlanceBuilder, ImageContent, ImageSpec, Profile, RangeSupport,
    RequestKind,
};

use crate::kit::background::spawn;
use crate::kit::images::id;
use crate::kit::program::{Ran, run};

const MIB: u64 = 1 << 20;

fn start(builder: EmbeddedGlanceBuilder) -> EmbeddedGlance {
    builder.page_size(1000).start_blocking().unwrap()
}

fn add(glance: &EmbeddedGlance, number: u64, bytes: u64, visibility: &str) {
    let image = ImageSpec::new(&id(number)).name(&format!("image {number}"));
    let image = image.visibility(visibility).without_digests();
    glance.add_image(image.data(ImageContent::pattern(number, bytes)));
}

/// Connecting; the versions and the two queries of a listing, at both ends at once; what the target
/// requires of images; and the data, whose record is made meanwhile. Then the answer to the upload,
/// and a look at the record.
#[test]
fn a_run_has_its_first_byte_after_four_round_trips_and_ends_after_six() {
    const ROUND_TRIP: Duration = Duration::from_millis(400);
    let trips = |times: f64| ROUND_TRIP.mul_f64(times);
    let far = || start(EmbeddedGlance::builder().round_trip(ROUND_TRIP));
    let source = far();
    add(&source, 1, 2 * MIB, "private");
    // On a busy machine, it may take longer.
    let is_in_time = (0..3).any(|_| {
        let target = far();
        let downloads = source.count(RequestKind::Download);
        let begun = Instant::now();
        let child = spawn(&["livecopy", source.host_port(), target.host_port()]);
        while source.count(RequestKind::Download) == downloads {
            assert!(begun.elapsed() < trips(20.0), "it asks for no data");
            thread::sleep(Duration::from_millis(5));
        }
        // The server has the request half a round trip before its answer is here.
        let asked = begun.elapsed();
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        eprintln!("{asked:?}, {:?}", begun.elapsed());
        asked < trips(4.3) && begun.elapsed() < trips(6.8)
    });
    assert!(is_in_time);
}

#[test]
fn an_image_costs_as_many_requests_as_it_takes_and_no_more() {
    let today = EmbeddedGlance::builder;
    let v1 = || EmbeddedGlance::builder().profile(Profile::V1Only);
    let parts = |streams: &'static str| ["--streams", streams];
    for (what, builder, images, bytes, visibility, options, expected) in [
        ("small, v1", v1(), 40, 1000, "public", parts("1"), 2),
        ("small, v2", today(), 40, 1000, "private", parts("1"), 4),
        (
            "small, to publish",
            today(),
            40,
            1000,
            "public",
            parts("1"),
            5,
        ),
        ("large, v1", v1(), 10, MIB, "public", parts("1"), 2),
        ("large, v2", today(), 10, MIB, "private", parts("1"), 4),
        (
            "large, to publish",
            today(),
            10,
            MIB,
            "public",
            parts("1"),
            5,
        ),
        (
            "in pieces of 8 MiB",
            today(),
            1,
            20 * MIB,
            "private",
            parts("4"),
            6,
        ),
    ] {
        let source = start(builder.clone());
        for number in 0..images {
            add(&source, number, bytes, visibility);
        }
        let target = start(builder.without_digests());
        let ends = [source.host_port(), target.host_port()];
        let ran = run(&["livecopy", options[0], options[1], ends[0], ends[1]]);
        assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
        let fixed = [RequestKind::Versions, RequestKind::Listing];
        let requests = |glance: &EmbeddedGlance| {
            let fixed: u64 = fixed.iter().map(|kind| glance.count(*kind)).sum();
            // A server of v1 alone is asked in vain for the pages that one of today has.
            let in_vain = if what.ends_with("v1") { 2 } else { 0 };
            assert!(fixed <= 1 + 2 + in_vain, "{what}: {fixed}");
            glance.total_requests() - fixed
        };
        // With v2, the target is asked once what it requires of images.
        let once = u64::from(!what.ends_with("v1"));
        assert_eq!(
            requests(&source) + requests(&target),
            images * expected + once,
            "{what}"
        );
    }
}

#[test]
fn a_source_that_ignores_ranges_is_read_over_one_connection_with_a_warning() {
    let warning = "--streams has no effect";
    for (range, is_told) in [
        (RangeSupport::Honoured, 0),
        (RangeSupport::Ignored, 1),
        (RangeSupport::Refused, 1),
    ] {
        let source = start(EmbeddedGlance::builder().range(range));
        let target = start(EmbeddedGlance::builder().without_digests());
        for number in 0..3 {
            add(&source, number, 17 * MIB, "private");
        }
        let ends = [source.host_port(), target.host_port()];
        let ran = run(&[
            "livecopy",
            "--transfers",
            "1",
            "--streams",
            "4",
            ends[0],
            ends[1],
        ]);
        assert_eq!(ran.code, Some(0), "{range:?}: {ran:?}");
        assert_eq!(
            ran.stderr.matches(warning).count(),
            is_told,
            "{range:?}: {ran:?}"
        );
    }
}
