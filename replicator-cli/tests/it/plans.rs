//! Plans that are written down, looked at, and applied.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::Path;

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile, RequestKind};
use serde_json::Value;
use tempfile::TempDir;

use crate::kit::background::{spawn, wait_until};
use crate::kit::images::{contents, glance, id, numbered};
use crate::kit::program::{Ran, program};
use crate::kit::runs::{assert_error, ended, path, succeeded, summary};

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The rows of a plan, or of a report, each with this of its fields.
fn rows(document: &Value, field: &str) -> Vec<(String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let rows = document["images"].as_array().unwrap().iter();
    rows.map(|row| (text(row, "id"), text(row, field)))
        .collect()
}

/// Writes a plan from one server to another one.
fn planned(source: &EmbeddedGlance, target: &EmbeddedGlance, file: &Path) -> Ran {
    succeeded(&[
        "plan",
        "-o",
        path(file),
        source.host_port(),
        target.host_port(),
    ])
}

#[test]
fn a_plan_is_applied_once_and_then_nothing_is_left_to_do() {
    let (source, target) = (numbered(3), glance(Profile::Today));
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    let ran = planned(&source, &target, &file);
    assert_eq!(ran.stdout, "plan: would copy 3 (5.9 KiB)\n");
    assert!(ran.stderr.contains("glance-replicator apply "), "{ran:?}");
    let plan = read(&file);
    assert_eq!(plan["schema"], "glance-replicator/plan/1");
    let copied = |number| (id(number), "copy".to_owned());
    assert_eq!(rows(&plan, "action"), [copied(1), copied(2), copied(3)]);
    assert_eq!(target.images().len(), 0);

    let ends = [source.host_port(), target.host_port()];
    let shown = ended(5, &["plan", "--exit-code", ends[0], ends[1]]);
    let dry_run = succeeded(&["livecopy", "--dry-run", ends[0], ends[1]]);
    assert_eq!(shown.stdout.replace("plan: ", "livecopy: "), dry_run.stdout);

    let shown = succeeded(&["apply", "--dry-run", path(&file)]);
    assert_eq!(
        shown.stdout.replace("apply: ", "livecopy: "),
        dry_run.stdout
    );
    assert_eq!(target.images().len(), 0);
    let ran = succeeded(&["apply", path(&file)]);
    assert!(summary(&ran).starts_with("apply: 3 copied"), "{ran:?}");
    assert_eq!(contents(&target), contents(&source));
    for _ in 0..2 {
        target.clear_requests();
        let ran = succeeded(&["apply", path(&file)]);
        assert_eq!(summary(&ran), "apply: nothing to do, 3 unchanged");
        assert_eq!(target.count(RequestKind::Create), 0);
    }
    succeeded(&["plan", "--exit-code", ends[0], ends[1]]);
}

#[test]
fn what_has_changed_since_the_plan_is_told_and_left_alone() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    let image = |number: u64| {
        let image = ImageSpec::new(&id(number)).name("image");
        image.data(ImageContent::pattern(number, 2000))
    };
    (1..=10).for_each(|number| source.add_image(image(number)));
    // To be updated.
    (8..=10).for_each(|number| target.add_image(image(number).name("old")));
    let dir = TempDir::new().unwrap();
    let [file, report] = ["plan.json", "report.json"].map(|name| dir.path().join(name));
    planned(&source, &target, &file);

    source.burn(&id(1));
    source.add_image(
        ImageSpec::new(&id(2))
            .name("image")
            .data(ImageContent::pattern(99, 2000)),
    );
    source.add_image(image(3).name("renamed"));
    source.add_image(image(4).status("deactivated"));
    target.add_image(image(5));
    target.add_image(image(6).name("of somebody else"));
    // 7 stays as it was.
    target.add_image(image(8).name("another"));
    target.burn(&id(9));
    // 10 stays to be updated, and 11 is new.
    source.add_image(image(11));

    let arguments = ["apply", "--report", path(&report), path(&file)];
    let ran = ended(5, &arguments);
    let report = read(&report);
    let outcome = |number, word: &str| (id(number), word.to_owned());
    let mut outcomes = rows(&report, "outcome");
    outcomes.sort();
    let expected = [
        outcome(1, "stale"),
        outcome(2, "stale"),
        outcome(3, "stale"),
        outcome(4, "stale"),
        // With what was approved, the image of somebody else is as it was to be.
        outcome(6, "metadata_updated"),
        outcome(7, "copied"),
        outcome(8, "stale"),
        outcome(9, "stale"),
        outcome(10, "metadata_updated"),
    ];
    assert_eq!(outcomes, expected, "{ran:?}");
    let mut reasons = rows(&report, "reason");
    reasons.sort();
    reasons.retain(|(_, reason)| !reason.is_empty());
    let expected = [
        (1, "gone"),
        (2, "content"),
        (3, "metadata"),
        (4, "metadata"),
        (8, "metadata"),
        (9, "action"),
    ];
    assert_eq!(
        reasons,
        expected.map(|(number, word)| outcome(number, word))
    );
    assert_eq!(report["targets"][0]["stale"], 6);
    assert!(
        ran.stderr.contains(
            "stale: image \"image\" (00000000-0000-4000-8000-000000000002): its \
        data at the source is other data by now\n"
        ),
        "{ran:?}"
    );
    assert!(
        summary(&ran).ends_with("1 unchanged, 6 not as planned any more"),
        "{ran:?}"
    );
    assert!(target.image(&id(11)).is_none());
    assert!(target.image(&id(3)).is_none());
}

#[test]
fn an_apply_that_was_killed_is_run_again() {
    let source = numbered(9);
    let target = EmbeddedGlance::builder().throttle(8000);
    let target = target.start_blocking().unwrap();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    planned(&source, &target, &file);
    for _ in 0..2 {
        let uploads = || target.count(RequestKind::Upload);
        let before = uploads();
        let mut child = spawn(&["apply", "--transfers", "2", path(&file)]);
        // It may have done all of it, on a machine that is busy with others.
        wait_until(|| uploads() > before || child.try_wait().unwrap().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        // The server notices that the uploads have broken off.
        wait_until(|| target.images().iter().all(|image| image.status != "saving"));
    }
    let ran = succeeded(&["apply", path(&file)]);
    assert!(!ran.stderr.contains("stale"), "{ran:?}");
    assert_eq!(contents(&target), contents(&source));
    let ran = succeeded(&["apply", path(&file)]);
    assert_eq!(summary(&ran), "apply: nothing to do, 9 unchanged");
}

#[test]
fn shares_of_a_plan_are_all_of_it_and_none_of_it_twice() {
    let source = numbered(9);
    let targets = [glance(Profile::Today), glance(Profile::Today)];
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    let [a, b] = targets.each_ref().map(EmbeddedGlance::host_port);
    succeeded(&["plan", "-o", path(&file), source.host_port(), a, b]);
    source.clear_requests();
    for share in ["0/4", "1/4", "2/4", "3/4"] {
        let ran = succeeded(&["apply", "--shard", share, path(&file)]);
        let count = if share == "0/4" { 3 } else { 2 };
        let copied = format!("apply: {count} copied");
        assert!(ran.stderr.matches(&copied).count() == 2, "{share}: {ran:?}");
    }
    assert_eq!(source.count(RequestKind::Download), 9);
    for target in &targets {
        assert_eq!(target.count(RequestKind::Create), 9);
        assert_eq!(contents(target), contents(&source));
    }
    let ran = succeeded(&["apply", "--shard", "20/30", path(&file)]);
    assert_eq!(
        summary(&ran),
        "apply: nothing to do, the plan approves nothing"
    );
}

#[test]
fn a_plan_has_its_options_and_absolute_paths_and_no_token() {
    let source = EmbeddedGlance::builder();
    let source = source.token("s3cret-token", glance_client::testing::Caller::admin());
    let source = source.start_blocking().unwrap();
    let data = ImageContent::pattern(1, 2000);
    let image = ImageSpec::new(&id(1)).property("os_type", "linux");
    source.add_image(image.property("a", "s3cret-token").data(data));
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    let run = |args: &[&str]| -> Ran {
        let mut program = program();
        program.env("GLANCE_REPLICATOR_SOURCETOKEN", "s3cret-token");
        program
            .current_dir(dir.path())
            .args(args)
            .output()
            .unwrap()
            .into()
    };
    let options = ["--drop-property", "os_*", "--set-property", "copied=yes"];
    let ends = ["-o", "plan.json", source.host_port(), "dir:backup"];
    let ran = run(&[&["plan"], &options[..], &ends[..]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!fs::read_to_string(&file).unwrap().contains("s3cret"));
    let plan = read(&file);
    let backup = dir.path().join("backup");
    assert_eq!(plan["targets"][0]["end"], format!("dir:{}", path(&backup)));
    assert_eq!(
        plan["options"],
        serde_json::json!(["--drop-property=os_*", "--set-property=copied=yes"])
    );
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let mut program = program();
    program.env("GLANCE_REPLICATOR_SOURCETOKEN", "s3cret-token");
    let ran = program
        .current_dir(&elsewhere)
        .args(["apply", "../plan.json"]);
    let ran = Ran::from(ran.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let copy = fs::read_to_string(backup.join(id(1))).unwrap();
    assert!(
        copy.contains("copied") && !copy.contains("os_type"),
        "{copy}"
    );
}

#[test]
fn what_is_taken_out_of_a_plan_or_refused_by_it_is_not_done() {
    let (source, target) = (numbered(3), glance(Profile::Today));
    // Another image of that id, which fails.
    target.add_image(ImageSpec::new(&id(3)).data(ImageContent::pattern(9, 5)));
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    let ends = [source.host_port(), target.host_port()];
    let ran = ended(6, &["plan", "-o", path(&file), ends[0], ends[1]]);
    assert!(ran.stderr.contains("would fail: "), "{ran:?}");
    let mut plan = read(&file);
    assert_eq!(rows(&plan, "action")[2], (id(3), "fail".to_owned()));
    plan["images"].as_array_mut().unwrap().remove(0);
    fs::write(&file, plan.to_string()).unwrap();
    let ran = succeeded(&["apply", path(&file)]);
    assert!(summary(&ran).starts_with("apply: 1 copied"), "{ran:?}");
    assert!(target.image(&id(1)).is_none() && target.image(&id(2)).is_some());
}

#[test]
fn a_file_that_is_no_plan_of_these_ends_is_an_error_before_anything_is_done() {
    let (source, target) = (numbered(1), glance(Profile::Today));
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    planned(&source, &target, &file);
    let text = fs::read_to_string(&file).unwrap();
    let named = format!("\"name\":\"http://{}\"", target.host_port());
    let cut = &text[..text.len() - 20];
    for (text, says) in [
        (cut.to_owned(), "is cut short"),
        (text.replace("plan/1", "plan/7"), "glance-replicator/plan/7"),
        (text.replace("\"options\":[", "\"options\":[\"--x\""), "--x"),
    ] {
        fs::write(&file, text).unwrap();
        assert_error(
            &ended(2, &["apply", path(&file)]),
            2,
            &["cannot be applied", says],
        );
    }
    let moved = format!("http://{}", target.host_port());
    assert!(text.contains(&named));
    fs::write(
        &file,
        text.replace(&moved, "http://elsewhere:1").replacen(
            "\"end\":\"http://elsewhere:1\"",
            &format!("\"end\":\"{moved}\""),
            1,
        ),
    )
    .unwrap();
    let ran = ended(2, &["apply", path(&file)]);
    assert_error(&ran, 2, &["the plan is for http://elsewhere:1"]);
    assert_eq!(target.images().len(), 0);
}

#[test]
fn what_a_target_has_too_little_room_for_is_told_by_the_plan() {
    let source = glance(Profile::Today);
    for number in 1..=3 {
        let data = ImageContent::zeros(1 << 20);
        source.add_image(ImageSpec::new(&id(number)).data(data));
    }
    let target = EmbeddedGlance::builder().project_limit(2);
    let target = target.start_blocking().unwrap();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    let ends = [source.host_port(), target.host_port()];
    let ran = ended(3, &["plan", "-o", path(&file), ends[0], ends[1]]);
    let told = "it has room for 2.0 MiB, and 3.0 MiB are to be copied";
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert_eq!(read(&file)["totals"][0]["too_much"], told);
    // A directory says what its disk has.
    succeeded(&["plan", "-o", path(&file), ends[0], "dir:/tmp/none/yet"]);
    assert_eq!(read(&file)["totals"][0]["too_much"], Value::Null);
    succeeded(&["plan", "--image", &id(1), ends[0], ends[1]]);
}
