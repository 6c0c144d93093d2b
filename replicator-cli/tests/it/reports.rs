//! Reports of runs that divided the images, added up.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};
use serde_json::Value;

use crate::kit::images::{glance, id};
use crate::kit::program::run;
use crate::kit::runs::{assert_error, ended, path, succeeded};

/// A server with images of which two are there already, one has no data, and one is not what it
/// says it is.
fn servers() -> (EmbeddedGlance, EmbeddedGlance) {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    for number in 1..=20 {
        let image = ImageSpec::new(&id(number)).name(&format!("image {number}"));
        let image = image.data(ImageContent::pattern(number, 100 * number));
        if number <= 2 {
            target.add_image(image.clone());
        }
        source.add_image(image);
    }
    source.add_image(ImageSpec::new(&id(21)).name("queued"));
    let wrong = ImageSpec::new(&id(22))
        .name("wrong")
        .formats("qcow2", "bare");
    source.add_image(wrong.data(ImageContent::pattern(22, 2000)));
    (source, target)
}

/// Runs each share, and returns the files of the reports.
fn shards(dir: &Path, of: u64, source: &EmbeddedGlance, target: &EmbeddedGlance) -> Vec<PathBuf> {
    let file = |index| dir.join(format!("{index}.json"));
    for index in 0..of {
        let (shard, file) = (format!("{index}/{of}"), file(index));
        let args = ["livecopy", "--shard", &shard, "--report", path(&file)];
        run(&[&args[..], &[source.url(), target.url()]].concat());
    }
    (0..of).map(file).collect()
}

fn merge<'a>(options: &[&'a str], files: impl IntoIterator<Item = &'a PathBuf>) -> Vec<&'a str> {
    let files = files.into_iter().map(|file| path(file));
    let args = ["report", "merge"]
        .into_iter()
        .chain(options.iter().copied());
    args.chain(files).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What became of each image, in a form that does not depend on the order.
fn outcomes(report: &Value) -> BTreeSet<(String, String, Option<u64>)> {
    let images = report["images"].as_array().unwrap().iter();
    let outcome = |image: &Value| {
        let text = |field: &str| image[field].as_str().unwrap().to_owned();
        (text("id"), text("outcome"), image["bytes"].as_u64())
    };
    images.map(outcome).collect()
}

#[test]
fn reports_of_all_shares_are_together_the_one_of_a_run_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = servers();
    let alone = dir.path().join("alone.json");
    let (first, second) = (source.url(), target.url());
    ended(7, &["livecopy", "--report", path(&alone), first, second]);
    let mut alone = json(&fs::read_to_string(&alone).unwrap());

    let (source, target) = servers();
    let files = shards(dir.path(), 3, &source, &target);
    let merged = ended(7, &merge(&["-f", "json"], files.iter().rev()));
    let merged = json(&merged.stdout);
    assert_eq!(outcomes(&merged), outcomes(&alone));
    // Another server, whose port is another one.
    alone["targets"][0]["target"] = merged["targets"][0]["target"].clone();
    for field in [
        "command",
        "selection",
        "selected",
        "targets",
        "exit_code",
        "error",
    ] {
        assert_eq!(merged[field], alone[field], "{field}");
    }
    let parts = merged["parts"].as_array().unwrap();
    let shards: Vec<&str> = parts
        .iter()
        .map(|part| part["shard"].as_str().unwrap())
        .collect();
    assert_eq!(shards, ["0/3", "1/3", "2/3"]);
    let images = parts.iter().map(|part| part["images"].as_u64().unwrap());
    assert_eq!(images.sum::<u64>(), 22);

    let text = ended(7, &merge(&[], &files)).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("3 reports, 22 images"), "{text}");
    assert!(
        lines[1].ends_with("18 copied (20.2 KiB), 2 unchanged, 1 skipped, 1 failed"),
        "{text}"
    );
    assert!(lines[2].starts_with("failed: \"wrong\" (0000"), "{text}");
    assert_eq!(lines.len(), 3, "{text}");
}

#[test]
fn a_share_without_a_report_is_told_and_one_with_two_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = servers();
    let files = shards(dir.path(), 3, &source, &target);
    let few = [&files[1]];
    let ran = run(&merge(&["-f", "json"], few));
    assert!(
        ran.stderr
            .contains("there is no report of the shards 0/3, 2/3"),
        "{ran:?}"
    );
    let report = json(&ran.stdout);
    assert_eq!(
        ran.code,
        Some(if report["targets"][0]["failed"] == 1 {
            7
        } else {
            1
        })
    );
    assert!(
        report["error"].as_str().unwrap().contains("0/3, 2/3"),
        "{report}"
    );

    let again = dir.path().join("again.json");
    fs::copy(&files[2], &again).unwrap();
    let ran = run(&merge(&[], files.iter().chain([&again])));
    assert_error(
        &ran,
        2,
        &[
            "2.json (shard 2/3)",
            "again.json (shard 2/3)",
            "count twice",
        ],
    );
}

#[test]
fn reports_that_are_not_of_one_piece_of_work_are_not_added_up() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = servers();
    let files = shards(dir.path(), 2, &source, &target);
    let another = |name: &str, options: &[&str]| {
        let file = dir.path().join(name);
        let (first, second) = (source.url(), target.url());
        run(&[
            &["livecopy", "--report", path(&file), first, second],
            options,
        ]
        .concat());
        file
    };
    let elsewhere = glance(Profile::Today);
    let (whole, third) = (another("whole", &[]), another("third", &["--shard", "1/3"]));
    let also = another("also", &["--shard", "1/2", elsewhere.url()]);
    let backup = dir.path().join("backup");
    let dump = dir.path().join("dump");
    let share = ["dump", source.url(), path(&backup), "--shard", "1/2"];
    run(&[&share[..], &["--report", path(&dump)]].concat());
    for (file, problem) in [
        (&whole, "whole (all images) do not divide the images alike"),
        (&third, "third (shard 1/3) do not divide the images alike"),
        (&also, "also (shard 1/2) have different targets"),
        (&dump, "dump (shard 1/2) are of different commands"),
    ] {
        assert_error(&run(&merge(&[], [&files[0], file])), 2, &[problem]);
    }
    let list = dir.path().join("list");
    fs::write(
        &list,
        succeeded(&["list", source.url(), "-f", "json"]).stdout,
    )
    .unwrap();
    assert_error(
        &run(&merge(&[], [&list])),
        2,
        &["list is no report of a run", "list/1"],
    );
    let none = dir.path().join("none");
    assert_error(&run(&merge(&[], [&none])), 2, &["cannot read the report"]);
}

#[test]
fn a_run_that_could_not_begin_says_all_the_same_which_share_it_has_left() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = servers();
    let files = shards(dir.path(), 2, &source, &target);
    let args = [
        "livecopy",
        "--shard",
        "1/2",
        "--retries",
        "0",
        "--report",
        path(&files[1]),
    ];
    ended(1, &[&args[..], &["127.0.0.1:1", target.url()]].concat());
    let ran = run(&merge(&["-f", "json"], &files));
    let report = json(&ran.stdout);
    assert_eq!(report["source"], source.url());
    assert!(
        report["error"].as_str().unwrap().contains("127.0.0.1:1"),
        "{report}"
    );
    assert_eq!(report["parts"][1]["shard"], "1/2");
    assert!(!ran.stderr.contains("no report"), "{ran:?}");
    assert!(matches!(ran.code, Some(1 | 7)), "{ran:?}");
}
