//! Each exit code for each command that can end with it, as the one table of docs/scripting.md and `--help`
//! has them.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::PathBuf;

use glance_client::testing::{
    At, EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, RequestKind,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::kit::background::{spawn, wait_until};
use crate::kit::images::id;
use crate::kit::program::{Ran, run};

const NOBODY: &str = "127.0.0.1:1";
const LEN: u64 = 4000;

fn image(number: u64) -> ImageSpec {
    let data = ImageContent::pattern(number, LEN);
    ImageSpec::new(&id(number)).name("one").data(data)
}

/// Two servers and an archive: the first and the archive have the images 1 and 2.
struct Scene {
    source: EmbeddedGlance,
    target: EmbeddedGlance,
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let [source, target] =
            [(); 2].map(|()| EmbeddedGlance::builder().start_blocking().unwrap());
        source.add_image(image(1));
        source.add_image(image(2));
        let dir = tempfile::tempdir().unwrap();
        let scene = Self {
            source,
            target,
            dir,
        };
        scene.assert_codes(0, &["dump SOURCE FULL"]);
        scene
    }

    fn full(&self) -> PathBuf {
        self.dir.path().join("full")
    }

    /// The arguments of a line, in which ends go by names.
    fn args(&self, line: &str) -> Vec<String> {
        let dir = |name: &str| self.dir.path().join(name).display().to_string();
        let words = line.split_whitespace();
        let ends = words.map(|word| match word {
            "SOURCE" => self.source.host_port().to_owned(),
            "TARGET" => self.target.host_port().to_owned(),
            "NOBODY" => NOBODY.to_owned(),
            "FULL" => dir("full"),
            "NEW" => dir("new"),
            "dir:FULL" => format!("dir:{}", dir("full")),
            word => word.to_owned(),
        });
        ["--retries", "0"]
            .map(str::to_owned)
            .into_iter()
            .chain(ends)
            .collect()
    }

    fn run(&self, line: &str) -> Ran {
        let args = self.args(line);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(&args)
    }

    #[track_caller]
    fn assert_codes(&self, code: i32, lines: &[&str]) {
        for line in lines {
            let _ = fs::remove_dir_all(self.dir.path().join("new"));
            let ran = self.run(line);
            assert_eq!(ran.code, Some(code), "{line}: {ran:?}");
        }
    }
}

fn on(kind: RequestKind) -> FaultOn {
    FaultOn::kind(kind)
}

#[test]
fn book_and_help_have_the_same_table() {
    let chapter = fs::read_to_string("../docs/scripting.md").unwrap();
    let (_, section) = chapter.split_once("## Exit codes\n").unwrap();
    let section = section.split("\n#").next().unwrap().replace('`', "");
    let rows = section.lines().filter_map(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells: Vec<&str> = cells.split(" | ").collect();
        Some(<[&str; 3]>::try_from(cells).unwrap())
    });
    let rows: Vec<[&str; 3]> = rows.skip(1).collect();
    // Without the columns and the lines of the page.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = words(&run(&["help", "exit-codes"]).stdout);
    let table: String = rows
        .iter()
        .flatten()
        .map(|cell| format!(" {cell}"))
        .collect();
    let order = help.strip_prefix(&format!("Exit codes:{table} ")).unwrap();
    assert!(section.contains(order), "{order}");
    let brief: Vec<String> = rows
        .iter()
        .map(|[code, name, _]| format!("{code} {name}"))
        .collect();
    for command in ["livecopy", "size"] {
        let page = words(&run(&[command, "--help"]).stdout);
        assert!(
            page.contains(&format!("Exit codes: {}.", brief.join(", "))),
            "{page}"
        );
    }
    let codes: Vec<&str> = rows.iter().map(|[code, ..]| *code).collect();
    let expected = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "130, 143", "141",
    ];
    assert_eq!(codes, expected);
}

#[test]
fn what_is_done_or_skipped_is_0() {
    let scene = Scene::new();
    scene
        .source
        .add_image(ImageSpec::new(&id(3)).status("queued"));
    scene.assert_codes(
        0,
        &[
            "--help",
            "--version",
            "size SOURCE",
            "check SOURCE",
            "compare SOURCE TARGET",
            "livecopy --dry-run SOURCE TARGET",
            "load --dry-run TARGET FULL",
            "livecopy SOURCE TARGET",
            "compare --exit-code dir:FULL TARGET",
            "dump SOURCE NEW",
            "load TARGET FULL",
            "verify SOURCE TARGET",
            "verify dir:FULL",
        ],
    );
    // Left alone, since it was asked for.
    let other = Scene::new();
    other.target.burn(&id(1));
    other.assert_codes(0, &["--on-id-conflict skip livecopy SOURCE TARGET"]);
}

#[test]
fn end_that_is_out_of_reach_is_1() {
    let scene = Scene::new();
    scene.assert_codes(
        1,
        &[
            "size NOBODY",
            "check NOBODY",
            "compare SOURCE NOBODY",
            "livecopy SOURCE NOBODY",
            "livecopy NOBODY TARGET",
            "livecopy SOURCE TARGET NOBODY",
            "dump NOBODY NEW",
            "load NOBODY FULL",
            "load TARGET NEW",
            "verify SOURCE NOBODY",
            "verify dir:/nosuch/archive",
        ],
    );
}

#[test]
fn what_makes_no_sense_is_2() {
    let scene = Scene::new();
    scene.assert_codes(
        2,
        &[
            "",
            "nosuch",
            "size",
            "size nosuch",
            "check nosuch",
            "compare SOURCE nosuch",
            "livecopy SOURCE nosuch",
            "livecopy SOURCE TARGET TARGET",
            "dump nosuch NEW",
            "load nosuch FULL",
            "verify nosuch",
            "size cloud:nosuch",
            "size --nosuch SOURCE",
            "size --transfers 0 SOURCE",
            "livecopy --on-id-conflict new-id SOURCE TARGET",
        ],
    );
    assert!(scene.target.images().len() <= 2);
}

#[test]
fn image_that_fails_is_3_be_it_the_only_one_or_refused_by_a_policy() {
    for status in [401, 403, 500] {
        let scene = Scene::new();
        let failing = |kind| on(kind).image(&id(1));
        scene
            .source
            .fault(failing(RequestKind::Download), FaultAction::status(status));
        scene.assert_codes(3, &["livecopy SOURCE TARGET", "dump SOURCE NEW"]);
        scene.assert_codes(3, &["verify --read-back dir:FULL SOURCE"]);
        for kind in [RequestKind::Create, RequestKind::Upload] {
            let scene = Scene::new();
            scene.target.fault(on(kind), FaultAction::status(status));
            scene.target.add_image(image(2));
            scene.assert_codes(3, &["livecopy SOURCE TARGET", "load TARGET FULL"]);
        }
        let scene = Scene::new();
        scene.target.add_image(image(1).name("other"));
        let update = on(RequestKind::Update);
        scene.target.fault(update, FaultAction::status(status));
        scene.assert_codes(3, &["livecopy SOURCE TARGET", "load TARGET FULL"]);
    }
    let scene = Scene::new();
    scene.target.burn(&id(1));
    scene.assert_codes(3, &["livecopy SOURCE TARGET", "load TARGET FULL"]);
    fs::write(scene.full().join(id(1)), "{").unwrap();
    scene.assert_codes(
        3,
        &[
            "load --dry-run TARGET FULL",
            "load TARGET FULL",
            "size dir:FULL",
            "compare dir:FULL TARGET",
            "compare --exit-code dir:FULL TARGET",
        ],
    );
    scene.assert_codes(6, &["verify dir:FULL"]);
}

#[test]
fn server_that_lets_nobody_in_is_4() {
    for (kind, status) in [
        (RequestKind::Listing, 401),
        (RequestKind::Listing, 403),
        (RequestKind::Versions, 401),
    ] {
        let scene = Scene::new();
        scene.target.fault(on(kind), FaultAction::status(status));
        scene.assert_codes(
            4,
            &[
                "size TARGET",
                "check TARGET",
                "compare SOURCE TARGET",
                "compare TARGET SOURCE",
                "livecopy SOURCE TARGET",
                "livecopy --dry-run SOURCE TARGET",
                "livecopy TARGET SOURCE",
                "dump TARGET NEW",
                "load TARGET FULL",
                "verify SOURCE TARGET",
                "verify TARGET",
            ],
        );
    }
}

#[test]
fn differences_are_5_if_that_was_asked_for() {
    let scene = Scene::new();
    scene.target.add_image(image(1).name("other"));
    scene.assert_codes(5, &["compare --exit-code SOURCE TARGET"]);
    scene.assert_codes(0, &["compare SOURCE TARGET"]);
}

#[test]
fn a_limit_of_the_run_is_8() {
    let scene = Scene::new();
    scene.assert_codes(
        8,
        &[
            "livecopy --max-duration 0s SOURCE TARGET",
            "dump --max-transfer 1K SOURCE NEW",
            "load --max-transfer 0B TARGET FULL",
        ],
    );
    // What is done already is not left.
    scene.assert_codes(0, &["dump --max-duration 0s SOURCE FULL"]);
}

#[test]
fn wrong_content_is_6() {
    let scene = Scene::new();
    scene.assert_codes(6, &["verify SOURCE TARGET", "verify dir:FULL TARGET"]);
    let flipped = FaultAction::FlipByte(LEN - 1);
    scene
        .source
        .fault(on(RequestKind::Download).image(&id(1)), flipped);
    scene.assert_codes(
        6,
        &[
            "livecopy SOURCE TARGET",
            "dump SOURCE NEW",
            "verify --read-back dir:FULL SOURCE",
            "verify SOURCE",
        ],
    );
    let data = scene.full().join(format!("{}.img", id(1)));
    fs::write(data, vec![0; usize::try_from(LEN).unwrap()]).unwrap();
    scene.assert_codes(6, &["verify dir:FULL", "load TARGET FULL"]);
    let other = Scene::new();
    let zeros = ImageSpec::new(&id(1)).data(ImageContent::zeros(LEN));
    other.target.add_image(zeros);
    other.assert_codes(
        6,
        &[
            "livecopy --dry-run SOURCE TARGET",
            "livecopy SOURCE TARGET",
            "load TARGET FULL",
            "verify SOURCE TARGET",
        ],
    );
}

#[test]
fn data_that_is_held_back_is_7() {
    let scene = Scene::new();
    scene.source.add_image(image(3).formats("qcow2", "bare"));
    scene.assert_codes(0, &["dump SOURCE FULL"]);
    scene.assert_codes(7, &["livecopy SOURCE TARGET", "load TARGET FULL"]);
    let mut done = scene.target.images();
    done.retain(|image| image.status == "active");
    assert_eq!(done.len(), 2, "the others are done");
}

#[test]
fn interrupted_run_is_130_or_143() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for line in [
            "size TARGET",
            "check TARGET",
            "compare SOURCE TARGET",
            "livecopy SOURCE TARGET",
            "dump TARGET NEW",
            "load TARGET FULL",
            "verify SOURCE TARGET",
        ] {
            let scene = Scene::new();
            let stall = FaultAction::StallResponse(At::Byte(1), None);
            scene.target.fault(on(RequestKind::Listing), stall);
            let args = scene.args(line);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let child = spawn(&args);
            wait_until(|| scene.target.count(RequestKind::Listing) > 0);
            kill_process(Pid::from_child(&child), signal).unwrap();
            let ran = Ran::from(child.wait_with_output().unwrap());
            assert_eq!(ran.code, Some(code), "{line}: {ran:?}");
        }
    }
}

#[test]
fn of_several_kinds_of_failure_the_documented_one_counts() {
    let scene = Scene::new();
    let (bad, good) = (Scene::new(), Scene::new());
    // Of the source: 1 arrives wrong, 2 is refused by a policy, 3 is held back.
    let download = |number| on(RequestKind::Download).image(&id(number));
    let source = &scene.source;
    source.add_image(image(3).formats("qcow2", "bare"));
    let flipped = FaultAction::FlipByte(LEN - 1);
    source.fault(download(1), flipped);
    source.fault(download(2), FaultAction::status(403));
    scene.assert_codes(
        6,
        &[
            "livecopy SOURCE TARGET",
            "livecopy SOURCE TARGET NOBODY",
            "livecopy SOURCE NOBODY TARGET",
        ],
    );
    source.clear_faults();
    source.fault(download(1), FaultAction::status(403));
    scene.assert_codes(
        7,
        &["livecopy SOURCE TARGET", "livecopy SOURCE NOBODY TARGET"],
    );

    bad.source.fault(download(1), FaultAction::status(403));
    bad.assert_codes(
        3,
        &[
            "livecopy SOURCE TARGET NOBODY",
            "livecopy SOURCE NOBODY TARGET",
        ],
    );
    let denied = FaultAction::status(401);
    good.target.fault(FaultOn::any(), denied);
    good.assert_codes(
        4,
        &[
            "livecopy SOURCE NOBODY TARGET",
            "livecopy SOURCE TARGET NOBODY",
            "livecopy SOURCE cloud:nosuch TARGET",
            "check NOBODY TARGET",
            "check TARGET NOBODY",
            "check TARGET SOURCE",
        ],
    );
    good.assert_codes(
        2,
        &[
            "livecopy SOURCE NOBODY cloud:nosuch",
            "check cloud:nosuch NOBODY",
        ],
    );
    let listed = json!({ "images": [{ "id": "x", "status": "active" }] });
    let differs = Scene::new();
    let listing = on(RequestKind::Listing).times(1);
    differs.source.fault(listing, FaultAction::json(&listed));
    differs.assert_codes(3, &["compare --exit-code SOURCE TARGET"]);
}
