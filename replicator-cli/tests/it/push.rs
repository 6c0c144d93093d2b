//! `push`: a file becomes an image of one id in several clouds.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::fs;
use std::path::PathBuf;

use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RangeSupport,
    RequestKind,
};
use tempfile::TempDir;

use crate::kit::images::{glance, id};
use crate::kit::program::{Ran, run};
use crate::kit::runs::{path, succeeded};

const LEN: usize = 3_000_000;

/// The beginning of data of a format, which Glance lets pass.
fn qcow2() -> Vec<u8> {
    let mut data = vec![0; LEN];
    data[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    data
}

fn file(name: &str, data: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, data).unwrap();
    (dir, path)
}

fn targets() -> Vec<EmbeddedGlance> {
    (0..3).map(|_| glance(Profile::Today)).collect()
}

fn push(file: &str, targets: &[&str], options: &[&str]) -> Ran {
    run(&[&["push", file], targets, options].concat())
}

fn names(targets: &[EmbeddedGlance]) -> Vec<&str> {
    targets.iter().map(EmbeddedGlance::host_port).collect()
}

/// The status and the visibility of the one image of a server.
fn only_image(glance: &EmbeddedGlance) -> (String, String, String) {
    let images = glance.images();
    assert_eq!(images.len(), 1, "{images:?}");
    let text = |field: &str| images[0].record[field].as_str().unwrap().to_owned();
    (images[0].id.clone(), text("status"), text("visibility"))
}

#[test]
fn a_file_becomes_one_image_in_several_clouds_and_a_second_push_does_nothing() {
    let (_dir, file) = file("fedora.qcow2", &qcow2());
    let targets = targets();
    let options = [
        "--visibility",
        "public",
        "--property",
        "os_type=linux",
        "--property",
        "note=a=b",
        "--tag",
        "gold",
        "--min-disk",
        "5",
        "--protected",
    ];
    let ran = push(path(&file), &names(&targets), &options);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (new, ..) = only_image(&targets[0]);
    for target in &targets {
        let image = only_image(target);
        assert_eq!(image, (new.clone(), "active".into(), "public".into()));
        let record = &target.images()[0].record;
        assert_eq!(record["name"], "fedora.qcow2");
        assert_eq!(record["disk_format"], "qcow2");
        assert_eq!(record["container_format"], "bare");
        assert_eq!(
            (&record["os_type"], &record["note"]),
            (&"linux".into(), &"a=b".into())
        );
        assert_eq!(
            (&record["min_disk"], &record["protected"]),
            (&5.into(), &true.into())
        );
        assert_eq!(record["tags"][0], "gold");
        let line = format!("{new}  created    {}", target.host_port());
        assert!(ran.stdout.contains(&line), "{ran:?}");
    }
    assert!(ran.stderr.contains(&format!("--id {new}")), "{ran:?}");

    let again = [&options[..], &["--id", &new]].concat();
    let ran = push(path(&file), &names(&targets), &again);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.matches("unchanged").count(), 3, "{ran:?}");
    for target in &targets {
        assert_eq!(target.count(RequestKind::Upload), 1);
    }
}

#[test]
fn a_file_that_has_another_digest_than_was_said_is_sent_nowhere() {
    let (_dir, file) = file("disk.img", b"some data");
    let targets = targets();
    let (md5, sha256) = (
        "1e50210a0202497fb79bc38b6ade6c34",
        "1307990e6ba5ca145eb35e99182a9bec46531bc54ddf656a602c780fa0240dee",
    );
    let wrong = format!("sha256:{}", "ab".repeat(32));
    let ran = push(path(&file), &names(&targets), &["--checksum", &wrong]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    let said = "is not pushed: it has the sha256 1307990e6ba5…, and not abababababab…";
    assert!(ran.stderr.contains(said), "{ran:?}");
    assert_eq!(targets[0].images().len(), 0);
    for (number, right) in [format!("sha256:{sha256}"), format!("md5:{md5}")]
        .iter()
        .enumerate()
    {
        let id = id(number as u64 + 1);
        let options = ["--id", &id, "--checksum", right, "--project", "p7"];
        let ran = push(path(&file), &names(&targets), &options);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let image = targets[2].images().into_iter().find(|image| image.id == id);
        let record = image.unwrap().record;
        assert_eq!(
            (&record["checksum"], &record["owner"]),
            (&md5.into(), &"p7".into())
        );
        assert_eq!(record["os_hash_algo"], "sha512");
    }
}

#[test]
fn a_cloud_that_is_down_is_exit_code_3_and_a_second_push_completes_it() {
    let (_dir, file) = file("disk.img", b"some data");
    let targets = targets();
    targets[1].go_away();
    let options = ["--id", &id(1), "--retries", "0"];
    let ran = push(path(&file), &names(&targets), &options);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("cannot connect"), "{ran:?}");
    let failed = format!("{}  failed     {}", id(1), targets[1].host_port());
    assert!(ran.stdout.contains(&failed), "{ran:?}");
    for target in [&targets[0], &targets[2]] {
        assert_eq!(only_image(target).1, "active");
    }
    targets[1].come_back();
    let ran = push(path(&file), &names(&targets), &options);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.matches("created").count(), 1, "{ran:?}");
    for target in &targets {
        assert_eq!(
            only_image(target),
            (id(1), "active".into(), "shared".into())
        );
        assert_eq!(target.count(RequestKind::Upload), 1);
    }
}

#[test]
fn a_cloud_that_breaks_off_shows_nobody_anything_and_is_completed_later() {
    let (_dir, file) = file(
        "disk.img",
        &ImageContent::pattern(1, LEN as u64).to_vec().unwrap(),
    );
    let targets = targets();
    let broken = FaultOn::kind(RequestKind::Upload);
    targets[2].fault(broken, FaultAction::CutRequest(LEN as u64 / 2));
    let options = ["--id", &id(1), "--visibility", "public", "--retries", "0"];
    let ran = push(path(&file), &names(&targets), &options);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(only_image(&targets[0]).2, "public");
    let (_, status, visibility) = only_image(&targets[2]);
    assert_ne!(status, "active");
    assert_eq!(visibility, "private");
    targets[2].clear_faults();
    let ran = push(path(&file), &names(&targets), &options);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        only_image(&targets[2]),
        (id(1), "active".into(), "public".into())
    );
}

#[test]
fn another_image_of_that_id_is_an_error_and_stays() {
    let (_dir, file) = file("disk.img", b"some data");
    let target = glance(Profile::Today);
    target.add_image(ImageSpec::new(&id(1)).data(ImageContent::bytes("other")));
    let ran = push(path(&file), &[target.host_port()], &["--id", &id(1)]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(ran.stderr.contains("another image of that id"), "{ran:?}");
    let content = target.images()[0].content.clone().unwrap();
    assert_eq!(content.to_vec().unwrap(), b"other");
}

#[test]
fn what_is_not_of_its_format_is_refused_before_anything_is_sent() {
    let target = glance(Profile::Today);
    for (data, options, said) in [
        (qcow2(), &["--disk-format", "raw"][..], "its data is qcow2"),
        (qcow2(), &["--disk-format", "vmdk"], "its data is qcow2"),
        (vec![0; 100], &["--disk-format", "qcow2"], "its data is raw"),
        (b"\x1f\x8b\x08 packed".to_vec(), &[], "compressed with gzip"),
        (b"<!DOCTYPE html>".to_vec(), &[], "a page of HTML"),
    ] {
        let (_dir, file) = file("disk", &data);
        let ran = push(path(&file), &[target.host_port()], options);
        assert_eq!(ran.code, Some(7), "{ran:?}");
        assert!(ran.stderr.contains(said), "{ran:?}");
    }
    assert_eq!(target.count(RequestKind::Upload), 0);
    assert!(target.images().is_empty());
    let (_dir, file) = file("disk", &qcow2());
    let unchecked = ["--disk-format", "raw", "--format-check", "off"];
    let ran = push(path(&file), &[target.host_port()], &unchecked);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(target.images()[0].record["disk_format"], "raw");
}

#[test]
fn a_format_that_the_target_does_not_take_is_told_with_the_option_that_gives_another_one() {
    let target = glance(Profile::Today);
    let (_dir, file) = file("disk", b"some data");
    let options = ["--disk-format", "foo"];
    let ran = push(path(&file), &[target.host_port()], &options);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    for said in ["disk_format is \"foo\"", "(a push: --disk-format)"] {
        assert!(ran.stderr.contains(said), "no {said:?}: {ran:?}");
    }
    assert!(target.images().is_empty());
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let (_dir, file) = file("disk", b"data");
    let server = glance(Profile::Today);
    let target = server.host_port();
    for (file, options, code, said) in [
        (
            path(&file),
            &["--container-format", "ova"][..],
            2,
            "needs --disk-format",
        ),
        (
            path(&file),
            &["--property", "name=x"],
            2,
            "a field of every image",
        ),
        (path(&file), &["--id", "five"], 2, "is not an image id"),
        (
            path(&file),
            &["--on-id-conflict", "new-id"],
            2,
            "other commands",
        ),
        ("/nonexistent", &[], 1, "cannot read /nonexistent"),
        ("/dev/null", &[], 1, "is not a regular file"),
        ("http://me:secret@host/file", &[], 2, "user name"),
    ] {
        let ran = push(file, &[target], options);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains(said), "{ran:?}");
        assert!(!ran.stderr.contains("secret"), "{ran:?}");
    }
    assert!(server.images().is_empty());
}

#[test]
fn a_dry_run_changes_nothing() {
    let (_dir, file) = file("disk.img", b"some data");
    let target = glance(Profile::Today);
    let ran = succeeded(&["push", path(&file), target.host_port(), "--dry-run"]);
    assert!(ran.stdout.contains("copy (missing)"), "{ran:?}");
    assert!(target.images().is_empty());
}

/// A web server with one file, and the URL of it.
fn web(range: RangeSupport) -> (EmbeddedGlance, String) {
    let server = EmbeddedGlance::builder()
        .range(range)
        .start_blocking()
        .unwrap();
    let data = ImageContent::pattern(7, LEN as u64);
    server.add_image(ImageSpec::new(&id(9)).data(data));
    let url = format!("{}/v2/images/{}/file", server.url(), id(9));
    (server, url)
}

#[test]
fn a_url_is_read_on_where_it_breaks_off() {
    for range in [RangeSupport::Honoured, RangeSupport::Ignored] {
        let (server, url) = web(range);
        let targets = targets();
        // In the first reading, and in the second.
        for skipped in [0, 1] {
            let half = FaultAction::CutResponse(glance_client::testing::At::Percent(50));
            server.fault(
                FaultOn::kind(RequestKind::Download).skip(skipped).times(1),
                half,
            );
        }
        let ran = push(
            &format!("{url}?signature=s3cret-signature"),
            &names(&targets),
            &[],
        );
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for target in &targets {
            let content = target.images()[0].content.clone().unwrap();
            let data = ImageContent::pattern(7, LEN as u64);
            assert_eq!(content.sha256().unwrap(), data.sha256().unwrap());
            assert_eq!(target.images()[0].record["name"], "file");
        }
    }
}

#[test]
fn a_url_that_redirects_is_followed_and_no_secret_is_shown() {
    let (server, url) = web(RangeSupport::Honoured);
    let door = glance(Profile::Today);
    let FaultAction::Answer { status, body, .. } = FaultAction::status(302) else {
        unreachable!()
    };
    let answer = |location: &str| FaultAction::Answer {
        status,
        headers: vec![("location".into(), location.into())],
        body: body.clone(),
    };
    door.fault(FaultOn::any().path("/door"), answer(&url));
    door.fault(FaultOn::any().path("/loop"), answer("/loop"));
    door.fault(FaultOn::any().path("/gone"), FaultAction::status(404));
    let target = glance(Profile::Today);
    let ran = push(&format!("{}/door", door.url()), &[target.host_port()], &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(only_image(&target).1, "active");
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("x-auth-token").is_none())
    );
    for (path, said) in [("loop", "redirects more than"), ("gone", "404")] {
        let url = format!("{}/{path}?signature=s3cret-signature", door.url());
        let ran = push(&url, &[target.host_port()], &["--retries", "0"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(said), "{ran:?}");
        assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
    }
}
