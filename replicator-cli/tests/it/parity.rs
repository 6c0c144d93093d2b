//! The assertions of the tests of OpenStack's Python tool about its commands, by their
//! names, for the same images as a real Glance lists them: a deleted image is
//! listed by none, so that queued and deactivated ones stand in its place, and
//! data has the size that is stated.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::Path;

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};
use serde_json::{Value, json};

use crate::kit::program::{Ran, run, timeless};
use crate::kit::runs::summary;

const FIRST: &str = "5dcddce0-cba5-4f18-9cf4-9853c7b207a6";
const INACTIVE: &str = "f4da1d2a-40e8-4710-b3aa-0222a4cc887b";
const OTHER: &str = "37ff82db-afca-48c7-ae0b-ddc7cf83e3db";
const LIVE: &str = "15648dd7-8dd0-401c-bd51-550e1ba9a088";
const LEFT_OUT: [&str; 2] = ["-D", "dontrepl dontreplabsent"];

fn image(id: &str, size: u64) -> ImageSpec {
    let data = ImageContent::pattern(size, size);
    ImageSpec::new(id).property("dontrepl", "banana").data(data)
}

fn queued(id: &str, size: u64) -> ImageSpec {
    let image = ImageSpec::new(id).property("dontrepl", "banana");
    image.status("queued").size(size)
}

/// `FAKEIMAGES`.
fn fake_images() -> EmbeddedGlance {
    let glance = EmbeddedGlance::builder().start_blocking().unwrap();
    glance.add_image(image(FIRST, 100));
    glance.add_image(queued(INACTIVE, 200));
    glance.add_image(image(OTHER, 300));
    glance
}

/// `FAKEIMAGES_LIVEMASTER`.
fn fake_images_live_master() -> EmbeddedGlance {
    let glance = EmbeddedGlance::builder().start_blocking().unwrap();
    glance.add_image(image(FIRST, 100));
    glance.add_image(queued(INACTIVE, 200));
    glance.add_image(image(OTHER, 300).status("deactivated").name("renamed"));
    glance.add_image(image(LIVE, 100));
    glance
}

#[test]
fn test_replication_size() {
    let glance = fake_images();
    let ran = run(&["-S", "slavetoken", "size", glance.host_port()]);
    assert_eq!(
        ran.stdout,
        "Total size is 400 bytes (400.0 B) across 2 images\n"
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn test_replication_size_with_no_args() {
    assert_usage_error(&["size"]);
}

#[test]
fn test_replication_size_with_bad_args() {
    assert_usage_error(&["size", "aaa"]);
}

#[test]
fn test_replication_dump() {
    let (glance, dir) = (fake_images(), tempfile::tempdir().unwrap());
    let args = [
        "-c",
        "4096",
        "-M",
        "mastertoken",
        "dump",
        glance.host_port(),
    ];
    let ran = run(&[&args[..], &[dir.path().to_str().unwrap()]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for (id, is_active) in [(FIRST, true), (OTHER, true), (INACTIVE, false)] {
        assert_eq!(
            dir.path().join(format!("{id}.img")).exists(),
            is_active,
            "{id}"
        );
        let metadata = fs::read(dir.path().join(id)).unwrap();
        let metadata: Value = serde_json::from_slice(&metadata).unwrap();
        for field in ["status", "id", "size"] {
            assert!(metadata.get(field).is_some(), "{id}: {field}");
        }
    }
}

#[test]
fn test_replication_dump_with_no_args() {
    assert_usage_error(&["dump"]);
}

#[test]
fn test_replication_dump_with_bad_args() {
    assert_usage_error(&["dump", "aaa", "bbb"]);
    assert!(!Path::new("bbb").exists());
}

fn write_image(dir: &Path, metadata: &Value, with_data: bool) {
    let id = metadata["id"].as_str().unwrap();
    let size = metadata["size"].as_u64().unwrap();
    fs::write(dir.join(id), metadata.to_string()).unwrap();
    if with_data {
        let data = ImageContent::pattern(size, size).to_vec().unwrap();
        fs::write(dir.join(format!("{id}.img")), data).unwrap();
    }
}

#[test]
fn test_replication_load() {
    for profile in [Profile::Today, Profile::V1Only] {
        let glance = EmbeddedGlance::builder().profile(profile);
        let glance = glance.start_blocking().unwrap();
        glance.add_image(image(FIRST, 100));
        glance.burn(INACTIVE);
        glance.add_image(image(OTHER, 300));
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let new = "00000000-0000-4000-8000-000000000001";
        let new_without_data = "00000000-0000-4000-8000-000000000002";
        let metadata = |id: &str, status: &str, size: u64| {
            json!({
                "id": id, "status": status, "size": size, "dontrepl": "banana",
                "disk_format": "raw", "container_format": "bare",
            })
        };
        let mut first = metadata(FIRST, "active", 100);
        first["extra"] = "thisissomeextra".into();
        write_image(dir, &first, true);
        let mut inactive = metadata(INACTIVE, "deleted", 200);
        inactive["dontrepl"] = "thisisyetmoreextra".into();
        write_image(dir, &inactive, true);
        write_image(dir, &metadata(OTHER, "active", 300), true);
        write_image(dir, &metadata(new, "active", 300), true);
        write_image(dir, &metadata(new_without_data, "active", 300), false);
        fs::write(dir.join("kjdfhf"), "[1, 2, 3, 4, 5]").unwrap();

        let args = ["load", "-S", "slavetoken", glance.host_port()];
        let ran = run(&[&LEFT_OUT[..], &args, &[dir.to_str().unwrap()]].concat());
        // Data that is gone is told, also by the exit code.
        assert_eq!(ran.code, Some(3), "{profile:?}: {ran:?}");
        let mut lines = ran.stderr.lines().rev();
        assert!(ran.lists_as_failed(new_without_data), "{ran:?}");
        // The versions differ in the digests that can be compared.
        let summary = timeless(lines.next().unwrap());
        let summary = summary.replace("1 not verified (no digest to compare), ", "");
        let expected = "load: 1 copied (300 B in TIME), 1 updated, 1 unchanged, 1 skipped (deleted at the source), 1 failed";
        assert_eq!(summary, expected, "{profile:?}");
        let extra = glance.image(FIRST).unwrap();
        assert_eq!(extra.field("extra"), Some(&json!("thisissomeextra")));
        assert_eq!(glance.image(INACTIVE).unwrap().status, "deleted");
        let copied = glance.image(new).unwrap();
        assert_eq!(copied.status, "active");
        assert_eq!(copied.field("dontrepl"), None);
        assert!(glance.image(new_without_data).is_none());
    }
}

#[test]
fn test_replication_load_with_no_args() {
    assert_usage_error(&["load"]);
}

#[test]
fn test_replication_load_with_bad_args() {
    assert_usage_error(&["load", "aaa", "bbb"]);
}

/// Runs a verb between two servers, with the options of the Python tests.
fn between(verb: &str, source: &EmbeddedGlance, target: &EmbeddedGlance) -> Ran {
    let tokens = "-c 4096 -M livemastertoken -S liveslavetoken";
    let tokens: Vec<&str> = tokens.split(' ').collect();
    let ends = [verb, source.host_port(), target.host_port()];
    run(&[&LEFT_OUT[..], &tokens, &ends].concat())
}

#[test]
fn test_replication_livecopy() {
    let (source, target) = (fake_images_live_master(), fake_images());
    let ran = between("livecopy", &source, &target);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(target.image(LIVE).unwrap().status, "active");
    assert_eq!(
        target.image(OTHER).unwrap().field("name"),
        Some(&json!("renamed"))
    );
    insta::assert_snapshot!(summary(&ran), @"livecopy: 1 copied (100 B in TIME), 1 updated, 1 unchanged, 1 skipped (queued at the source)");
}

#[test]
fn test_replication_livecopy_with_no_args() {
    assert_usage_error(&["livecopy"]);
}

#[test]
fn test_replication_livecopy_with_bad_args() {
    assert_usage_error(&["livecopy", "aaa", "bbb"]);
}

#[test]
fn test_replication_compare() {
    let (source, target) = (fake_images_live_master(), fake_images());
    let ran = between("compare", &source, &target);
    assert_eq!(
        ran.stdout,
        format!(
            "Image {LIVE} (\"\") entirely missing from the destination\n\
             {OTHER}: field status differs (source is deactivated, destination is active)\n\
             {OTHER}: field name differs (source is renamed, destination is undefined)\n"
        )
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn test_replication_compare_with_no_args() {
    assert_usage_error(&["compare"]);
}

#[test]
fn test_replication_compare_with_bad_args() {
    assert_usage_error(&["compare", "aaa", "bbb"]);
}

fn assert_usage_error(args: &[&str]) {
    let ran = run(args);
    assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
    assert!(ran.stdout.is_empty(), "{args:?}: {ran:?}");
    assert!(ran.stderr.starts_with("error: "), "{args:?}: {ran:?}");
}
