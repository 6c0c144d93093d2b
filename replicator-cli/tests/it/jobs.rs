//! Jobs of a file, run unattended.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use glance_client::testing::{
    At, Caller, EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::kit::background::{spawn, wait_until};
use crate::kit::images::{glance, id, numbered};
use crate::kit::program::{Ran, program, run};
use crate::kit::runs::{assert_error, ended, path, succeeded};

/// A directory with a file of jobs, and what they write.
struct Scene {
    source: EmbeddedGlance,
    home: tempfile::TempDir,
}

impl Scene {
    /// A file of jobs, in which SOURCE is a server with three images, and HOME is the directory.
    fn of(jobs: &str) -> Self {
        Self::from(numbered(3), jobs)
    }

    fn from(source: EmbeddedGlance, jobs: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let jobs = jobs.replace("SOURCE", source.host_port());
        let jobs = jobs.replace("HOME", path(home.path()));
        fs::write(home.path().join("jobs.yaml"), jobs).unwrap();
        Self { source, home }
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("jobs.yaml")
    }

    fn args<'a>(&'a self, file: &'a Path, words: &[&'a str]) -> Vec<&'a str> {
        [&["run", path(file)], words].concat()
    }

    #[track_caller]
    fn ended(&self, code: i32, words: &[&str]) -> Ran {
        ended(code, &self.args(&self.file(), words))
    }

    fn read(&self, file: &str) -> String {
        let path = self.home.path().join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn has(&self, file: &str) -> bool {
        self.home.path().join(file).exists()
    }
}

const TELL: &str = "sh, -c, 'echo $JOB_NAME $JOB_EXIT_CODE $JOB_REPORT > HOME/$JOB_NAME.told'";

#[test]
fn jobs_run_one_after_the_other_with_the_options_of_their_commands() {
    let jobs = "
jobs:
  - name: nightly
    command: dump
    ends: [SOURCE, HOME/nightly]
    options: {snapshot: true, keep-daily: 7, exclude: [id=ID2, id=ID3], quiet: true, report: HOME/r.json}
    on-success: [TELL]
    on-failure: [false]
  - name: sizes
    command: size
    ends: [SOURCE]
    options: {format: json}
    environment: {GLANCE_REPLICATOR_RETRIES: 0}
";
    let jobs = jobs.replace("TELL", TELL).replace("ID2", &id(2));
    let scene = Scene::of(&jobs.replace("ID3", &id(3)));
    let ran = scene.ended(0, &[]);
    let size: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(size["ends"][0]["images"], 3);
    assert!(ran.stderr.contains("job nightly: done"), "{ran:?}");
    assert!(
        !ran.stderr.contains("dump: 1 copied"),
        "it is quiet: {ran:?}"
    );
    let report: Value = serde_json::from_str(&scene.read("r.json")).unwrap();
    assert_eq!(report["targets"][0]["copied"], 1);
    let told = format!("nightly 0 {}/r.json\n", path(scene.home.path()));
    assert_eq!(scene.read("nightly.told"), told);
    let quiet = ended(0, &["-q", "run", path(&scene.file()), "sizes"]);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_job_that_fails_stops_no_other_and_is_told() {
    let jobs = "
jobs:
  - {name: bad, command: dump, ends: [127.0.0.1:1, HOME/bad], options: {retries: 0}, on-failure: [TELL]}
  - {name: good, command: dump, ends: [SOURCE, HOME/good], on-success: ['false']}
";
    let scene = Scene::of(&jobs.replace("TELL", TELL));
    let ran = scene.ended(1, &[]);
    assert_eq!(scene.read("bad.told"), "bad 1\n");
    assert!(scene.has(&format!("good/{}", id(1))));
    for line in [
        "job bad: exit code 1",
        "job good: on-success: false has ended",
    ] {
        assert!(ran.stderr.contains(line), "{line}: {ran:?}");
    }
    let ran = scene.ended(2, &["goood"]);
    assert!(ran.stderr.contains("there are the jobs good"), "{ran:?}");
}

#[test]
fn a_file_is_checked_whole_before_anything_is_begun() {
    let jobs = "
jobs:
  - {name: good, command: dump, ends: [SOURCE, HOME/good], options: {select: 'size>1K'}}
  - {name: bad, command: dump, ends: [SOURCE, HOME/bad], options: {on-id-conflict: skip}}
  - {name: slip, command: size, ends: [SOURCE], options: {tokn: {env: TOKEN}}}
";
    let scene = Scene::of(jobs);
    let problems = [
        "job bad: '--on-id-conflict' is an option of other commands, which dump does not use",
        "job slip: unexpected argument '--tokn'",
    ];
    for words in [&[][..], &["--check"]] {
        let ran = scene.ended(2, words);
        for problem in problems {
            assert!(ran.stderr.contains(problem), "{problem}: {ran:?}");
        }
        assert!(!scene.has("good"));
    }
    let ran = scene.ended(0, &["--check", "good"]);
    let home = path(scene.home.path());
    let server = scene.source.host_port();
    let line = format!("good: glance-replicator dump '--select=size>1K' {server} {home}/good\n");
    assert_eq!(ran.stdout, line);
    fs::write(scene.file(), "jobs: [{name: a, comand: size}]").unwrap();
    let ran = run(&scene.args(&scene.file(), &[]));
    assert_error(&ran, 2, &["comand"]);
}

/// Each of these would be found out at night only, by the job itself.
#[test]
fn the_check_finds_what_is_wrong_with_ends_and_options_before_anything_is_opened() {
    let clouds = "clouds: {prod: {auth: {auth_url: 'http://k'}, regions: [One]}}";
    for (job, problem) in [
        (
            "command: size, ends: [prod]",
            "\"prod\" is no Glance endpoint",
        ),
        ("command: size, ends: ['a:0']", "the port is no number"),
        ("command: list, ends: ['cloud:']", "names no cloud"),
        ("command: check, ends: [a]", "\"a\" is no Glance endpoint"),
        ("command: check", "no end is named"),
        (
            "command: compare, ends: ['a:1', b]",
            "\"b\" is no Glance endpoint",
        ),
        (
            "command: status, ends: ['a:1', 'b:1', c]",
            "\"c\" is no Glance endpoint",
        ),
        ("command: verify, ends: [a]", "\"a\" is no Glance endpoint"),
        (
            "command: livecopy, ends: ['a:1', b]",
            "\"b\" is no Glance endpoint",
        ),
        (
            "command: dump, ends: [cloud:prod, 'a:1']",
            "a directory is wanted",
        ),
        (
            "command: load, ends: [/x, 'a:1']",
            "\"/x\" is no Glance endpoint",
        ),
        (
            "command: plan, ends: ['a:1', b]",
            "\"b\" is no Glance endpoint",
        ),
        (
            "command: push, ends: [file, b]",
            "\"b\" is no Glance endpoint",
        ),
        (
            "command: archive list, ends: ['a:1']",
            "a directory is wanted",
        ),
        (
            "command: metadefs copy, ends: ['a:1']",
            "no TARGET is named",
        ),
        (
            "command: size, ends: ['cloud:prdo']",
            "there is no cloud \"prdo\"",
        ),
        ("command: size, ends: ['cloud:prod/Two']", "\"Two\""),
        (
            "command: size, ends: ['a:1'], options: {column: nosuch}",
            "\"nosuch\" is no column",
        ),
        (
            "command: dump, ends: ['a:1', /x], options: {column: nosuch}",
            "\"nosuch\" is no column",
        ),
        (
            "command: list, ends: ['a:1'], options: {sort: nosuch}",
            "\"nosuch\" is no column",
        ),
        (
            "command: livecopy, ends: ['a:1', 'b:1'], options: {on-id-conflict: new-id}",
            "needs --id-map",
        ),
        (
            "command: livecopy, ends: ['a:1', 'b:1'], options: {origin: x, delete: true, image: x}",
            "--delete and options that select",
        ),
        (
            "command: dump, ends: ['a:1', /x], options: {keep-daily: 3}",
            "--keep options are for --snapshot",
        ),
        (
            "command: compare, ends: ['a:1', 'b:1'], options: {project-map: x}",
            "--project-map needs",
        ),
        (
            "command: size, ends: ['a:1'], options: {token: {env: BAD_TOKEN}}",
            "--token cannot be used",
        ),
        (
            "command: size, ends: ['a:1'], environment: {GLANCE_REPLICATOR_RETRIES: many}",
            "invalid value 'many'",
        ),
        (
            "command: size, ends: ['a:1'], environment: {A: [b]}",
            "a variable has one value",
        ),
    ] {
        let scene = Scene::of(&format!("jobs: [{{name: a, {job}}}]"));
        fs::write(scene.home.path().join("clouds.yaml"), clouds).unwrap();
        let file = scene.file();
        let mut command = program();
        let ran = command
            .current_dir(scene.home.path())
            .env("BAD_TOKEN", "a b")
            .args(scene.args(&file, &["--check"]));
        let ran = Ran::from(ran.output().unwrap());
        assert_eq!(ran.code, Some(2), "{job}: {ran:?}");
        assert!(ran.stderr.starts_with("error: job a: "), "{job}: {ran:?}");
        assert!(
            ran.stderr.contains(problem),
            "no {problem:?} for {job}: {ran:?}"
        );
    }
}

#[test]
fn the_check_takes_what_is_known_at_night_alone() {
    let jobs = "
jobs:
  - {name: a, command: size, ends: ['cloud:nosuch']}
  - {name: b, command: size, ends: ['a:1'], options: {retries: {env: NOT_SET}, tpslimit: {secret: {file: /nosuch}}}}
  - {name: c, command: size, environment: {OS_CLOUD: x}}
  - {name: d, command: load, ends: ['a:1', /not/mounted]}
  - {name: e, command: apply, ends: [/not/made/yet]}
  - {name: f, command: report merge, ends: [/not/made/yet]}
";
    let ran = Scene::of(jobs).ended(0, &["--check"]);
    assert_eq!(ran.stderr, "", "no clouds.yaml is on this machine");
}

#[test]
fn tokens_come_from_elsewhere_and_are_on_no_command_line() {
    let source = EmbeddedGlance::builder().token("s3cret-of-the-source", Caller::admin());
    let source = source.start_blocking().unwrap();
    let image = ImageSpec::new(&id(1)).data(ImageContent::pattern(1, 8_000_000));
    source.add_image(image);
    let stall = FaultAction::StallResponse(At::Byte(1_000_000), None);
    source.fault(FaultOn::kind(RequestKind::Download).times(1), stall);
    let jobs = "
jobs:
  - name: a
    command: dump
    ends: [SOURCE, HOME/a]
    options: {sourcetoken: {secret: {file: HOME/token}}}
  - name: b
    command: size
    ends: [SOURCE]
    options: {token: {env: THE_TOKEN}}
";
    let scene = Scene::from(source, jobs);
    fs::write(scene.home.path().join("token"), "s3cret-of-the-source\n").unwrap();
    let file = scene.file();
    let child = spawn(&scene.args(&file, &["a"]));
    let partial = scene.home.path().join(format!("a/.{}.img.partial", id(1)));
    wait_until(|| partial.exists());
    for process in [child.id(), holder(&scene, "a")] {
        let line = fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap();
        assert!(
            line.contains("glance-replicator") && !line.contains("s3cret"),
            "{line}"
        );
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));

    let ran = scene.ended(2, &["b"]);
    assert!(
        ran.stderr
            .contains("token: the variable THE_TOKEN is not set"),
        "{ran:?}"
    );
    let mut command = program();
    let output = command
        .env("THE_TOKEN", "s3cret-of-the-source")
        .args(scene.args(&file, &["b"]));
    let ran = Ran::from(output.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
}

/// The process that holds the lock of a job.
fn holder(scene: &Scene, job: &str) -> u32 {
    let held = scene.read(&format!(".jobs.yaml.{job}.lock"));
    let process = held.strip_prefix("process ").unwrap();
    process.split(',').next().unwrap().parse().unwrap()
}

/// A job whose dump stalls in the middle of its one image, and one behind it.
fn stalled() -> (Scene, impl Fn(&Scene) -> u64) {
    let source = glance(Profile::Today);
    let image = ImageSpec::new(&id(1)).data(ImageContent::pattern(1, 8_000_000));
    source.add_image(image);
    let stall = FaultAction::StallResponse(At::Byte(5_000_000), None);
    source.fault(FaultOn::kind(RequestKind::Download).times(1), stall);
    let jobs = "
jobs:
  - {name: a, command: dump, ends: [SOURCE, HOME/a], on-failure: [TELL]}
  - {name: b, command: dump, ends: [SOURCE, HOME/b]}
";
    let scene = Scene::from(source, &jobs.replace("TELL", TELL));
    let bytes = |scene: &Scene| {
        let partial = scene.home.path().join(format!("a/.{}.img.partial", id(1)));
        fs::metadata(partial).map_or(0, |partial| partial.len())
    };
    (scene, bytes)
}

#[test]
fn a_job_that_runs_is_not_begun_again_and_a_signal_ends_it_and_those_behind_it() {
    let (scene, bytes) = stalled();
    let file = scene.file();
    let child = spawn(&scene.args(&file, &[]));
    wait_until(|| bytes(&scene) > 1_000_000);
    let ran = scene.ended(1, &["a"]);
    let held = format!(
        "job a runs already: process {}, since 20",
        holder(&scene, "a")
    );
    assert!(ran.stderr.contains(&held), "{ran:?}");
    assert!(!scene.has("a.told"), "it is not its end");

    // What is asked for in its first second could end it.
    thread::sleep(Duration::from_millis(1100));
    kill_process(Pid::from_child(&child), Signal::USR1).unwrap();
    thread::sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(143), "{ran:?}");
    assert!(ran.stderr.contains("state: 0 of 1 image, "), "{ran:?}");
    let under_way = format!("under way: {}, ", id(1));
    assert!(ran.stderr.contains(&under_way), "{ran:?}");
    assert!(ran.stderr.contains("interrupted: finishing"), "{ran:?}");
    assert_eq!(scene.read("a.told"), "a 143\n");
    assert!(!scene.has("b"));
    scene.ended(0, &[]);
    assert!(scene.has(&format!("b/{}", id(1))));
}

#[test]
fn a_job_whose_parent_was_killed_still_holds_its_lock() {
    let (scene, bytes) = stalled();
    let file = scene.file();
    let mut child = spawn(&scene.args(&file, &["a"]));
    wait_until(|| bytes(&scene) > 1_000_000);
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = scene.ended(1, &["a"]);
    assert!(ran.stderr.contains("job a runs already"), "{ran:?}");
    let dump = Pid::from_raw(holder(&scene, "a").cast_signed()).unwrap();
    kill_process(dump, Signal::TERM).unwrap();
    wait_until(|| run(&scene.args(&file, &["a"])).code == Some(0));
}

#[test]
fn sigusr1_tells_the_state_of_a_quiet_run_at_once() {
    let source = numbered(2);
    let stall = FaultAction::StallResponse(At::Byte(1000), Some(Duration::from_secs(2)));
    source.fault(FaultOn::kind(RequestKind::Download).times(1), stall);
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("a");
    let ends = [source.host_port(), path(&archive)];
    let child = spawn(&[&["-q", "dump", "--transfers", "1"], &ends[..]].concat());
    wait_until(|| source.count(RequestKind::Download) > 0);
    thread::sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&child), Signal::USR1).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(lines[0].starts_with("state: 0 of 2 images, "), "{ran:?}");
    assert!(lines[1].starts_with("under way: 00000000-"), "{ran:?}");
    assert_eq!(lines.len(), 2, "{ran:?}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Validates a file of jobs with its schema, and by the program.
#[track_caller]
fn assert_jobs(text: &str) {
    let document: Value = serde_saphyr::from_str(text).unwrap();
    let mut schemas = boon::Schemas::new();
    let schema = root().join("docs/schema/jobs-1.json");
    let mut compiler = boon::Compiler::new();
    let index = compiler.compile(path(&schema), &mut schemas).unwrap();
    if let Err(error) = schemas.validate(&document, index) {
        panic!("{error}\n{text}");
    }
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("jobs.yaml");
    fs::write(&file, text).unwrap();
    succeeded(&["run", "--check", path(&file)]);
}

#[test]
fn jobs_of_the_examples_and_of_the_docs_are_right() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    assert_jobs(&read("deploy/systemd/jobs.yaml"));
    let manifest = read("deploy/kubernetes/cronjob.yaml");
    let config: Value = serde_saphyr::from_str(manifest.split("\n---\n").next().unwrap()).unwrap();
    assert_jobs(config["data"]["jobs.yaml"].as_str().unwrap());
    let docs = read("docs/unattended.md");
    let blocks = docs.split("```yaml\n").skip(1);
    let blocks: Vec<&str> = blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(!blocks.is_empty());
    blocks.into_iter().for_each(assert_jobs);
}

#[test]
fn the_cronjob_of_the_examples_repeats_what_another_try_may_heal() {
    let text = fs::read_to_string(root().join("deploy/kubernetes/cronjob.yaml")).unwrap();
    let job: Value = serde_saphyr::from_str(text.rsplit("\n---\n").next().unwrap()).unwrap();
    assert_eq!(job["spec"]["concurrencyPolicy"], "Forbid");
    let spec = &job["spec"]["jobTemplate"]["spec"];
    let pod = &spec["template"]["spec"];
    let rules = spec["podFailurePolicy"]["rules"].as_array().unwrap();
    let actions: Vec<&str> = rules
        .iter()
        .map(|rule| rule["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["FailJob", "Ignore"]);
    assert_eq!(rules[0]["onExitCodes"]["operator"], "In");
    let container = &pod["containers"][0];
    assert_eq!(rules[0]["onExitCodes"]["containerName"], container["name"]);
    let image = format!("glance-replicator:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(container["image"], image);
    let mounted = container["volumeMounts"].as_array().unwrap().iter();
    let volumes = pod["volumes"].as_array().unwrap();
    for mount in mounted {
        assert!(
            volumes.iter().any(|volume| volume["name"] == mount["name"]),
            "{mount}"
        );
    }
}

#[test]
fn units_of_the_examples_are_right_and_hardened_where_systemd_can_say_so() {
    let home = tempfile::tempdir().unwrap();
    let units = root().join("deploy/systemd");
    for file in ["glance-replicator@.service", "glance-replicator@.timer"] {
        let text = fs::read_to_string(units.join(file)).unwrap();
        // It has to be there, and is installed in another place.
        let text = text.replace("/usr/bin/glance-replicator", "/bin/true");
        fs::write(home.path().join(file.replace('@', "@nightly")), text).unwrap();
    }
    let analyze = |words: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        let output = command.args(words).current_dir(home.path()).output();
        output.ok().map(Ran::from)
    };
    let service = "glance-replicator@nightly.service";
    let Some(verified) = analyze(&["verify", service, "glance-replicator@nightly.timer"]) else {
        eprintln!("skipped: there is no systemd-analyze");
        return;
    };
    assert_eq!((verified.code, &*verified.stderr), (Some(0), ""));
    let exposed = analyze(&["security", "--offline=true", "--threshold=20", service]).unwrap();
    assert_eq!(exposed.code, Some(0), "{exposed:?}");
}
