//! The program between embedded Glance servers and temporary archives.

use std::fs;

use glance_client::testing::{Profile, RequestKind};

use crate::kit::images::{contents, filled, glance, id};
use crate::kit::program::{Ran, run, timeless};
use crate::kit::runs::{path, succeeded};

#[test]
fn dump_and_load_carry_images_over_an_archive() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (source, target) = (filled(profile), glance(profile));
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("new/archive");
        // Through v2, an administrator gets the data of the deactivated one.
        let (copied, records) = match profile {
            Profile::Today => (6, 1),
            _ => (5, 2),
        };
        let dump = || {
            let ran = succeeded(&["dump", source.host_port(), path(&archive)]);
            let words = "is deactivated at the source";
            assert_eq!(ran.stderr.contains(words), copied == 5, "{ran:?}");
            ran
        };
        let summary = |ran: &Ran| {
            let of_verb = |line: &&str| line.starts_with("dump: ") || line.starts_with("load: ");
            ran.stderr.lines().find(of_verb).unwrap().to_owned()
        };
        let ran = dump();
        assert!(ran.stderr.contains(&format!(
            "Storing: \"image 3\" ({}), 2.9 MiB, in {}/{}.img\n",
            id(3),
            path(&archive),
            id(3)
        )));
        assert_eq!(
            timeless(&summary(&ran)),
            format!("dump: {copied} copied (2.9 MiB in TIME), {records} metadata only")
        );
        let dir_end = format!("dir:{}", path(&archive));
        let checked = succeeded(&["compare", "--exit-code", source.host_port(), &dir_end]);
        assert_eq!(checked.stdout, "");
        let size = succeeded(&["size", &dir_end]).stdout;
        assert_eq!(
            size,
            "Total size is 3070006 bytes (2.9 MiB) across 5 images\n"
        );
        assert_eq!(size, succeeded(&["size", source.host_port()]).stdout);

        succeeded(&["load", target.host_port(), path(&archive)]);
        if profile == Profile::Today {
            assert_eq!(contents(&target), contents(&source));
        }

        source.clear_requests();
        assert_eq!(summary(&dump()), "dump: nothing to do, 7 unchanged");
        assert_eq!(
            source.count(RequestKind::Download),
            7 - copied - 1,
            "of the deactivated one"
        );
        let again = succeeded(&["load", target.host_port(), path(&archive)]);
        assert_eq!(
            summary(&again),
            match copied {
                6 => "load: nothing to do, 6 unchanged, 1 skipped (queued at the source)",
                _ => {
                    "load: nothing to do, 5 unchanged, 2 skipped (1 deactivated at the source, \
                     1 queued at the source)"
                }
            }
        );
    }
}

#[test]
fn damaged_images_of_an_archive_fail_and_the_others_are_loaded() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path();
    succeeded(&["dump", source.host_port(), path(archive)]);
    fs::write(archive.join(id(1)), "{\"id\": ").unwrap();
    fs::write(archive.join(id(2)), "[1, 2]").unwrap();
    let data = archive.join(format!("{}.img", id(3)));
    fs::File::options()
        .write(true)
        .open(data)
        .unwrap()
        .set_len(2_000_000)
        .unwrap();
    fs::remove_file(archive.join(id(4))).unwrap();
    fs::write(archive.join("notes.txt"), "no image").unwrap();
    let ran = run(&["load", target.host_port(), path(archive)]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let warning = format!(
        "warning: image {} in {} is unfinished",
        id(4),
        path(archive)
    );
    assert!(ran.stderr.contains(&warning), "{ran:?}");
    let failed: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with("failed: "))
        .collect();
    assert_eq!(failed.len(), 3, "{ran:?}");
    assert!(
        ran.stderr.contains("hint: the archive is damaged there"),
        "{ran:?}"
    );
    assert_eq!(contents(&target).len(), 2);
}

/// Two ends do the same whatever verb is typed for them, in each state of the archive.
#[test]
fn the_same_two_ends_do_the_same_whatever_the_verb() {
    let source = filled(Profile::Today);
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [dumped, copied] = [&dirs[0], &dirs[1]].map(|dir| dir.path());
    let to_dir = format!("dir:{}", path(copied));
    let into_archives = || {
        [
            run(&["dump", source.host_port(), path(dumped)]),
            run(&["livecopy", source.host_port(), &to_dir]),
        ]
    };
    // The verb is named in the summary, and the directory where dump stores an image.
    let told = |ran: &Ran, verb: &str| {
        let lines = ran.stderr.lines().map(timeless);
        let lines = lines.filter(|line| !line.contains("Storing: ") && !line.contains("synced"));
        let prefix = format!("{verb}: ");
        let lines = lines.map(|line| line.replace(&prefix, "VERB: "));
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        lines
    };
    let files = |dir: &std::path::Path| {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = entries
            .map(|entry| (entry.file_name(), fs::read(entry.path()).ok()))
            .collect();
        files.sort();
        files
    };
    let data = |dir: &std::path::Path| dir.join(format!("{}.img", id(3)));
    let harm = |state: &str, dir: &std::path::Path| match state {
        "truncated" => {
            let file = fs::File::options().write(true).open(data(dir)).unwrap();
            file.set_len(1000).unwrap();
        }
        "without data" => fs::remove_file(data(dir)).unwrap(),
        "without a record" => fs::remove_file(dir.join(id(3))).unwrap(),
        _ => {}
    };
    for state in [
        "empty",
        "whole",
        "truncated",
        "without data",
        "without a record",
    ] {
        harm(state, dumped);
        harm(state, copied);
        let [dump, livecopy] = into_archives();
        assert_eq!(dump.code, livecopy.code, "{state}: {livecopy:?}");
        assert_eq!(told(&dump, "dump"), told(&livecopy, "livecopy"), "{state}");
        assert_eq!(files(dumped), files(copied), "{state}");
        assert_eq!(
            fs::metadata(data(copied)).unwrap().len(),
            3_000_000,
            "{state}"
        );
    }
    let targets = [(); 2].map(|()| glance(Profile::Today));
    for _ in 0..2 {
        let load = run(&["load", targets[0].host_port(), path(dumped)]);
        let livecopy = run(&["livecopy", &to_dir, targets[1].host_port()]);
        assert_eq!(load.code, livecopy.code, "{livecopy:?}");
        assert_eq!(told(&load, "load"), told(&livecopy, "livecopy"));
        assert_eq!(contents(&targets[0]), contents(&targets[1]));
    }
}
