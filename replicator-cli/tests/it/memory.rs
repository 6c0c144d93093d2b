//! The most memory that the program takes.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, RequestKind};

use crate::kit::images::id;
use crate::kit::program::{Ran, program, run};

const LIMIT_KIB: u64 = 64 * 1024;
/// Of zeros, as `md5sum` and `sha512sum` have them.
const MD5_OF_4_GIB: &str = "c9a5a6878d97b48cc965c1e41859f034";
const SHA512_OF_4_GIB: &str = "43b5c6f434f71daae80a502212dc8c0e9e52d8b075d589afa430092eaf2d7f96\
    0cb097cb5ec656cdeaf87d5a9e61fa8e81665b07f40665fd8b09b6aeccb7f02f";

/// Runs the program, and returns the most memory that it was seen to take.
fn watch(args: &[&str]) -> (Ran, u64) {
    let mut command = program();
    command
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let watcher = thread::spawn(move || {
        let mut peak = 0;
        // A process that has ended has no memory any more.
        while let Some(now) = peak_kib(&status) {
            peak = now;
            thread::sleep(Duration::from_millis(2));
        }
        peak
    });
    let ran = Ran::from(child.wait_with_output().unwrap());
    (ran, watcher.join().unwrap())
}

fn peak_kib(status: &str) -> Option<u64> {
    let status = fs::read_to_string(status).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn an_image_of_4_gib_is_never_held_in_memory() {
    let source = EmbeddedGlance::builder().start_blocking().unwrap();
    let target = EmbeddedGlance::builder().without_digests();
    let target = target.start_blocking().unwrap();
    // Known, so that the test does not have to hash as well; the program does.
    let image = ImageSpec::new(&id(1)).data(ImageContent::zeros(4 << 30));
    source.add_image(image.digests(MD5_OF_4_GIB, "sha512", SHA512_OF_4_GIB));
    let (ran, peak) = watch(&["livecopy", source.host_port(), target.host_port()]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
    assert!(
        ran.stderr.contains("livecopy: 1 copied (4.0 GiB in "),
        "{ran:?}"
    );
    eprintln!("at most {peak} KiB");
    assert!((1..LIMIT_KIB).contains(&peak), "{peak} KiB");
}

#[test]
fn what_waits_for_a_limit_is_not_in_memory() {
    let source = EmbeddedGlance::builder().start_blocking().unwrap();
    for number in 0..16 {
        let image = ImageSpec::new(&id(number)).without_digests();
        source.add_image(image.data(ImageContent::zeros(8 << 20)));
    }
    for limit in ["40M:off", "off:40M"] {
        let target = EmbeddedGlance::builder().without_digests();
        let target = target.start_blocking().unwrap();
        let options = ["--transfers", "16", "--verify", "none", "--bwlimit", limit];
        let ends = ["livecopy", source.host_port(), target.host_port()];
        let (ran, peak) = watch(&[&options, &ends[..]].concat());
        let copied = "livecopy: 16 copied (128.0 MiB in ";
        assert!(ran.stderr.contains(copied), "{ran:?}");
        eprintln!("at most {peak} KiB");
        assert!((1..LIMIT_KIB).contains(&peak), "{limit}: {peak} KiB");
    }
}

#[test]
fn a_hundred_thousand_images_with_nothing_to_do_take_little_memory_and_few_requests() {
    const IMAGES: u64 = 100_000;
    let filled = || {
        let glance = EmbeddedGlance::builder().page_size(1000);
        let glance = glance.start_blocking().unwrap();
        for number in 0..IMAGES {
            // The members of a shared image would take a request.
            let image = ImageSpec::new(&id(number)).visibility("private");
            let image = image.name(&format!("the image number {number}"));
            let image = image
                .property("os_distro", "debian")
                .property("arch", "x86_64");
            glance.add_image(image.data(ImageContent::zeros(1)));
        }
        glance
    };
    let (source, target) = (filled(), filled());
    let (ran, peak) = watch(&["livecopy", source.host_port(), target.host_port()]);
    // On a busy machine, there is a line of progress before it.
    let summary = "livecopy: nothing to do, 100000 unchanged";
    assert_eq!(ran.stderr.lines().last(), Some(summary));
    eprintln!("at most {peak} KiB");
    assert!((1..LIMIT_KIB).contains(&peak), "{peak} KiB");
    for glance in [&source, &target] {
        // Hidden images are listed apart, hence twice the pages.
        assert!(glance.count(RequestKind::Listing) <= 2 * IMAGES / 1000 + 10);
    }
    // It has to keep every name, each of which may be that of several images.
    let (ran, peak) = watch(&["compare", source.host_port(), target.host_port()]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
    eprintln!("at most {peak} KiB to compare");
    assert!((1..LIMIT_KIB).contains(&peak), "{peak} KiB");
}

#[test]
fn a_plan_of_twenty_thousand_images_takes_little_memory_as_does_applying_it() {
    const IMAGES: u64 = 20_000;
    /// The memory of a run with nothing to do, and 500 bytes an image.
    const LIMIT_KIB: u64 = 45 * 1024;
    let source = EmbeddedGlance::builder().page_size(1000);
    let source = source.start_blocking().unwrap();
    for number in 0..IMAGES {
        let image = ImageSpec::new(&id(number)).visibility("private");
        let image = image.name(&format!("some name or other {number}"));
        let image = image.property("os_distro", "debian");
        source.add_image(image.data(ImageContent::zeros(1)));
    }
    let target = EmbeddedGlance::builder().page_size(1000);
    let target = target.start_blocking().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.json");
    let file = file.to_str().unwrap();
    let ends = [source.host_port(), target.host_port()];
    let runs: [(&[&str], i32, &str); 3] = [
        (
            &["livecopy", "--dry-run", ends[0], ends[1]],
            0,
            "nothing was changed",
        ),
        (
            &["plan", "-o", file, ends[0], ends[1]],
            0,
            "nothing was changed",
        ),
        (&["apply", file], 5, "20000 not as planned any more"),
    ];
    for (args, code, says) in runs {
        if code == 5 {
            (0..IMAGES).for_each(|number| source.burn(&id(number)));
        }
        let (ran, peak) = watch(args);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
        eprintln!("{args:?}: at most {peak} KiB");
        assert!((1..LIMIT_KIB).contains(&peak), "{args:?}: {peak} KiB");
    }
}

#[test]
fn five_thousand_images_with_nothing_to_do_take_two_requests_a_page_and_few_more() {
    let (source, target) = (glance(), glance());
    let ran = run(&["livecopy", source.host_port(), target.host_port()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for glance in [&source, &target] {
        let total = glance.total_requests();
        assert!(total <= 2 * 5 + 10, "{total} requests");
    }
}

fn glance() -> EmbeddedGlance {
    let glance = EmbeddedGlance::builder().page_size(1000);
    let glance = glance.start_blocking().unwrap();
    for number in 0..5000 {
        let image = ImageSpec::new(&id(number)).visibility("private");
        glance.add_image(image.data(ImageContent::zeros(1)));
    }
    glance
}

/// Each of the short fields takes ten times as much in memory as in a page.
#[test]
fn a_page_that_is_costly_to_decode_is_asked_for_in_parts_and_takes_little_memory() {
    const FIELDS: u32 = 10_000;
    let source = EmbeddedGlance::builder().page_size(1000);
    let source = source.start_blocking().unwrap();
    for number in 0..48 {
        let image = ImageSpec::new(&id(number)).visibility("private");
        let image = (0..FIELDS).fold(image, |image, field| image.property(&field.to_string(), ""));
        source.add_image(image.data(ImageContent::zeros(1)));
    }
    let (ran, peak) = watch(&["size", source.host_port()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("across 48 images"), "{ran:?}");
    eprintln!("at most {peak} KiB");
    assert!((1..LIMIT_KIB).contains(&peak), "{peak} KiB");
}
