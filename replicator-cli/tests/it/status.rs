//! `status`: the table, the page and the metrics.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};
use serde_json::{Value, json};

use crate::deletion::{livecopy, lost};
use crate::kit::images::{glance, id};
use crate::kit::program::{Ran, run};
use crate::kit::runs::path;

const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\u{1b}[2J";

fn image(number: u64, name: &str) -> ImageSpec {
    let image = ImageSpec::new(&id(number)).name(name);
    image
        .data(ImageContent::pattern(number, 1000 * number))
        .created_at(1_700_000_000 + 86_400 * number)
}

/// A source, a target that differs in many ways, and one that has nothing.
fn ends() -> [EmbeddedGlance; 3] {
    let [source, target, empty] = [(); 3].map(|()| glance(Profile::Today));
    for number in 1..=5 {
        source.add_image(image(number, "debian"));
    }
    source.add_image(image(6, HOSTILE));
    source.add_image(ImageSpec::new(&id(7)).name("queued"));
    target.add_image(image(1, "debian"));
    target.add_image(image(2, "renamed"));
    let other = image(3, "debian").data(ImageContent::pattern(99, 3000));
    target.add_image(other);
    target.add_image(ImageSpec::new(&id(4)).name("debian"));
    target.add_image(image(8, "alone"));
    [source, target, empty]
}

fn status(ends: &[EmbeddedGlance], options: &[&str]) -> Ran {
    let urls = ends.iter().map(EmbeddedGlance::url);
    let args: Vec<&str> = ["status"].into_iter().chain(urls).collect();
    run(&[&args, options].concat())
}

/// A text without what differs from run to run: the places of servers, and ages.
fn plain(text: &str, ends: &[EmbeddedGlance]) -> String {
    let names = ["SOURCE", "TARGET", "EMPTY"];
    let mut text = text.to_owned();
    for (end, name) in ends.iter().zip(names) {
        text = text.replace(end.url(), name);
    }
    let lines = text.lines().map(|line| {
        let words = line.split(' ').filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn text_is_a_table_of_what_differs_with_a_column_for_each_target_and_the_totals() {
    let ends = ends();
    let ran = status(&ends, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let text = plain(&ran.stdout, &ends);
    let (table, totals) = text.split_once("\n\n").unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "image size TARGET EMPTY");
    assert_eq!(
        lines[2],
        format!("\"debian\" ({}) 2.0 KiB metadata missing", id(2))
    );
    assert_eq!(lines.len(), 8, "{table}");
    assert!(lines[7].ends_with("only there -"), "{table}");
    let totals: Vec<&str> = totals.lines().collect();
    assert_eq!(
        totals[0],
        "target equal missing metadata content incomplete only there skipped newest of a name \
         oldest difference"
    );
    assert!(
        totals[1].starts_with("TARGET 1 2 1 1 1 1 1 0 of 2 "),
        "{totals:?}"
    );
    assert!(
        totals[2].starts_with("EMPTY 0 6 0 0 0 0 1 0 of 2 "),
        "{totals:?}"
    );
    assert!(
        ran.stderr.contains(": 5 differences, the oldest of "),
        "{ran:?}"
    );
    let same = [&ends[0], &ends[0]].map(EmbeddedGlance::url);
    assert_eq!(run(&["status", same[0], same[1]]).code, Some(2));
}

#[test]
fn data_has_every_image_at_every_target() {
    let ends = ends();
    let ran = status(&ends, &["-f", "json", "--exit-code"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["schema"], "glance-replicator/status/1");
    let images = document["images"].as_array().unwrap();
    assert_eq!(images.len(), 8 + 7);
    let target = &document["targets"][0];
    assert_eq!(
        target["states"]["content"],
        json!({"images": 1, "bytes": 3000})
    );
    assert_eq!(target["differences"], 5);
    let oldest = image_at(images, 3, 0)["since"].as_str().unwrap();
    assert!(document["targets"][1]["oldest"].as_str().unwrap() <= oldest);
    let renamed = image_at(images, 2, 0);
    assert_eq!(
        (&renamed["state"], &renamed["fields"]),
        (&json!("metadata"), &json!(["name"]))
    );
    let other = image_at(images, 3, 0);
    let message = other["message"].as_str().unwrap();
    assert!(message.contains("another image of that id"), "{message}");
    assert_eq!(image_at(images, 5, 0)["newest"], true);
}

#[test]
fn a_copy_that_waits_for_its_deletion_is_told_as_retired_and_is_no_difference() {
    let dir = tempfile::tempdir().unwrap();
    let [page, metrics] = ["page.html", "x.prom"].map(|name| dir.path().join(name));
    for profile in [Profile::Today, Profile::V1Only] {
        let (source, target) = lost(1, profile);
        livecopy(&source, &target, &["--origin", "prod", "--delete", "--yes"]);
        target.add_image(image(31, "alone"));
        let ends = [source, target];
        let files = ["--html", path(&page), "--metrics-file", path(&metrics)];
        let ran = status(&ends, &[&["--exit-code"], &files[..]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let text = plain(&ran.stdout, &ends);
        assert!(text.contains("2.0 KiB retired\n"), "{text}");
        assert!(text.contains("equal only there retired newest"), "{text}");
        let text = fs::read_to_string(&metrics).unwrap();
        let labels = ["state=\"retired\""];
        let count = value(&text, "glance_replicator_status_images", &labels);
        assert_eq!(count.as_deref(), Some("1"));
        let html = fs::read_to_string(&page).unwrap();
        assert!(html.contains("as the source does not have it any more"));
        let ran = status(&ends, &["-f", "json"]);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        let images = document["images"].as_array().unwrap();
        let retired = image_at(images, 1, 0);
        assert_eq!(retired["state"], "retired");
        assert_eq!(retired["since"], Value::Null);
        let message = retired["message"].as_str().unwrap();
        assert!(message.starts_with("since 20"), "{message}");
        assert_eq!(image_at(images, 31, 0)["state"], "only_there");
    }
}

/// The row of an image at a target, of rows in order of images and targets.
fn image_at(images: &[Value], number: u64, target: usize) -> &Value {
    let mut rows = images.iter().filter(|row| row["id"] == id(number).as_str());
    rows.nth(target).unwrap()
}

#[test]
fn a_target_that_is_down_is_named_and_the_others_are_shown() {
    let ends = ends();
    let dir = tempfile::tempdir().unwrap();
    let [page, metrics] = ["page.html", "x.prom"].map(|name| dir.path().join(name));
    let down = "http://127.0.0.1:9";
    let files = ["--html", path(&page), "--metrics-file", path(&metrics)];
    let (source, target) = (ends[0].url(), ends[1].url());
    let ran = run(&[
        &["--retries", "0", "status", source, down, target],
        &files[..],
    ]
    .concat());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("error: "), "{ran:?}");
    assert!(
        fs::read_to_string(&page)
            .unwrap()
            .contains("cannot connect")
    );
    let text = fs::read_to_string(&metrics).unwrap();
    let up = |target: &str| {
        format!("glance_replicator_status_target_up{{source=\"{source}\",target=\"{target}\"}}")
    };
    assert!(text.contains(&format!("{} 0\n", up(down))), "{text}");
    assert!(text.contains(&format!("{} 1\n", up(target))), "{text}");
    // Where nothing is known, the page of before stays.
    let old = fs::read(&page).unwrap();
    let ran = run(&[&["--retries", "0", "status", source, down], &files[..]].concat());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(fs::read(&page).unwrap(), old);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

/// The value of a metric, by its name and some of its labels.
fn value(text: &str, name: &str, labels: &[&str]) -> Option<String> {
    let mut lines = text
        .lines()
        .filter(|line| line.starts_with(&format!("{name}{{")));
    let line = lines.find(|line| labels.iter().all(|label| line.contains(label)))?;
    Some(line.rsplit_once(' ')?.1.to_owned())
}

/// Checks the format: each name has its help and its type before it, once.
fn check_format(text: &str) {
    let mut names = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!names.contains(&name) && !help.is_empty(), "{line}");
            names.push(name);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(
                rest.split_once(' ').unwrap(),
                (*names.last().unwrap(), "gauge")
            );
        } else {
            let (name, rest) = line.split_once('{').unwrap();
            assert_eq!(name, *names.last().unwrap(), "{line}");
            let (labels, value) = rest.rsplit_once("} ").unwrap();
            assert!(
                labels.ends_with('"') && value.parse::<f64>().is_ok(),
                "{line}"
            );
        }
    }
    assert!(text.ends_with('\n') && !names.is_empty());
}

#[test]
fn metrics_say_what_differs_and_keep_the_time_of_the_last_success() {
    let ends = ends();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("images.prom");
    let metrics = |args: &[&str]| {
        let ran = run(&[args, &["--metrics-file", path(&file)]].concat());
        let text = fs::read_to_string(&file).unwrap();
        check_format(&text);
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o644
        );
        (ran, text)
    };
    let [source, target, empty] = [0, 1, 2].map(|number: usize| ends[number].url());
    let (ran, text) = metrics(&["status", source, target]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let images = "glance_replicator_status_images";
    assert_eq!(value(&text, images, &["state=\"missing\""]).unwrap(), "2");
    assert_eq!(value(&text, images, &["state=\"burnt\""]).unwrap(), "0");
    let oldest = value(
        &text,
        "glance_replicator_status_oldest_difference_seconds",
        &[],
    );
    assert!(oldest.unwrap().parse::<u64>().unwrap() > 86_400);
    let last = "glance_replicator_last_success_timestamp_seconds";
    assert!(value(&text, last, &["command=\"status\""]).is_some());

    let (ran, text) = metrics(&["livecopy", source, empty]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let copied = "glance_replicator_run_images";
    assert_eq!(value(&text, copied, &["outcome=\"copied\""]).unwrap(), "6");
    let done = value(&text, last, &["command=\"livecopy\""]).unwrap();
    let (ran, text) = metrics(&["verify", source, empty]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let verified = "glance_replicator_verify_images";
    assert_eq!(
        value(&text, verified, &["result=\"verified\""]).unwrap(),
        "6"
    );
    assert_eq!(
        value(&text, last, &["command=\"livecopy\""]),
        Some(done.clone())
    );

    // One that fails is none, and the success before is known all the same.
    let (ran, text) = metrics(&["livecopy", "--retries", "0", source, target]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert_eq!(value(&text, copied, &["outcome=\"failed\""]).unwrap(), "1");
    let target_label = format!("target=\"{target}\"");
    assert_eq!(
        value(&text, last, &["command=\"livecopy\"", &target_label]),
        None
    );
    assert_eq!(value(&text, last, &["command=\"livecopy\""]), Some(done));
    assert_eq!(
        value(&text, "glance_replicator_run_exit_code", &[]).unwrap(),
        "6"
    );
}

#[test]
fn page_is_one_file_in_which_a_name_stays_text() {
    let ends = ends();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("page.html");
    let ran = status(&ends, &["--html", path(&file)]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let page = fs::read_to_string(&file).unwrap();
    assert!(!page.contains("<img") && !page.contains('\u{1b}'), "{page}");
    let (before, data) = page.split_once("id=\"data\">").unwrap();
    // Nothing is fetched from anywhere.
    for far in [" src=", " href=", "url(", "@import", "fetch("] {
        assert!(!before.contains(far), "{far}");
    }
    let (data, _) = data.split_once("</script>").unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["images"].as_array().unwrap().len(), 8);
    assert_eq!(data["images"][5][1], HOSTILE);
    assert_eq!(data["images"][1][6], "cb");
    assert!(file_names(dir.path()).eq(["page.html"]));
}

fn file_names(dir: &Path) -> impl Iterator<Item = String> {
    let files = fs::read_dir(dir).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap())
}
