//! Images that their source has lost, on real servers: retired, shown again, and deleted.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::images::{bytes, id};
use crate::kit::program::{Ran, run};
use crate::server::{Facts, Server};

fn load(target: &Server, archive: &Path, options: &[&str]) -> Ran {
    let archive = archive.to_str().unwrap();
    let ran = run(&[&["load", &target.url, archive, "--origin", "lab"], options].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// Moves the files of the first image from one directory to another.
fn move_first(from: &Path, to: &Path) {
    for name in [id(1), format!("{}.img", id(1))] {
        fs::rename(from.join(&name), to.join(&name)).unwrap();
    }
}

fn first(server: &Server) -> Facts {
    server.facts().remove(&id(1)).unwrap()
}

#[test]
fn what_the_source_has_lost_is_retired_comes_back_and_is_deleted() {
    let source = Server::empty("today-one");
    for number in 1..=3 {
        let record = json!({
            "id": id(number), "name": format!("image {number}"), "visibility": "private",
            "disk_format": "raw", "container_format": "bare",
        });
        source.create_v2(&record, Some(bytes(number, 100_000)));
    }
    let (archive, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (archive, aside) = (archive.path(), aside.path());
    let ran = run(&["dump", &source.url, archive.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for (name, hides) in [
        ("today-two", true),
        ("legacy-one", false),
        ("v1-one", false),
    ] {
        let target = Server::empty(name);
        let delete = ["--delete", "--yes"];
        assert!(load(&target, archive, &[]).stderr.contains("3 copied"));
        let before = first(&target);
        assert_eq!(before.properties["replicator_origin"], "lab");
        move_first(archive, aside);
        let ran = load(&target, archive, &delete);
        assert!(
            ran.stderr.contains("1 retired, 2 unchanged"),
            "{name}: {ran:?}"
        );
        let retired = first(&target);
        assert!(!retired.properties["replicator_retired_at"].is_empty());
        if hides {
            assert_eq!(retired.of_v2["os_hidden"], true);
        }
        let ran = load(&target, archive, &delete);
        assert!(
            ran.stderr.contains("1 skipped (retired)"),
            "{name}: {ran:?}"
        );
        move_first(aside, archive);
        let ran = load(&target, archive, &delete);
        assert!(
            ran.stderr.contains("1 updated, 2 unchanged"),
            "{name}: {ran:?}"
        );
        let mut back = first(&target);
        back.properties.retain(|_, value| !value.is_empty());
        assert_eq!(back, before, "{name}");
        assert_eq!(target.data(&id(1)), bytes(1, 100_000));
        move_first(archive, aside);
        load(&target, archive, &delete);
        let ran = load(
            &target,
            archive,
            &[&delete[..], &["--grace", "0s"]].concat(),
        );
        assert!(
            ran.stderr.contains("1 deleted, 2 unchanged"),
            "{name}: {ran:?}"
        );
        assert_eq!(target.facts().len(), 2);
        let ran = load(&target, archive, &delete);
        assert!(
            ran.stderr.contains("nothing to do, 2 unchanged"),
            "{name}: {ran:?}"
        );
        move_first(aside, archive);
    }
}
