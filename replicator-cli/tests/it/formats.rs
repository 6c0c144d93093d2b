//! The forms of a result: `--format` and `--column`.
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::thread;

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};
use serde_json::{Value, json};

use crate::kit::images::{filled, glance, id};
use crate::kit::program::{Ran, run};
use crate::kit::runs::{path, succeeded};

/// A source, and a target that lacks one image, has one of its own, and another name of a third.
fn two_ends() -> (EmbeddedGlance, EmbeddedGlance) {
    let (source, target) = (glance(Profile::default()), glance(Profile::default()));
    let image = |number, name| {
        ImageSpec::new(&id(number))
            .name(name)
            .data(ImageContent::pattern(number, 5))
    };
    source.add_image(image(1, "=cmd|' /C calc'!A0"));
    source.add_image(image(2, "same"));
    source.add_image(image(3, "new, \"name\"\u{1b}[1m"));
    target.add_image(image(2, "same"));
    target.add_image(image(3, "old"));
    target.add_image(image(4, "alone"));
    (source, target)
}

fn compared(options: &[&str]) -> Ran {
    let (source, target) = two_ends();
    let ends = ["compare", source.url(), target.url()];
    succeeded(&[&ends, options].concat())
}

#[test]
fn json_is_one_document_with_its_schema() {
    let ran = compared(&["--format", "json"]);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["schema"], "glance-replicator/compare/1");
    let totals = json!({
        "compared": 3, "differ": 1, "missing": 1, "only_at_target": 1, "damaged": 0,
        "other_newest": 0,
    });
    assert_eq!(document["totals"], totals);
    let differences = document["differences"].as_array().unwrap();
    let words = differences
        .iter()
        .map(|row| (&row["id"], &row["difference"]));
    let expected = [(1, "missing"), (3, "differs"), (4, "only_at_target")];
    let expected = expected.map(|(number, word)| (json!(id(number)), json!(word)));
    assert!(
        words.eq(expected.iter().map(|(id, word)| (id, word))),
        "{document}"
    );
    assert_eq!(differences[1]["source"], "new, \"name\"\u{1b}[1m");
    assert_eq!(differences[1]["target"], "old");
    // What people read is elsewhere.
    let summary = "3 images compared: 1 differs, 1 missing, 1 only at the target\n";
    assert!(ran.stderr.ends_with(summary), "{ran:?}");
    let first = ran.stdout.lines().next().unwrap();
    assert_eq!(
        first,
        r#"{"schema":"glance-replicator/compare/1","differences":["#
    );
}

#[test]
fn every_line_of_jsonl_is_an_object_whose_keys_keep_their_order() {
    let ran = compared(&["-f", "jsonl"]);
    assert_eq!(compared(&["-f", "ndjson"]).stdout, ran.stdout);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3);
    let keys = [
        r#"{"id":"#,
        r#","name":"#,
        r#","difference":"#,
        r#","side":"#,
    ];
    for line in lines {
        serde_json::from_str::<Value>(line).unwrap();
        let places = keys.map(|key| line.find(key).unwrap());
        assert!(places.is_sorted(), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
}

#[test]
fn csv_is_safe_in_a_spreadsheet_and_on_a_terminal() {
    let ran = compared(&["-f", "csv"]);
    let (one, three, four) = (id(1), id(3), id(4));
    let expected = format!(
        "id,name,difference,field,source,target\n\
         {one},'=cmd|' /C calc'!A0,missing,,,\n\
         {three},\"new, \"\"name\"\"\\u{{1b}}[1m\",differs,name,\"new, \"\"name\"\"\\u{{1b}}[1m\",old\n\
         {four},alone,only_at_target,,,\n"
    );
    assert_eq!(ran.stdout, expected);
}

#[test]
fn values_and_columns_are_those_that_are_asked_for() {
    let ran = compared(&[
        "-f",
        "value",
        "--column",
        "Difference,field",
        "--column",
        "id",
    ]);
    let (one, three, four) = (id(1), id(3), id(4));
    let expected =
        format!("missing None {one}\ndiffers name {three}\nonly_at_target None {four}\n");
    assert_eq!(ran.stdout, expected);
    let ran = compared(&["-f", "json", "--column", "id", "--column", "difference"]);
    let first = format!("{{\"id\":\"{one}\",\"difference\":\"missing\"}},");
    assert_eq!(ran.stdout.lines().nth(1), Some(&*first));
}

#[test]
fn table_has_lines_around_it_and_text_with_columns_has_none() {
    let columns = ["--column", "id,difference,field"];
    let table = compared(&[&columns[..], &["-f", "table"]].concat());
    let (one, three, four) = (id(1), id(3), id(4));
    let expected = format!(
        "\
+--------------------------------------+----------------+-------+
| id                                   | difference     | field |
+===============================================================+
| {one} | missing        |       |
| {three} | differs        | name  |
| {four} | only_at_target |       |
+--------------------------------------+----------------+-------+
"
    );
    assert_eq!(table.stdout, expected);
    let expected = format!(
        "\
id                                    difference      field
{one}  missing
{three}  differs         name
{four}  only_at_target
"
    );
    assert_eq!(compared(&columns).stdout, expected);
}

#[test]
fn text_has_what_only_the_target_has_if_it_is_asked_for() {
    let missing = format!(
        "Image {} (\"=cmd|' /C calc'!A0\") entirely missing from the destination\n",
        id(1)
    );
    let field = format!(
        "{}: field name differs (source is new, \"name\"\\u{{1b}}[1m, destination is old)\n",
        id(3)
    );
    let alone = format!(
        "Image {} (\"alone\") entirely missing from the source\n",
        id(4)
    );
    assert_eq!(compared(&[]).stdout, format!("{missing}{field}"));
    assert_eq!(
        compared(&["--both"]).stdout,
        format!("{missing}{field}{alone}")
    );
}

#[test]
fn image_of_the_target_alone_is_a_difference_if_it_is_asked_for() {
    let (source, target) = (glance(Profile::default()), glance(Profile::default()));
    target.add_image(ImageSpec::new(&id(1)));
    let (source, target) = (source.url(), target.url());
    let compare = ["compare", source, target, "--exit-code"];
    assert_eq!(run(&compare).code, Some(0));
    assert_eq!(run(&[&compare[..], &["--both"]].concat()).code, Some(5));
}

#[test]
fn result_of_a_run_is_a_document_of_all_its_images() {
    let (source, target) = two_ends();
    let ends = [source.url(), target.url()];
    let copy = [&["livecopy", "-f", "json"], &ends[..]].concat();
    let planned = succeeded(&[&copy[..], &["--dry-run"]].concat());
    let planned: Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(planned["schema"], "glance-replicator/dry-run/1");
    let actions = planned["images"].as_array().unwrap().iter();
    let actions: Vec<&Value> = actions.map(|image| &image["action"]).collect();
    assert_eq!(actions, ["copy", "update_metadata"]);
    let changes = &planned["images"][1]["changes"];
    assert_eq!(changes[0]["found"], "old");

    let ran = succeeded(&copy);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["schema"], "glance-replicator/run/1");
    assert_eq!(
        (&document["command"], &document["exit_code"]),
        (&json!("livecopy"), &json!(0))
    );
    assert_eq!(document["source"], source.url());
    let totals = &document["targets"][0];
    assert_eq!(
        (&totals["copied"], &totals["bytes"]),
        (&json!(1), &json!(5))
    );
    assert_eq!(
        (&totals["metadata_updated"], &totals["unchanged"]),
        (&json!(1), &json!(1))
    );
    let images = document["images"].as_array().unwrap();
    let copied = images.iter().find(|image| image["id"] == id(1)).unwrap();
    assert_eq!(
        (&copied["outcome"], &copied["bytes"]),
        (&json!("copied"), &json!(5))
    );
    assert_eq!(
        (&copied["proof"], &copied["reason"]),
        (&json!("verified"), &Value::Null)
    );
    assert!(copied["seconds"].as_f64().is_some(), "{copied}");
}

#[test]
fn report_of_a_run_is_written_however_it_ends() {
    let (source, target) = two_ends();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let copy = ["livecopy", "--report", path.to_str().unwrap(), source.url()];
    let report = || -> Value { serde_json::from_slice(&fs::read(&path).unwrap()).unwrap() };

    let ran = succeeded(&[&copy[..], &[target.url()]].concat());
    assert_eq!(ran.stdout, "");
    assert_eq!(report()["schema"], "glance-replicator/run/1");
    assert_eq!(report()["images"].as_array().unwrap().len(), 2);
    assert_eq!(report()["selected"], json!({"images": 3, "of": 3}));
    assert_eq!(
        (&report()["exit_code"], &report()["error"]),
        (&json!(0), &Value::Null)
    );
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let ran = run(&[&copy[..], &["127.0.0.1:1"]].concat());
    assert_eq!((ran.code, &report()["exit_code"]), (Some(1), &json!(1)));
    assert_eq!(report()["targets"][0]["target"], "http://127.0.0.1:1");
    let error = report()["error"].as_str().unwrap().to_owned();
    assert!(
        error.starts_with("cannot connect to http://127.0.0.1:1"),
        "{error}"
    );

    // One of two targets is left out.
    let ran = run(&[&copy[..], &["127.0.0.1:1", target.url()]].concat());
    assert_eq!(ran.code, Some(1));
    let targets = &report()["targets"];
    assert!(
        targets[0]["error"].is_string() && targets[1]["error"].is_null(),
        "{targets}"
    );
    assert_eq!(targets[1]["unchanged"], 3);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn report_that_cannot_be_written_ends_the_run_before_it_begins() {
    let (source, target) = two_ends();
    let copy = [
        "livecopy",
        source.url(),
        target.url(),
        "--report",
        "/proc/none/x",
    ];
    let ran = run(&copy);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("error: cannot write "), "{ran:?}");
    assert_eq!(target.images().len(), 3);
}

#[test]
fn what_is_written_to_a_named_pipe_arrives_and_the_pipe_stays() {
    let (source, target) = two_ends();
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    for (command, option, begin) in [
        ("plan", "-o", "{\"schema\":\"glance-replicator/plan/1\""),
        ("status", "--html", "<!doctype html>"),
        ("status", "--metrics-file", "# HELP "),
        ("livecopy", "--metrics-file", "# HELP "),
        (
            "livecopy",
            "--report",
            "{\"schema\":\"glance-replicator/run/1\"",
        ),
    ] {
        let args = [command, source.url(), target.url(), option, path(&pipe)];
        let (ran, text) = thread::scope(|scope| {
            let read = scope.spawn(|| fs::read_to_string(&pipe).unwrap());
            let ran = run(&args);
            // A reader to whom nobody has written waits no longer.
            let both = OpenOptions::new().read(true).write(true).open(&pipe);
            drop(both.unwrap());
            (ran, read.join().unwrap())
        });
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(text.starts_with(begin), "{args:?}: {text}");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn result_of_size_check_and_verify_in_other_formats() {
    let glance = filled(Profile::default());
    let endpoint = glance.url();
    let size = succeeded(&["size", endpoint, "-f", "csv"]);
    let bytes = 3_070_006;
    let expected = format!("end,images,bytes,unusable\n{endpoint},5,{bytes},0\n");
    assert_eq!(size.stdout, expected);
    let check = succeeded(&["check", endpoint, "-f", "json"]);
    let check: Value = serde_json::from_str(&check.stdout).unwrap();
    assert_eq!(check["ends"][0]["end"], endpoint);
    assert!(
        check["ends"][0]["page_images"].as_u64() > Some(0),
        "{check}"
    );
    let empty = crate::kit::images::glance(Profile::default());
    let verify = run(&["verify", endpoint, empty.url(), "-f", "json"]);
    assert_eq!(verify.code, Some(6));
    let verify: Value = serde_json::from_str(&verify.stdout).unwrap();
    assert_eq!(verify["totals"]["missing"], 5);
    assert_eq!(verify["problems"][0]["problem"], "missing");
    assert_eq!(verify["problems"][0]["name"], "image 1");
}

#[test]
fn document_that_is_not_whole_is_none() {
    // The second page never comes.
    let source = glance(Profile::default());
    source.add_image(ImageSpec::new(&id(1)).data(ImageContent::pattern(1, 5)));
    let ran = run(&["compare", source.url(), "127.0.0.1:1", "-f", "json"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(1), ""));
}

#[test]
fn unknown_column_is_a_usage_error_that_names_near_ones() {
    let compare = |column| run(&["compare", "a:1", "b:1", "-f", "csv", "--column", column]);
    let slip = compare("feild");
    assert_eq!((slip.code, &*slip.stdout), (Some(2), ""));
    let expected = "error: \"feild\" is no column of the result: near ones are field\n";
    assert_eq!(slip.stderr, expected);
    let other = compare("xyz");
    assert!(
        other.stderr.contains("the columns are id, name,"),
        "{other:?}"
    );
}

#[test]
fn a_column_that_is_asked_for_twice_is_a_usage_error() {
    for columns in ["id,id", "id,ID", "property:a,name,property:a"] {
        let ran = run(&["list", "a:1", "-f", "json", "--column", columns]);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""));
        assert!(ran.stderr.contains(" is asked for twice"), "{ran:?}");
    }
}
