//! Where a run reads and writes: right places only, and for their owner alone.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use glance_client::testing::{At, EmbeddedGlance, FaultAction, FaultOn, Profile, RequestKind};
use rustix::process::{Pid, Signal, kill_process};

use crate::kit::background::{spawn, wait_until};
use crate::kit::images::{id, numbered};
use crate::kit::program::{Ran, program, run};

/// Everything below a directory, and itself.
fn tree(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            found.extend(tree(&entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn what_a_run_creates_is_for_its_owner_alone() {
    let old = EmbeddedGlance::builder().profile(Profile::V1Only);
    let (source, old) = (numbered(2), old.start_blocking().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let all = dir.path().join("all");
    fs::create_dir(&all).unwrap();
    let path = |name: &str| all.join(name).to_str().unwrap().to_owned();
    let (archive, log, stage) = (path("new/archive"), path("log"), path("stage"));
    for umask in ["000", "022"] {
        for args in [
            &["dump", "-v", "-l", &log, source.host_port(), &archive][..],
            &[
                "livecopy",
                "--stage",
                &stage,
                source.host_port(),
                old.host_port(),
            ],
        ] {
            let mut command = Command::new("sh");
            command.args(["-c", "umask $1; shift; exec \"$@\"", "sh", umask]);
            command.arg(program().get_program()).args(args);
            let ran = Ran::from(command.output().unwrap());
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        let found = tree(&all);
        assert!(found.len() >= 8, "{found:?}");
        for path in &found[1..] {
            let mode = fs::metadata(path).unwrap().mode() & 0o777;
            let wanted = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, wanted, "{path:?} {mode:o} with umask {umask}");
        }
        fs::remove_dir_all(path("new")).unwrap();
    }
}

#[track_caller]
fn assert_refused(args: &[&str], code: i32, text: &str) {
    let ran = run(args);
    assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
    assert!(ran.stderr.contains(text), "{args:?}: {ran:?}");
    assert_eq!(ran.stdout, "", "{args:?}: {ran:?}");
}

#[test]
fn a_directory_that_is_no_archive_is_an_error() {
    let glance = numbered(1);
    let server = glance.host_port();
    let dir = tempfile::tempdir().unwrap();
    let (other, empty) = (dir.path().join("other"), dir.path().join("empty"));
    let new = dir.path().join("new");
    for path in [&other, &empty] {
        fs::create_dir(path).unwrap();
    }
    fs::write(other.join("passwd"), "root").unwrap();
    fs::create_dir(empty.join("lost+found")).unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let end = |path: &Path| format!("dir:{}", path.to_str().unwrap());
    let (new, other_end, empty_end) = (path(&new), end(&other), end(&empty));
    let new_end = format!("dir:{new}");
    for args in [
        &["verify", &other_end][..],
        &["verify", server, &other_end],
        &["load", server, &path(&other)],
        &["load", "--allow-empty", server, &path(&other)],
        &["compare", &other_end, server],
        &["compare", server, &other_end],
        &["size", &other_end],
        &["livecopy", &other_end, server],
        &["dump", &other_end, &new],
    ] {
        assert_refused(args, 1, "is no archive");
    }
    for args in [
        &["verify", &empty_end][..],
        &["load", server, &path(&empty)],
        &["load", "--dry-run", server, &path(&empty)],
        &["compare", &empty_end, server],
        &["livecopy", &empty_end, server, &new_end],
    ] {
        assert_refused(args, 1, "is empty");
        let ran = run(&[args, &["--allow-empty"]].concat());
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    }
    // A directory that is new, empty or an archive is written to; one with other files is warned about.
    for (directory, warnings) in [(&path(&empty), 0), (&path(&other), 1), (&path(&other), 0)] {
        let ran = run(&["dump", server, directory]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.stderr.matches("warning: ").count(), warnings, "{ran:?}");
    }
    for args in [
        &["verify", &other_end][..],
        &["load", server, &path(&other)],
    ] {
        assert_eq!(run(args).code, Some(0));
    }
    // A dump that broke off is an archive, too.
    let unfinished = dir.path().join("unfinished");
    for name in ["ID.img", ".ID.img.partial", ".ID.tmp"] {
        fs::create_dir_all(&unfinished).unwrap();
        fs::write(unfinished.join(name.replace("ID", &id(7))), "x").unwrap();
        let ran = run(&["load", server, &path(&unfinished)]);
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
        fs::remove_dir_all(&unfinished).unwrap();
    }
}

#[test]
fn the_store_of_a_glance_is_never_dumped_into() {
    let glance = numbered(2);
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().to_str().unwrap();
    let end = format!("dir:{store}");
    for number in 1..=2 {
        fs::write(dir.path().join(id(number)), b"QFI\xfb and more").unwrap();
    }
    for args in [
        &["dump", glance.host_port(), store][..],
        &["dump", "--dry-run", glance.host_port(), store],
        &["load", glance.host_port(), store],
        &["verify", &end],
    ] {
        assert_refused(args, 1, "is no archive");
    }
    let kept = fs::read(dir.path().join(id(1))).unwrap();
    assert_eq!(kept, b"QFI\xfb and more");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn what_is_written_like_a_server_is_no_directory_to_dump_into() {
    let glance = numbered(1);
    let dir = tempfile::tempdir().unwrap();
    let run_there = |args: &[&str]| {
        let mut command = program();
        let ran = command.args(args).current_dir(dir.path()).output();
        Ran::from(ran.unwrap())
    };
    for name in ["cloud:DR", "https://host.invalid", "host:9292", "env:"] {
        for args in [
            ["dump", glance.host_port(), name],
            ["load", glance.host_port(), name],
        ] {
            let ran = run_there(&args);
            assert_eq!(ran.code, Some(2), "{ran:?}");
            assert!(ran.stderr.contains("dir:NAME or ./NAME"), "{ran:?}");
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    for name in ["./host:9292", "dir:cloud:DR"] {
        let ran = run_there(&["dump", glance.host_port(), name]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert!(dir.path().join("host:9292").join(id(1)).exists());
    assert!(dir.path().join("cloud:DR").join(id(1)).exists());
}

#[test]
fn one_end_on_both_sides_is_an_error() {
    let (glance, other) = (numbered(1), numbered(0));
    let server = glance.host_port();
    let (_, port) = server.rsplit_once(':').unwrap();
    let (local, versioned) = (format!("localhost:{port}"), format!("HTTP://{server}//v2/"));
    let dir = tempfile::tempdir().unwrap();
    let (archive, link) = (dir.path().join("archive"), dir.path().join("link"));
    let (archive, link) = (archive.to_str().unwrap(), link.to_str().unwrap());
    assert_eq!(run(&["dump", server, archive]).code, Some(0));
    std::os::unix::fs::symlink(archive, link).unwrap();
    let (archive_end, link_end) = (format!("dir:{archive}"), format!("dir:{link}"));
    for args in [
        ["livecopy", server, &versioned],
        ["livecopy", server, &local],
        ["compare", server, server],
        ["compare", &archive_end, &link_end],
        ["verify", server, &versioned],
        ["livecopy", &archive_end, &link_end],
        ["dump", &link_end, archive],
        ["load", &archive_end, &format!("{link}/.")],
    ] {
        assert_refused(&args, 2, "source and target are the same");
    }
    let new = format!("dir:{}/new", dir.path().display());
    let again = format!("dir:{}/./new", dir.path().display());
    for args in [
        &["livecopy", server, &new, &again][..],
        &["livecopy", "--dry-run", server, &new, &again],
        &[
            "livecopy",
            &archive_end,
            other.host_port(),
            &format!("http://{}/v1", other.host_port()),
        ],
    ] {
        assert_refused(args, 2, "is named as a target twice");
    }
}

#[test]
fn what_only_reads_is_interrupted_with_one_line() {
    for (args, code) in [
        (&["verify", "--read-back", "S", "T"][..], 130),
        (&["compare", "S", "T"], 130),
        (&["size", "S"], 143),
        (&["check", "S"], 130),
        (&["livecopy", "--dry-run", "S", "T"], 130),
    ] {
        let (source, target) = (numbered(3), numbered(3));
        let (kind, by) = match args[0] {
            "verify" => (RequestKind::Download, &target),
            _ => (RequestKind::Listing, &source),
        };
        let stall = FaultAction::StallResponse(At::Byte(10), None);
        by.fault(FaultOn::kind(kind), stall);
        let ends = args.iter().map(|arg| match *arg {
            "S" => source.host_port(),
            "T" => target.host_port(),
            arg => arg,
        });
        let child = spawn(&ends.collect::<Vec<_>>());
        wait_until(|| by.count(kind) > 0);
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        let signal = if code == 130 {
            Signal::INT
        } else {
            Signal::TERM
        };
        kill_process(pid, signal).unwrap();
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{args:?}");
        let line = "error: interrupted: nothing was changed\n";
        assert_eq!(ran.stderr, line, "{args:?}");
    }
}
