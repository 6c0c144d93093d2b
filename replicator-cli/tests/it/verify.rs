//! Content that is compared: by digests, by reading, in archives.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::Path;

use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};

use crate::kit::background::wait_until;
use crate::kit::program::run;

const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";

fn glance(images: &[(&str, u64)]) -> EmbeddedGlance {
    let glance = EmbeddedGlance::builder().start_blocking().unwrap();
    for (id, seed) in images {
        glance.add_image(ImageSpec::new(id).data(ImageContent::pattern(*seed, 300_000)));
    }
    glance
}

#[test]
fn equal_ends_are_verified_by_digests_without_reading_any_data() {
    let (source, target) = (glance(&[(ONE, 1)]), glance(&[(ONE, 1), (TWO, 2)]));
    let ran = run(&["verify", source.host_port(), target.host_port()]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
    let summary = "verify: 1 same digest on record";
    assert_eq!(ran.stderr.lines().last(), Some(summary));
    assert_eq!(target.count(RequestKind::Download), 0);
}

#[test]
fn other_content_and_missing_images_exit_with_6_and_are_named() {
    let (source, target) = (glance(&[(ONE, 1), (TWO, 2)]), glance(&[(ONE, 9)]));
    let ran = run(&["verify", source.host_port(), target.host_port()]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert_eq!(ran.stdout, format!("{TWO}: missing\n{ONE}: failed\n"));
    assert!(
        ran.stderr.contains("the target states the sha512"),
        "{ran:?}"
    );
}

#[test]
fn a_byte_that_only_reading_finds_is_found_by_reading() {
    let (source, target) = (glance(&[(ONE, 1)]), glance(&[(ONE, 1)]));
    let download = FaultOn::kind(RequestKind::Download);
    target.fault(download, FaultAction::FlipByte(1000));
    let ends = [source.host_port(), target.host_port()];
    assert_eq!(run(&["verify", ends[0], ends[1]]).code, Some(0));
    let ran = run(&["verify", "--read-back", ends[0], ends[1]]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
}

fn archive_of(source: &EmbeddedGlance, at: &Path) -> String {
    let path = at.to_str().unwrap();
    assert_eq!(run(&["dump", source.host_port(), path]).code, Some(0));
    format!("dir:{path}")
}

#[test]
fn an_archive_is_verified_by_its_own_digests() {
    let directory = tempfile::tempdir().unwrap();
    let source = glance(&[(ONE, 1), (TWO, 2)]);
    let archive = archive_of(&source, directory.path());
    let ran = run(&["verify", &archive]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let file = directory.path().join(format!("{TWO}.img"));
    let mut data = fs::read(&file).unwrap();
    data[7] ^= 1;
    fs::write(&file, data).unwrap();
    let ran = run(&["verify", &archive]);
    assert_eq!(
        (ran.code, ran.stdout),
        (Some(6), format!("{TWO}: failed\n"))
    );
}

#[test]
fn how_a_copy_is_verified_is_an_option() {
    for (how, code) in [("full", 6), ("read-back", 6), ("target", 6), ("none", 0)] {
        let (source, target) = (glance(&[(ONE, 1)]), glance(&[]));
        let download = FaultOn::kind(RequestKind::Download);
        source.fault(download, FaultAction::FlipByte(1000));
        let ends = [source.host_port(), target.host_port()];
        let ran = run(&["livecopy", "--verify", how, ends[0], ends[1]]);
        assert_eq!(ran.code, Some(code), "{how}: {ran:?}");
        // Only those who hash on the way know in time.
        let is_active = target.image(ONE).unwrap().status == "active";
        assert_eq!(is_active, matches!(how, "target" | "none"), "{how}");
    }
    let (source, target) = (glance(&[(ONE, 1)]), glance(&[]));
    let download = FaultOn::kind(RequestKind::Download);
    target.fault(download, FaultAction::FlipByte(1000));
    let ends = [source.host_port(), target.host_port()];
    let ran = run(&["livecopy", "--verify", "read-back", ends[0], ends[1]]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
}

#[test]
fn nothing_is_tried_again_after_the_time_for_it() {
    let (source, target) = (glance(&[(ONE, 1)]), glance(&[]));
    source.fault(
        FaultOn::kind(RequestKind::Download),
        FaultAction::status(503),
    );
    let ends = [source.host_port(), target.host_port()];
    let ran = run(&["livecopy", "--retry-max-time", "0", ends[0], ends[1]]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(source.count(RequestKind::Download), 1);
}

#[test]
fn with_a_stage_a_wrong_image_never_reaches_a_server_with_v1_alone() {
    let directory = tempfile::tempdir().unwrap();
    let stage = directory.path().join("stage");
    let stage = stage.to_str().unwrap();
    let source = glance(&[(ONE, 1), (TWO, 2)]);
    let target = EmbeddedGlance::builder()
        .profile(Profile::V1Only)
        .start_blocking()
        .unwrap();
    let download = FaultOn::kind(RequestKind::Download).image(ONE).times(1);
    source.fault(download, FaultAction::FlipByte(1000));
    let ends = [source.host_port(), target.host_port()];
    let args = ["livecopy", "--stage", stage, ends[0], ends[1]];
    let ran = run(&args);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(target.image(ONE).is_none(), "nothing of it was sent");
    assert_eq!(target.image(TWO).unwrap().status, "active");
    let ran = run(&args);
    assert_eq!(ran.code, Some(0), "the id is as good as new: {ran:?}");
    assert_eq!(target.image(ONE).unwrap().status, "active");
    for of_target in fs::read_dir(stage).unwrap() {
        let staged = fs::read_dir(of_target.unwrap().path()).unwrap();
        assert_eq!(staged.count(), 0);
    }
}

#[test]
fn without_a_stage_a_wrong_image_is_never_active_on_v1_and_its_id_is_named_with_the_cure() {
    // It may be found on the way or by the server.
    for how in ["full", "target", "none"] {
        let source = glance(&[(ONE, 1), (TWO, 2)]);
        let target = EmbeddedGlance::builder().profile(Profile::V1Only);
        let target = target.start_blocking().unwrap();
        let download = FaultOn::kind(RequestKind::Download).image(ONE).times(1);
        source.fault(download, FaultAction::FlipByte(1000));
        let ends = [source.host_port(), target.host_port()];
        let livecopy = ["livecopy", "--verify", how, ends[0], ends[1]];
        let code = if how == "full" { 6 } else { 3 };
        let ran = run(&livecopy);
        assert_eq!(ran.code, Some(code), "{how}: {ran:?}");
        assert_eq!(target.image(TWO).unwrap().status, "active");
        wait_until(|| {
            target
                .image(ONE)
                .is_none_or(|image| image.status == "killed")
        });
        let ran = run(&livecopy);
        if target.image(ONE).unwrap().status == "active" {
            assert_eq!(ran.code, Some(0), "nothing of it had been sent: {ran:?}");
            continue;
        }
        assert_eq!(ran.code, Some(3), "{how}: {ran:?}");
        for words in [
            ONE,
            "the image is killed",
            "hint: Glance never gives a used id",
        ] {
            assert!(ran.stderr.contains(words), "{how}: {ran:?}");
        }
    }
}

#[test]
fn an_archive_that_is_named_as_the_stage_keeps_its_images() {
    let directory = tempfile::tempdir().unwrap();
    let source = glance(&[(ONE, 1), (TWO, 2)]);
    archive_of(&source, directory.path());
    let target = EmbeddedGlance::builder()
        .profile(Profile::V1Only)
        .start_blocking()
        .unwrap();
    let ends = [source.host_port(), target.host_port()];
    let stage = directory.path().to_str().unwrap();
    let livecopy = ["livecopy", "--stage", stage, ends[0], ends[1]];
    for _ in 0..2 {
        assert_eq!(run(&livecopy).code, Some(0));
    }
    let archive = format!("dir:{stage}");
    let ran = run(&["compare", "--exit-code", ends[0], &archive]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn an_archive_that_has_lost_the_data_of_an_image_is_damaged_and_healed_by_a_dump() {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (glance(&[(ONE, 1), (TWO, 2)]), glance(&[]));
    let archive = archive_of(&source, directory.path());
    let path = directory.path().to_str().unwrap();
    fs::remove_file(directory.path().join(format!("{ONE}.img"))).unwrap();
    let ran = run(&["verify", &archive]);
    assert_eq!(
        (ran.code, &*ran.stdout),
        (Some(6), &*format!("{ONE}: failed\n"))
    );
    for verb in [
        vec!["load", target.host_port(), path],
        vec!["livecopy", &archive, target.host_port()],
    ] {
        let ran = run(&verb);
        assert_eq!(ran.code, Some(3), "{verb:?}: {ran:?}");
        assert!(
            ran.stderr.contains(&format!("{ONE}.img is missing")),
            "{ran:?}"
        );
        assert!(ran.stderr.contains("hint: dump the image again"), "{ran:?}");
        assert!(!ran.stderr.contains("queued"), "{ran:?}");
    }
    // As the Python tool leaves an archive of metadata alone.
    let ran = run(&["verify", "--metaonly", &archive]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let other = directory.path().join("other");
    let ran = run(&["livecopy", &archive, &format!("dir:{}", other.display())]);
    assert_eq!(ran.code, Some(3), "{ran:?}");

    let ran = run(&["dump", source.host_port(), path]);
    assert!(ran.stderr.contains("dump: 1 copied"), "{ran:?}");
    assert_eq!(run(&["verify", &archive]).code, Some(0));
    // Whatever the verb, a damaged image of an archive is written anew.
    fs::remove_file(directory.path().join(format!("{TWO}.img"))).unwrap();
    let ran = run(&["livecopy", source.host_port(), &archive]);
    assert!(ran.stderr.contains("livecopy: 1 copied"), "{ran:?}");
    assert_eq!(run(&["verify", &archive]).code, Some(0));
}

#[test]
fn an_archive_that_was_dumped_without_data_says_so_and_takes_it_later() {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (glance(&[(ONE, 1)]), glance(&[]));
    let path = directory.path().to_str().unwrap();
    let archive = format!("dir:{path}");
    let dump = ["dump", source.host_port(), path];
    let without_data = ["dump", "--metaonly", source.host_port(), path];
    assert_eq!(run(&without_data).code, Some(0));
    assert!(run(&without_data).stderr.contains("1 unchanged"));
    assert_eq!(run(&["verify", &archive]).code, Some(0));
    for verb in [
        vec!["load", target.host_port(), path],
        vec!["livecopy", &archive, target.host_port()],
    ] {
        let ran = run(&verb);
        assert_eq!(ran.code, Some(0), "{verb:?}: {ran:?}");
        let reason = format!("Image \"image {ONE}\" ({ONE}) is skipped: there is no data for it");
        assert!(
            ran.stderr.contains(" is skipped: there is no data for it"),
            "{reason} {ran:?}"
        );
    }
    let ran = run(&dump);
    assert!(ran.stderr.contains("dump: 1 copied"), "{ran:?}");
    let json = fs::read_to_string(directory.path().join(ONE)).unwrap();
    assert!(!json.contains("no_data"), "{json}");
    fs::remove_file(directory.path().join(format!("{ONE}.img"))).unwrap();
    assert_eq!(run(&["verify", &archive]).code, Some(6));
    // A request for metadata alone is meant.
    assert_eq!(run(&without_data).code, Some(0));
    assert_eq!(run(&["verify", &archive]).code, Some(0));
}

#[test]
fn an_image_whose_record_is_right_and_whose_data_is_gone_is_found_without_reading_the_others() {
    for profile in [Profile::Today, Profile::Legacy, Profile::V1Only] {
        let source = EmbeddedGlance::builder().profile(profile);
        let source = source.start_blocking().unwrap();
        let target = EmbeddedGlance::builder().profile(profile).stores(&[]);
        let target = target.start_blocking().unwrap();
        for glance in [&source, &target] {
            glance.add_image(ImageSpec::new(TWO).data(ImageContent::pattern(2, 3_000_000)));
        }
        source.add_image(ImageSpec::new(ONE).data(ImageContent::zeros(5000)));
        target.add_image(ImageSpec::new(ONE).data_gone(5000));
        let ends = [source.host_port(), target.host_port()];
        let ran = run(&["verify", ends[0], ends[1]]);
        assert_eq!(ran.code, Some(6), "{profile:?}: {ran:?}");
        assert_eq!(ran.stdout, format!("{ONE}: failed\n"));
        let words = "the target has no data for the image, though its record is active";
        assert!(ran.stderr.contains(words), "{ran:?}");
        assert!(ran.stderr.contains("1 same digest on record"), "{ran:?}");
        assert_eq!(target.count(RequestKind::Download), 2);
        let ran = run(&["verify", "--read-back", ends[0], ends[1]]);
        assert!(ran.code == Some(6) || profile == Profile::V1Only, "{ran:?}");
    }
}

#[test]
fn a_byte_of_each_image_is_read_and_another_part_of_them_each_day() {
    let (source, target) = (glance(&[(ONE, 1), (TWO, 2)]), glance(&[(TWO, 2)]));
    let ends = [source.host_port(), target.host_port()];
    let ran = run(&["verify", "--probe", ends[0]]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let summary = "verify: 2 same digest on record and data that can be read";
    assert!(ran.stderr.contains(summary), "{ran:?}");
    assert_eq!(source.count(RequestKind::Download), 2);
    // The server names the store of an image, and its data is not there.
    let download = FaultOn::kind(RequestKind::Download).image(TWO);
    target.fault(download, FaultAction::status(204));
    let only_two = ["--image", TWO, ends[0], ends[1]];
    let ran = run(&[&["verify"], &only_two[..]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = run(&[&["verify", "--probe"], &only_two[..]].concat());
    assert_eq!(
        (ran.code, &*ran.stdout),
        (Some(6), &*format!("{TWO}: failed\n"))
    );
    let ran = run(&["verify", "--sample", "100%", ends[0], ends[1]]);
    assert_eq!(
        (ran.code, &*ran.stdout),
        (Some(6), &*format!("{ONE}: missing\n"))
    );
    assert!(ran.stderr.contains(" (today's part, one of 1)"), "{ran:?}");
    // A part so small that neither has its turn.
    let ran = run(&["verify", "--sample", "0.0000001%", ends[0], ends[1]]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""));
    assert_eq!(run(&["verify", "--sample", "0%", ends[0]]).code, Some(2));
}

#[test]
fn a_dump_that_reads_back_repairs_what_is_damaged_in_the_archive() {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (glance(&[(ONE, 1), (TWO, 2)]), glance(&[]));
    let archive = archive_of(&source, directory.path());
    let path = directory.path().to_str().unwrap();
    let dump = ["dump", "--verify", "read-back", source.host_port(), path];
    let file = directory.path().join(format!("{TWO}.img"));
    let right = fs::read(&file).unwrap();
    let mut wrong = right.clone();
    wrong[7] ^= 1;
    fs::write(&file, &wrong).unwrap();

    // The records are as before, which is all that these look at.
    let ran = run(&["verify", source.host_port(), &archive]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let summary = "verify: 2 same digest on record";
    assert_eq!(ran.stderr.lines().last(), Some(summary));
    let ran = run(&["dump", source.host_port(), path]);
    assert!(ran.stderr.contains("2 unchanged"), "{ran:?}");
    // A run that reads it finds it, and tells the cure.
    for (args, code) in [
        (vec!["verify", &archive], 6),
        (
            vec!["verify", "--read-back", source.host_port(), &archive],
            6,
        ),
        (vec!["load", target.host_port(), path], 6),
    ] {
        let ran = run(&args);
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains("`dump --verify read-back`"), "{ran:?}");
    }

    let ran = run(&[&dump[..], &["--dry-run"]].concat());
    assert!(
        ran.stdout
            .contains(&format!("read (to be proven) unnamed ({TWO})")),
        "{ran:?}"
    );
    source.fault(
        FaultOn::kind(RequestKind::Download).times(1),
        FaultAction::status(503),
    );
    let ran = run(&dump);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let warning = format!("warning: image unnamed ({TWO}) ");
    assert!(ran.stderr.contains(&warning), "{ran:?}");
    assert!(ran.stderr.contains("dump: 1 copied"), "{ran:?}");
    assert!(ran.stderr.contains("1 unchanged"), "{ran:?}");
    assert!(fs::read(&file).unwrap() == right);
    let ran = run(&["verify", &archive]);
    let summary = "verify: 2 verified by reading";
    assert_eq!(ran.stderr.lines().last(), Some(summary));
    let ran = run(&dump);
    assert!(ran.stderr.contains("2 unchanged"), "{ran:?}");
}

/// Its name can be foretold.
#[test]
fn a_stage_that_is_a_link_to_an_archive_leaves_the_archive_alone() {
    let directory = tempfile::tempdir().unwrap();
    let source = glance(&[(ONE, 1), (TWO, 2)]);
    let archive = directory.path().join("archive");
    archive_of(&source, &archive);
    let target = EmbeddedGlance::builder().profile(Profile::V1Only);
    let target = target.start_blocking().unwrap();
    let stage = directory.path().join("stage");
    fs::create_dir(&stage).unwrap();
    let args = ["livecopy", "--stage", stage.to_str().unwrap()];
    let args = [&args[..], &[source.host_port(), target.host_port()]].concat();
    let name = format!("http://{}", target.host_port());
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let link = stage.join(format!(".stage-{name}"));
    std::os::unix::fs::symlink(&archive, &link).unwrap();
    let ran = run(&args);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("is not ours"), "{ran:?}");
    assert_eq!(fs::read_dir(&archive).unwrap().count(), 4);
    assert!(target.image(ONE).is_none());

    fs::remove_file(&link).unwrap();
    assert_eq!(run(&args).code, Some(0));
    assert!(link.is_dir(), "that is its name");
}
