//! Measures the product, beside its goals and beside an earlier build of itself.

use std::fs;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::embedded::{DEBUG, Profile, RELEASE};
use crate::shell::{Outcome, cargo, root, run};

mod cases;
mod contest;
mod machine;
mod measure;
mod report;
mod runs;
mod servers;

use cases::Case;
use report::{CaseReport, Report};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// The options of the bench.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs of each contestant; the figures are medians of them
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Try the bench itself: small sizes, debug builds, 2 rounds, no meaning
    #[arg(long)]
    quick: bool,
    /// Compare with this other build of the product, in turns, and with nothing else
    #[arg(long, value_name = "BINARY")]
    baseline: Option<PathBuf>,
    /// Put the result into docs/performance.md
    #[arg(long, conflicts_with_all = ["quick", "baseline"])]
    document: bool,
    /// The cases to run [default: all]
    #[arg(value_name = "CASE", value_parser = known_cases())]
    cases: Vec<String>,
}

/// The cases, as `--help` lists them.
fn known_cases() -> PossibleValuesParser {
    let cases = cases::ALL.map(|case| PossibleValue::new(case.name).help(case.what));
    PossibleValuesParser::new(cases)
}

/// The surroundings of all cases.
struct Bench {
    /// Where everything is kept and written.
    dir: PathBuf,
    quick: bool,
    profile: Profile,
    /// The product as it is now, and as it was before.
    products: Vec<PathBuf>,
}

/// Builds what is measured, runs the cases, and reports.
pub(crate) fn run_bench(options: &Options) -> Outcome {
    let profile = if options.quick { DEBUG } else { RELEASE };
    profile.build()?;
    let hashing = ["--package=replicator-core", "--example=hash_speed"];
    run(cargo(&["build", "--profile", profile.name]).args(hashing))?;
    let mut products = vec![profile.built("glance-replicator")];
    if let Some(baseline) = &options.baseline {
        let baseline = fs::canonicalize(baseline);
        products.push(baseline.map_err(|error| format!("--baseline: {error}"))?);
    }
    let bench = Bench {
        dir: root().join("target/bench"),
        quick: options.quick,
        profile,
        products,
    };
    fs::create_dir_all(&bench.dir)?;
    let rounds = options.rounds.unwrap_or(if options.quick { 2 } else { 5 });
    let mut report = Report::new(machine::describe(&bench.dir), rounds);
    let is_chosen = |case: &Case| match &options.cases[..] {
        [] => true,
        names => names.iter().any(|name| name == case.name),
    };
    for case in cases::ALL.into_iter().filter(is_chosen) {
        println!("\n=== {}: {}", case.name, case.what);
        let case = run_case(&bench, &case, rounds);
        println!("\n{}", case.table());
        report.cases.push(case);
        report.write(&bench.dir)?;
    }
    bench.clean()?;
    if options.document {
        report.document(&root().join("docs/performance.md"))?;
    }
    report.outcome()
}

/// A case that cannot be prepared is reported as well: nothing is left out in silence.
fn run_case(bench: &Bench, case: &Case, rounds: u32) -> CaseReport {
    let held = (case.contest)(bench).map(|contest| contest.hold(rounds));
    CaseReport::new(case, held.map_err(|error| error.to_string()))
}

impl Bench {
    /// Removes what takes space; what images hash to is kept.
    fn clean(&self) -> Outcome {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if ["data", "archive", "written"].contains(&&*name) {
                runs::remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Fails unless `bytes` and a GiB more are free below `target`.
    fn needs_space(&self, bytes: u64) -> Outcome {
        let disk = rustix::fs::statvfs(&self.dir)?;
        let free = disk.f_bavail * disk.f_frsize;
        if free >= bytes + GIB {
            return Ok(());
        }
        let (needed, free, dir) = (bytes / GIB + 1, free / GIB, self.dir.display());
        Err(format!("{needed} GiB are needed below {dir}, {free} are free").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_that_cannot_be_prepared_is_reported() {
        let case = Case {
            name: "impossible",
            what: "nothing",
            contest: |_| Err("no space".into()),
        };
        let bench = Bench {
            dir: root(),
            quick: true,
            profile: DEBUG,
            products: Vec::new(),
        };
        let table = run_case(&bench, &case, 1).table();
        assert_eq!(
            table,
            "### impossible: nothing\n\nNot measured: no space.\n"
        );
    }
}
