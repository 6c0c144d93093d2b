//! Plans in which images leave a target, and what `apply` does of them.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::Path;

use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::deletion::{IMAGES, field, has, livecopy, lost};
use crate::kit::images::id;
use crate::kit::program::Ran;
use crate::kit::runs::{ended, path, succeeded, summary};

const DELETE: [&str; 3] = ["--origin", "prod", "--delete"];

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Writes down what is to leave the target.
fn planned(
    source: &EmbeddedGlance,
    target: &EmbeddedGlance,
    file: &Path,
    options: &[&str],
) -> Value {
    let ends = [source.host_port(), target.host_port()];
    succeeded(&[&["plan", "-o", path(file)], &DELETE[..], options, &ends].concat());
    read(file)
}

fn apply(code: i32, file: &Path) -> Ran {
    ended(code, &["apply", path(file)])
}

/// The actions of a plan, each with its image.
fn actions(plan: &Value) -> Vec<(String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = plan["images"].as_array().unwrap().iter();
    rows.map(|row| (text(row, "id"), text(row, "action")))
        .collect()
}

fn is_retired(glance: &EmbeddedGlance, number: u64) -> bool {
    field(glance, number, "replicator_retired_at").is_string()
}

#[test]
fn what_a_plan_retires_and_deletes_is_done_once_without_a_question() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (source, target) = lost(2, profile);
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("plan.json");
        let plan = planned(&source, &target, &file, &[]);
        let both = |action: &str| [1, 2].map(|number| (id(number), action.to_owned()));
        assert_eq!(actions(&plan), both("retire"));
        assert_eq!(plan["totals"][0]["retire"], 2);
        assert!(!is_retired(&target, 1));
        let ran = apply(0, &file);
        assert_eq!(summary(&ran), "apply: 2 retired");
        assert!(is_retired(&target, 1) && is_retired(&target, 2));
        assert_eq!(
            summary(&apply(0, &file)),
            "apply: nothing to do, 2 unchanged"
        );

        let plan = planned(&source, &target, &file, &["--grace", "0s"]);
        assert_eq!(actions(&plan), both("delete"));
        assert_eq!(target.count(RequestKind::Delete), 0);
        assert_eq!(summary(&apply(0, &file)), "apply: 2 deleted");
        assert!(!has(&target, 1) && !has(&target, 2));
        assert_eq!(
            summary(&apply(0, &file)),
            "apply: nothing to do, 2 unchanged"
        );
        assert_eq!(target.count(RequestKind::Delete), 2);
    }
}

#[test]
fn nothing_leaves_a_target_that_the_plan_does_not_name() {
    let (source, target) = lost(2, Profile::Today);
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    let mut plan = planned(&source, &target, &file, &[]);
    plan["images"].as_array_mut().unwrap().remove(0);
    fs::write(&file, plan.to_string()).unwrap();
    assert_eq!(summary(&apply(0, &file)), "apply: 1 retired");
    assert!(!is_retired(&target, 1) && is_retired(&target, 2));
    // Its grace is over, and it is the one that was retired: that it is deleted, nobody has approved.
    let mut plan = read(&file);
    let options = plan["options"].as_array_mut().unwrap();
    options.push("--grace=0s".into());
    fs::write(&file, plan.to_string()).unwrap();
    let ran = apply(5, &file);
    assert!(
        summary(&ran).ends_with("1 not as planned any more"),
        "{ran:?}"
    );
    assert!(has(&target, 2));
    assert_eq!(target.count(RequestKind::Delete), 0);
}

/// What happens between a plan and its application, and what is told of it.
type Change = fn(&EmbeddedGlance, &EmbeddedGlance);

fn copy(number: u64) -> ImageSpec {
    let data = ImageContent::pattern(number, 2000);
    let image = ImageSpec::new(&id(number)).data(data);
    image.property("replicator_origin", "prod")
}

#[test]
fn an_image_that_is_not_what_it_was_stays_and_is_told() {
    let cases: [(&str, Change); 7] = [
        ("it is protected at the target", |_, target| {
            target.add_image(copy(1).protected())
        }),
        ("has changed since it was listed", |_, target| {
            target.add_image(copy(1).property("replicator_origin", "other"));
        }),
        ("metadata", |_, target| {
            target.add_image(copy(1).name("mine now"))
        }),
        ("content", |_, target| {
            target.add_image(copy(1).data(ImageContent::pattern(77, 2000)));
        }),
        ("the source has it after all", |source, _| {
            source.add_image(ImageSpec::new(&id(1)).data(ImageContent::pattern(1, 2000)));
        }),
        ("the source has it after all", |source, _| {
            source.add_image(ImageSpec::new(&id(1)).data(ImageContent::pattern(5, 5)));
        }),
        ("another run", |_, target| {
            target.add_image(copy(1).status("saving"));
        }),
    ];
    for (reason, change) in cases {
        for grace in ["7d", "0s"] {
            let (source, target) = lost(2, Profile::Today);
            if grace == "0s" {
                livecopy(&source, &target, &[&DELETE[..], &["--yes"]].concat());
            }
            let dir = TempDir::new().unwrap();
            let [file, report] = ["plan.json", "report.json"].map(|name| dir.path().join(name));
            planned(&source, &target, &file, &["--grace", grace]);
            change(&source, &target);
            let before = target.image(&id(1)).unwrap().record;
            let ran = ended(5, &["apply", "--report", path(&report), path(&file)]);
            let what = format!("{reason}, {grace}: {ran:?}");
            assert_eq!(target.image(&id(1)).unwrap().record, before, "{what}");
            let report = read(&report);
            let of_first = report["images"].as_array().unwrap().iter();
            let of_first: Vec<&Value> = of_first.filter(|row| row["id"] == id(1)).collect();
            assert_eq!(of_first.len(), 1, "{what}");
            assert_eq!(of_first[0]["outcome"], "stale", "{what}");
            // What is added anew has lost the mark of its retirement: it would be retired again.
            let expected = match (reason, grace) {
                ("metadata", "0s") => "action",
                (reason, _) => reason,
            };
            let told = ["reason", "message"].map(|field| of_first[0][field].as_str().unwrap());
            let is_told = told[0] == expected || told[1].contains(expected);
            assert!(is_told, "{expected}: {what}");
            // The other one is as it was.
            assert_eq!(has(&target, 2), grace == "7d", "{what}");
            assert!(grace == "0s" || is_retired(&target, 2), "{what}");
        }
    }
}

#[test]
fn each_rule_is_tried_anew_when_a_plan_is_applied() {
    let cases: [(i32, &str, Change); 3] = [
        (7, "the source lists no image", |source, _| {
            (1..=IMAGES).for_each(|number| source.burn(&id(number)));
        }),
        (
            7,
            "2 of this origin would be, and at most 1",
            |_, target| {
                (10..=IMAGES).for_each(|number| target.burn(&id(number)));
            },
        ),
        // One that is to be copied fails.
        (3, "2 not done", |source, _| {
            let on = FaultOn::kind(RequestKind::Download).times(100);
            source.fault(on, FaultAction::status(500));
        }),
    ];
    for (number, (code, says, change)) in cases.into_iter().enumerate() {
        for grace in ["7d", "0s"] {
            let (source, target) = lost(2, Profile::Today);
            if grace == "0s" {
                livecopy(&source, &target, &[&DELETE[..], &["--yes"]].concat());
            }
            if number == 2 {
                source.add_image(copy(50));
            }
            let dir = TempDir::new().unwrap();
            let file = dir.path().join("plan.json");
            planned(&source, &target, &file, &["--grace", grace]);
            change(&source, &target);
            let before = [1, 2].map(|number| target.image(&id(number)).unwrap().record);
            let ran = ended(code, &["apply", "--retries", "0", path(&file)]);
            assert!(ran.stderr.contains(says), "{ran:?}");
            let after = [1, 2].map(|number| target.image(&id(number)).unwrap().record);
            assert_eq!(after, before, "{ran:?}");
            assert_eq!(target.count(RequestKind::Delete), 0);
        }
    }
}

#[test]
fn the_first_share_of_a_plan_has_all_that_leaves_and_the_others_nothing_of_it() {
    let (source, target) = lost(2, Profile::Today);
    (31..=33).for_each(|number| source.add_image(copy(number)));
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    planned(&source, &target, &file, &[]);
    let share = |share: &str| succeeded(&["apply", "--shard", share, path(&file)]);
    for (number, says) in [(1, "1 copied"), (2, "1 copied")] {
        let ran = share(&format!("{number}/3"));
        assert!(summary(&ran).contains(says), "{ran:?}");
        assert!(!ran.stderr.contains("retired"), "{ran:?}");
        assert!(!is_retired(&target, 1) && !is_retired(&target, 2));
    }
    let ran = share("0/3");
    assert!(summary(&ran).contains("1 copied"), "{ran:?}");
    assert!(summary(&ran).contains("2 retired"), "{ran:?}");
}

#[test]
fn a_plan_of_selected_images_and_one_for_an_archive_are_applied_as_well() {
    let (source, target) = lost(2, Profile::Today);
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    target.add_image(copy(1).name("old"));
    // One that both have: else it could be the wrong source.
    let original = ImageSpec::new(&id(5)).name("old");
    source.add_image(original.data(ImageContent::pattern(5, 2000)));
    target.add_image(copy(5).name("old"));
    let plan = planned(&source, &target, &file, &["--select", "name=old"]);
    assert_eq!(actions(&plan), [(id(1), "retire".to_owned())]);
    assert_eq!(summary(&apply(0, &file)), "apply: 1 retired");
    assert!(is_retired(&target, 1) && !is_retired(&target, 2));

    let archive = dir.path().join("archive");
    let origin = ["--origin", "prod"];
    succeeded(&[&["dump", target.host_port(), path(&archive)], &origin[..]].concat());
    let to = format!("dir:{}", path(&archive));
    let ends = [source.host_port(), &to];
    succeeded(&[&["plan", "-o", path(&file)], &DELETE[..], &ends].concat());
    assert_eq!(summary(&apply(0, &file)), "apply: 2 retired");
    assert!(archive.join(".retired").join(id(2)).exists());
    assert_eq!(
        summary(&apply(0, &file)),
        "apply: nothing to do, 2 unchanged"
    );
}

#[test]
fn members_are_read_of_the_images_of_a_plan_alone() {
    let (source, target) = lost(2, Profile::Today);
    for number in 31..=35 {
        let image = copy(number).visibility("shared").member("beta", "accepted");
        source.add_image(image);
        if number > 31 {
            target.add_image(copy(number).visibility("shared").member("beta", "accepted"));
        }
    }
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    planned(&source, &target, &file, &[]);
    source.clear_requests();
    let ran = apply(0, &file);
    assert!(summary(&ran).contains("1 copied"), "{ran:?}");
    assert!(summary(&ran).contains("2 retired"), "{ran:?}");
    let requests = source.requests().into_iter();
    let members = requests.filter(|request| request.target.ends_with("/members"));
    assert_eq!(members.count(), 1);
}
