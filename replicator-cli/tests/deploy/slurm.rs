//! Slurm, of two nodes with two tasks each.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use glance_client::testing::{EmbeddedGlance, RequestKind};

use super::{assert_each_arrived_once, command, empty, example, filled, id, merged, output};

const NODES: [&str; 2] = ["one", "two"];
/// What a task moves in a second: with 6 images of 200 kB each, it takes 8 seconds or so.
const BYTES_PER_SECOND: u64 = 150_000;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("run `cargo xtask deploy`: {name} is not set"))
}

/// Submits the array job; returns its number.
fn submitted(directory: &Path, source: &EmbeddedGlance, target: &EmbeddedGlance) -> String {
    let mut sbatch = command("sbatch", directory);
    sbatch
        .arg("--parsable")
        .arg(example("slurm/livecopy.sbatch"));
    sbatch
        .env("SOURCE", source.url())
        .env("TARGET", target.url());
    output(sbatch.env("TRANSFERS", "1")).trim().to_owned()
}

/// Returns `TASK STATE NODE` of each task that has not ended.
fn tasks(job: &str) -> Vec<String> {
    let format = ["-h", "-r", "-o", "%K %T %N", "-j"];
    let listed = output(Command::new("squeue").args(format).arg(job));
    listed.lines().map(|line| line.trim().to_owned()).collect()
}

/// Waits until a job has ended. Slurm lets a task that is requeued wait for two minutes: here it is
/// told to begin.
fn end(job: &str) {
    let begun = Instant::now();
    // A task that is requeued is out of the list for a moment.
    let mut gone = 0;
    loop {
        let tasks = tasks(job);
        let waiting = tasks.iter().filter(|task| task.contains("PENDING"));
        for task in waiting.filter_map(|task| task.split(' ').next()) {
            let task = format!("JobId={job}_{task}");
            // It may have begun by itself meanwhile.
            let _ = Command::new("scontrol")
                .args(["update", &task, "StartTime=now"])
                .output();
        }
        gone = if tasks.is_empty() { gone + 1 } else { 0 };
        if gone == 5 {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{tasks:?}");
        thread::sleep(Duration::from_millis(300));
    }
}

/// Waits until each of the four tasks has copied an image: a task that is broken off and begun again
/// then has one that it leaves as it is. Returns the tasks, which all still run: they begin within
/// two seconds of each other, and have at least 4 images, which take 5 seconds.
fn once_all_have_copied_some(job: &str, directory: &Path) -> Vec<String> {
    let copied = |shard: u32| {
        let log = directory.join(format!("livecopy-{shard}.log"));
        std::fs::read_to_string(log).is_ok_and(|log| log.contains("is copied"))
    };
    let begun = Instant::now();
    while !(0..4).all(copied) {
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(60), "{:?}", tasks(job));
        thread::sleep(Duration::from_millis(50));
    }
    tasks(job)
}

#[test]
fn each_image_arrives_once_though_a_task_is_requeued_and_a_node_is_lost() {
    let source = filled(EmbeddedGlance::builder().throttle(BYTES_PER_SECOND));
    let target = empty();
    let dir = tempfile::tempdir().unwrap();
    let job = submitted(dir.path(), &source, &target);
    let running = once_all_have_copied_some(&job, dir.path());
    let on = |node: &str| running.iter().filter(|task| task.ends_with(node)).count();
    assert_eq!(NODES.map(on), [2, 2], "{running:?}");

    let requeued = running.iter().find(|task| task.ends_with("one")).unwrap();
    let requeued = requeued.split(' ').next().unwrap();
    output(
        Command::new("scontrol")
            .arg("requeue")
            .arg(format!("{job}_{requeued}")),
    );
    let mut lose = Command::new(variable("GLANCE_SLURM"));
    output(
        lose.arg("lose")
            .arg(variable("GLANCE_SLURM_DIR"))
            .arg("two"),
    );
    end(&job);

    assert_each_arrived_once(&target);
    // Some were broken off, and begun again.
    assert!(source.count(RequestKind::Download) > super::IMAGES);
    let report = merged(dir.path());
    assert_eq!(report["exit_code"], 0, "{report}");
    let totals = &report["targets"][0];
    let all = ["copied", "unchanged", "already_there"].map(|count| totals[count].as_u64().unwrap());
    assert_eq!(all.iter().sum::<u64>(), super::IMAGES, "{totals}");
    let log = dir.path().join(format!("livecopy-{requeued}.log"));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(
        log.contains("DUE TO JOB REQUEUE") && log.contains("unchanged"),
        "{log}"
    );
}

/// It comes first, while both nodes are there, and would pass with the one that the other test leaves.
#[test]
fn a_task_whose_images_fail_is_begun_again_and_gives_up_after_three_times() {
    let (source, target) = (filled(EmbeddedGlance::builder()), empty());
    // An id that is used up there, for good.
    target.burn(&id(7));
    let dir = tempfile::tempdir().unwrap();
    let job = submitted(dir.path(), &source, &target);
    end(&job);
    let failed = (0..4).map(|shard| {
        let log = dir.path().join(format!("livecopy-{shard}.log"));
        let log = std::fs::read_to_string(log).unwrap();
        log.matches("livecopy: ").count()
    });
    let mut attempts: Vec<usize> = failed.collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 1, 1, 3]);
    assert_eq!(target.images().len() as u64, super::IMAGES - 1);
}
