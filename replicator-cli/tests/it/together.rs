//! Two runs at once on the same ends: each image is written by one of them, and both end well.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use glance_client::testing::{
    EmbeddedGlance, EmbeddedGlanceBuilder, ImageContent, ImageSpec, ImageView, Profile, RequestKind,
};
use serde_json::Value;

use crate::kit::background::{spawn, wait_until};
use crate::kit::images::id;
use crate::kit::program::{Ran, run};

const IMAGES: u64 = 12;
/// The images that the first run has begun when the second one begins.
const BEGUN: [u64; 3] = [0, 3, 8];
const BYTES_PER_SECOND: u64 = 4_000_000;

fn content(number: u64) -> ImageContent {
    ImageContent::pattern(number, (number % 5) * 100_000)
}

fn slow() -> EmbeddedGlanceBuilder {
    EmbeddedGlance::builder()
        .page_size(1000)
        .throttle(BYTES_PER_SECOND)
}

/// Images of several sizes, public and private; `queued` of them have no data.
fn filled(builder: EmbeddedGlanceBuilder, queued: u64) -> EmbeddedGlance {
    let source = builder.start_blocking().unwrap();
    for number in 1..=IMAGES {
        let image = ImageSpec::new(&id(number)).name(&format!("image {number}"));
        let image = image.data(content(number));
        source.add_image(match number % 3 {
            0 => image.visibility("public").protected(),
            _ => image,
        });
    }
    for number in 0..queued {
        source.add_image(ImageSpec::new(&id(100 + number)).name("queued"));
    }
    source
}

/// Begins a run, and another one once the first has begun so many images.
fn run_both(args: &[&str], begun: impl FnMut() -> bool) -> [Ran; 2] {
    let args = [&["--transfers", "2"], args].concat();
    let first = spawn(&args);
    wait_until(begun);
    let second = spawn(&args);
    [first, second].map(|child| child.wait_with_output().unwrap().into())
}

/// Both have ended well; returns how many images they have left to each other.
#[track_caller]
fn left_to_the_other(both: &[Ran; 2]) -> usize {
    let mut left = 0;
    for ran in both {
        assert_eq!(ran.code, Some(0), "{both:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        let lines = ran
            .stderr
            .lines()
            .filter(|line| line.contains(" is put off: "));
        for line in lines {
            let is_told = line.contains("another run ");
            assert!(is_told, "{line:?}: {ran:?}");
            left += 1;
        }
    }
    left
}

/// The next run finds nothing to do.
#[track_caller]
fn assert_done(args: &[&str]) {
    let ran = run(args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let summary = ran.stderr.lines().last().unwrap();
    let nothing = format!(": nothing to do, {IMAGES} unchanged");
    assert!(summary.ends_with(&nothing), "{ran:?}");
}

/// The images of a server, less the fields that it sets by itself.
fn contents(glance: &EmbeddedGlance) -> BTreeMap<String, (Value, Option<String>)> {
    let content = |image: ImageView| {
        let mut record = image.record;
        for field in ["created_at", "updated_at", "virtual_size", "size"] {
            record.as_object_mut().unwrap().remove(field);
        }
        let data = image.content.map(|data| data.sha256().unwrap());
        (image.id, (record, data))
    };
    glance.images().into_iter().map(content).collect()
}

/// Runs both into targets of a profile; `args` are the words before the target and behind it.
fn into_glances(profile: Profile, args: impl Fn(&EmbeddedGlance) -> Vec<String>) {
    let mut left = 0;
    for begun in BEGUN {
        let target = slow().profile(profile).start_blocking().unwrap();
        let args = args(&target);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let both = run_both(&args, || target.count(RequestKind::Upload) >= begun);
        left += left_to_the_other(&both);
        let taken = |status: Option<u16>| matches!(status, Some(201 | 204));
        let uploads = target.requests().into_iter();
        let uploads = uploads.filter(|request| request.kind == RequestKind::Upload);
        let taken = uploads.filter(|request| taken(request.status)).count() as u64;
        assert_eq!(taken, IMAGES, "each image once: {both:?}");
        for (id, (_, data)) in contents(&target) {
            let number = (1..=IMAGES).find(|number| self::id(*number) == id).unwrap();
            let data = data.unwrap_or(ImageContent::zeros(0).sha256().unwrap());
            assert_eq!(data, content(number).sha256().unwrap(), "{id}: {both:?}");
        }
        assert_done(&args);
    }
    assert!(left > 0, "they have not met");
}

fn livecopy(profile: Profile) {
    let source = filled(EmbeddedGlance::builder().page_size(1000), 0);
    into_glances(profile, |target| {
        ["livecopy", source.host_port(), target.host_port()]
            .map(str::to_owned)
            .into()
    });
}

#[test]
fn two_livecopies_to_one_glance() {
    livecopy(Profile::Today);
}

#[test]
fn two_livecopies_to_one_glance_of_2017() {
    livecopy(Profile::Legacy);
}

#[test]
fn two_livecopies_to_one_glance_with_v1_alone() {
    livecopy(Profile::V1Only);
}

#[test]
fn two_livecopies_over_one_stage() {
    let source = filled(slow(), 0);
    let dir = tempfile::tempdir().unwrap();
    let stage = dir.path().to_str().unwrap();
    into_glances(Profile::V1Only, |target| {
        let args = [
            "livecopy",
            "--stage",
            stage,
            source.host_port(),
            target.host_port(),
        ];
        args.map(str::to_owned).into()
    });
    for stage in fs::read_dir(dir.path()).unwrap() {
        let stage = stage.unwrap().path();
        assert_eq!(fs::read_dir(&stage).unwrap().count(), 0, "{stage:?}");
    }
}

#[test]
fn two_loads_of_one_archive() {
    let source = filled(EmbeddedGlance::builder(), 0);
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().to_str().unwrap();
    assert_eq!(run(&["dump", source.host_port(), archive]).code, Some(0));
    for profile in [Profile::Today, Profile::V1Only] {
        into_glances(profile, |target| {
            ["load", target.host_port(), archive]
                .map(str::to_owned)
                .into()
        });
    }
}

#[test]
fn two_livecopies_that_find_records_which_others_have_left() {
    let source = filled(EmbeddedGlance::builder().page_size(1000), 0);
    let fill = |target: &EmbeddedGlance| {
        for number in 1..=IMAGES {
            target.add_image(ImageSpec::new(&id(number)).name(&format!("image {number}")));
        }
        ["livecopy", source.host_port(), target.host_port()]
            .map(str::to_owned)
            .into()
    };
    into_glances(Profile::Today, fill);
}

/// An image that another run has stored is already there, and is nobody else's copy.
#[test]
fn each_image_is_counted_as_copied_by_one_of_four_runs() {
    let source = filled(EmbeddedGlance::builder().page_size(1000), 0);
    let target = slow().start_blocking().unwrap();
    let args = ["livecopy", source.host_port(), target.host_port()];
    let all = [(); 4].map(|()| spawn(&args));
    let all = all.map(|child| Ran::from(child.wait_with_output().unwrap()));
    let mut copied = 0;
    for ran in &all {
        assert_eq!(ran.code, Some(0), "{all:?}");
        let summary = ran
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix("livecopy: "));
        if let Some((count, _)) = summary.unwrap().split_once(" copied") {
            copied += count.parse::<u64>().unwrap();
        }
    }
    assert_eq!(copied, IMAGES, "{all:?}");
    assert_done(&args);
}

#[test]
fn two_dumps_into_one_directory() {
    const QUEUED: u64 = 20;
    let source = filled(slow(), QUEUED);
    let mut left = 0;
    for begun in BEGUN {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().to_str().unwrap();
        let dump = ["dump", source.host_port(), archive];
        source.clear_requests();
        let both = run_both(&dump, || source.count(RequestKind::Download) >= begun);
        left += left_to_the_other(&both);
        assert_archived(dir.path(), QUEUED, &both);
        let archive = format!("dir:{archive}");
        let compare = ["compare", "--exit-code", source.host_port(), &archive];
        let compared = run(&compare);
        assert_eq!(compared.code, Some(0), "{compared:?}");
    }
    assert!(left > 0, "they have not met");
}

fn assert_archived(dir: &Path, queued: u64, both: &[Ran; 2]) {
    for number in 1..=IMAGES {
        let data = fs::read(dir.join(format!("{}.img", id(number)))).unwrap();
        let is_right = data == content(number).to_vec().unwrap();
        assert!(is_right, "{}: {both:?}", id(number));
    }
    let files = fs::read_dir(dir).unwrap().count() as u64;
    assert_eq!(files, 2 * IMAGES + queued, "{both:?}");
}
