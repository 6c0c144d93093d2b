//! Snapshots: dated archives that share what has not changed.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use glance_client::testing::{
    At, EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::kit::background::{spawn, wait_until};
use crate::kit::images::{contents, glance, id, numbered};
use crate::kit::program::{Ran, run};
use crate::kit::runs::{assert_error, ended, path, succeeded};

/// A directory of snapshots, and the server that they are of.
struct Scene {
    source: EmbeddedGlance,
    home: tempfile::TempDir,
}

impl Scene {
    fn of(images: u64) -> Self {
        Self {
            source: numbered(images),
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("nightly")
    }

    fn args<'a>(&'a self, options: &[&'a str], directory: &'a Path) -> Vec<&'a str> {
        let ends = [self.source.host_port(), path(directory)];
        [&["dump", "--snapshot"], options, &ends].concat()
    }

    /// Makes a snapshot.
    #[track_caller]
    fn snapshot(&self, options: &[&str]) -> Ran {
        succeeded(&self.args(options, &self.directory()))
    }

    /// The names of what is in the directory, but for the lock.
    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.directory()).unwrap();
        let names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != ".snapshots.lock").collect();
        names.sort_unstable();
        names
    }

    fn newest(&self) -> PathBuf {
        self.directory().join(self.names().last().unwrap())
    }

    /// Gives the newest snapshot another time.
    fn date(&self, name: &str) -> PathBuf {
        let dated = self.directory().join(name);
        fs::rename(self.newest(), &dated).unwrap();
        dated
    }

    fn listed(&self) -> Vec<Value> {
        let ran = succeeded(&["archive", "list", "-f", "json", path(&self.directory())]);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        document["snapshots"].as_array().unwrap().clone()
    }
}

fn inode(file: PathBuf) -> u64 {
    fs::metadata(file).unwrap().ino()
}

#[test]
fn a_second_snapshot_shares_what_has_not_changed_and_has_what_is_at_the_source_now() {
    let mut scene = Scene::of(3);
    scene.snapshot(&[]);
    let old = scene.date("2026-01-01T000000Z");
    // The same server without image 2, and with another one.
    scene.source = glance(Profile::Today);
    for (number, len) in [(1, 2000), (3, 2000), (4, 3000)] {
        let data = ImageContent::pattern(number, len);
        scene
            .source
            .add_image(ImageSpec::new(&id(number)).data(data));
    }
    let ran = scene.snapshot(&[]);
    assert!(ran.stderr.contains("dump: 1 copied"), "{ran:?}");
    assert!(
        ran.stderr
            .contains("3 images (6.8 KiB), 2.9 KiB of its own"),
        "{ran:?}"
    );
    assert_eq!(scene.source.count(RequestKind::Download), 1);
    let new = scene.newest();
    for file in [id(1), format!("{}.img", id(1)), format!("{}.img", id(3))] {
        assert_eq!(inode(old.join(&file)), inode(new.join(&file)), "{file}");
    }
    assert!(old.join(id(2)).exists() && !new.join(id(2)).exists());
    assert!(!new.join(format!("{}.img", id(2))).exists());

    let listed = scene.listed();
    let facts: Vec<String> = listed
        .iter()
        .map(|row| {
            format!(
                "{} {} {} {}",
                row["state"], row["images"], row["bytes"], row["own_bytes"]
            )
        })
        .collect();
    assert_eq!(facts, ["\"whole\" 3 6000 2000", "\"whole\" 3 7000 3000"]);
    assert_eq!(listed[0]["time"], "2026-01-01T00:00:00Z");
    assert_eq!(listed[1]["path"], path(&new));

    // Each of them is an archive as any other.
    for (snapshot, images) in [(&old, 3), (&new, 3)] {
        let end = format!("dir:{}", path(snapshot));
        succeeded(&["verify", &end]);
        let target = glance(Profile::Today);
        succeeded(&["load", target.host_port(), path(snapshot)]);
        assert_eq!(target.images().len(), images);
    }
    let target = glance(Profile::Today);
    succeeded(&["load", target.host_port(), path(&new)]);
    assert_eq!(contents(&target), contents(&scene.source));
}

#[test]
fn what_is_healed_in_a_snapshot_is_healed_there_alone_and_damage_is_not_taken_for_data() {
    let scene = Scene::of(2);
    scene.snapshot(&[]);
    let old = scene.date("2026-01-01T000000Z");
    let data = old.join(format!("{}.img", id(1)));
    // A bit that has turned round on the disk, as it were.
    let mut bytes = fs::read(&data).unwrap();
    bytes[7] ^= 1;
    fs::write(&data, &bytes).unwrap();
    scene.snapshot(&["--verify", "read-back"]);
    let new = scene.newest();
    assert_ne!(
        inode(data.clone()),
        inode(new.join(format!("{}.img", id(1))))
    );
    assert_eq!(
        fs::read(&data).unwrap(),
        bytes,
        "the old one stays as it is"
    );
    succeeded(&["verify", &format!("dir:{}", path(&new))]);
    ended(6, &["verify", &format!("dir:{}", path(&old))]);

    // Of data that is too short, every run sees it.
    let cut = new.join(format!("{}.img", id(2)));
    fs::OpenOptions::new()
        .write(true)
        .open(&cut)
        .unwrap()
        .set_len(10)
        .unwrap();
    let ran = scene.snapshot(&[]);
    assert!(ran.stderr.contains("dump: 1 copied"), "{ran:?}");
    succeeded(&["verify", &format!("dir:{}", path(&scene.newest()))]);
}

#[test]
fn a_snapshot_that_broke_off_is_partial_and_the_next_run_goes_on_with_it() {
    let scene = Scene::of(1);
    scene.snapshot(&[]);
    scene.date("2026-01-01T000000Z");
    let image = ImageSpec::new(&id(2)).data(ImageContent::pattern(2, 8_000_000));
    scene.source.add_image(image);
    let stall = FaultAction::StallResponse(At::Byte(5_000_000), None);
    scene
        .source
        .fault(FaultOn::kind(RequestKind::Download).times(1), stall);
    let directory = scene.directory();
    let child = spawn(&scene.args(&["--keep-last", "1"], &directory));
    let begun = || {
        let names = scene.names();
        let partial = names.iter().find(|name| name.ends_with(".partial"))?;
        let data = format!(".{}.img.partial", id(2));
        Some(fs::metadata(directory.join(partial).join(data)).ok()?.len())
    };
    wait_until(|| begun().is_some_and(|bytes| bytes > 1_000_000));
    let busy = run(&scene.args(&[], &directory));
    assert_error(&busy, 1, &["is being written by another process"]);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(143), "{ran:?}");
    assert!(ran.stderr.contains("the snapshot is not whole"), "{ran:?}");
    let states = |scene: &Scene| {
        let listed = scene.listed().into_iter();
        listed
            .map(|row| row["state"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        states(&scene),
        ["whole", "partial"],
        "no old one is removed"
    );
    let partial = scene
        .names()
        .into_iter()
        .find(|name| name.starts_with('.'))
        .unwrap();
    let target = glance(Profile::Today);
    let partial = directory.join(partial);
    let loaded = run(&["load", target.host_port(), path(&partial)]);
    assert!(
        loaded.stderr.contains("is a snapshot that is not whole"),
        "{loaded:?}"
    );

    scene.source.clear_requests();
    scene.snapshot(&["--keep-last", "1"]);
    let requests = scene.source.requests();
    let mut downloads = requests
        .iter()
        .filter(|request| request.kind == RequestKind::Download);
    let download = downloads.next().unwrap();
    assert!(download.header("range").is_some() && downloads.next().is_none());
    assert_eq!(states(&scene), ["whole"]);
    succeeded(&["verify", &format!("dir:{}", path(&scene.newest()))]);
}

#[test]
fn a_run_with_a_failure_makes_no_snapshot_whole() {
    let scene = Scene::of(2);
    scene.source.fault(
        FaultOn::kind(RequestKind::Download).image(&id(2)),
        FaultAction::status(500),
    );
    let directory = scene.directory();
    let failed = scene.args(&["--retries", "0"], &directory);
    ended(3, &failed);
    assert!(scene.names().iter().all(|name| name.ends_with(".partial")));
    let end = format!("dir:{}", path(&directory));
    let ran = run(&["verify", &end]);
    assert_error(&ran, 2, &["holds snapshots", "archive list"]);
    // Whoever leaves it out has a whole one of the rest.
    let ran = scene.snapshot(&["--exclude", &format!("id={}", id(2))]);
    assert!(ran.stderr.contains("snapshot: "), "{ran:?}");
    assert_eq!(scene.listed()[0]["images"], 1);
}

#[test]
fn old_snapshots_go_by_the_rules_and_a_dry_run_says_which() {
    let scene = Scene::of(1);
    for name in [
        "2026-01-01T000000Z",
        "2026-01-02T000000Z",
        "2026-01-02T120000Z",
        "2026-02-01T000000Z",
    ] {
        scene.snapshot(&[]);
        scene.date(name);
    }
    let before = scene.names();
    let rules = ["--keep-daily", "2", "--keep-monthly", "9"];
    let dry = scene.snapshot(&[&rules[..], &["--dry-run"]].concat());
    for line in [
        "would be removed: 2026-01-01T000000Z, which no --keep option keeps",
        "would be removed: 2026-01-02T000000Z, which no --keep option keeps",
        "would be kept: 2026-01-02T120000Z (monthly)",
        "would be kept: 2026-02-01T000000Z (daily, monthly)",
    ] {
        assert!(dry.stderr.contains(line), "{line}: {dry:?}");
    }
    assert_eq!(scene.names(), before);

    let ran = scene.snapshot(&rules);
    assert!(
        ran.stderr.contains("removed: 2026-01-01T000000Z"),
        "{ran:?}"
    );
    let names = scene.names();
    assert_eq!(names.len(), 3);
    assert_eq!(names[..2], ["2026-01-02T120000Z", "2026-02-01T000000Z"]);
    succeeded(&["verify", &format!("dir:{}", path(&scene.newest()))]);
}

#[test]
fn nothing_at_the_source_does_not_make_a_snapshot_that_good_ones_go_for() {
    let mut scene = Scene::of(1);
    scene.snapshot(&[]);
    scene.source = glance(Profile::Today);
    let directory = scene.directory();
    let ran = ended(7, &scene.args(&["--keep-last", "1"], &directory));
    assert!(ran.stderr.contains("the source lists no image"), "{ran:?}");
    assert_eq!(scene.listed()[0]["images"], 1);
}

#[test]
fn archives_and_directories_of_snapshots_are_not_taken_for_each_other() {
    let scene = Scene::of(1);
    let archive = scene.home.path().join("archive");
    let server = scene.source.host_port();
    succeeded(&["dump", server, path(&archive)]);
    let ran = run(&["dump", "--snapshot", server, path(&archive)]);
    assert_error(
        &ran,
        2,
        &["is an archive", "hint: snapshots need a directory"],
    );

    let directory = scene.directory();
    let dry = run(&["dump", "--snapshot", "--dry-run", server, path(&directory)]);
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(!directory.exists());
    scene.snapshot(&[]);
    let newest = format!("as dir:{}", path(&scene.newest()));
    for command in [
        &["dump", server, path(&directory)][..],
        &["load", server, path(&directory)],
        &["livecopy", server, &format!("dir:{}", path(&directory))],
        &["list", &format!("dir:{}", path(&directory))],
    ] {
        let ran = run(command);
        assert_error(&ran, 2, &["holds snapshots", &newest]);
    }
    let ran = run(&["archive", "list", path(&archive)]);
    assert_error(&ran, 2, &["is an archive"]);
    let ran = run(&["dump", "--keep-last", "3", server, path(&archive)]);
    assert_error(&ran, 2, &["--snapshot"]);
}

#[test]
fn a_limit_ends_a_run_with_8_and_the_next_one_goes_on() {
    let source = numbered(6);
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("archive");
    let dump = |options: &[&str]| {
        let ends = [source.host_port(), path(&archive)];
        run(&[&["dump", "--transfers", "1"], options, &ends].concat())
    };
    let ran = dump(&["--max-duration", "0s"]);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(ran.stderr.contains("6 not done"), "{ran:?}");
    // The third image goes beyond it.
    let report = home.path().join("report.json");
    let ran = dump(&["--max-transfer", "5000B", "--report", path(&report)]);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(ran.stderr.contains("3 copied"), "{ran:?}");
    assert!(ran.stderr.contains("3 not done"), "{ran:?}");
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report["exit_code"], 8);
    let images = report["images"].as_array().unwrap();
    let left = images
        .iter()
        .filter(|image| image["reason"] == "limit_reached");
    assert_eq!(left.count(), 3);
    let ran = dump(&["--max-transfer", "1G", "--max-duration", "1h"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");

    // No record is left behind at a server for what is not sent.
    let target = glance(Profile::Today);
    let ends = [source.host_port(), target.host_port()];
    let ran = run(&[&["livecopy", "--max-transfer", "3000B"], &ends[..]].concat());
    assert_eq!(ran.code, Some(8), "{ran:?}");
    let images = target.images();
    assert!(images.len() == 2 && images.iter().all(|image| image.status == "active"));
}
