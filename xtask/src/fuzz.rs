//! Fuzzing: builds the targets in `fuzz/` with cargo-fuzz, and runs each for a while.
//!
//! Without a sanitizer, which takes a nightly compiler: no crate here has unsafe
//! code, so what is looked for are panics and broken laws. All that is written
//! goes below `target/fuzz`; `fuzz` itself is only read.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::setup;
use crate::shell::{Outcome, host, root, run as run_command};

/// How long each target runs unless one says otherwise, and in CI.
pub(crate) const SECONDS: u32 = 20;

/// Where it is built and where inputs are kept, from the root of the workspace.
const BUILD: &str = "target/fuzz/build";
const CORPUS: &str = "target/fuzz/corpus";
const FOUND: &str = "target/fuzz/artifacts";
const SEEDS: &str = "fuzz/seeds";
/// Without its words, names of properties are hardly ever hit.
const WORDS: &str = "-dict=fuzz/words.dict";
/// A record of a real server has some 700 bytes, and two are an input.
const MAX_LEN: &str = "-max_len=4096";
/// An input takes some 50 µs. This is for a busy machine.
const TIMEOUT: &str = "-timeout=10";

/// Runs some targets, or all of them, each with its seeds and what earlier runs
/// have found worth keeping, and then `seconds` long with new inputs.
pub(crate) fn run(seconds: u32, chosen: &[String]) -> Outcome {
    setup::install_cargo_fuzz()?;
    let targets = choose(all_targets()?, chosen)?;
    let programs = build()?;
    let mut failures = Vec::new();
    println!("\ntarget          executions   exec/s  coverage  corpus");
    for target in &targets {
        print!("{target:<14}");
        io::stdout().flush()?;
        match fuzz(&programs.join(target), target, seconds)? {
            Ok(figures) => println!("{}", figures.row()),
            Err(failure) => {
                println!("  FAILED");
                failures.push(failure);
            }
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n\n").into())
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

fn choose(all: Vec<String>, chosen: &[String]) -> Result<Vec<String>, String> {
    match chosen.iter().find(|name| !all.contains(name)) {
        Some(name) => Err(format!("no target {name:?}: there are {}", all.join(", "))),
        None if chosen.is_empty() => Ok(all),
        None => Ok(chosen.to_vec()),
    }
}

/// Returns the directory of the programs.
fn build() -> Result<PathBuf, Box<dyn Error>> {
    let host = host()?;
    let mut fuzz = setup::cargo_fuzz();
    fuzz.args(["build", "--sanitizer=none", "--debug-assertions"]);
    run_command(fuzz.args(["--target", &host, "--target-dir", BUILD]))?;
    Ok(Path::new(BUILD).join(host).join("release"))
}

/// Runs one target: its figures, or what has to be said of an input that it fails on.
fn fuzz(program: &Path, target: &str, seconds: u32) -> io::Result<Result<Figures, String>> {
    let root = root();
    let [corpus, found] = [CORPUS, FOUND].map(|dir| format!("{dir}/{target}/"));
    fs::create_dir_all(root.join(&corpus))?;
    fs::create_dir_all(root.join(&found))?;
    let log = format!("target/fuzz/{target}.log");
    let status = Command::new(root.join(program))
        .arg(format!("-max_total_time={seconds}"))
        .args([WORDS, MAX_LEN, TIMEOUT])
        .arg(format!("-artifact_prefix={found}"))
        .args([&corpus, &format!("{SEEDS}/{target}")])
        .current_dir(&root)
        .stderr(File::create(root.join(&log))?)
        .status()?;
    let text = fs::read(root.join(&log))?;
    let text = String::from_utf8_lossy(&text);
    Ok(match Figures::last_in(&text) {
        Some(figures) if status.success() => Ok(figures),
        _ => Err(failure(program, target, &log, &text, status)),
    })
}

/// Says what went wrong, and how it is seen again.
fn failure(program: &Path, target: &str, log: &str, text: &str, status: ExitStatus) -> String {
    let mut lines = vec![format!("{target}: {status}; {log} has it all")];
    let said = text
        .lines()
        .skip_while(|line| !line.contains(" panicked at ") && !line.contains("ERROR: libFuzzer"));
    lines.extend(
        said.take_while(|line| *line != "stack backtrace:")
            .take(8)
            .map(|line| format!("  {line}")),
    );
    let input = text
        .lines()
        .find_map(|line| line.split_once("Test unit written to "));
    if let Some((_, input)) = input {
        let program = program.display();
        lines.push(format!("run it again:    {program} {input}"));
        lines.push(format!(
            "make it smaller: {program} -minimize_crash=1 -max_total_time=60 \
             -artifact_prefix={FOUND}/{target}/ {input}"
        ));
    }
    lines.join("\n")
}

/// What libFuzzer says in the end.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    executions: String,
    per_second: String,
    coverage: String,
    corpus: String,
}

impl Figures {
    fn last_in(log: &str) -> Option<Self> {
        let line = log.lines().rev().find(|line| line.contains("\tDONE "))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |label: &str| {
            let at = words.iter().position(|word| *word == label)?;
            words.get(at + 1).map(|word| (*word).to_owned())
        };
        Some(Self {
            executions: words.first()?.trim_start_matches('#').to_owned(),
            per_second: after("exec/s:")?,
            coverage: after("cov:")?,
            corpus: after("corp:")?,
        })
    }

    fn row(&self) -> String {
        let Self {
            executions,
            per_second,
            coverage,
            corpus,
        } = self;
        format!("{executions:>12} {per_second:>8}  {coverage:>8}  {corpus}")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

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

    #[test]
    fn all_targets_are_run_or_those_that_are_named() {
        let all = ["a", "b"].map(String::from).to_vec();
        let named = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            choose(all.clone(), &names)
        };
        assert_eq!(named(&[]), Ok(all.clone()));
        assert_eq!(named(&["b"]), Ok(vec!["b".to_owned()]));
        assert_eq!(
            named(&["b", "c"]),
            Err(r#"no target "c": there are a, b"#.to_owned())
        );
    }

    #[test]
    fn figures_are_read_from_the_last_line_of_a_log() {
        let log = "#5\tINITED cov: 79 ft: 12 corp: 4/1728b exec/s: 0 rss: 28Mb\n\
                   #744234\tDONE   cov: 2335 ft: 7907 corp: 1661/683Kb lim: 1541 exec/s: 35439 rss: 32Mb\n\
                   Done 744234 runs in 21 second(s)\n";
        assert_eq!(
            Figures::last_in(log).unwrap().row(),
            "      744234    35439      2335  1661/683Kb"
        );
        assert_eq!(Figures::last_in("#5\tINITED cov: 79\n"), None);
    }

    #[test]
    fn failure_says_what_was_found_and_how_to_see_it_again() {
        let log = "#9\tNEW    cov: 7\n\
                   thread '<unnamed>' (1) panicked at fuzz_targets/a.rs:3:5:\n\
                   no\n\
                   stack backtrace:\n\
                   artifact_prefix='x/'; Test unit written to x/crash-1\n";
        let status = ExitStatus::from_raw(77 << 8);
        assert_eq!(
            failure(Path::new("p/a"), "a", "a.log", log, status),
            "a: exit status: 77; a.log has it all\n  \
             thread '<unnamed>' (1) panicked at fuzz_targets/a.rs:3:5:\n  \
             no\n\
             run it again:    p/a x/crash-1\n\
             make it smaller: p/a -minimize_crash=1 -max_total_time=60 \
             -artifact_prefix=target/fuzz/artifacts/a/ x/crash-1"
        );
    }
}
