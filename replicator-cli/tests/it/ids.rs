//! Images whose ids cannot be used at the target: burnt ones, uploads that are under way or
//! dead, records with leftovers.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::fs;

use glance_client::testing::{
    EmbeddedGlance, ImageContent, ImageSpec, ImageView, Profile, RequestKind,
};

use crate::kit::images::glance;
use crate::kit::runs::{ended, new_ids};

const ONE: &str = "00000000-0000-4000-8000-000000000001";
const TWO: &str = "00000000-0000-4000-8000-000000000002";

fn source() -> EmbeddedGlance {
    let glance = glance(Profile::Today);
    for (id, seed) in [(ONE, 1), (TWO, 2)] {
        let content = ImageContent::pattern(seed, 10_000);
        glance.add_image(ImageSpec::new(id).name("an image").data(content));
    }
    glance
}

fn active(glance: &EmbeddedGlance) -> Vec<ImageView> {
    let mut images = glance.images();
    images.retain(|image| image.status == "active");
    images
}

#[test]
fn a_used_id_fails_is_skipped_or_is_replaced_by_a_new_one_that_later_runs_know() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (source, target) = (source(), glance(profile));
        target.burn(ONE);
        let ends = [source.host_port(), target.host_port()];
        let livecopy = ["livecopy", ends[0], ends[1]];

        let ran = ended(3, &livecopy);
        assert!(ran.stderr.contains("--on-id-conflict new-id"), "{ran:?}");
        let skip = [&livecopy[..], &["--on-id-conflict", "skip"]].concat();
        let ran = ended(0, &skip);
        assert!(
            ran.stderr.contains("1 skipped (id not usable)") && ran.stderr.contains(ONE),
            "{ran:?}"
        );
        assert_eq!(active(&target).len(), 1);

        let new_id = [&livecopy[..], &["--on-id-conflict", "new-id"]].concat();
        let ran = ended(2, &new_id);
        assert!(ran.stderr.contains("--id-map FILE"), "{ran:?}");
        let dir = tempfile::tempdir().unwrap();
        let map = dir.path().join("ids");
        let id_map = ["--id-map", map.to_str().unwrap()];
        let ran = ended(0, &[&new_id[..], &id_map].concat());
        let said = format!("image \"an image\" ({ONE}) gets the id ");
        assert!(ran.stderr.contains(&said), "{ran:?}");
        let [first, second] = &active(&target)[..] else {
            panic!("{:?}", target.images());
        };
        let copy = if first.id == TWO { second } else { first };
        let wanted = ImageContent::pattern(1, 10_000).to_vec().unwrap();
        assert_eq!(copy.content.as_ref().unwrap().to_vec().unwrap(), wanted);
        let kept = fs::read_to_string(&map).unwrap();
        assert!(kept.contains(ONE) && kept.contains(&copy.id), "{kept}");

        let uploads = target.count(RequestKind::Upload);
        let ran = ended(0, &[&livecopy[..], &id_map].concat());
        assert!(ran.stderr.contains("nothing to do, 2 unchanged"), "{ran:?}");
        assert_eq!(target.count(RequestKind::Upload), uploads);
        let compare = ["compare", "--exit-code", ends[0], ends[1]];
        ended(0, &[&compare[..], &id_map].concat());
        ended(5, &compare);
        let verify = ["verify", ends[0], ends[1]];
        ended(0, &[&verify[..], &id_map, &["--read-back"]].concat());
        ended(6, &verify);
    }
}

#[test]
fn a_dry_run_says_who_would_get_a_new_id_and_keeps_none() {
    let (source, target) = (source(), glance(Profile::V1Only));
    target.burn(ONE);
    let dir = tempfile::tempdir().unwrap();
    let map = dir.path().join("ids");
    let livecopy = ["livecopy", source.host_port(), target.host_port()];
    let options = ["--on-id-conflict", "new-id", "--dry-run", "--id-map"];
    let ran = ended(
        0,
        &[&livecopy[..], &options, &[map.to_str().unwrap()]].concat(),
    );
    assert!(
        ran.stdout
            .contains("under a new id, since the id is used up"),
        "{ran:?}"
    );
    assert!(!map.exists());
}

#[test]
fn an_id_map_that_is_none_is_an_error_that_names_the_line() {
    let (source, target) = (source(), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let map = dir.path().join("ids");
    fs::write(&map, "not a map\n").unwrap();
    let livecopy = ["livecopy", source.host_port(), target.host_port()];
    let ran = ended(
        1,
        &[&livecopy[..], &["--id-map", map.to_str().unwrap()]].concat(),
    );
    assert!(ran.stderr.contains("line 1 of "), "{ran:?}");
    assert_eq!(target.images().len(), 0);
}

#[test]
fn an_upload_of_somebody_else_is_left_alone_and_a_dead_one_is_told_with_the_way_out() {
    let saving = |glance: &EmbeddedGlance, at: Option<u64>| {
        let image = ImageSpec::new(ONE).status("saving");
        glance.add_image(match at {
            Some(seconds) => image.created_at(seconds),
            None => image,
        });
    };
    let (source, target) = (source(), glance(Profile::Today));
    let livecopy = ["livecopy", source.host_port(), target.host_port()];
    saving(&target, None);
    let ran = ended(3, &[&livecopy[..], &["--retries", "0"]].concat());
    assert!(
        ran.stderr.contains(&format!(
            "Image \"an image\" ({ONE}) is put off: another run has been uploading it"
        )),
        "{ran:?}"
    );
    assert!(
        ran.stderr.contains("1 copied") && ran.stderr.contains("1 left to another run"),
        "{ran:?}"
    );

    saving(&target, Some(1_700_000_000));
    let ran = ended(3, &livecopy);
    assert!(
        ran.stderr.contains("in saving since 2023-11-14T22:13:20Z")
            && ran.stderr.contains("hint: "),
        "{ran:?}"
    );
    assert_eq!(
        target.image(ONE).unwrap().status,
        "saving",
        "it is never deleted"
    );

    let dir = tempfile::tempdir().unwrap();
    let map = dir.path().join("ids");
    let options = new_ids(&map);
    ended(0, &[&livecopy[..], &options].concat());
    assert_eq!(active(&target).len(), 2);
}

/// A record that an upload was refused for, since its data is not what it says.
fn spoiled(target: &EmbeddedGlance) -> EmbeddedGlance {
    let source = glance(Profile::Today);
    let content = ImageContent::pattern(1, 10_000);
    source.add_image(ImageSpec::new(ONE).formats("qcow2", "bare").data(content));
    let livecopy = ["livecopy", source.host_port(), target.host_port()];
    ended(3, &[&livecopy[..], &["--format-check", "off"]].concat());
    let left = target.image(ONE).unwrap();
    assert!(left.status == "queued" && left.record["checksum"].is_string());
    source
}

#[test]
fn a_record_with_leftovers_is_completed_with_the_data_that_they_are_of() {
    let target = glance(Profile::Today);
    let source = spoiled(&target);
    let livecopy = ["livecopy", source.host_port(), target.host_port()];
    // As what it is, the data goes to another store.
    let content = ImageContent::pattern(1, 10_000);
    source.add_image(ImageSpec::new(ONE).data(content));
    ended(0, &livecopy);
    assert_eq!(active(&target).len(), 1);
    ended(0, &["compare", "--exit-code", livecopy[1], livecopy[2]]);
}

#[test]
fn a_record_with_leftovers_of_other_data_or_without_another_store_gets_no_data() {
    let other = glance(Profile::Today);
    let one_store = EmbeddedGlance::builder().stores(&["main"]);
    let one_store = one_store.start_blocking().unwrap();
    for (target, seed, said) in [
        (&other, 2, "the record on the target is spoiled"),
        (&one_store, 1, "there is no other store"),
    ] {
        let source = spoiled(target);
        let uploads = target.count(RequestKind::Upload);
        let content = ImageContent::pattern(seed, 10_000);
        source.add_image(ImageSpec::new(ONE).data(content));
        let livecopy = ["livecopy", source.host_port(), target.host_port()];
        let ran = ended(3, &livecopy);
        assert!(ran.stderr.contains(said), "{said}: {ran:?}");
        assert_eq!(target.count(RequestKind::Upload), uploads);
    }
}
