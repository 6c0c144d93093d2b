//! Measures the product, beside its goals and beside an earlier build of itself.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

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

/// What is asked of the bench.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs of each contestant; the figures are medians of them
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Try the bench itself: small sizes, debug builds, 2 rounds, no meaning
    #[arg(long)]
    quick: bool,
    /// List the cases, and run none
    #[arg(long)]
    list: bool,
    /// Compare with this other build of the product, in turns, and with nothing else
    #[arg(long, value_name = "BINARY")]
    baseline: Option<PathBuf>,
    /// Put the result into docs/performance.md
    #[arg(long, conflicts_with_all = ["quick", "baseline"])]
    document: bool,
    /// The cases to run [default: all]
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
}

/// What all cases are given.
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
    if options.list {
        for case in cases::ALL {
            println!("{:16} {}", case.name, case.what);
        }
        return Ok(());
    }
    let cases = chosen(&options.cases)?;
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
    for case in cases {
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

fn chosen(names: &[String]) -> Result<Vec<Case>, Box<dyn Error>> {
    let known = |name: &&String| cases::ALL.iter().any(|case| case.name == **name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(format!("no such case: {unknown}; --list names them").into());
    }
    let is_chosen = |case: &Case| names.is_empty() || names.iter().any(|name| name == case.name);
    Ok(cases::ALL.into_iter().filter(is_chosen).collect())
}

/// A case that cannot be prepared is reported as well: nothing is left out in silence.
fn run_case(bench: &Bench, case: &Case, rounds: u32) -> CaseReport {
    match (case.contest)(bench) {
        Ok(contest) => CaseReport::new(case, contest.hold(rounds)),
        Err(error) => CaseReport::impossible(case, &error.to_string()),
    }
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
    fn cases_are_chosen_by_name_and_all_by_default() {
        assert_eq!(chosen(&[]).unwrap().len(), cases::ALL.len());
        let names = ["dump", "transfers"].map(str::to_owned);
        let found = chosen(&names).unwrap();
        let found: Vec<&str> = found.iter().map(|case| case.name).collect();
        assert_eq!(found, ["transfers", "dump"]);
        let error = chosen(&["dumb".to_owned()]).err().unwrap();
        assert_eq!(error.to_string(), "no such case: dumb; --list names them");
    }

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
