//! The one way to stderr: lines as text, with the time where no terminal shows them as they come, or
//! as JSON; and nothing at all of a run that is to be quiet and goes well.

use std::io::{self, IsTerminal as _, Write as _};

use jiff::{Timestamp, Unit};
use serde::Serialize;

use super::escape::escaped;
use super::wording::{Lines, Weight};
use crate::args::LogFormat;

/// The form of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineStyle {
    Plain,
    /// Behind the time.
    Timed,
    Json,
}

impl LineStyle {
    /// Returns the style that is asked for, for the stderr that there is.
    pub(crate) fn of(format: LogFormat) -> Self {
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Plain => Self::Plain,
            LogFormat::Text if io::stderr().is_terminal() => Self::Plain,
            LogFormat::Text => Self::Timed,
        }
    }

    /// Renders lines that belong together.
    fn render(self, lines: &Lines, now: &str) -> Vec<String> {
        let target = lines.target.as_deref();
        let place = |line: &String| match target {
            Some(target) => format!("{target}: {line}"),
            None => line.clone(),
        };
        match self {
            Self::Plain => lines.lines.iter().map(place).collect(),
            Self::Timed => {
                let lines = lines.lines.iter().map(place);
                lines.map(|line| format!("{now} {line}")).collect()
            }
            // Each line of a summary stands for itself.
            Self::Json if lines.weight == Weight::Summary => {
                let lines = lines.lines.iter();
                lines
                    .filter_map(|line| json(line, &[], target, now))
                    .collect()
            }
            Self::Json => {
                let first = lines.lines.split_first();
                let object = first.and_then(|(first, details)| json(first, details, target, now));
                object.into_iter().collect()
            }
        }
    }
}

fn json(first: &str, details: &[String], target: Option<&str>, now: &str) -> Option<String> {
    let mut levels = ["error", "warning"].into_iter();
    let leveled = levels.find_map(|level| {
        let message = first.strip_prefix(level)?.strip_prefix(": ")?;
        Some((level, message))
    });
    let (level, message) = leveled.unwrap_or(("info", first));
    let details = details.iter().map(|line| escaped(line).into_owned());
    let record = Record {
        time: now,
        level,
        target,
        message: &escaped(message),
        details: details.collect(),
    };
    serde_json::to_string(&record).ok()
}

/// A message as JSON: one object a line.
#[derive(Serialize)]
struct Record<'a> {
    time: &'a str,
    level: &'static str,
    /// The target that it is about, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    message: &'a str,
    /// Causes, hints, and what else belongs to the message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<String>,
}

/// Returns the time in seconds, as all lines carry it.
pub(super) fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}

/// Writes to stderr, or keeps lines until it is known how the run ends.
pub(super) struct Stderr {
    style: LineStyle,
    kept: Option<Vec<String>>,
}

impl Stderr {
    pub(super) fn new(style: LineStyle, is_quiet: bool) -> Self {
        Self {
            style,
            kept: is_quiet.then(Vec::new),
        }
    }

    pub(super) fn write(&mut self, lines: &Lines) {
        for line in self.style.render(lines, &now()) {
            self.write_line(line);
        }
    }

    /// Writes lines that somebody waits for, whatever else is kept.
    pub(super) fn write_at_once(&self, lines: &Lines) {
        for line in self.style.render(lines, &now()) {
            show(&line);
        }
    }

    /// Writes a line that is complete as it is.
    pub(super) fn write_line(&mut self, line: String) {
        match &mut self.kept {
            Some(kept) => kept.push(line),
            None => show(&line),
        }
    }

    /// Writes what was kept, unless the run went well.
    pub(super) fn end(&mut self, went_well: bool) {
        let kept = self.kept.take().unwrap_or_default();
        for line in kept.iter().filter(|_| !went_well) {
            show(line);
        }
    }
}

/// One write a line, since other programs may write to the same terminal.
pub(super) fn show(line: &str) {
    let line = format!("{}\n", escaped(line));
    let _ = io::stderr().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_plain_or_behind_the_time_or_one_json_object() {
        let mut lines = Lines::new(Weight::Problem, ["error: a \"b\"".into(), "hint: c".into()]);
        let render = |style: LineStyle, lines: &Lines| style.render(lines, "NOW").join("\n");
        assert_eq!(render(LineStyle::Plain, &lines), "error: a \"b\"\nhint: c");
        assert_eq!(
            render(LineStyle::Timed, &lines),
            "NOW error: a \"b\"\nNOW hint: c"
        );
        lines.target = Some("X".into());
        assert_eq!(
            render(LineStyle::Plain, &lines),
            "X: error: a \"b\"\nX: hint: c"
        );
        assert_eq!(
            render(LineStyle::Json, &lines),
            r#"{"time":"NOW","level":"error","target":"X","message":"a \"b\"","details":["hint: c"]}"#
        );
        let lines = Lines::new(Weight::Info, ["done".into()]);
        assert_eq!(
            render(LineStyle::Json, &lines),
            r#"{"time":"NOW","level":"info","message":"done"}"#
        );
    }
}
