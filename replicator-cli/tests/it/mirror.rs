//! `--mirror-metadata` and `--origin`: a target that is like its source, and says where its images are from.

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};
use serde_json::{Value, json};

use crate::kit::images::{glance, id, numbered};
use crate::kit::program::run;
use crate::kit::runs::{assert_error, path, succeeded};

#[test]
fn an_image_that_was_there_before_is_not_marked_and_no_mark_is_taken_over() {
    let (source, target) = (numbered(3), glance(Profile::Today));
    let marked = ImageSpec::new(&id(4)).data(ImageContent::pattern(4, 2000));
    source.add_image(marked.property("replicator_origin", "elsewhere"));
    let first = ImageSpec::new(&id(1)).data(ImageContent::pattern(1, 2000));
    target.add_image(first);
    let ends = [source.host_port(), target.host_port()];
    let ran = succeeded(&["livecopy", "--origin", "prod", ends[0], ends[1]]);
    assert!(ran.stderr.contains("3 copied"), "{ran:?}");
    let origin = |glance: &EmbeddedGlance, number| {
        let image = glance.image(&id(number)).unwrap();
        image
            .field("replicator_origin")
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(origin(&target, 1), Value::Null);
    assert_eq!(origin(&target, 4), "prod");
    let dir = tempfile::tempdir().unwrap();
    let archive = path(dir.path());
    succeeded(&["dump", target.host_port(), archive]);
    let loaded = glance(Profile::Today);
    succeeded(&["load", loaded.host_port(), archive]);
    assert!((1..=4).all(|number| origin(&loaded, number).is_null()));
    let ran = succeeded(&[
        "compare",
        target.host_port(),
        loaded.host_port(),
        "--mirror-metadata",
    ]);
    assert!(ran.stderr.contains("no differences"), "{ran:?}");
    for (options, text) in [
        (&["--set-property", "replicator_origin=x"][..], "is a mark"),
        (&["--origin", "a b"], "is no name"),
        (
            &["--origin", "a", "--drop-property", "replicator_*"],
            "is to be set, and to be omitted",
        ),
        (&["--delete"], "--origin"),
    ] {
        let ran = run(&[&["livecopy", ends[0], ends[1]], options].concat());
        assert_error(&ran, 2, &[text]);
    }
}

#[test]
fn a_mirror_loses_the_metadata_that_its_source_lacks() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (source, target) = (glance(Profile::Today), glance(profile));
        let image = || {
            ImageSpec::new(&id(1))
                .data(ImageContent::pattern(1, 10))
                .visibility("shared")
        };
        source.add_image(
            image()
                .member("beta", "accepted")
                .tag("gold")
                .property("os_type", "linux"),
        );
        let more = image()
            .member("beta", "accepted")
            .member("gamma", "accepted")
            .tag("gold");
        target.add_image(
            more.tag("old")
                .property("os_type", "linux")
                .property("gone", "x"),
        );
        let ends = [source.host_port(), target.host_port()];
        let same = succeeded(&["compare", ends[0], ends[1]]);
        assert!(same.stderr.contains("no differences"), "{same:?}");
        let differs = succeeded(&["compare", ends[0], ends[1], "--mirror-metadata"]);
        assert!(
            differs
                .stdout
                .contains("field gone differs (source is null, destination is x)"),
            "{differs:?}"
        );
        assert!(
            differs.stdout.contains("field members differs"),
            "{differs:?}"
        );
        let ran = succeeded(&["livecopy", ends[0], ends[1], "--mirror-metadata"]);
        assert!(ran.stderr.contains("1 updated"), "{ran:?}");
        let found = target.image(&id(1)).unwrap();
        assert_eq!(found.members.into_keys().collect::<Vec<_>>(), ["beta"]);
        let gone = found.record.get("gone").cloned().unwrap_or_default();
        assert!(gone.is_null() || gone == "", "{gone}");
        if profile == Profile::Today {
            assert_eq!(found.record["tags"], json!(["gold"]));
        }
        let again = succeeded(&["livecopy", ends[0], ends[1], "--mirror-metadata"]);
        assert!(again.stderr.contains("1 unchanged"), "{again:?}");
        let same = succeeded(&["compare", ends[0], ends[1], "--mirror-metadata"]);
        assert!(same.stderr.contains("no differences"), "{same:?}");
    }
}
