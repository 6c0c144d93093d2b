//! What came out: as tables, as JSON, and in docs/performance.md.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::cases::{Case, GIB, MIB};
use super::contest::{Figure, Measured, Spread, Unit, Wanted};
use super::measure::Sample;
use super::servers::as_f64;
use crate::shell::Outcome;

/// Everything below this line of docs/performance.md is written by the bench.
const MARKER: &str = "<!-- Written by `cargo xtask bench --document`; changes below are lost. -->";

/// The result of one run of the bench.
pub(super) struct Report {
    machine: Vec<String>,
    rounds: u32,
    quick: bool,
    pub(super) cases: Vec<CaseReport>,
}

/// The result of one case.
pub(super) struct CaseReport {
    name: &'static str,
    what: &'static str,
    unit: Unit,
    rows: Vec<Row>,
    figures: Vec<Reached>,
    remarks: Vec<String>,
    /// Why there is nothing else.
    impossible: Option<String>,
}

struct Row {
    name: String,
    work: f64,
    samples: Result<Vec<Sample>, String>,
}

struct Reached {
    text: String,
    wanted: Wanted,
    measured: Option<Spread>,
}

impl Reached {
    fn verdict(&self) -> &'static str {
        match self.measured {
            None => "not measured",
            Some(spread) if self.wanted.is_reached_by(spread.median) => "reached",
            Some(_) => "NOT REACHED",
        }
    }
}

impl CaseReport {
    pub(super) fn new(
        case: &Case,
        unit: Unit,
        measured: &[Measured],
        figures: &[Figure],
        remarks: Vec<String>,
    ) -> Self {
        let row = |measured: &Measured| Row {
            name: measured.name.clone(),
            work: measured.work,
            samples: measured.samples.clone(),
        };
        let reached = |figure: &Figure| Reached {
            text: figure.text.clone(),
            wanted: figure.wanted,
            measured: figure.measure(measured),
        };
        Self {
            name: case.name,
            what: case.what,
            unit,
            rows: measured.iter().map(row).collect(),
            figures: figures.iter().map(reached).collect(),
            remarks,
            impossible: None,
        }
    }

    /// A case that could not be prepared.
    pub(super) fn impossible(case: &Case, why: &str) -> Self {
        Self {
            name: case.name,
            what: case.what,
            unit: Unit::Bytes,
            rows: Vec::new(),
            figures: Vec::new(),
            remarks: Vec::new(),
            impossible: Some(why.to_owned()),
        }
    }

    /// The case in Markdown.
    pub(super) fn table(&self) -> String {
        let mut lines = vec![format!("### {}: {}", self.name, self.what), String::new()];
        if let Some(why) = &self.impossible {
            lines.push(format!("Not measured: {why}."));
        }
        if !self.rows.is_empty() {
            let (speed, cpu) = match self.unit {
                Unit::Bytes => ("MB/s", "CPU s a GiB"),
                Unit::Images => ("images/s", "CPU ms an image"),
            };
            lines.push(format!(
                "| | seconds | {speed} | {cpu} | memory, MiB | servers' {cpu} |"
            ));
            lines.push("|---|---|---|---|---|---|".to_owned());
            lines.extend(self.rows.iter().map(|row| row.line(self.unit)));
        }
        if !self.figures.is_empty() {
            lines.push(String::new());
            lines.push("| figure | wanted | measured | |".to_owned());
            lines.push("|---|---|---|---|".to_owned());
            lines.extend(self.figures.iter().map(|figure| {
                let measured = figure.measured.map_or_else(String::new, shown);
                let (text, verdict) = (&figure.text, figure.verdict());
                format!("| {text} | {} | {measured} | {verdict} |", figure.wanted)
            }));
        }
        for remark in &self.remarks {
            lines.push(String::new());
            lines.push(remark.clone());
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn json(&self) -> Json {
        let rows = self.rows.iter().map(|row| match &row.samples {
            Ok(samples) => {
                let samples: Vec<Json> = samples.iter().map(sample_json).collect();
                json!({ "name": row.name, "work": row.work, "rounds": samples })
            }
            Err(why) => json!({ "name": row.name, "work": row.work, "missing": why }),
        });
        let figures = self.figures.iter().map(|figure| {
            let spread = figure.measured.map(
                |Spread {
                     median,
                     least,
                     most,
                 }| { json!({ "median": median, "least": least, "most": most }) },
            );
            json!({
                "figure": figure.text, "wanted": figure.wanted.to_string(),
                "measured": spread, "verdict": figure.verdict(),
            })
        });
        json!({
            "case": self.name, "what": self.what, "impossible": self.impossible,
            "contestants": rows.collect::<Vec<_>>(), "figures": figures.collect::<Vec<_>>(),
            "remarks": self.remarks,
        })
    }
}

impl Row {
    fn line(&self, unit: Unit) -> String {
        let samples = match &self.samples {
            Ok(samples) => samples,
            Err(why) => return format!("| {} | {} | | | | |", self.name, why.replace('\n', " ")),
        };
        let cell = |number: &dyn Fn(&Sample) -> Option<f64>| {
            let numbers: Option<Vec<f64>> = samples.iter().map(number).collect();
            numbers.and_then(Spread::of).map_or_else(String::new, shown)
        };
        // Of bytes in MB and GiB, of images in milliseconds.
        let (per_second, per_cpu) = match unit {
            Unit::Bytes => (1e6, as_f64(GIB)),
            Unit::Images => (1.0, 1000.0),
        };
        let cells = [
            cell(&|sample| Some(sample.seconds)),
            cell(&|sample| Some(self.work / sample.seconds / per_second)),
            cell(&|sample| Some(sample.cpu_seconds / self.work * per_cpu)),
            cell(&|sample| Some(sample.memory_bytes / as_f64(MIB))),
            cell(&|sample| Some(sample.server_cpu_seconds? / self.work * per_cpu)),
        ];
        format!("| {} | {} |", self.name, cells.join(" | "))
    }
}

fn sample_json(sample: &Sample) -> Json {
    json!({
        "seconds": sample.seconds, "cpu_seconds": sample.cpu_seconds,
        "memory_bytes": sample.memory_bytes, "server_cpu_seconds": sample.server_cpu_seconds,
        "counts": sample.counts,
    })
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
        }
    }
}

/// The median, and in parentheses what it lies between.
fn shown(spread: Spread) -> String {
    let Spread {
        median,
        least,
        most,
    } = spread;
    if least == most {
        return number(median);
    }
    format!("{} ({}–{})", number(median), number(least), number(most))
}

/// As many digits as mean something.
fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

impl Report {
    pub(super) fn new(machine: Vec<String>, rounds: u32, quick: bool) -> Self {
        Self {
            machine,
            rounds,
            quick,
            cases: Vec::new(),
        }
    }

    /// Writes all that is known so far into `result.json` and `result.md` in `dir`.
    pub(super) fn write(&self, dir: &Path) -> Outcome {
        let cases: Vec<Json> = self.cases.iter().map(CaseReport::json).collect();
        let all = json!({
            "machine": self.machine, "rounds": self.rounds, "quick": self.quick, "cases": cases,
        });
        fs::write(dir.join("result.json"), serde_json::to_string_pretty(&all)?)?;
        fs::write(dir.join("result.md"), self.markdown())?;
        Ok(())
    }

    /// Puts the result into the document, below the line that says so.
    pub(super) fn document(&self, path: &Path) -> Outcome {
        let text = fs::read_to_string(path)?;
        let (by_hand, _) = text
            .split_once(MARKER)
            .ok_or_else(|| format!("{} has no line {MARKER}", path.display()))?;
        fs::write(path, format!("{by_hand}{MARKER}\n\n{}", self.markdown()))?;
        Ok(())
    }

    fn markdown(&self) -> String {
        let mut text = "## The machine\n\n".to_owned();
        for line in &self.machine {
            text.push_str(&format!("- {line}\n"));
        }
        text.push_str("\n## Results\n\n");
        text.push_str(&match self.rounds {
            1 => "One round.\n\n".to_owned(),
            rounds => {
                format!("Medians of {rounds} rounds; in parentheses the least and the most.\n\n")
            }
        });
        let tables: Vec<String> = self.cases.iter().map(CaseReport::table).collect();
        text.push_str(&tables.join("\n"));
        text
    }

    /// A line for each figure, and for what was not measured.
    pub(super) fn summary(&self) -> String {
        let mut lines = Vec::new();
        for case in &self.cases {
            let name = case.name;
            lines.extend(
                case.impossible
                    .iter()
                    .map(|why| format!("not measured  {name}: {why}")),
            );
            let missing = case
                .rows
                .iter()
                .filter_map(|row| Some((row, row.samples.as_ref().err()?)));
            lines.extend(
                missing.map(|(row, why)| format!("not measured  {name}: {}: {why}", row.name)),
            );
            lines.extend(case.figures.iter().map(|figure| {
                let measured = figure.measured.map_or_else(|| "-".to_owned(), shown);
                let (verdict, text, wanted) = (figure.verdict(), &figure.text, figure.wanted);
                format!("{verdict:12}  {name}: {text}: {measured}, {wanted}")
            }));
        }
        lines.join("\n")
    }

    /// Fails if something could not be measured: a figure that is missed is a result.
    pub(super) fn outcome(&self) -> Result<(), Box<dyn Error>> {
        let missing = |case: &CaseReport| {
            case.impossible.is_some() || case.rows.iter().any(|row| row.samples.is_err())
        };
        match self.cases.iter().filter(|case| missing(case)).count() {
            0 => Ok(()),
            cases => Err(format!("something was not measured in {cases} cases").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::contest::Value;
    use super::*;

    fn report() -> Report {
        let sample = |seconds| Sample {
            seconds,
            cpu_seconds: 0.5,
            memory_bytes: as_f64(3 * MIB),
            ..Sample::default()
        };
        let measured = [
            Measured {
                name: "one".to_owned(),
                work: 2e6,
                samples: Ok(vec![sample(1.0), sample(2.0)]),
            },
            Measured {
                name: "other".to_owned(),
                work: 2e6,
                samples: Err("not installed: apt-get install other".to_owned()),
            },
        ];
        let figure = |wanted, to: &[&str]| Figure {
            text: "seconds".to_owned(),
            wanted,
            of: "one".to_owned(),
            to: to.iter().map(|&name| name.to_owned()).collect(),
            value: Value::Of(|sample| sample.seconds),
        };
        let figures = [
            figure(Wanted::AtMost(1.5), &[]),
            figure(Wanted::AtLeast(1.6), &[]),
            figure(Wanted::AtLeast(1.0), &["other"]),
        ];
        let case = Case {
            name: "case",
            what: "what is measured",
            contest: |_| Err("not run".into()),
        };
        let remarks = vec!["A remark.".to_owned()];
        let case = CaseReport::new(&case, Unit::Bytes, &measured, &figures, remarks);
        let mut report = Report::new(vec!["cores: 2".to_owned()], 2, false);
        report.cases.push(case);
        report
    }

    #[test]
    fn table_shows_medians_spreads_and_what_is_missing() {
        let expected = "\
### case: what is measured

| | seconds | MB/s | CPU s a GiB | memory, MiB | servers' CPU s a GiB |
|---|---|---|---|---|---|
| one | 1.50 (1.00–2.00) | 1.50 (1.00–2.00) | 268 | 3.00 |  |
| other | not installed: apt-get install other | | | | |

| figure | wanted | measured | |
|---|---|---|---|
| seconds | at most 1.5 | 1.50 (1.00–2.00) | reached |
| seconds | at least 1.6 | 1.50 (1.00–2.00) | NOT REACHED |
| seconds | at least 1 |  | not measured |

A remark.
";
        assert_eq!(report().cases[0].table(), expected);
    }

    #[test]
    fn what_is_missing_makes_the_run_fail_and_is_named_in_its_summary() {
        let report = report();
        let missing = "not measured  case: other: not installed: apt-get install other\n";
        assert!(
            report.summary().starts_with(missing),
            "{}",
            report.summary()
        );
        assert!(report.outcome().is_err());
    }

    #[test]
    fn document_keeps_what_was_written_by_hand() {
        let path = std::env::temp_dir().join(format!("bench-report-{}.md", std::process::id()));
        fs::write(&path, format!("# By hand\n\n{MARKER}\n\nold\n")).unwrap();
        report().document(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(&format!(
            "# By hand\n\n{MARKER}\n\n## The machine\n\n- cores: 2\n"
        )));
        assert!(!text.contains("old") && text.contains("### case: what is measured"));
        fs::write(&path, "no marker").unwrap();
        assert!(report().document(&path).is_err());
        fs::remove_file(&path).unwrap();
    }
}
