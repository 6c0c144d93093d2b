//! The results of runs that divided a plan, a mirror or a verification, added up.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};
use serde_json::Value;
use tempfile::TempDir;

use crate::deletion::lost;
use crate::kit::images::{glance, id};
use crate::kit::program::run;
use crate::kit::runs::{assert_error, ended, path, succeeded};

const SHARES: u64 = 3;

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Runs each share, and returns the sum of their reports.
fn merged(dir: &Path, code: i32, args: &[&str]) -> Value {
    let files = (0..SHARES).map(|index| dir.join(format!("report-{index}.json")));
    let files: Vec<PathBuf> = files.collect();
    for (index, file) in files.iter().enumerate() {
        let share = format!("{index}/{SHARES}");
        run(&[&["--report", path(file), "--shard", &share], args].concat());
    }
    sum(code, &files)
}

fn sum(code: i32, files: &[PathBuf]) -> Value {
    let files = files.iter().map(|file| path(file));
    let args = ["report", "merge", "-f", "json"].into_iter().chain(files);
    let ran = ended(code, &args.collect::<Vec<_>>());
    serde_json::from_str(&ran.stdout).unwrap()
}

fn alone(dir: &Path, code: i32, args: &[&str]) -> Value {
    let file = dir.join("alone.json");
    ended(code, &[&["--report", path(&file)], args].concat());
    read(&file)
}

/// Fails unless the sum says what a run alone has said, but for the places of its servers.
fn assert_same(merged: &Value, alone: &Value) {
    let outcomes = |report: &Value| -> BTreeSet<String> {
        let images = report["images"].as_array().unwrap().iter();
        let fields = ["id", "outcome", "reason", "bytes"];
        let row = |image: &Value| fields.map(|field| image[field].to_string()).join(" ");
        images.map(row).collect()
    };
    assert_eq!(outcomes(merged), outcomes(alone));
    for field in ["command", "selected", "exit_code", "error"] {
        assert_eq!(merged[field], alone[field], "{field}");
    }
    let totals = |report: &Value| {
        let mut totals = report.pointer("/targets/0").cloned().unwrap();
        totals.as_object_mut().unwrap().remove("target");
        totals
    };
    assert_eq!(totals(merged), totals(alone));
}

/// A target that has lost two of its originals, and lacks some images of the source.
fn ends() -> (EmbeddedGlance, EmbeddedGlance) {
    let (source, target) = lost(2, Profile::Today);
    for number in 31..=39 {
        let data = ImageContent::pattern(number, 100 * number);
        source.add_image(ImageSpec::new(&id(number)).data(data));
    }
    (source, target)
}

#[test]
fn shares_of_a_plan_are_together_the_plan() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("plan.json");
    let planned = || {
        let (source, target) = ends();
        let ends = [source.host_port(), target.host_port()];
        let delete = ["--origin", "prod", "--delete"];
        succeeded(&[&["plan", "-o", path(&file)], &delete[..], &ends].concat());
        // It is not what it was.
        let data = ImageContent::pattern(99, 5);
        source.add_image(ImageSpec::new(&id(35)).data(data));
        (source, target)
    };
    let _ends = planned();
    let one = alone(dir.path(), 5, &["apply", path(&file)]);
    let totals = &one["targets"][0];
    assert_eq!(
        (&totals["copied"], &totals["retired"], &totals["stale"]),
        (&8.into(), &2.into(), &1.into())
    );
    let _ends = planned();
    let all = merged(dir.path(), 5, &["apply", path(&file)]);
    assert_same(&all, &one);
    let text = ended(5, &merge_of(dir.path()).each_ref().map(String::as_str)).stdout;
    assert!(text.contains("2 retired"), "{text}");
}

/// The arguments that add the reports of a directory up.
fn merge_of(dir: &Path) -> [String; 5] {
    let file = |index| path(&dir.join(format!("report-{index}.json"))).to_owned();
    [
        "report".to_owned(),
        "merge".to_owned(),
        file(0),
        file(1),
        file(2),
    ]
}

#[test]
fn shares_of_a_mirror_are_together_the_mirror() {
    let dir = TempDir::new().unwrap();
    let args = |ends: &(EmbeddedGlance, EmbeddedGlance)| {
        let ends = [ends.0.host_port(), ends.1.host_port()].map(str::to_owned);
        let args = ["livecopy", "--origin", "prod", "--delete", "--yes"].map(str::to_owned);
        [&args[..], &ends].concat()
    };
    let of = |args: &[String]| -> Vec<String> { args.to_vec() };
    let first = ends();
    let words = of(&args(&first));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let one = alone(dir.path(), 0, &words);
    assert_eq!(one["targets"][0]["retired"], 2);
    let second = ends();
    let words = of(&args(&second));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_same(&merged(dir.path(), 0, &words), &one);
}

#[test]
fn shares_of_a_verification_are_together_the_verification() {
    let dir = TempDir::new().unwrap();
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    for number in 1..=20 {
        let image = ImageSpec::new(&id(number)).data(ImageContent::pattern(number, 100));
        source.add_image(image.clone());
        match number {
            3 => {}
            7 => target.add_image(image.data(ImageContent::pattern(99, 100))),
            _ => target.add_image(image),
        }
    }
    let ends = [source.host_port(), target.host_port()];
    let verify = |options: &[&str], file: &Path| {
        let ran = run(&[&["verify", "-f", "json"], options, &ends].concat());
        fs::write(file, &ran.stdout).unwrap();
    };
    let whole = dir.path().join("whole.json");
    verify(&[], &whole);
    let whole = read(&whole);
    assert_eq!(whole["exit_code"], 6);
    let files = (0..SHARES).map(|index| dir.path().join(format!("report-{index}.json")));
    let files: Vec<PathBuf> = files.collect();
    for (index, file) in files.iter().enumerate() {
        verify(&["--shard", &format!("{index}/{SHARES}")], file);
    }
    let all = sum(6, &files);
    for field in ["schema", "source", "target", "by", "totals", "exit_code"] {
        assert_eq!(all[field], whole[field], "{field}");
    }
    let problems = |document: &Value| -> BTreeSet<String> {
        let problems = document["problems"].as_array().unwrap().iter();
        problems.map(ToString::to_string).collect()
    };
    assert_eq!(problems(&all), problems(&whole));
    assert_eq!(all["parts"][1]["shard"], "1/3");
    let merge = merge_of(dir.path());
    let merge = merge.each_ref().map(String::as_str);
    let text = ended(6, &merge).stdout;
    assert!(text.contains(&format!("{}: missing\n", id(3))), "{text}");
    let last = "verify: 3 reports, 18 same digest on record, 1 missing, 1 failed\n";
    assert!(text.ends_with(last), "{text}");

    // One is lacking, or twice there, or of another way to look.
    let few = ended(6, &merge[..4]);
    assert!(few.stderr.contains("no report of the shard 2/3"), "{few:?}");
    assert_error(
        &run(&[&merge[..], &[merge[2]]].concat()),
        2,
        &["count twice"],
    );
    let probed = dir.path().join("probed.json");
    verify(&["--shard", "2/3", "--probe"], &probed);
    let other = [&merge[..4], &[path(&probed)]].concat();
    assert_error(&run(&other), 2, &["did not look in the same way"]);
}
