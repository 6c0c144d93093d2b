//! The stores of a target: `--store` and `--copy-to-stores`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use glance_client::testing::{
    Caller, EmbeddedGlance, EmbeddedGlanceBuilder, ImageContent, ImageSpec, Profile, RequestKind,
};

use crate::kit::images::{glance, id};
use crate::kit::program::{Ran, run};

fn source() -> EmbeddedGlance {
    let source = glance(Profile::Today);
    for number in [1, 2] {
        let data = ImageContent::pattern(number, 100_000);
        source.add_image(ImageSpec::new(&id(number)).name("an image").data(data));
    }
    source.add_image(ImageSpec::new(&id(3)));
    source
}

fn target(change: impl Fn(EmbeddedGlanceBuilder) -> EmbeddedGlanceBuilder) -> EmbeddedGlance {
    let builder = EmbeddedGlance::builder().stores(&["main", "second", "third"]);
    change(builder).start_blocking().unwrap()
}

fn livecopy(source: &EmbeddedGlance, target: &EmbeddedGlance, options: &[&str]) -> Ran {
    run(&[
        &["livecopy", source.host_port(), target.host_port()],
        options,
    ]
    .concat())
}

/// The stores of an image, as the server shows them.
fn stores(target: &EmbeddedGlance, number: u64) -> String {
    let url = format!("{}/v2/images/{}", target.url(), id(number));
    let record = reqwest::blocking::get(url).unwrap().text().unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    record["stores"].as_str().unwrap_or_default().to_owned()
}

fn imports(target: &EmbeddedGlance) -> usize {
    let requests = target.requests();
    let imports = requests
        .iter()
        .filter(|r| r.method == "POST" && r.target.ends_with("/import"));
    imports.count()
}

#[test]
fn data_goes_to_the_chosen_store_and_proven_images_are_copied_to_more() {
    let (source, target) = (source(), target(|builder| builder));
    let ran = livecopy(&source, &target, &["--store", "second"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        (stores(&target, 1), stores(&target, 2)),
        ("second".into(), "second".into())
    );

    // What is there already gets what it lacks.
    let options = ["--store", "second", "--copy-to-stores", "main,second"];
    let ran = livecopy(&source, &target, &options);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("livecopy: 2 updated, 1 skipped"),
        "{ran:?}"
    );
    assert_eq!(stores(&target, 1), "second,main");
    let ran = livecopy(&source, &target, &options);
    assert!(ran.stderr.contains("2 unchanged"), "{ran:?}");
    assert_eq!(
        (imports(&target), target.count(RequestKind::Upload)),
        (2, 2)
    );
}

#[test]
fn new_images_are_copied_to_all_stores() {
    let (source, target) = (source(), target(|builder| builder));
    let ran = livecopy(&source, &target, &["--copy-to-stores", "all"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("2 copied"), "{ran:?}");
    assert_eq!(stores(&target, 1), "main,third,second");
    assert_eq!(stores(&target, 2), "main,third,second");
}

#[test]
fn a_store_that_takes_no_copy_is_named_and_the_image_is_as_good_as_before() {
    let source = source();
    let target = target(|builder| builder.broken_stores(&["third"]));
    let ran = livecopy(&source, &target, &["--copy-to-stores", "all"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.stderr.contains("no copy came to third: see the log"),
        "{ran:?}"
    );
    for number in [1, 2] {
        assert_eq!(target.image(&id(number)).unwrap().status, "active");
    }
    let ran = livecopy(&source, &target, &[]);
    assert!(ran.stderr.contains("2 unchanged"), "{ran:?}");
    let ran = livecopy(&source, &target, &["--copy-to-stores", "all"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("2 updated"), "{ran:?}");
    assert_eq!(stores(&target, 1), "main,second,third");
}

#[test]
fn a_store_that_is_not_there_is_told_before_any_data_moves() {
    let (source, target) = (source(), target(|builder| builder));
    let old = glance(Profile::V1Only);
    for (target, options, said) in [
        (
            &target,
            ["--store", "nosuch"],
            "it has no store nosuch, but main, second, third",
        ),
        (
            &target,
            ["--copy-to-stores", "main,other"],
            "it has no store other",
        ),
        (&old, ["--store", "main"], "it names no stores"),
    ] {
        let ran = livecopy(&source, target, &options);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(said), "{ran:?}");
        assert!(target.images().is_empty());
    }
    let ran = livecopy(&source, &target, &["--store", "main", "--dry-run"]);
    let said = "has the stores main (default), second, third";
    assert!(ran.stderr.contains(said), "{ran:?}");
    let ran = run(&["check", target.host_port()]);
    assert!(
        ran.stdout.contains("main (default), second, third"),
        "{ran:?}"
    );
}

#[test]
fn a_member_may_choose_a_store_and_not_copy_to_more() {
    let source = source();
    let target = target(|builder| builder.token("member", Caller::member("alpha")));
    let token = ["--targettoken", "member", "--store", "second"];
    let ran = livecopy(
        &source,
        &target,
        &[&token[..], &["--copy-to-stores", "main"]].concat(),
    );
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("copy_image"), "{ran:?}");
    let image = target.image(&id(1)).unwrap();
    assert_eq!(image.status, "active");
}
