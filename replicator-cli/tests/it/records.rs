//! Records at the target: the order in which they are made, and what stays of them.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::thread;

use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use serde_json::{Value, json};

use crate::kit::background::{spawn, wait_until};
use crate::kit::images::id;
use crate::kit::program::{Ran, run};
use crate::kit::runs::{ended, summary};

const ONE: &str = "00000000-0000-4000-8000-000000000001";

fn glance() -> EmbeddedGlance {
    EmbeddedGlance::builder().start_blocking().unwrap()
}

fn image(number: u64) -> ImageSpec {
    let content = ImageContent::pattern(number, 1000 * (1 + number % 7));
    ImageSpec::new(&id(number)).name("an image").data(content)
}

fn one() -> EmbeddedGlance {
    let source = glance();
    source.add_image(image(1));
    source
}

/// The ids of the records that a server was asked to make, in order.
fn created(target: &EmbeddedGlance) -> Vec<String> {
    let requests = target.requests().into_iter();
    let created = requests.filter(|request| request.kind == RequestKind::Create);
    let id = |body: &[u8]| {
        let record: Value = serde_json::from_slice(body).unwrap();
        record.get("id").unwrap().as_str().unwrap().to_owned()
    };
    created.map(|request| id(&request.body)).collect()
}

#[test]
fn one_image_at_a_time_is_one_record_at_a_time_in_the_order_in_which_the_source_has_created_them() {
    let source = glance();
    let mut wanted = Vec::new();
    for number in 0..30 {
        // The order of ids is another one; some were created in the same second.
        let second = (number * 7) % 30 / 2;
        let image = image(number).name(&format!("image {number}"));
        source.add_image(image.created_at(1_700_000_000 + second));
        wanted.push((second, id(number)));
    }
    wanted.sort();
    let wanted: Vec<String> = wanted.into_iter().map(|(_, id)| id).collect();
    let targets = [glance(), glance()];
    let ends = [&source, &targets[0], &targets[1]].map(EmbeddedGlance::host_port);
    let ran = run(&["livecopy", "--transfers", "1", ends[0], ends[1], ends[2]]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for target in &targets {
        assert_eq!(created(target), wanted);
    }
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().to_str().unwrap();
    let target = glance();
    assert_eq!(run(&["dump", source.host_port(), archive]).code, Some(0));
    let ran = run(&["load", "--transfers", "1", target.host_port(), archive]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(created(&target), wanted);
}

/// Octavia and others take the newest image of a tag, by times in whole seconds. v1 has no tags, and
/// its records come with their data.
#[test]
fn the_newest_image_of_a_tag_is_the_newest_at_the_target_and_no_two_tie() {
    let source = glance();
    for number in 0..8 {
        let image = ImageSpec::new(&id(number)).name("amphora").tag("amphora");
        let data = ImageContent::pattern(number, 100_000 * (1 + number));
        source.add_image(image.data(data).created_at(1_700_000_000 + number));
    }
    let targets = [Profile::Today, Profile::V1Only].map(|profile| {
        let glance = || EmbeddedGlance::builder().profile(profile).start_blocking();
        ["1", "4"].map(|transfers| (transfers, glance().unwrap()))
    });
    let targets = targets.as_flattened();
    thread::scope(|scope| {
        for (transfers, target) in targets {
            let ends = [source.host_port(), target.host_port()];
            scope.spawn(move || {
                ended(0, &["livecopy", "--transfers", transfers, ends[0], ends[1]]);
                let compared = ended(0, &["compare", "--exit-code", ends[0], ends[1]]);
                assert_eq!(compared.stdout, "");
            });
        }
    });
    for (transfers, target) in targets {
        let copies = (0..8).map(|number| target.image(&id(number)).unwrap());
        let created: Vec<Value> = copies
            .map(|copy| copy.field("created_at").unwrap().clone())
            .collect();
        let is_later = |a: &Value, b: &Value| a.as_str() < b.as_str();
        assert!(created.is_sorted_by(is_later), "{transfers}: {created:?}");
    }
}

#[test]
fn images_of_other_names_do_not_wait_for_one_that_is_slow_on_v1() {
    let source = glance();
    for number in 0..30 {
        // Nine of ten have one name.
        let name = if number % 10 == 9 { "other" } else { "same" };
        let image = image(number).name(&format!("{name} {number}"));
        let image = if name == "same" {
            image.name(name)
        } else {
            image
        };
        // Of one second, so that nobody waits for the next.
        source.add_image(image.created_at(1_700_000_000));
    }
    let target = EmbeddedGlance::builder().profile(Profile::V1Only);
    let target = target.start_blocking().unwrap();
    let ends = [source.host_port(), target.host_port()];
    ended(0, &["livecopy", "--transfers", "4", ends[0], ends[1]]);
    let copies = (0..30).map(|number| target.image(&id(number)).unwrap());
    assert!(copies.into_iter().all(|copy| copy.status == "active"));
    let made = target.requests().into_iter();
    let made = made.filter(|request| request.kind == RequestKind::Upload);
    let made: Vec<String> = made
        .map(|request| request.header("x-image-meta-id").unwrap())
        .collect();
    let same = made
        .iter()
        .filter(|made| (0..30).any(|n| n % 10 != 9 && id(n) == **made));
    assert!(same.is_sorted(), "{made:?}");
    // They are looked for behind those that wait.
    let place = |number| made.iter().position(|made| *made == id(number)).unwrap();
    assert!(place(29) < place(28), "{made:?}");
}

#[test]
fn a_name_or_a_tag_whose_newest_image_is_another_one_at_the_target_is_told() {
    fn add(server: &EmbeddedGlance, number: u64, second: u64, image: fn(ImageSpec) -> ImageSpec) {
        let image = image(ImageSpec::new(&id(number)).data(ImageContent::pattern(number, 10)));
        server.add_image(image.created_at(1_700_000_000 + second));
    }
    fn debian(image: ImageSpec) -> ImageSpec {
        image.name("debian").tag("lb")
    }
    let (source, target) = (glance(), glance());
    for (number, at_source, at_target) in [(1, 1, 3), (2, 2, 2)] {
        add(&source, number, at_source, debian);
        add(&target, number, at_target, debian);
    }
    // Neither is the newest for those who ask for active images.
    for server in [&source, &target] {
        add(server, 3, 9, |image| debian(image).hidden());
        add(server, 4, 9, |image| debian(image).status("deactivated"));
    }
    // Of one second, the greatest id counts; and those alone at one end count as well.
    for (server, numbers) in [(&source, 5..7), (&target, 5..8)] {
        for number in numbers {
            add(server, number, 5, |image| image.name("fedora"));
        }
    }
    add(&source, 8, 5, |image| image.name("only once"));
    add(&source, 9, 5, |image| image.name("equal \u{1b}"));
    add(&target, 9, 7, |image| image.name("equal \u{1b}"));
    let ends = [source.host_port(), target.host_port()];
    let compared = ended(0, &["compare", ends[0], ends[1]]);
    insta::assert_snapshot!(compared.stdout, @r#"
    Image 00000000-0000-4000-8000-000000000008 ("only once") entirely missing from the destination
    The newest image of the name "debian" differs (source is 00000000-0000-4000-8000-000000000002, destination is 00000000-0000-4000-8000-000000000001)
    The newest image of the name "fedora" differs (source is 00000000-0000-4000-8000-000000000006, destination is 00000000-0000-4000-8000-000000000007)
    The newest image of the tag "lb" differs (source is 00000000-0000-4000-8000-000000000002, destination is 00000000-0000-4000-8000-000000000001)
    "#);
    insta::assert_snapshot!(
        summary(&compared),
        @"8 images compared: 1 missing, 1 only at the target; the newest of 3 names or tags is another one at the target"
    );
    let compared = ended(0, &["compare", "-f", "json", ends[0], ends[1]]);
    let document: Value = serde_json::from_str(&compared.stdout).unwrap();
    let of_tag = document["differences"].as_array().unwrap().last().unwrap();
    assert_eq!(
        *of_tag,
        json!({
            "difference": "other_newest", "field": "tags", "group": "lb", "id": id(2), "name": null,
            "source": id(2), "target": id(1), "side": null, "message": null,
        })
    );
    assert_eq!(document["totals"]["other_newest"], 3);
}

#[test]
fn an_id_that_is_used_up_is_told_before_any_data_is_opened() {
    let (source, target) = (one(), glance());
    target.burn(ONE);
    let ran = run(&["livecopy", source.host_port(), target.host_port()]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(source.count(RequestKind::Download), 0);
}

#[test]
fn what_a_failure_leaves_at_the_target_is_named() {
    for (action, on_source, left) in [
        (
            FaultAction::status(500),
            FaultOn::kind(RequestKind::Download),
            "left at the target: its record, queued, without data",
        ),
        (
            FaultAction::FlipByte(10),
            FaultOn::kind(RequestKind::Download),
            "left at the target: its record, queued, without data",
        ),
    ] {
        let (source, target) = (one(), glance());
        source.fault(on_source, action);
        let livecopy = [
            "livecopy",
            "--retries",
            "0",
            source.host_port(),
            target.host_port(),
        ];
        let ran = run(&livecopy);
        assert!(matches!(ran.code, Some(3 | 6)), "{ran:?}");
        assert!(ran.stderr.contains(left), "{ran:?}");
    }
    let (source, target) = (glance(), glance());
    source.add_image(image(1).visibility("public"));
    target.fault(FaultOn::any().method("PATCH"), FaultAction::status(403));
    let livecopy = ["livecopy", source.host_port(), target.host_port()];
    let ran = run(&livecopy);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let left = "left at the target: the image, active, its visibility private";
    assert!(ran.stderr.contains(left), "{ran:?}");
    // An image that was refused at its creation has left nothing.
    let target = glance();
    target.fault(FaultOn::kind(RequestKind::Create), FaultAction::status(400));
    let ran = run(&["livecopy", source.host_port(), target.host_port()]);
    assert!(!ran.stderr.contains("left at the target"), "{ran:?}");
}

#[test]
fn an_upload_of_another_run_that_does_not_end_is_no_success() {
    for profile in [Profile::Today, Profile::Legacy] {
        let (source, target) = (one(), EmbeddedGlance::builder().profile(profile));
        let target = target.start_blocking().unwrap();
        source.add_image(image(2));
        target.add_image(ImageSpec::new(ONE).status("saving"));
        let livecopy = [
            "livecopy",
            "--retries",
            "0",
            source.host_port(),
            target.host_port(),
        ];
        let ran = ended(3, &livecopy);
        let named = format!("not at the target yet: \"an image\" ({ONE})");
        assert!(ran.stderr.contains(&named), "{ran:?}");
        let counts = "1 copied (";
        assert!(ran.stderr.contains(counts) && ran.stderr.contains("1 left to another run"));
        assert_eq!(target.image(ONE).unwrap().status, "saving");
    }
}

/// Copies image 1 to a target where another run is writing it, which puts this in its place while
/// it is waited for.
fn beside_another_run(puts: ImageSpec) -> (Ran, [EmbeddedGlance; 2]) {
    let (source, target) = (one(), glance());
    target.add_image(ImageSpec::new(ONE).status("saving"));
    let running = spawn(&["livecopy", source.host_port(), target.host_port()]);
    wait_until(|| target.count(RequestKind::Show) > 0);
    target.add_image(puts);
    let ran = Ran::from(running.wait_with_output().unwrap());
    (ran, [source, target])
}

#[test]
fn an_upload_of_another_run_that_has_ended_by_the_end_is_well() {
    let (ran, ends) = beside_another_run(image(1));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("1 already there"), "{ran:?}");
    let [source, target] = ends.each_ref().map(EmbeddedGlance::host_port);
    ended(0, &["compare", "--exit-code", source, target]);
}

#[test]
fn an_upload_of_another_run_that_broke_off_by_the_end_is_done_by_this_one() {
    let (ran, ends) = beside_another_run(ImageSpec::new(ONE));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("1 copied"), "{ran:?}");
    let [source, target] = ends.each_ref().map(EmbeddedGlance::host_port);
    ended(0, &["compare", "--exit-code", source, target]);
}

#[test]
fn a_wrong_copy_is_not_counted_as_there() {
    let other = ImageContent::bytes("other");
    let (ran, _ends) = beside_another_run(ImageSpec::new(ONE).name("an image").data(other));
    assert_eq!(ran.code, Some(6), "{ran:?}");
}

#[test]
fn an_image_that_differs_at_the_target_can_be_copied_under_a_new_id() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (source, target) = (one(), EmbeddedGlance::builder().profile(profile));
        let target = target.start_blocking().unwrap();
        let wrong = ImageContent::bytes("wrong");
        target.add_image(ImageSpec::new(ONE).name("an image").data(wrong));
        let livecopy = ["livecopy", source.host_port(), target.host_port()];
        for policy in ["fail", "skip"] {
            let ran = ended(6, &[&livecopy[..], &["--on-id-conflict", policy]].concat());
            assert!(ran.stderr.contains("--on-id-conflict new-id"), "{ran:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        let map = dir.path().join("ids");
        let map = ["--id-map", map.to_str().unwrap()];
        let new_id = [&livecopy[..], &["--on-id-conflict", "new-id"], &map].concat();
        let ran = ended(0, &[&new_id[..], &["--dry-run"]].concat());
        assert!(ran.stdout.contains("another image of that id"), "{ran:?}");
        ended(0, &new_id);
        assert_eq!(target.images().len(), 2, "{profile:?}");
        let ran = ended(0, &new_id);
        assert!(ran.stderr.contains("nothing to do"), "{ran:?}");
        let compare = ["compare", "--exit-code", livecopy[1], livecopy[2]];
        ended(0, &[&compare[..], &map].concat());
    }
}
