//! Measures the product beside what else does the same work, and holds it against figures.

use std::error::Error;
use std::fs;

use crate::embedded;
use crate::shell::{Outcome, cargo, root, run};

mod cases;
mod contest;
mod http;
mod machine;
mod measure;
mod peers;
mod relay;
mod report;
mod servers;

use cases::{Bench, Case};
pub(crate) use relay::Part;
use report::{CaseReport, Report};

/// What is asked of the bench.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Let every contestant run so many times
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Try the bench itself: small sizes, 2 rounds, no meaning
    #[arg(long)]
    quick: bool,
    /// Say which cases there are, and run none
    #[arg(long)]
    list: bool,
    /// Put the result into docs/performance.md
    #[arg(long, conflicts_with = "quick")]
    document: bool,
    /// The cases to run, by default all
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
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
    let bench = Bench {
        dir: root().join("target/bench"),
        quick: options.quick,
    };
    fs::create_dir_all(&bench.dir)?;
    build()?;
    let rounds = options.rounds.unwrap_or(if options.quick { 2 } else { 5 });
    let mut report = Report::new(machine::describe(&bench.dir), rounds, options.quick);
    for case in cases {
        println!("\n=== {}: {}", case.name, case.what);
        let case = run_case(&bench, &case, rounds);
        println!("\n{}", case.table());
        report.cases.push(case);
        report.write(&bench.dir)?;
    }
    bench.clean()?;
    println!("{}", report.summary());
    if options.document {
        report.document(&root().join("docs/performance.md"))?;
    }
    report.outcome()
}

fn chosen(names: &[String]) -> Result<Vec<Case>, Box<dyn Error>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !cases::ALL.iter().any(|case| case.name == **name))
    {
        return Err(format!("no such case: {unknown}; --list names them").into());
    }
    let is_chosen = |case: &Case| names.is_empty() || names.iter().any(|name| name == case.name);
    Ok(cases::ALL.into_iter().filter(is_chosen).collect())
}

fn build() -> Outcome {
    embedded::build()?;
    let example = ["--package=replicator-core", "--example=hash_speed"];
    run(cargo(&["build", "--release"]).args(example))
}

/// A case that cannot be prepared is reported as well: nothing is left out in silence.
fn run_case(bench: &Bench, case: &Case, rounds: u32) -> CaseReport {
    let say = |name: &str, round: u32, what: &str| println!("  {round}  {name}: {what}");
    match (case.contest)(bench) {
        Ok(contest) => {
            let measured = contest::hold(contest.contestants, rounds, say);
            CaseReport::new(
                case,
                contest.unit,
                &measured,
                &contest.figures,
                contest.remarks,
            )
        }
        Err(error) => CaseReport::impossible(case, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_chosen_by_name_and_all_by_default() {
        assert_eq!(chosen(&[]).unwrap().len(), cases::ALL.len());
        let names = ["dump", "tls"].map(str::to_owned);
        let found: Vec<&str> = chosen(&names)
            .unwrap()
            .iter()
            .map(|case| case.name)
            .collect();
        assert_eq!(found, ["tls", "dump"]);
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
        };
        let table = run_case(&bench, &case, 1).table();
        assert_eq!(
            table,
            "### impossible: nothing\n\nNot measured: no space.\n"
        );
    }
}
