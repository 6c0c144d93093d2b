//! The program keeps to its limits.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::ops::RangeInclusive;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, RequestKind};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use rustix::process::{Pid, Signal, kill_process};

use crate::kit::program::{Ran, program, run};

const MIB: u64 = 1 << 20;

fn glance() -> EmbeddedGlance {
    EmbeddedGlance::builder().start_blocking().unwrap()
}

/// A Glance with images of so many bytes.
fn filled(lens: &[u64]) -> EmbeddedGlance {
    let glance = glance();
    for (number, len) in lens.iter().enumerate() {
        let image = ImageSpec::new(&format!("00000000-0000-4000-8000-{number:012}"));
        glance.add_image(image.data(ImageContent::pattern(number as u64, *len)));
    }
    glance
}

/// Runs the program, which has to succeed and to take so many seconds.
#[track_caller]
fn lasts(seconds: RangeInclusive<f64>, run: impl FnOnce() -> Ran) {
    let begin = Instant::now();
    let ran = run();
    let lasted = begin.elapsed().as_secs_f64();
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
    assert!(seconds.contains(&lasted), "{lasted} s: {ran:?}");
}

#[test]
fn a_bandwidth_is_kept_within_5_percent_by_all_transfers_together() {
    let (source, target) = (filled(&[4 * MIB, 3 * MIB, 2 * MIB, MIB]), glance());
    let args = ["livecopy", source.host_port(), target.host_port()];
    let mut seconds = 0.0;
    lasts(9.5..=15.0, || {
        let ran = run(&[&["--bwlimit", "1M"], &args[..]].concat());
        // The time that a loaded machine takes to start a program is no matter.
        let (_, rest) = ran.stderr.split_once("4 copied (10.0 MiB in ").unwrap();
        let (lasted, _) = rest.split_once(" s").unwrap();
        seconds = lasted.parse().unwrap();
        ran
    });
    assert!((9.5..=10.5).contains(&seconds), "{seconds} s");
    assert_eq!(target.images().len(), 4);
}

#[test]
fn a_download_is_limited_apart_from_an_upload() {
    let (source, target) = (filled(&[MIB; 2]), glance());
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().to_str().unwrap();
    // Each chunk takes longer than the server may stall.
    let dump = ["dump", "--stall-timeout", "1", source.host_port(), archive];
    lasts(1.7..=5.0, || {
        run(&[&["--bwlimit", "1M:off"], &dump[..]].concat())
    });
    let load = ["load", "--stall-timeout", "1", target.host_port(), archive];
    lasts(0.0..=5.0, || {
        run(&[&["--bwlimit", "1K:off"], &load[..]].concat())
    });
    let (again, other) = (["verify", target.host_port()], glance());
    lasts(0.0..=5.0, || {
        run(&[&["--bwlimit", "off:1K"], &again[..]].concat())
    });
    let load = ["load", other.host_port(), archive];
    lasts(1.7..=5.0, || {
        run(&[&["--bwlimit", "off:1M"], &load[..]].concat())
    });
}

#[test]
fn requests_are_limited_whatever_they_ask_for() {
    const IMAGES: usize = 150;
    let (source, target) = (filled(&[1; IMAGES]), glance());
    let ends = [source.host_port(), target.host_port()];
    let mut command = program();
    command.env("GLANCE_REPLICATOR_TPSLIMIT", "200");
    command.args(["livecopy", "--transfers", "16", ends[0], ends[1]]);
    let begin = Instant::now();
    let ran = Ran::from(command.output().unwrap());
    let lasted = begin.elapsed().as_secs_f64();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let requests = source.total_requests() + target.total_requests();
    assert!(requests > 4 * IMAGES as u64, "{requests} requests");
    // A fifth of a second may be caught up with.
    let seconds = requests as f64 / 200.0;
    let expected = seconds - 0.3..=seconds * 2.0;
    assert!(
        expected.contains(&lasted),
        "{requests} in {lasted} s: {ran:?}"
    );
}

#[test]
fn a_timetable_is_read_in_local_time_also_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let source = filled(&[MIB]);
    let path = dir.path().join("a.conf");
    let config = path.to_str().unwrap();
    // Five hours ahead: what begins there now was not yet in UTC.
    let (zone, ahead) = ("<+05>-5", 5.hours());
    let now = Timestamp::now().to_zoned(TimeZone::UTC).datetime();
    let before = |time: jiff::civil::DateTime| (time - 1.minute()).strftime("%H:%M").to_string();
    let (here, there) = (before(now), before(now + ahead));
    fs::write(
        &path,
        format!("[DEFAULT]\nbwlimit = {here},off {there},512K\n"),
    )
    .unwrap();
    let archive = dir.path().join("archive");
    let args = ["dump", "--config-file", config, source.host_port()];
    lasts(1.7..=5.0, || {
        let mut command = program();
        command.env("TZ", zone).args(args).arg(&archive);
        Ran::from(command.output().unwrap())
    });
    let mut command = program();
    command.env("TZ", "Nowhere/Never").args(args).arg(&archive);
    let ran = Ran::from(command.output().unwrap());
    let warning = "warning: the times of --bwlimit are taken for UTC";
    assert!(
        ran.code == Some(0) && ran.stderr.starts_with(warning),
        "{ran:?}"
    );
}

#[test]
fn who_waits_for_a_limit_can_be_interrupted() {
    for (option, value, kind) in [
        ("--bwlimit", "1K:off", RequestKind::Download),
        ("--bwlimit", "off:1K", RequestKind::Upload),
        ("--tpslimit", "0.01", RequestKind::Versions),
    ] {
        let (source, target) = (filled(&[MIB]), glance());
        let mut command = program();
        command.args([
            option,
            value,
            "livecopy",
            source.host_port(),
            target.host_port(),
        ]);
        let child = command.stderr(Stdio::piped()).stdout(Stdio::piped());
        let child = child.spawn().unwrap();
        let wanted = || source.count(kind) + target.count(kind) > 0;
        let begin = Instant::now();
        while !wanted() && begin.elapsed() < Duration::from_secs(30) {
            thread::sleep(Duration::from_millis(5));
        }
        // Time for it to be waiting.
        thread::sleep(Duration::from_millis(200));
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let begin = Instant::now();
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(130), "{option} {value}: {ran:?}");
        assert!(
            begin.elapsed() < Duration::from_millis(1500),
            "{option} {value}"
        );
    }
}
