//! Runs with a token that is no administrator's: own images are taken, and what a target would refuse
//! is known beforehand.

use std::fs;

use glance_client::testing::{ImageContent, ImageSpec, RequestKind};

use crate::kit::cloud::{ID, Lab};
use crate::kit::images::id;
use crate::kit::program::Ran;

/// A member's cloud, in whose first region are also images of others that a member sees.
fn lab() -> Lab {
    let lab = Lab::of_member();
    for number in 2..7 {
        let visibility = if number == 3 { "community" } else { "public" };
        let image = ImageSpec::new(&id(number)).visibility(visibility);
        let image = image.owner("p2").name(&format!("other {number}"));
        lab.one
            .add_image(image.data(ImageContent::pattern(number, 2000)));
    }
    lab
}

#[track_caller]
fn assert_ran(ran: &Ran, code: i32, texts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    for text in texts {
        assert!(
            (ran.stderr.clone() + &ran.stdout).contains(text),
            "no {text:?}: {ran:?}"
        );
    }
}

const LEFT_OUT: &str = "5 images of other projects left out, since the token is no administrator's; \
    --all-visible takes what it sees\n";

#[test]
fn member_takes_the_images_of_its_project_and_is_told_how_many_are_left_out() {
    let lab = lab();
    for (args, text) in [
        (&["size", "cloud:c/One"][..], "across 1 images"),
        (&["list", "cloud:c/One"], ID),
        (
            &["livecopy", "--dry-run", "cloud:c/One", "cloud:c/Two"],
            "would copy 1",
        ),
        (&["livecopy", "cloud:c/One", "cloud:c/Two"], "1 copied"),
        (&["livecopy", "cloud:c/One", "cloud:c/Two"], "1 unchanged"),
        (
            &["compare", "--exit-code", "cloud:c/One", "cloud:c/Two"],
            "1 image compared",
        ),
        (&["verify", "cloud:c/One", "cloud:c/Two"], "1 same digest"),
        (&["dump", "cloud:c/One", "dir"], "1 copied"),
    ] {
        let ran = lab.run(args);
        assert_ran(&ran, 0, &[text]);
        assert_eq!(ran.stderr.matches(LEFT_OUT).count(), 1, "{args:?}: {ran:?}");
    }
    assert_eq!(lab.two.images().len(), 1);
    // An archive has no token.
    let ran = lab.run(&["load", "cloud:c/Two", "dir"]);
    assert_ran(&ran, 0, &["1 unchanged"]);
    assert!(!ran.stderr.contains("left out"), "{ran:?}");
}

#[test]
fn what_a_member_sees_is_taken_if_it_is_said() {
    let lab = lab();
    for (options, images) in [
        (&["--all-visible"][..], 6),
        (&["--select", "owner=p2"], 5),
        (&["--select", "owner=mine"], 1),
        (&["--exclude", "owner=mine"], 5),
        (&["--image", "other 2"], 1),
        (&["--image", ID], 1),
    ] {
        let ran = lab.run(&[&["size", "cloud:c/One"], options].concat());
        assert_ran(&ran, 0, &[&format!("across {images} images")]);
        assert!(!ran.stderr.contains("left out"), "{options:?}: {ran:?}");
    }
    // Whatever else is selected is selected of the own ones.
    let ran = lab.run(&["size", "cloud:c/One", "--select", "visibility=public"]);
    assert_ran(
        &ran,
        0,
        &["across 0 images", "4 images of other projects left out"],
    );
}

#[test]
fn what_a_target_would_refuse_a_member_is_told_by_the_dry_run_and_not_tried() {
    let lab = lab();
    let all = ["livecopy", "cloud:c/One", "cloud:c/Two", "--all-visible"];
    let refused = "the target takes images of other projects from administrators alone";
    let dry = lab.run(&[&all[..], &["--dry-run"]].concat());
    let listed = format!("would fail: 5 images: {refused}");
    assert_ran(
        &dry,
        3,
        &[&listed, "would fail: \"other 6\" (", "would copy 1"],
    );
    let ran = lab.run(&all);
    // The cause is told once, with the number.
    let counted = format!("error: 2 more images for the same cause: {refused}");
    let listed = format!("failed: 5 images: {refused}");
    assert_ran(
        &ran,
        3,
        &[&counted, &listed, "1 copied", "5 failed", "hint: "],
    );
    assert_eq!(ran.stderr.matches("error: image ").count(), 3, "{ran:?}");
    assert_eq!(lab.two.count(RequestKind::Create), 1);
    assert_eq!(lab.two.images().len(), 1);
    fs::create_dir(lab.home.path().join("dir")).unwrap();
    let ran = lab.run(&["dump", "cloud:c/One", "dir", "--all-visible"]);
    assert_ran(&ran, 0, &["6 copied"]);
    let ran = lab.run(&["load", "cloud:c/Two", "dir"]);
    assert_ran(&ran, 3, &[refused, "1 unchanged", "5 failed"]);
    // They can become images of the token's project, which may not publish them.
    let ran = lab.run(&[
        "load",
        "cloud:c/Two",
        "dir",
        "--owner",
        "mine",
        "-D",
        "visibility",
    ]);
    assert_ran(&ran, 0, &["5 copied"]);
}

#[test]
fn what_a_member_would_publish_is_told_by_the_dry_run_and_not_tried() {
    let lab = Lab::of_member();
    for number in 2..7 {
        let image = ImageSpec::new(&id(number)).visibility("public").owner("p1");
        let image = image.data(ImageContent::pattern(number, 2000));
        lab.one.add_image(image);
    }
    let ends = ["livecopy", "cloud:c/One", "cloud:c/Two"];
    let refused = "5 images: the target lets administrators alone publish images";
    let dry = lab.run(&[&ends[..], &["--dry-run"]].concat());
    let listed = format!("would fail: {refused}");
    assert_ran(&dry, 3, &[&listed, "would copy 1 (2.0 KiB); 5 would fail"]);
    let ran = lab.run(&ends);
    let listed = format!("failed: {refused}");
    assert_ran(&ran, 3, &[&listed, "1 copied", "--visibility community"]);
    assert_eq!(lab.two.count(RequestKind::Create), 1);
    let ran = lab.run(&[&ends[..], &["--visibility", "community"]].concat());
    assert_ran(&ran, 0, &["5 copied", "1 unchanged"]);
    // One that is public there already is only updated.
    let public = ImageSpec::new(&id(8)).visibility("public").owner("p1");
    let public = public.data(ImageContent::pattern(8, 2000));
    lab.one.add_image(public.clone().name("new"));
    lab.two.add_image(public.name("old"));
    let ran = lab.run(&[&ends[..], &["--image", &id(8)]].concat());
    assert_ran(&ran, 0, &["1 updated"]);
    fs::write(lab.home.path().join("disk.raw"), "data").unwrap();
    let ran = lab.run(&["push", "--visibility", "public", "disk.raw", "cloud:c/Two"]);
    assert_ran(
        &ran,
        3,
        &["the target lets administrators alone publish images"],
    );
}

#[test]
fn reader_sees_and_compares_and_is_told_that_it_can_copy_nothing() {
    let lab = Lab::of_reader();
    let other = |number| {
        let image = ImageSpec::new(&id(number)).owner("p1");
        image.data(ImageContent::pattern(number, 2000))
    };
    (2..6).for_each(|number| lab.one.add_image(other(number)));
    for (args, code, text) in [
        (&["list", "cloud:c/One"][..], 0, ID),
        (&["size", "cloud:c/One"], 0, "across 5 images"),
        (&["compare", "cloud:c/One", "cloud:c/Two"], 0, "5 missing"),
        (&["verify", "cloud:c/One", "cloud:c/Two"], 6, "5 missing"),
        (
            &["dump", "--metaonly", "cloud:c/One", "records"],
            0,
            "5 metadata only",
        ),
        (
            &["dump", "--dry-run", "cloud:c/One", "dir"],
            3,
            "would fail: 5 images: the source gives image data to members alone",
        ),
        (
            &["dump", "cloud:c/One", "dir"],
            3,
            "failed: 5 images: the source gives image data to members alone",
        ),
        (
            &["livecopy", "cloud:c/One", "cloud:c/Two"],
            3,
            "failed: 5 images: the source gives image data to members alone",
        ),
    ] {
        assert_ran(&lab.run(args), code, &[text]);
    }
    assert_eq!(lab.one.count(RequestKind::Download), 0);
    assert_ran(
        &lab.run(&["check", "cloud:c/One"]),
        0,
        &["a reader's token"],
    );
    // What it has from elsewhere, no target takes.
    fs::remove_dir_all(lab.home.path().join("dir")).unwrap();
    let url = format!("http://{}", lab.one.host_port());
    lab.one
        .add_token("admin", glance_client::testing::Caller::admin());
    assert_ran(
        &lab.run(&["dump", "-t", "admin", &url, "dir"]),
        0,
        &["5 copied"],
    );
    let refused = "5 images: the target takes images from members alone";
    let dry = lab.run(&["load", "--dry-run", "cloud:c/Two", "dir"]);
    assert_ran(&dry, 3, &[&format!("would fail: {refused}")]);
    let ran = lab.run(&["load", "cloud:c/Two", "dir"]);
    assert_ran(
        &ran,
        3,
        &[&format!("failed: {refused}"), "hint: sign in as a member"],
    );
    assert_eq!(lab.two.count(RequestKind::Create), 0);
}

#[test]
fn whoever_is_not_known_to_be_no_administrator_takes_all() {
    let lab = lab();
    for role in ["image_admin", "admin"] {
        lab.keystone.state().roles = vec![role.to_owned()];
        let ran = lab.run(&["size", "cloud:c/One"]);
        assert_ran(&ran, 0, &["across 6 images"]);
        assert_eq!(ran.stderr, "", "{role}");
    }
    let ran = lab.run(&["size", lab.one.host_port(), "-t", "right"]);
    assert!(ran.stdout.contains("across 6 images"), "{ran:?}");
    assert!(!ran.stderr.contains("left out"), "{ran:?}");
}
