//! Metrics in the text format of Prometheus, as node_exporter collects them from files.

use std::fmt::{Display, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::escape::escaped;
use super::report_file::{Readers, ReportFile};
use crate::error::CliError;

/// The name and the meaning of a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauge {
    name: &'static str,
    help: &'static str,
}

/// A gauge with this name and meaning.
pub(crate) const fn gauge(name: &'static str, help: &'static str) -> Gauge {
    Gauge { name, help }
}

/// The time of the last run that went well, by command, source and target.
const LAST_SUCCESS: Gauge = gauge(
    "glance_replicator_last_success_timestamp_seconds",
    "Time of the last run that did all that was asked of it, in seconds since 1970.",
);

/// Numbers, each with the labels that tell it from others of its name.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    families: Vec<(Gauge, Vec<Sample>)>,
}

#[derive(Debug)]
struct Sample {
    labels: String,
    value: String,
}

impl Metrics {
    /// Adds a number.
    pub(crate) fn add(&mut self, gauge: Gauge, labels: &[(&str, &str)], value: impl Display) {
        let labels = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", label(value)));
        let sample = Sample {
            labels: labels.collect::<Vec<_>>().join(","),
            value: value.to_string(),
        };
        let mut families = self.families.iter_mut();
        match families.find(|(known, _)| known.name == gauge.name) {
            Some((_, samples)) => samples.push(sample),
            None => self.families.push((gauge, vec![sample])),
        }
    }

    /// Notes that a run has gone well at a target.
    pub(crate) fn succeeded(&mut self, command: &str, source: &str, target: &str) {
        let labels = [("command", command), ("source", source), ("target", target)];
        self.add(LAST_SUCCESS, &labels, Timestamp::now().as_second());
    }

    /// Takes the times of successes from an older text that have other labels.
    fn keep_successes(&mut self, old: &str) {
        let gauge = LAST_SUCCESS;
        let begin = format!("{}{{", gauge.name);
        let lines = old.lines().filter_map(|line| line.strip_prefix(&*begin));
        let old: Vec<Sample> = lines
            .filter_map(|line| {
                let (labels, value) = line.rsplit_once("} ")?;
                let [labels, value] = [labels, value].map(str::to_owned);
                Some(Sample { labels, value })
            })
            .collect();
        let mut families = self.families.iter_mut();
        let known = families.find(|(known, _)| known.name == gauge.name);
        match known {
            Some((_, samples)) => {
                let new = |old: &Sample| samples.iter().all(|new| new.labels != old.labels);
                let old: Vec<Sample> = old.into_iter().filter(new).collect();
                samples.extend(old);
            }
            None if !old.is_empty() => self.families.push((gauge, old)),
            None => {}
        }
    }
}

impl Display for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (Gauge { name, help }, samples) in &self.families {
            writeln!(f, "# HELP {name} {help}")?;
            writeln!(f, "# TYPE {name} gauge")?;
            for Sample { labels, value } in samples {
                writeln!(f, "{name}{{{labels}}} {value}")?;
            }
        }
        Ok(())
    }
}

/// Returns the value of a label, on one line and without control characters.
fn label(value: &str) -> String {
    let mut label = String::with_capacity(value.len());
    for c in escaped(value).chars() {
        match c {
            '\\' | '"' => {
                let _ = write!(label, "\\{c}");
            }
            c => label.push(c),
        }
    }
    label
}

/// A file of metrics, which takes the place of the one of an earlier run in one step.
pub(crate) struct MetricsFile {
    file: ReportFile,
    old: String,
    path: PathBuf,
}

impl MetricsFile {
    /// Begins the file, before anything is done.
    pub(crate) fn begin(path: &Path) -> Result<Self, CliError> {
        let file = ReportFile::begin(path, Readers::Everybody)?;
        // Of a pipe, it would be waited for.
        let old = match path.is_file() {
            true => fs::read_to_string(path).unwrap_or_default(),
            false => String::new(),
        };
        Ok(Self {
            file,
            old,
            path: path.to_owned(),
        })
    }

    /// Writes the metrics. The time of an earlier success stays while later runs fail.
    pub(crate) fn end(self, mut metrics: Metrics) -> Result<(), CliError> {
        metrics.keep_successes(&self.old);
        tracing::debug!("metrics go to {}", self.path.display());
        self.file.end(&metrics.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGES: Gauge = gauge("images", "Images.");
    const LAST: Gauge = gauge("last", "Last.");

    #[test]
    fn numbers_of_a_name_stand_together_and_labels_are_escaped() {
        let mut metrics = Metrics::default();
        metrics.add(
            IMAGES,
            &[("target", "a\\b \"c\"\nd"), ("state", "equal")],
            3,
        );
        metrics.add(LAST, &[("target", "e")], 5);
        metrics.add(IMAGES, &[("target", "\u{1b}[1m")], 4);
        let expected = r#"# HELP images Images.
# TYPE images gauge
images{target="a\\b \"c\"\\nd",state="equal"} 3
images{target="\\u{1b}[1m"} 4
# HELP last Last.
# TYPE last gauge
last{target="e"} 5
"#;
        assert_eq!(metrics.to_string(), expected);
    }

    #[test]
    fn time_of_a_success_stays_until_there_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.prom");
        let write = |of: &[(&str, u64)]| {
            let mut metrics = Metrics::default();
            metrics.add(IMAGES, &[], of.len());
            for (target, time) in of {
                metrics.add(LAST_SUCCESS, &[("target", target)], time);
            }
            let file = MetricsFile::begin(&path).unwrap();
            file.end(metrics).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let last = text
                .lines()
                .filter(|line| line.starts_with(LAST_SUCCESS.name));
            last.map(str::to_owned).collect::<Vec<_>>()
        };
        let [a1, a3, b1] = ["a\"} 1", "a\"} 3", "b\"} 1"]
            .map(|end| format!("{}{{target=\"{end}", LAST_SUCCESS.name));
        assert_eq!(write(&[("a", 1), ("b", 1)]), [&*a1, &*b1]);
        assert_eq!(write(&[]), [&*a1, &*b1]);
        assert_eq!(write(&[("a", 3)]), [a3, b1]);
    }
}
