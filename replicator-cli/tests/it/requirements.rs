//! What a target requires of metadata, or refuses in it, is told before any data moves.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use serde_json::{Value, json};

use crate::kit::images::{glance, id};
use crate::kit::runs::{ended, path, succeeded, summary};

fn image(number: u64) -> ImageSpec {
    let image = ImageSpec::new(&id(number)).data(ImageContent::pattern(number, 1000));
    image.name(&format!("image {number}"))
}

/// A Glance of today that requires a distribution of each image, and of kernels that they are ids.
fn strict() -> EmbeddedGlance {
    let schema = json!({
        "os_distro": { "type": "string", "enum": ["debian", "fedora"] },
        "kernel_id": { "type": ["null", "string"], "pattern": "^[0-9a-f-]{36}$" },
    });
    let strict = EmbeddedGlance::builder().schema(&schema, &["os_distro"]);
    strict.start_blocking().unwrap()
}

fn questions(server: &EmbeddedGlance) -> usize {
    let requests = server.requests();
    let asked = requests.iter();
    asked
        .filter(|request| request.target == "/v2/schemas/image")
        .count()
}

#[test]
fn what_a_schema_refuses_is_told_of_each_image_and_only_the_others_move() {
    let (source, target) = (glance(Profile::Today), strict());
    source.add_image(image(1).property("os_distro", "debian"));
    source.add_image(image(2));
    source.add_image(image(3).property("os_distro", "plan9"));
    let kernel = image(4).property("kernel_id", "vmlinuz");
    source.add_image(kernel.property("os_distro", "fedora"));
    let ends = [source.host_port(), target.host_port()];
    let dry_run = ended(3, &["livecopy", "--dry-run", ends[0], ends[1]]);
    insta::assert_snapshot!(dry_run.stderr, @r#"
    error: image "image 2" (00000000-0000-4000-8000-000000000002): the target would refuse its metadata: it requires os_distro
    hint: --set-property os_distro=VALUE gives it to each copy
    error: image "image 3" (00000000-0000-4000-8000-000000000003): the target would refuse its metadata: os_distro is "plan9", and has to be one of debian, fedora
    hint: --set-property os_distro=VALUE gives each copy another value, --drop-property os_distro none
    error: image "image 4" (00000000-0000-4000-8000-000000000004): the target would refuse its metadata: kernel_id is "vmlinuz", which does not match ^[0-9a-f-]{36}$
    hint: --set-property kernel_id=VALUE gives each copy another value, --drop-property kernel_id none
    would fail: "image 2" (00000000-0000-4000-8000-000000000002): the target would refuse its metadata: it requires os_distro
    would fail: "image 3" (00000000-0000-4000-8000-000000000003): the target would refuse its metadata: os_distro is "plan9", and has to be one of debian, fedora
    would fail: "image 4" (00000000-0000-4000-8000-000000000004): the target would refuse its metadata: kernel_id is "vmlinuz", which does not match ^[0-9a-f-]{36}$
    nothing was changed (--dry-run)
    "#);
    let document = ended(
        3,
        &["livecopy", "--dry-run", "-f", "json", ends[0], ends[1]],
    );
    let document: Value = serde_json::from_str(&document.stdout).unwrap();
    assert_eq!(document["targets"][0]["fail"], 3);
    assert!(target.images().is_empty());
    target.clear_requests();

    let ran = ended(3, &["livecopy", ends[0], ends[1]]);
    assert!(summary(&ran).contains("1 copied"), "{ran:?}");
    assert_eq!(source.count(RequestKind::Download), 1);
    assert_eq!(target.images().len(), 1);
    assert_eq!(questions(&target), 1);

    let cured = [
        "--set-property",
        "os_distro=debian",
        "--drop-property",
        "kernel_id",
    ];
    let cured = [&["livecopy", ends[0], ends[1]], &cured[..]].concat();
    let ran = succeeded(&cured);
    assert!(summary(&ran).contains("3 copied"), "{ran:?}");
    target.clear_requests();
    let again = succeeded(&cured);
    assert!(
        summary(&again).ends_with("nothing to do, 4 unchanged"),
        "{again:?}"
    );
    // Nothing is to be written, so nobody asks.
    assert_eq!(questions(&target), 0);
}

/// Glance 33 looks for required properties in each single change of an image.
#[test]
fn a_target_that_refuses_every_change_gets_no_image_that_it_could_not_publish() {
    let (source, target) = (glance(Profile::Today), strict());
    for (number, visibility) in [(1, "private"), (2, "shared"), (3, "public")] {
        let image = image(number).visibility(visibility);
        source.add_image(image.property("os_distro", "debian"));
    }
    source.add_image(image(4).property("os_distro", "debian").protected());
    let ends = [source.host_port(), target.host_port()];
    let ran = ended(3, &["livecopy", ends[0], ends[1]]);
    assert!(summary(&ran).contains("2 copied"), "{ran:?}");
    assert_eq!(source.count(RequestKind::Download), 2);
    for text in [
        "visibility could not be set, since it refuses every change",
        "protected could not be set, since it refuses every change",
        "hint: whoever runs the target can require no properties there",
    ] {
        assert!(ran.stderr.contains(text), "no {text:?}: {ran:?}");
    }
    let ran = ended(3, &["livecopy", "--visibility=private", ends[0], ends[1]]);
    assert!(summary(&ran).contains("1 copied"), "{ran:?}");
    // An update is not tried either.
    source.add_image(image(1).name("renamed").property("os_distro", "debian"));
    target.clear_requests();
    ended(3, &["livecopy", ends[0], ends[1], "--image", &id(1)]);
    let updates = target.requests().into_iter();
    let updates: Vec<_> = updates
        .filter(|request| request.kind == RequestKind::Update)
        .map(|request| request.target)
        .collect();
    // This one asks, and there is no such image.
    assert_eq!(updates, ["/v2/images/00000000-0000-0000-0000-000000000000"]);
}

#[test]
fn a_server_that_does_not_tell_its_schema_is_written_to_all_the_same() {
    for (profile, action) in [
        (Profile::Today, FaultAction::status(403)),
        (Profile::Today, FaultAction::status(404)),
        (Profile::Today, FaultAction::html("what is this?")),
        (Profile::Legacy, FaultAction::status(404)),
    ] {
        let (source, target) = (glance(Profile::Today), glance(profile));
        source.add_image(image(1));
        target.fault(FaultOn::any().path("/schemas/image"), action);
        succeeded(&["livecopy", source.host_port(), target.host_port()]);
        assert_eq!(questions(&target), 1);
    }
}

#[test]
fn characters_that_no_glance_takes_are_told_and_an_archive_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let archive = path(dir.path());
    for profile in [Profile::Today, Profile::Legacy, Profile::V1Only] {
        let (source, target) = (glance(Profile::Today), glance(profile));
        source.add_image(image(1).property("note", "an \u{1f600}"));
        source.add_image(image(2).name("\u{1f600}"));
        let ends = [source.host_port(), target.host_port()];
        let ran = ended(3, &["livecopy", ends[0], ends[1]]);
        for text in [
            "note has the character U+1F600, which takes 4 bytes",
            "hint: --set-property note=VALUE gives each copy another value, --drop-property note none",
            "name has the character U+1F600",
            "hint: change the name at the source",
        ] {
            assert!(ran.stderr.contains(text), "no {text:?}: {ran:?}");
        }
        assert_eq!(source.count(RequestKind::Download), 0);
        let writes = target.requests().into_iter();
        assert!(writes.into_iter().all(|request| request.method == "GET"));
        let cured = ["--drop-property=note", "-D", "name"];
        succeeded(&[&["livecopy", ends[0], ends[1]], &cured[..]].concat());
        succeeded(&["dump", ends[0], archive]);
        let end = format!("dir:{archive}");
        succeeded(&["compare", "--exit-code", ends[0], &end]);
    }
}

#[test]
fn more_than_servers_take_is_told_before_and_refused_by_the_server() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    let many = (0..129).fold(image(1), |image, n| image.tag(&format!("tag {n}")));
    source.add_image(many);
    source.add_image(image(2));
    let ends = [source.host_port(), target.host_port()];
    let warning = "has 129 tags, and a server takes 128 unless it is set to take more: -D tags";
    let planned = succeeded(&["livecopy", "--dry-run", ends[0], ends[1]]);
    assert!(planned.stderr.contains(warning), "{planned:?}");
    let ran = ended(3, &["livecopy", ends[0], ends[1]]);
    assert!(ran.stderr.contains(warning), "{ran:?}");
    assert!(summary(&ran).contains("1 copied"), "{ran:?}");
    assert_eq!(source.count(RequestKind::Download), 1);
    succeeded(&["livecopy", "-D", "tags", ends[0], ends[1]]);
}
