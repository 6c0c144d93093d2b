//! Everything that a change must pass, in one run: what CI does, and what a developer does.

use std::num::NonZero;
use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::shell::{Outcome, cargo, has_cargo, run};
use crate::{book, deploy, fuzz, lab, layers, live, setup, tidy};

/// The libraries, each of which others link alone and without features.
const LIBRARIES: [&str; 4] = [
    "glance-model",
    "glance-client",
    "replicator-core",
    "replicator-fs",
];

type Step = (&'static str, fn() -> Outcome);

const CHECKS: [Step; 5] = [
    ("format", format),
    ("tidy", tidy::check),
    ("layers", layers::check),
    ("clippy", clippy),
    ("libraries alone", libraries_alone),
];

/// The examples of `deploy/` come behind the live suite, with which they share what is compiled.
const SLOW: [Step; 7] = [
    ("tests", tests_beside_live_ones),
    ("docs", docs),
    ("book", book::build),
    ("cargo-deny", deny),
    ("fuzz", fuzz),
    ("live", live_with_lab),
    ("deploy", deploy::run_examples),
];

/// Installs what is missing, and runs every step.
pub(crate) fn full() -> Outcome {
    let setup: Step = ("setup", setup::everything);
    run_steps([setup].iter().chain(&CHECKS).chain(&SLOW))
}

/// Runs the steps that every commit has to pass: not the documentation, nor what takes
/// cargo-fuzz or the lab.
pub(crate) fn fast() -> Outcome {
    let setup: Step = ("setup", setup::components);
    let tests: Step = ("tests", tests);
    run_steps([setup].iter().chain(&CHECKS).chain([&tests]))
}

/// Runs steps up to the first that fails, and prints what each has taken.
fn run_steps<'a>(steps: impl Iterator<Item = &'a Step>) -> Outcome {
    let mut summary = String::new();
    let mut outcome = Ok(());
    for (name, step) in steps {
        println!("\n=== {name}");
        let started = Instant::now();
        outcome = step().map_err(|error| format!("{name}: {error}").into());
        let verdict = if outcome.is_ok() { "passed" } else { "FAILED" };
        let seconds = started.elapsed().as_secs_f64();
        summary.push_str(&format!("\n{verdict}  {seconds:>6.1} s  {name}"));
        if outcome.is_err() {
            break;
        }
    }
    println!("{summary}");
    outcome
}

/// The fuzz targets are a workspace of their own.
fn format() -> Outcome {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&[
        "fmt",
        "--manifest-path=fuzz/Cargo.toml",
        "--check",
    ]))
}

fn clippy() -> Outcome {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
    ];
    run(cargo(&arguments).args(["-D", "warnings"]))
}

fn libraries_alone() -> Outcome {
    LIBRARIES
        .iter()
        .try_for_each(|library| run(&mut cargo(&["check", "--package", library])))
}

/// Two more tests at a time than there are cores: some wait for seconds.
fn nextest() -> Command {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let mut nextest = cargo(&["nextest", "run"]);
    nextest.arg(format!("--test-threads={}", cores + 2));
    nextest
}

/// Without features, since the feature `live` adds tests that need the lab; what tests of a
/// crate need of its own features, it asks for itself.
fn tests() -> Outcome {
    if !has_cargo("nextest") {
        return run(&mut cargo(&["test", "--workspace"]));
    }
    run(nextest().arg("--workspace"))?;
    run(&mut cargo(&["test", "--workspace", "--doc"]))
}

/// The same tests, built as those that need the lab, so that nothing is built twice.
fn tests_beside_live_ones() -> Outcome {
    if !has_cargo("nextest") {
        return tests();
    }
    let others = ["-E", "not (binary(live) | binary(deploy))"];
    run(nextest().args(live::BUILT).args(others))?;
    run(cargo(&["test", "--doc"]).args(live::BUILT))
}

/// Of the libraries: in a binary, doc comments are also the text of `--help`.
fn docs() -> Outcome {
    let arguments = ["doc", "--workspace", "--lib", "--no-deps", "--all-features"];
    run(cargo(&arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny() -> Outcome {
    if has_cargo("deny") {
        return run(&mut cargo(&["deny", "check"]));
    }
    println!("NOT CHECKED: licences and advisories, because cargo-deny is not installed");
    Ok(())
}

fn fuzz() -> Outcome {
    let arguments = ["clippy", "--locked", "--manifest-path=fuzz/Cargo.toml"];
    run(cargo(&arguments).args(["--target-dir=target/fuzz/check", "--", "-D", "warnings"]))?;
    fuzz::run(fuzz::SECONDS, &[])
}

/// Leaves the lab as it was found: stopped, if it did not run before.
fn live_with_lab() -> Outcome {
    let was_up = lab::is_up();
    let outcome = live::run();
    if was_up {
        return outcome;
    }
    outcome.and(lab::down())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_after_a_failed_one_are_not_run() {
        let steps: [Step; 3] = [
            ("first", || Ok(())),
            ("second", || Err("no".into())),
            ("third", || panic!("a step was run after one that failed")),
        ];
        let error = run_steps(steps.iter()).unwrap_err();
        assert_eq!(error.to_string(), "second: no");
    }
}
