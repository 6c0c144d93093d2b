//! Kills runs of the program at random moments, and lets what is left be finished.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "test helpers"
)]

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fastrand::Rng;

use crate::kit::background::spawn;
use crate::kit::program::{Ran, run};

/// The most times that a run is begun again before its end.
const MOST_RUNS: usize = 100;

/// One end of the runs that are killed: the one that is written.
pub(crate) trait Target {
    /// The command line that writes to it.
    fn args(&self) -> Vec<String>;

    /// The law that must hold at any moment.
    fn check_at_once(&self);

    /// Judges a run that came to its end by itself, and says whether all is done.
    fn is_done_after(&self, ran: &Ran) -> bool;
}

/// Kills runs at moments that are spread over a whole run, and lets what is left be finished in
/// between: by a run that is not disturbed, or by one that is killed again.
pub(crate) fn kill_and_finish<T: Target>(kills: u64, fresh: impl Fn() -> T) {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = match std::env::var("KILLED_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => nanos.as_nanos() as u64,
    };
    eprintln!("KILLED_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut moments: Vec<u64> = (0..kills).collect();
    random.shuffle(&mut moments);

    // The time of a whole run now, on a machine that may be busy with others.
    let mut whole = finish(&fresh());
    let mut target = fresh();
    let mut is_fresh = true;
    let mut runs = 0;
    while let Some(&moment) = moments.last() {
        runs += 1;
        assert!(runs < 5 * kills, "runs end too early to be killed");
        let part = (moment as f64 + random.f64()) / kills as f64;
        let ended = kill_after(&target, whole.mul_f64(part));
        target.check_at_once();
        let is_done = match ended {
            Some((ran, took)) => {
                if is_fresh {
                    whole = took;
                }
                target.is_done_after(&ran)
            }
            None => {
                moments.pop();
                let is_left_alone = random.u8(..3) == 0;
                if is_left_alone {
                    finish(&target);
                }
                is_left_alone
            }
        };
        is_fresh = is_done;
        if is_done {
            target = fresh();
        }
    }
    finish(&target);
    eprintln!("{kills} of {runs} runs were killed; a whole one takes {whole:?}");
}

/// Kills a run after some time; if it ended before, returns what it left, and when.
fn kill_after(target: &impl Target, time: Duration) -> Option<(Ran, Duration)> {
    let args = target.args();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let begun = Instant::now();
    let mut child = spawn(&args);
    while begun.elapsed() < time && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_micros(500));
    }
    child.kill().unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    ran.code.is_some().then_some((ran, begun.elapsed()))
}

/// Runs until all is done; returns how long the last run took.
fn finish(target: &impl Target) -> Duration {
    let args = target.args();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    for _ in 0..MOST_RUNS {
        let begun = Instant::now();
        let ran = run(&args);
        let took = begun.elapsed();
        target.check_at_once();
        if target.is_done_after(&ran) {
            return took;
        }
    }
    panic!("{MOST_RUNS} runs have not finished it");
}

/// Returns whether the run has left alone what was still being written.
pub(crate) fn has_skipped(ran: &Ran) -> bool {
    ran.stderr.contains(" is put off: ")
}

/// A command line: two images at a time, so that there is always something going on.
pub(crate) fn args(words: &[&str]) -> Vec<String> {
    let options = ["--transfers", "2"];
    let words = words.iter().chain(&options);
    words.map(|&word| word.to_owned()).collect()
}
