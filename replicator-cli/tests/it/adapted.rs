//! What copies say otherwise than their originals: ids of other images, the traces of a cloud in
//! snapshots, properties that are set.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "test helpers")]

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};
use serde_json::Value;

use crate::kit::images::{glance, id};
use crate::kit::runs::{ended, new_ids, path, succeeded, summary};

const OF_SNAPSHOTS: [&str; 9] = [
    "base_image_ref",
    "boot_roles",
    "image_location",
    "image_state",
    "instance_uuid",
    "owner_id",
    "owner_project_name",
    "owner_user_name",
    "user_id",
];

fn image(number: u64) -> ImageSpec {
    let image = ImageSpec::new(&id(number)).data(ImageContent::pattern(number, 1000));
    image.name(&format!("image {number}"))
}

/// A kernel 11, a ramdisk 12 and a base 13 that are younger than the image 1, which names them, and
/// an image 2 that names images which are not there.
fn with_references() -> EmbeddedGlance {
    let source = glance(Profile::Today);
    let devices = format!(r#"[{{"image_id": "{}", "boot_index": 0}}]"#, id(11));
    let machine = image(1)
        .property("kernel_id", &id(11))
        .property("ramdisk_id", &id(12))
        .property("base_image_ref", &id(13))
        .property("block_device_mapping", &devices)
        .property("note", &id(11));
    source.add_image(machine.created_at(1_600_000_000));
    let other = image(2).property("kernel_id", &id(98));
    source.add_image(other.created_at(1_600_000_001));
    for number in 11..14 {
        source.add_image(image(number).created_at(1_700_000_000 + number));
    }
    source
}

/// The record of the image of that name.
fn named(server: &EmbeddedGlance, name: &str) -> Value {
    let mut images = server.images().into_iter();
    let mut whole = images.find(|image| image.record["name"] == name && image.status == "active");
    whole.take().unwrap().record
}

/// Runs it, and runs it again, which has nothing to do; the ends are equal then.
fn converges(args: &[&str], compare: &[&str]) {
    succeeded(args);
    let again = succeeded(args);
    let text = summary(&again);
    assert!(text.contains(": nothing to do, "), "{args:?}: {again:?}");
    let compared = succeeded(&[&["compare", "--exit-code"], compare].concat());
    assert_eq!(compared.stdout, "", "{compare:?}");
}

#[test]
fn references_follow_the_id_map_and_a_second_run_finds_nothing_to_do() {
    let source = with_references();
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    let archive_end = format!("dir:{}", path(&archive));
    succeeded(&["dump", source.host_port(), path(&archive)]);
    for (from_archive, profile) in [
        (false, Profile::Today),
        (false, Profile::Legacy),
        (false, Profile::V1Only),
        (true, Profile::Today),
        (true, Profile::V1Only),
    ] {
        let target = glance(profile);
        target.burn(&id(11));
        target.burn(&id(13));
        let map = dir.path().join(format!("ids-{from_archive}-{profile:?}"));
        let to = target.host_port();
        let (verb, from) = match from_archive {
            true => (["load", to, path(&archive)], archive_end.as_str()),
            false => (["livecopy", source.host_port(), to], source.host_port()),
        };
        let args = [&verb[..], &new_ids(&map)].concat();
        converges(&args, &["--id-map", path(&map), from, to]);
        let machine = named(&target, "image 1");
        let new_id = |number| named(&target, &format!("image {number}"))["id"].clone();
        let place = format!("{from_archive} {profile:?}");
        assert_ne!(new_id(11), *id(11), "{place}");
        assert_eq!(machine["kernel_id"], new_id(11), "{place}");
        assert_eq!(machine["ramdisk_id"], *id(12), "{place}");
        assert_eq!(machine["base_image_ref"], new_id(13), "{place}");
        let devices: Value =
            serde_json::from_str(machine["block_device_mapping"].as_str().unwrap()).unwrap();
        assert_eq!(devices[0]["image_id"], new_id(11), "{place}");
        assert_eq!(machine["note"], *id(11), "{place}");
        assert_eq!(named(&target, "image 2")["kernel_id"], *id(98), "{place}");
    }
}

#[test]
fn kernels_and_ramdisks_come_before_the_images_that_name_them() {
    let source = with_references();
    for profile in [Profile::Today, Profile::V1Only] {
        let target = glance(profile);
        let ends = [source.host_port(), target.host_port()];
        converges(&["livecopy", ends[0], ends[1]], &ends);
        // Those that make an image: through v2 its record, through v1 its data.
        let made: Vec<String> = target
            .requests()
            .iter()
            .filter(|request| request.method == "POST")
            .map(|request| match request.header("x-image-meta-id") {
                Some(id) => id,
                None => {
                    let record: Value = serde_json::from_slice(&request.body).unwrap();
                    record["id"].as_str().unwrap().to_owned()
                }
            })
            .collect();
        let place = |number| made.iter().position(|made| *made == id(number)).unwrap();
        for first in [11, 12] {
            assert!(place(first) < place(1), "{profile:?}: {made:?}");
        }
    }
}

#[test]
fn an_archive_names_images_as_the_source_does() {
    let source = with_references();
    let dir = tempfile::tempdir().unwrap();
    let archive = format!("dir:{}", path(dir.path()));
    let from = source.host_port();
    converges(&["dump", from, path(dir.path())], &[from, &archive]);
    let metadata = std::fs::read_to_string(dir.path().join(id(1))).unwrap();
    for number in [11, 12, 13] {
        assert!(metadata.contains(&id(number)), "{metadata}");
    }
}

/// A snapshot 1, a backup 2, and an image 3 that is neither and has one of their properties.
fn with_snapshots(profile: Profile) -> EmbeddedGlance {
    let source = glance(profile);
    let traced = |image: ImageSpec| {
        let traced = OF_SNAPSHOTS.iter().filter(|name| **name != "instance_uuid");
        traced.fold(image, |image, name| image.property(name, "of that cloud"))
    };
    let snapshot = traced(image(1)).property("instance_uuid", &id(77));
    source.add_image(
        snapshot
            .property("image_type", "snapshot")
            .property("hw_disk_bus", "scsi"),
    );
    source.add_image(traced(image(2)).property("image_type", "backup"));
    source.add_image(
        image(3)
            .property("user_id", "kept")
            .property("os_distro", "fedora"),
    );
    source
}

/// Copies between all sorts of ends with some options, and lets a test look at each target.
fn on_every_pair(options: &[&str], check: impl Fn(&EmbeddedGlance)) {
    for (source, target) in [
        (Profile::Today, Profile::Today),
        (Profile::Today, Profile::V1Only),
        (Profile::V1Only, Profile::Today),
        (Profile::Legacy, Profile::Legacy),
    ] {
        let source = with_snapshots(source);
        let (copied, loaded) = (glance(target), glance(target));
        let dir = tempfile::tempdir().unwrap();
        let archive = path(dir.path());
        let archive_end = format!("dir:{archive}");
        let [from, to, back] = [&source, &copied, &loaded].map(EmbeddedGlance::host_port);
        let run = |verb: [&str; 3], ends: [&str; 2]| {
            converges(
                &[&verb[..], options].concat(),
                &[options, &ends[..]].concat(),
            );
        };
        run(["livecopy", from, to], [from, to]);
        run(["dump", from, archive], [from, &archive_end]);
        check(&copied);
        // The archive has what was dumped; it is adapted again, which changes nothing.
        run(["load", back, archive], [&archive_end, back]);
        check(&loaded);
        // What was dumped as it was is adapted as it is loaded.
        let (whole, adapted) = (dir.path().join("whole"), glance(target));
        succeeded(&["dump", from, path(&whole)]);
        let whole_end = format!("dir:{}", path(&whole));
        let to = adapted.host_port();
        run(["load", to, path(&whole)], [&whole_end, to]);
        check(&adapted);
    }
}

#[test]
fn snapshots_lose_the_traces_of_their_cloud_everywhere_and_stay_so() {
    on_every_pair(&["--snapshot-properties", "scrub"], |target| {
        for number in [1, 2] {
            let record = named(target, &format!("image {number}"));
            for name in OF_SNAPSHOTS {
                assert!(record.get(name).is_none(), "{record}");
            }
            assert!(record.get("image_type").is_some(), "{record}");
        }
        assert_eq!(named(target, "image 1")["hw_disk_bus"], "scsi");
        assert_eq!(named(target, "image 3")["user_id"], "kept");
    });
}

#[test]
fn a_property_that_is_set_is_on_every_copy_in_place_of_what_the_source_says() {
    let options = [
        "--set-property",
        "os_distro=debian",
        "--set-property",
        "copied=by=us",
    ];
    on_every_pair(&options, |target| {
        for number in 1..4 {
            let record = named(target, &format!("image {number}"));
            assert_eq!(record["os_distro"], "debian", "{record}");
            assert_eq!(record["copied"], "by=us", "{record}");
        }
    });
}

#[test]
fn without_the_options_the_copies_are_found_to_differ_and_a_run_brings_them_back() {
    let (source, target) = (with_snapshots(Profile::Today), glance(Profile::Today));
    let ends = [source.host_port(), target.host_port()];
    let options = [
        "--snapshot-properties",
        "scrub",
        "--set-property",
        "os_distro=debian",
    ];
    succeeded(&[&["livecopy", ends[0], ends[1]], &options[..]].concat());
    let compared = ended(5, &["compare", "--exit-code", ends[0], ends[1]]);
    let differs = "field os_distro differs (source is fedora, destination is debian)";
    assert!(compared.stdout.contains(differs), "{compared:?}");
    converges(&["livecopy", ends[0], ends[1]], &ends);
    assert_eq!(named(&target, "image 2")["user_id"], "of that cloud");
}
