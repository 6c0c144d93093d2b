//! Odd images between real servers: data that the Glance of today refuses, images of no bytes,
//! images without formats. The Glance of 2017 takes them all.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::images::id;
use crate::server::Server;
use crate::{run, text};

/// Data that a Glance of today refuses: `disk_format`, the length, and what is not zero.
type Odd = (&'static str, usize, Vec<(usize, Vec<u8>)>);

fn bytes(len: usize, parts: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut data = vec![0; len];
    for (at, part) in parts {
        data[*at..at + part.len()].copy_from_slice(part);
    }
    data
}

/// A sparse VMDK with that descriptor, and whether it ends in the footer that it promises.
fn vmdk(kind: &str, footer: Option<bool>) -> Odd {
    const LEN: usize = 6_000_000;
    let text = format!("createType=\"{kind}\"\nRW 9 SPARSE \"a.vmdk\"\n");
    let header = [(0, b"KDMV\x01".to_vec()), (28, vec![1]), (36, vec![20])];
    let mut parts = header.to_vec();
    parts.push((512, text.into_bytes()));
    if let Some(is_there) = footer {
        parts.push((56, vec![0xff; 8]));
        if is_there {
            parts.push((LEN - 1536 + 12, vec![3]));
            parts.extend(header.map(|(at, part)| (LEN - 1024 + at, part)));
        }
    }
    ("vmdk", LEN, parts)
}

#[test]
fn odd_data_reaches_todays_glance_or_spoils_nothing_there() {
    let source = Server::empty("legacy-one");
    let target = Server::empty("today-two");
    let refused: Vec<Odd> = vec![
        ("raw", 2000, vec![(0, b"LUKS\xba\xbe\0\x02".to_vec())]),
        ("raw", 500, vec![(0, b"LUKS\xba\xbe\0\x01".to_vec())]),
        ("raw", 500, vec![(0, b"conectix".to_vec())]),
        ("vhdx", 200_000, vec![(0, b"vhdxfile".to_vec())]),
        ("qcow2", 1000, vec![]),
        (
            "ami",
            189,
            vec![(0, b"createType=\"monolithicFlat\"".repeat(7))],
        ),
        vmdk("twoGbMaxExtentSparse", None),
        vmdk("streamOptimized", Some(false)),
    ];
    let taken: Vec<Odd> = vec![
        ("raw", 2000, vec![(0, b"LUKS\xba\xbe\0\x01".to_vec())]),
        vmdk("streamOptimized", Some(true)),
        vmdk("monolithicSparse", None),
        ("ami", 200, vec![]),
    ];
    let mut number = 0;
    let mut add = |(disk_format, len, parts): &Odd| {
        number += 1;
        let record = json!({"id": id(number), "name": "odd", "disk_format": disk_format,
            "container_format": "bare"});
        source.create_v2(&record, Some(bytes(*len, parts)));
        id(number)
    };
    let refused: Vec<String> = refused.iter().map(&mut add).collect();
    let taken: Vec<String> = taken.iter().map(&mut add).collect();
    let count = taken.len();
    for counts in [
        format!("livecopy: {count} copied"),
        format!(", {count} unchanged"),
    ] {
        let said = text(&run(7, &["livecopy", &source.url, &target.url]).stderr);
        assert!(said.contains(&counts), "{said}");
        assert!(
            said.contains(&format!("{} failed", refused.len())),
            "{said}"
        );
        assert!(!said.contains("415"), "{said}");
        // A server takes a moment to notice that an upload was broken off.
        while target
            .facts()
            .values()
            .any(|image| image.status == "saving")
        {
            thread::sleep(Duration::from_millis(100));
        }
    }
    let found = target.facts();
    for id in &taken {
        assert_eq!(found[id].status, "active");
        assert!(target.data(id) == source.data(id), "{id}: other bytes");
    }
    // A record is made before data is opened, and nothing of what is refused is left in it.
    for id in &refused {
        if let Some(found) = found.get(id) {
            assert_eq!(
                (&*found.status, &found.fields["checksum"]),
                ("queued", &json!(null))
            );
        }
    }
}

#[test]
fn snapshots_of_servers_on_volumes_are_copied_where_they_can_be_and_told_with_a_cure() {
    let source = Server::empty("legacy-one");
    let today = Server::empty("today-two");
    let v1 = Server::empty("v1-one");
    let of_nova = |id: &str, formats: &[(&str, &str)]| {
        let own = [("id", id), ("name", "snapshot"), ("size", "0")];
        let own = [
            &own[..],
            formats,
            &[("property-block_device_mapping", "[]")],
        ]
        .concat();
        source.create_v1(&own, Some(Vec::new()));
    };
    let raw = [("disk_format", "raw"), ("container_format", "bare")];
    let qcow2 = [("disk_format", "qcow2"), ("container_format", "bare")];
    let [good, wrong, bare] = [id(1), id(2), id(3)];
    of_nova(&good, &raw);
    of_nova(&wrong, &qcow2);
    of_nova(&bare, &[]);

    for api in ["v2", "v1"] {
        today.wipe();
        let said = run(
            7,
            &["livecopy", "--source-api", api, &source.url, &today.url],
        );
        let said = text(&said.stderr);
        assert!(said.contains("livecopy: 1 copied"), "{said}");
        assert!(
            said.contains("it has no data, not even the header of qcow2"),
            "{said}"
        );
        assert!(
            said.contains("the image has no disk_format and no container_format"),
            "{said}"
        );
        assert_eq!(today.facts().keys().collect::<Vec<_>>(), [&good]);
        assert_eq!(today.data(&good), b"");
        let ends = [&*source.url, &today.url];
        run(6, &["verify", "--source-api", api, ends[0], ends[1]]);
    }
    run(0, &["livecopy", &source.url, &v1.url]);
    assert_eq!(v1.facts().len(), 3);

    // The cures that the hints name: of a wrong format over an archive, of none by v1.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    run(0, &["dump", &source.url, path]);
    let file = directory.path().join(&wrong);
    let metadata = fs::read_to_string(&file).unwrap();
    assert!(metadata.contains("\"qcow2\""), "{metadata}");
    fs::write(&file, metadata.replace("\"qcow2\"", "\"raw\"")).unwrap();
    run(3, &["load", &today.url, path]);
    source.update_v1(&bare, &raw);
    // That of the archive is not as at the source, and cannot be.
    run(3, &["livecopy", &source.url, &today.url]);
    let found = today.facts();
    assert!(
        found.values().all(|image| image.status == "active"),
        "{found:?}"
    );
    assert_eq!(found.len(), 3);
}

#[test]
fn an_image_whose_record_was_brought_back_without_its_data_is_found_by_verify() {
    for (from, to) in [("legacy-one", "today-two"), ("today-one", "legacy-two")] {
        let (source, target) = (Server::empty(from), Server::empty(to));
        for number in 1..=3 {
            let record = json!({"id": id(number), "name": "image", "disk_format": "raw",
                "container_format": "bare"});
            source.create_v2(&record, Some(vec![7; 100_000]));
        }
        run(0, &["livecopy", &source.url, &target.url]);
        run(0, &["verify", &source.url, &target.url]);
        // As glance-scrubber --restore leaves it.
        target.forget_locations(&id(2));
        let ran = run(6, &["verify", &source.url, &target.url]);
        assert_eq!(text(&ran.stdout), format!("{}: failed\n", id(2)));
        let said = text(&ran.stderr);
        assert!(
            said.contains("the target has no data for the image"),
            "{said}"
        );
        assert!(said.contains("2 same digest on record"), "{said}");
        // To a dump of that server, the data is lost.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let said = text(&run(3, &["dump", &target.url, path]).stderr);
        assert!(said.contains("the source has lost the data"), "{said}");
        let kept = fs::read_to_string(directory.path().join(id(2))).unwrap();
        assert!(kept.contains("lost at the source"), "{kept}");
    }
}

#[test]
fn the_data_of_deactivated_images_is_an_administrators_by_v2_and_nobodys_by_v1() {
    for (name, api, is_kept) in [
        ("today-one", "v2", true),
        ("legacy-one", "v2", true),
        ("legacy-one", "v1", false),
    ] {
        let source = Server::empty(name);
        let record = json!({"id": id(1), "name": "image", "disk_format": "raw",
            "container_format": "bare"});
        source.create_v2(&record, Some(vec![7; 1000]));
        source.deactivate(&id(1));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let ran = run(0, &["dump", "--source-api", api, &source.url, path]);
        let said = text(&ran.stderr);
        let is_told = said.contains("is deactivated at the source");
        assert_eq!(is_told, !is_kept, "{said}");
        assert!(directory.path().join(id(1)).exists());
        let data = directory.path().join(format!("{}.img", id(1)));
        assert_eq!(data.exists(), is_kept);
    }
}
