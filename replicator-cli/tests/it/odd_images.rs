//! Images that few have: of no bytes, without formats, with data that is not what it should be.
#![expect(clippy::indexing_slicing, reason = "test helpers")]

use std::fs;
use std::thread;
use std::time::Duration;

use glance_client::testing::{
    Caller, EmbeddedGlance, ImageContent, ImageSpec, Profile, RequestKind,
};

use crate::kit::images::glance;
use crate::kit::program::{Ran, run};
use crate::kit::runs::{ended, new_ids};

const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";

fn says(ran: &Ran, words: &str) {
    assert!(ran.stderr.contains(words), "{words}: {ran:?}");
}

/// The status of an image, and whether a refused upload has left anything in its record. A
/// server takes a moment to notice that an upload was broken off.
fn left(glance: &EmbeddedGlance, id: &str) -> Option<(String, bool)> {
    let mut image = glance.image(id)?;
    while image.status == "saving" {
        thread::sleep(Duration::from_millis(20));
        image = glance.image(id)?;
    }
    Some((image.status.clone(), image.record["checksum"].is_string()))
}

#[test]
fn an_image_of_no_bytes_whose_server_has_nothing_to_give_out_is_copied_as_no_bytes() {
    for profile in [Profile::Today, Profile::Legacy, Profile::V1Only] {
        let (source, target) = (glance(profile), glance(Profile::Today));
        // As Nova made of servers that run from a volume, in the years of v1.
        source.add_image(ImageSpec::new(ONE).data_gone(0).without_digests());
        source.add_image(ImageSpec::new(TWO).data(ImageContent::pattern(1, 0)));
        let ends = [source.host_port(), target.host_port()];
        says(&ended(0, &["livecopy", ends[0], ends[1]]), "2 copied");
        let copy = target.image(ONE).unwrap();
        assert_eq!(copy.status, "active");
        assert_eq!(copy.content.unwrap().len_bytes(), 0);
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().to_str().unwrap();
        says(&ended(0, &["dump", ends[0], archive]), "2 copied");
        let data = dir.path().join(format!("{ONE}.img"));
        assert_eq!(fs::read(data).unwrap(), b"", "{profile:?}");
        ended(0, &["verify", &format!("dir:{archive}")]);
        ended(0, &["verify", ends[0], ends[1]]);
        ended(0, &["verify", "--read-back", ends[1], ends[0]]);
    }
}

#[test]
fn an_image_of_any_bytes_whose_server_has_nothing_to_give_out_has_lost_them() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    source.add_image(ImageSpec::new(ONE).data_gone(5));
    source.add_image(ImageSpec::new(TWO).data_gone(5).without_digests());
    let ran = ended(3, &["livecopy", source.host_port(), target.host_port()]);
    says(&ran, "the source has lost the data of the image");
    says(&ran, "nothing copied");
    // Their records were made before the data was to be opened, and take some later.
    assert!(target.images().iter().all(|image| image.status == "queued"));
    says(&ran, "left at the target: its record, queued");
}

#[test]
fn an_image_of_no_bytes_without_a_digest_is_not_called_verified() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (source, target) = (glance(profile), glance(Profile::Today));
        source.add_image(
            ImageSpec::new(ONE)
                .data(ImageContent::pattern(1, 0))
                .without_digests(),
        );
        let ends = [source.host_port(), target.host_port()];
        let ran = ended(0, &["-v", "livecopy", ends[0], ends[1]]);
        says(&ran, "is copied: unverifiable");
        says(&ran, "1 not verified (no digest to compare)");
        let ran = ended(0, &["verify", ends[0], ends[1]]);
        assert_eq!(
            ran.stdout,
            format!("{ONE}: unverifiable: no digest that both ends state\n")
        );
    }
}

#[test]
fn a_snapshot_of_a_server_on_a_volume_is_told_from_other_images_with_a_cure_that_works() {
    let (source, target) = (glance(Profile::Legacy), glance(Profile::Today));
    let snapshot = ImageSpec::new(ONE).formats("qcow2", "bare");
    source.add_image(snapshot.data(ImageContent::pattern(1, 0)));
    let ends = [source.host_port(), target.host_port()];
    let ran = ended(7, &["livecopy", ends[0], ends[1]]);
    says(
        &ran,
        "its disk_format is qcow2, and it has no data, not even the header of qcow2",
    );
    says(
        &ran,
        "hint: an image of no bytes is what Nova makes of a server that runs from a volume",
    );
    assert!(target.images().is_empty());

    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().to_str().unwrap();
    ended(0, &["dump", ends[0], archive]);
    let file = dir.path().join(ONE);
    let metadata = fs::read_to_string(&file).unwrap();
    fs::write(&file, metadata.replace("\"qcow2\"", "\"raw\"")).unwrap();
    says(&ended(0, &["load", ends[1], archive]), "1 copied");
    assert_eq!(target.image(ONE).unwrap().record["disk_format"], "raw");
}

#[test]
fn an_image_without_formats_is_told_before_a_record_is_made_of_it() {
    let source = glance(Profile::V1Only);
    let bare = ImageSpec::new(ONE).without_formats();
    source.add_image(bare.data(ImageContent::pattern(1, 0)));
    for profile in [Profile::Today, Profile::Legacy] {
        let target = glance(profile);
        let livecopy = ["livecopy", source.host_port(), target.host_port()];
        let ran = ended(3, &livecopy);
        says(
            &ran,
            "the image has no disk_format and no container_format, and a target with v2",
        );
        says(&ran, "hint: Images v1 lets them be set at the source");
        assert!(target.images().is_empty(), "{profile:?}");
        // With the record that the hint speaks of.
        target.add_image(ImageSpec::new(ONE));
        says(&ended(0, &livecopy), "1 copied");
    }
    let target = glance(Profile::V1Only);
    ended(0, &["livecopy", source.host_port(), target.host_port()]);
}

/// A VMDK whose header promises a footer; there is none.
fn without_its_footer(len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    let mut put = |at: usize, bytes: &[u8]| data[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"KDMV\x01");
    put(28, &[1]);
    put(36, &[20]);
    put(56, &[0xff; 8]);
    put(
        512,
        b"createType=\"streamOptimized\"\nRW 9 SPARSE \"a.vmdk\"\n",
    );
    data
}

#[test]
fn data_whose_end_is_refused_is_never_whole_at_the_target_and_spoils_no_record() {
    for len in [100_000, 6_000_000] {
        let (source, target) = (glance(Profile::Legacy), glance(Profile::Today));
        let image = |data: Vec<u8>| {
            let image = ImageSpec::new(ONE).formats("vmdk", "bare");
            image.data(ImageContent::bytes(data))
        };
        source.add_image(image(without_its_footer(len)));
        let livecopy = ["livecopy", source.host_port(), target.host_port()];
        for _ in 0..2 {
            let ran = ended(7, &livecopy);
            says(
                &ran,
                "its data is vmdk without the footer that its header promises",
            );
            let left = left(&target, ONE);
            assert!(left.is_none_or(|left| left == ("queued".to_owned(), false)));
        }
        // The record takes the image once it is right.
        let mut right = without_its_footer(len);
        right[56..64].fill(0);
        source.add_image(image(right));
        says(&ended(0, &livecopy), "1 copied");
    }
}

#[test]
fn data_that_was_refused_once_is_not_sent_to_the_next_store() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    let image = ImageSpec::new(ONE).formats("qcow2", "bare");
    source.add_image(image.data(ImageContent::pattern(1, 10_000)));
    let off = ["--format-check", "off"];
    let livecopy = ["livecopy", source.host_port(), target.host_port()];
    let livecopy = [&livecopy[..], &off].concat();
    says(&ended(3, &livecopy), "415 Unsupported Media Type");
    let dir = tempfile::tempdir().unwrap();
    let map = dir.path().join("ids");
    let new_id = new_ids(&map);
    for options in [&[][..], &new_id, &["--on-id-conflict", "skip"]] {
        let ran = ended(7, &[&livecopy[..], options].concat());
        says(
            &ran,
            "the target has refused this data after an earlier upload, with the disk_format",
        );
        says(
            &ran,
            "hint: the record there takes no data with that disk_format any more",
        );
    }
    assert_eq!(target.count(RequestKind::Upload), 1);
    assert_eq!(target.images().len(), 1);
}

#[test]
fn an_import_that_is_stuck_is_told_as_an_upload_is() {
    for status in ["uploading", "importing"] {
        let (source, target) = (glance(Profile::Today), glance(Profile::Today));
        source.add_image(ImageSpec::new(ONE).data(ImageContent::pattern(1, 1000)));
        let livecopy = ["livecopy", source.host_port(), target.host_port()];
        let stuck = ImageSpec::new(ONE).status(status);
        target.add_image(stuck.created_at(1_700_000_000));
        let ran = ended(3, &livecopy);
        says(
            &ran,
            &format!("in {status} since 2023-11-14T22:13:20Z, longer than any upload takes"),
        );
        says(&ran, "hint: ");
        let dir = tempfile::tempdir().unwrap();
        let map = dir.path().join("ids");
        let new_id = new_ids(&map);
        says(&ended(0, &[&livecopy[..], &new_id].concat()), "1 copied");
        target.add_image(ImageSpec::new(ONE).status(status));
        says(
            &run(&livecopy),
            "is put off: another run has been uploading it to the target",
        );
    }
}

#[test]
fn a_dump_keeps_the_data_of_deactivated_images_if_it_may_be_read_and_says_so_if_not() {
    for (profile, token, is_kept) in [
        (Profile::Today, "admin", true),
        (Profile::Legacy, "admin", true),
        (Profile::Today, "member", false),
        // Images v1 gives it to nobody.
        (Profile::V1Only, "admin", false),
    ] {
        let source = EmbeddedGlance::builder().profile(profile);
        let member = source.token("member", Caller::member("acme"));
        let source = member
            .token("admin", Caller::admin())
            .start_blocking()
            .unwrap();
        for (id, status) in [(ONE, "deactivated"), (TWO, "active")] {
            let image = ImageSpec::new(id).owner("acme").visibility("public");
            source.add_image(image.data(ImageContent::pattern(1, 5000)).status(status));
        }
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().to_str().unwrap();
        for _ in 0..2 {
            let ran = ended(0, &["dump", "-t", token, source.host_port(), archive]);
            let is_told = ran.stderr.contains(&format!("unnamed ({ONE})"))
                && ran.stderr.contains("is deactivated at the source");
            assert_eq!(is_told, !is_kept, "{ran:?}");
        }
        let kept = fs::read_to_string(dir.path().join(ONE)).unwrap();
        assert_eq!(kept.contains("withheld by the source"), !is_kept, "{kept}");
        assert_eq!(dir.path().join(format!("{ONE}.img")).exists(), is_kept);
        assert!(dir.path().join(format!("{TWO}.img")).exists());
        let metaonly = tempfile::tempdir().unwrap();
        let archive = metaonly.path().to_str().unwrap();
        let metaonly = [
            "dump",
            "--metaonly",
            "-t",
            token,
            source.host_port(),
            archive,
        ];
        ended(0, &metaonly);
    }
}

#[test]
fn of_an_image_whose_data_is_lost_a_dump_keeps_the_metadata_and_says_so() {
    for profile in [Profile::Today, Profile::Legacy, Profile::V1Only] {
        let (source, target) = (glance(profile), glance(Profile::Today));
        source.add_image(ImageSpec::new(ONE).name("lost").data_gone(5000));
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().to_str().unwrap();
        let dump = ["dump", source.host_port(), archive];
        for is_new in [true, false] {
            let ran = ended(3, &dump);
            says(&ran, "the source has lost the data of the image");
            let told = "left at the target: its metadata, without data\n";
            assert_eq!(ran.stderr.contains(told), is_new, "{ran:?}");
            let kept = fs::read_to_string(dir.path().join(ONE)).unwrap();
            assert!(kept.contains("lost at the source"), "{profile:?}: {kept}");
        }
        ended(0, &["verify", &format!("dir:{archive}")]);
        let ran = ended(0, &["load", target.host_port(), archive]);
        says(&ran, "is skipped: there is no data for it");
        assert!(target.images().is_empty());
        // It may be found again.
        source.add_image(
            ImageSpec::new(ONE)
                .name("lost")
                .data(ImageContent::zeros(5000)),
        );
        says(&ended(0, &dump), "1 copied");
        let kept = fs::read_to_string(dir.path().join(ONE)).unwrap();
        assert!(!kept.contains("lost at the source"), "{profile:?}: {kept}");
        says(
            &ended(0, &["load", target.host_port(), archive]),
            "1 copied",
        );
    }
}

#[test]
fn formats_that_differ_for_good_are_told_with_a_cure_that_works() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    let image = ImageSpec::new(ONE).data(ImageContent::pattern(1, 5000));
    target.add_image(image.clone().formats("ami", "ami"));
    source.add_image(image);
    let ran = ended(3, &["livecopy", source.host_port(), target.host_port()]);
    says(
        &ran,
        "hint: v2 does not change the formats of an image that has its data",
    );
}
