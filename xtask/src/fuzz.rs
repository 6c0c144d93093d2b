//! Fuzzing: runs each target in `fuzz/` for a while, with cargo-fuzz.
//!
//! Without a sanitizer, which takes a nightly compiler: no crate here has unsafe
//! code, so what is looked for are panics and broken laws. All that is written
//! goes below `target/fuzz`; `fuzz` itself is only read.

use std::error::Error;
use std::fs;

use crate::setup;
use crate::shell::{Outcome, host, root, run as run_command};

/// The seconds that each target runs by default, and in CI.
pub(crate) const SECONDS: u32 = 20;

const SEEDS: &str = "fuzz/seeds";
/// Words without which names of properties are hardly ever hit; inputs of at most 4 KiB, where a
/// record of a real server has some 700 bytes, and two are an input; at most 10 s for one, which
/// takes some 50 µs; and the figures at the end rather than a line for each finding.
const OPTIONS: [&str; 5] = [
    "-dict=fuzz/words.dict",
    "-max_len=4096",
    "-timeout=10",
    "-verbosity=0",
    "-print_final_stats=1",
];

/// Runs some targets, or all of them, each with its seeds and what earlier runs
/// have found worth keeping, and then `seconds` long with new inputs.
pub(crate) fn run(seconds: u32, chosen: &[String]) -> Outcome {
    setup::install_cargo_fuzz()?;
    let host = host()?;
    let targets = match chosen {
        [] => all_targets()?,
        some => some.to_vec(),
    };
    let mut failed = Vec::new();
    for target in targets {
        let [corpus, found] =
            ["corpus", "artifacts"].map(|kind| format!("target/fuzz/{kind}/{target}/"));
        for directory in [&corpus, &found] {
            fs::create_dir_all(root().join(directory))?;
        }
        let mut fuzz = setup::cargo_fuzz();
        fuzz.args(["run", "--sanitizer=none", "--debug-assertions"]);
        fuzz.args(["--target", &host, "--target-dir=target/fuzz/build"]);
        fuzz.args([&target, &corpus, &format!("{SEEDS}/{target}"), "--"]);
        fuzz.arg(format!("-max_total_time={seconds}")).args(OPTIONS);
        fuzz.arg(format!("-artifact_prefix={found}"));
        if run_command(&mut fuzz).is_err() {
            failed.push(target);
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("what failed is above: {}", failed.join(", ")).into()),
    }
}

fn all_targets() -> Result<Vec<String>, Box<dyn Error>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default();
        targets.push(name.to_string_lossy().into_owned());
    }
    targets.sort();
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_seeds_and_all_seeds_have_a_target() {
        let mut seeded = Vec::new();
        for entry in fs::read_dir(root().join(SEEDS)).unwrap() {
            let dir = entry.unwrap();
            assert!(fs::read_dir(dir.path()).unwrap().count() > 0, "{dir:?}");
            seeded.push(dir.file_name().into_string().unwrap());
        }
        seeded.sort();
        assert_eq!(seeded, all_targets().unwrap());
    }
}
