//! The result as tables, and in docs/performance.md.

use std::error::Error;
use std::fs;
use std::path::Path;

use super::cases::Case;
use super::contest::{Goal, Held, Measured, Spread, Unit, Wanted};
use super::measure::Sample;
use super::servers::as_f64;
use super::{GIB, MIB};
use crate::shell::Outcome;

/// The line of docs/performance.md below which the bench writes.
const MARKER: &str = "<!-- Written by `cargo xtask bench --document`; changes below are lost. -->";

/// The result of one run of the bench.
pub(super) struct Report {
    machine: Vec<String>,
    rounds: u32,
    pub(super) cases: Vec<CaseReport>,
}

/// The result of one case.
pub(super) struct CaseReport {
    title: String,
    /// Or why it could not be prepared.
    held: Result<Held, String>,
}

impl CaseReport {
    pub(super) fn new(case: &Case, held: Result<Held, String>) -> Self {
        let title = format!("{}: {}", case.name, case.what);
        Self { title, held }
    }

    /// The case in Markdown.
    pub(super) fn table(&self) -> String {
        let mut text = format!("### {}\n\n", self.title);
        let held = match &self.held {
            Ok(held) => held,
            Err(why) => return format!("{text}Not measured: {why}.\n"),
        };
        let (speed, cpu) = match held.unit {
            Unit::Bytes => ("MB/s", "CPU s a GiB"),
            Unit::Images => ("images/s", "CPU ms an image"),
        };
        text.push_str(&format!(
            "| | seconds | {speed} | {cpu} | memory, MiB | servers' {cpu} |\n"
        ));
        text.push_str("|---|---|---|---|---|---|\n");
        let rows = held
            .measured
            .iter()
            .map(|measured| row(measured, held.unit));
        text.extend(rows);
        text.push_str("\n| goal | wanted | measured | |\n|---|---|---|---|\n");
        text.extend(
            held.goals
                .iter()
                .filter_map(|goal| goal_row(goal, &held.measured)),
        );
        text.extend(held.remarks.iter().map(|remark| format!("\n{remark}\n")));
        text
    }
}

fn row(measured: &Measured, unit: Unit) -> String {
    let name = &measured.name;
    let samples = match &measured.samples {
        Ok(samples) => samples,
        Err(why) => return format!("| {name} | {} | | | | |\n", why.replace('\n', " ")),
    };
    let cell = |number: &dyn Fn(&Sample) -> f64| {
        Spread::of(samples.iter().map(number)).map_or_else(String::new, shown)
    };
    // Of bytes in MB and GiB, of images in milliseconds.
    let (per_second, per_cpu) = match unit {
        Unit::Bytes => (1e6, as_f64(GIB)),
        Unit::Images => (1.0, 1000.0),
    };
    let cells = [
        cell(&|sample| sample.seconds),
        cell(&|sample| measured.work / sample.seconds / per_second),
        cell(&|sample| sample.cpu_seconds / measured.work * per_cpu),
        cell(&|sample| sample.memory_bytes / as_f64(MIB)),
        cell(&|sample| sample.server_cpu_seconds / measured.work * per_cpu),
    ];
    format!("| {name} | {} |\n", cells.join(" | "))
}

/// None for a goal about a contestant that this run leaves out.
fn goal_row(goal: &Goal, measured: &[Measured]) -> Option<String> {
    let runs = |name: &String| measured.iter().any(|measured| measured.name == *name);
    if !goal.to.iter().all(runs) {
        return None;
    }
    let found = goal.measure(measured);
    let verdict = match found {
        None => "not measured",
        Some(spread) if goal.wanted.is_reached_by(spread.median) => "reached",
        Some(_) => "NOT REACHED",
    };
    let found = found.map_or_else(String::new, shown);
    Some(format!(
        "| {} | {} | {found} | {verdict} |\n",
        goal.text, goal.wanted
    ))
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
    let [median, least, most] = [spread.median, spread.least, spread.most].map(number);
    match least == most {
        true => median,
        false => format!("{median} ({least}–{most})"),
    }
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
    pub(super) fn new(machine: Vec<String>, rounds: u32) -> Self {
        let cases = Vec::new();
        Self {
            machine,
            rounds,
            cases,
        }
    }

    /// Writes all that is known so far into `result.md` in `dir`.
    pub(super) fn write(&self, dir: &Path) -> Outcome {
        fs::write(dir.join("result.md"), self.markdown())?;
        Ok(())
    }

    /// Puts the result into the document, below the line that says so.
    pub(super) fn document(&self, path: &Path) -> Outcome {
        let text = fs::read_to_string(path)?;
        let by_hand = text.split_once(MARKER);
        let (by_hand, _) =
            by_hand.ok_or_else(|| format!("{} has no line {MARKER}", path.display()))?;
        fs::write(path, format!("{by_hand}{MARKER}\n\n{}", self.markdown()))?;
        Ok(())
    }

    fn markdown(&self) -> String {
        let machine: String = self
            .machine
            .iter()
            .map(|line| format!("- {line}\n"))
            .collect();
        let tables: Vec<String> = self.cases.iter().map(CaseReport::table).collect();
        format!(
            "## The machine\n\n{machine}\n## Results\n\nMedians of {} rounds; in parentheses the least \
             and the most.\n\n{}",
            self.rounds,
            tables.join("\n")
        )
    }

    /// Fails if something could not be measured: a goal that is missed is a result.
    pub(super) fn outcome(&self) -> Result<(), Box<dyn Error>> {
        let is_missing = |case: &&CaseReport| match &case.held {
            Ok(held) => held
                .measured
                .iter()
                .any(|measured| measured.samples.is_err()),
            Err(_) => true,
        };
        match self.cases.iter().filter(is_missing).count() {
            0 => Ok(()),
            cases => Err(format!("something was not measured in {cases} cases").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::contest::{Contest, SECONDS};
    use super::*;

    fn report() -> Report {
        let mut contest = Contest::new(Unit::Bytes);
        let mut seconds = 0.0;
        contest.add("one", 2e6, move || {
            seconds += 1.0;
            Ok(Sample {
                seconds,
                cpu_seconds: 0.5,
                memory_bytes: as_f64(3 * MIB),
                ..Sample::default()
            })
        });
        contest.add("other", 2e6, || Err("not\ninstalled".into()));
        for (wanted, to) in [
            (Wanted::AtMost(1.5), &[][..]),
            (Wanted::AtLeast(1.6), &[]),
            (Wanted::AtLeast(1.0), &["other"]),
            (Wanted::AtLeast(1.0), &["one that is left out"]),
        ] {
            contest.goal("seconds", wanted, SECONDS, "one", to);
        }
        contest.remarks.push("A remark.".to_owned());
        let case = Case {
            name: "case",
            what: "what is measured",
            contest: |_| Err("not run".into()),
        };
        let mut report = Report::new(vec!["cores: 2".to_owned()], 2);
        report
            .cases
            .push(CaseReport::new(&case, Ok(contest.hold(2))));
        report
    }

    #[test]
    fn table_shows_medians_spreads_and_what_is_missing() {
        let expected = "\
### case: what is measured

| | seconds | MB/s | CPU s a GiB | memory, MiB | servers' CPU s a GiB |
|---|---|---|---|---|---|
| one | 1.50 (1.00–2.00) | 1.50 (1.00–2.00) | 268 | 3.00 | 0.000 |
| other | failed: not installed | | | | |

| goal | wanted | measured | |
|---|---|---|---|
| seconds | at most 1.5 | 1.50 (1.00–2.00) | reached |
| seconds | at least 1.6 | 1.50 (1.00–2.00) | NOT REACHED |
| seconds | at least 1 |  | not measured |

A remark.
";
        assert_eq!(report().cases[0].table(), expected);
        assert!(report().outcome().is_err());
    }

    #[test]
    fn document_keeps_what_was_written_by_hand() {
        let path = std::env::temp_dir().join(format!("bench-report-{}.md", std::process::id()));
        fs::write(&path, format!("# By hand\n\n{MARKER}\n\nold\n")).unwrap();
        report().document(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let start = format!("# By hand\n\n{MARKER}\n\n## The machine\n\n- cores: 2\n");
        assert!(text.starts_with(&start));
        assert!(!text.contains("old") && text.contains("### case: what is measured"));
        fs::write(&path, "no marker").unwrap();
        assert!(report().document(&path).is_err());
        fs::remove_file(&path).unwrap();
    }
}
