//! The file of jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use serde::Deserialize;

use crate::args::config_file::variable;
use crate::error::CliError;
use crate::secrets;

/// A file of jobs.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct JobsFile {
    /// The directory of the locks, which has to be the same for all who run these jobs; by default,
    /// that of this file.
    locks: Option<PathBuf>,
    /// The jobs, in the order in which they run.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(super) jobs: Vec<Job>,
}

/// A job: a command, with its ends and its options.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Job {
    /// Its name, of letters, digits, `-`, `_` and `.`.
    pub(super) name: String,
    /// The command, as `dump` or `metadefs copy`.
    command: String,
    /// What the command line has besides options, in its order: ends, files.
    #[serde(default)]
    ends: Vec<String>,
    /// The options of the command, without dashes before their names.
    #[serde(default)]
    options: BTreeMap<String, Setting>,
    /// Variables of the environment of the command, such as OS_CLOUD.
    #[serde(default)]
    environment: BTreeMap<String, Setting>,
    /// A program and its arguments, run when the job has ended with exit code 0. JOB_NAME,
    /// JOB_EXIT_CODE and JOB_REPORT (the path of the option report) are in its environment.
    #[serde(default)]
    pub(super) on_success: Vec<String>,
    /// The same, when it has ended with any other exit code.
    #[serde(default)]
    pub(super) on_failure: Vec<String>,
}

/// The value of an option or a variable.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    untagged,
    expecting = "write true or false, a number, a text, a list of texts, {env: NAME}, {secret: {file: \
                 PATH}} or {secret: {command: [PROGRAM]}}"
)]
enum Setting {
    /// Whether an option without a value is given.
    Flag(bool),
    Number(u64),
    Decimal(f64),
    Text(String),
    /// An option that is given more than once.
    List(Vec<String>),
    /// A value that stands elsewhere, and on no command line.
    Elsewhere(Elsewhere),
}

/// The place of a value that is not in the file.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Elsewhere {
    /// A variable of the environment.
    Env(String),
    Secret(Secret),
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Secret {
    /// A file that has it, without the line break at its end.
    File(PathBuf),
    /// A program and its arguments, which prints it.
    Command(Vec<String>),
}

impl JobsFile {
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let failed = |problem: String| CliError::JobsFile {
            path: path.to_owned(),
            problem,
        };
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let file = Self::parse(&text).map_err(failed)?;
        Ok(file)
    }

    fn parse(text: &str) -> Result<Self, String> {
        // A part of the file is no part of a message: it may have a token in it.
        let options = serde_saphyr::options! { with_snippet: false };
        let file: Self = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| error.to_string())?;
        if file.jobs.is_empty() {
            return Err("there is no job in it".to_owned());
        }
        let mut names = BTreeSet::new();
        for job in &file.jobs {
            let is_of_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if job.name.is_empty() || !job.name.chars().all(is_of_name) {
                return Err(format!(
                    "{:?} is no name of a job: write letters, digits, -, _ and . alone",
                    job.name
                ));
            }
            if !names.insert(&job.name) {
                return Err(format!("there are two jobs {}", job.name));
            }
        }
        Ok(file)
    }

    /// The directory of the locks.
    pub(super) fn locks(&self, path: &Path) -> PathBuf {
        let beside = || path.parent().unwrap_or(Path::new("")).to_owned();
        self.locks.clone().unwrap_or_else(beside)
    }
}

impl Job {
    /// Returns the words of the command line. A value that stands elsewhere has a word in its place,
    /// in the environment: see [`variables`](Self::variables).
    pub(super) fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.command.split_whitespace().map(str::to_owned).collect();
        for (name, setting) in &self.options {
            let valued = |value: &str| format!("--{name}={value}");
            match setting {
                Setting::Flag(true) => words.push(format!("--{name}")),
                Setting::Flag(false) | Setting::Elsewhere(_) => {}
                Setting::Number(number) => words.push(valued(&number.to_string())),
                Setting::Decimal(number) => words.push(valued(&number.to_string())),
                Setting::Text(text) => words.push(valued(text)),
                Setting::List(texts) => words.extend(texts.iter().map(|text| valued(text))),
            }
        }
        words.extend(self.ends.iter().cloned());
        words
    }

    /// The same, as somebody would type it.
    pub(super) fn line(&self) -> String {
        let words: Vec<String> = self.words().iter().map(|word| quoted(word)).collect();
        format!("glance-replicator {}", words.join(" "))
    }

    /// Returns the names of the options whose values stand elsewhere.
    pub(super) fn elsewhere(&self) -> impl Iterator<Item = &str> {
        let options = self.options.iter();
        options.filter_map(|(name, setting)| match setting {
            Setting::Elsewhere(_) => Some(&**name),
            _ => None,
        })
    }

    /// Returns the variables of its environment, with the options whose values stand elsewhere.
    pub(super) fn variables(&self) -> Result<Vec<(String, String)>, CliError> {
        self.variables_by(|setting| setting.value().map(Some))
    }

    /// Returns those of them that are known before the job begins: no file is read for it, and no
    /// program is run.
    pub(super) fn known_variables(&self) -> Result<Vec<(String, String)>, CliError> {
        self.variables_by(|setting| match setting {
            Setting::Elsewhere(Elsewhere::Secret(_)) => Ok(None),
            Setting::Elsewhere(Elsewhere::Env(_)) => Ok(setting.value().ok()),
            setting => setting.value().map(Some),
        })
    }

    fn variables_by(
        &self,
        value: impl Fn(&Setting) -> Result<Option<String>, String>,
    ) -> Result<Vec<(String, String)>, CliError> {
        let own = self.environment.iter();
        let own = own.map(|(name, setting)| (name.clone(), name, setting));
        let options = self.options.iter();
        let options = options.filter(|(_, setting)| matches!(setting, Setting::Elsewhere(_)));
        let options = options.map(|(name, setting)| (variable(name), name, setting));
        let set = own.chain(options).map(|(variable, name, setting)| {
            let value = value(setting).map_err(|problem| CliError::Job {
                job: self.name.clone(),
                problem: format!("{name}: {problem}"),
                hint: None,
            })?;
            Ok(value.map(|value| (variable, value)))
        });
        set.filter_map(Result::transpose).collect()
    }

    /// The path of its report.
    pub(super) fn report(&self) -> Option<&str> {
        match self.options.get("report")? {
            Setting::Text(path) => Some(path),
            _ => None,
        }
    }
}

impl Setting {
    fn value(&self) -> Result<String, String> {
        match self {
            Self::Flag(flag) => Ok(flag.to_string()),
            Self::Number(number) => Ok(number.to_string()),
            Self::Decimal(number) => Ok(number.to_string()),
            Self::Text(text) => Ok(text.clone()),
            Self::List(_) => Err("a variable has one value, and no list".to_owned()),
            Self::Elsewhere(elsewhere) => {
                let value = elsewhere.value()?;
                secrets::know(&value);
                Ok(value)
            }
        }
    }
}

impl Elsewhere {
    fn value(&self) -> Result<String, String> {
        let text = match self {
            Self::Env(name) => {
                std::env::var(name).map_err(|_| format!("the variable {name} is not set"))?
            }
            Self::Secret(Secret::File(path)) => fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
            Self::Secret(Secret::Command(words)) => output(words)?,
        };
        let text = text.trim_end_matches(['\r', '\n']);
        match text.is_empty() {
            true => Err("the value is empty".to_owned()),
            false => Ok(text.to_owned()),
        }
    }
}

/// Returns what a program prints. What it says to stderr is seen.
fn output(words: &[String]) -> Result<String, String> {
    let Some((program, words)) = words.split_first() else {
        return Err("no command is named".to_owned());
    };
    let mut command = Command::new(program);
    command
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let failed = |error: io::Error| format!("{program} cannot be run: {error}");
    let output = command.output().map_err(failed)?;
    if !output.status.success() {
        return Err(format!("{program} has ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("what {program} prints is not UTF-8"))
}

/// Quotes a word for a shell, if it has to be.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(job: &str) -> String {
        let file = format!("jobs: [{{name: a, {job}}}]");
        JobsFile::parse(&file).unwrap().jobs[0].line()
    }

    #[test]
    fn a_job_is_a_command_line() {
        for (job, line) in [
            ("command: size, ends: [cloud:prod]", "size cloud:prod"),
            (
                "command: metadefs copy, ends: [a:1, b:1]",
                "metadefs copy a:1 b:1",
            ),
            (
                "command: dump, options: {snapshot: true, metaonly: false, keep-daily: 7}, ends: [a:1, /b]",
                "dump --keep-daily=7 --snapshot a:1 /b",
            ),
            (
                "command: livecopy, options: {select: [status=active, 'size>1G'], tpslimit: 0.5, image: it's}",
                r"livecopy '--image=it'\''s' --select=status=active '--select=size>1G' --tpslimit=0.5",
            ),
            ("command: size, options: {token: {env: T}}", "size"),
        ] {
            assert_eq!(words(job), format!("glance-replicator {line}"));
        }
    }

    #[test]
    fn a_value_may_stand_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "from-a-file\n").unwrap();
        let file = format!(
            "jobs: [{{name: a, command: size, environment: {{OS_CLOUD: prod, N: 3}}, options: {{
                token: {{secret: {{file: {}}}}}, sourcetoken: {{secret: {{command: [echo, printed]}}}}}}}}]",
            path.display()
        );
        let file = JobsFile::parse(&file).unwrap();
        let expected = [
            ("N", "3"),
            ("OS_CLOUD", "prod"),
            ("GLANCE_REPLICATOR_SOURCETOKEN", "printed"),
            ("GLANCE_REPLICATOR_TOKEN", "from-a-file"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(file.jobs[0].variables().unwrap(), expected);
        for (setting, problem) in [
            ("{env: NOT_SET_ANYWHERE}", "is not set"),
            ("{secret: {file: /nonexistent}}", "cannot read /nonexistent"),
            ("{secret: {command: ['false']}}", "false has ended with"),
            ("{secret: {command: ['true']}}", "empty"),
            ("{secret: {command: []}}", "no command"),
        ] {
            let file = format!("jobs: [{{name: a, command: size, options: {{token: {setting}}}}}]");
            let error = JobsFile::parse(&file).unwrap().jobs[0].variables();
            let error = error.unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn what_is_no_file_of_jobs_is_told() {
        for (text, problem) in [
            ("jobs: [{name: a b, command: size}]", "is no name of a job"),
            ("jobs: [{name: '', command: size}]", "is no name of a job"),
            (
                "jobs: [{name: a, command: size}, {name: a, command: list}]",
                "two jobs a",
            ),
            ("jobs: [{name: a, command: size, option: {}}]", "option"),
            ("jobs: [{name: a}]", "command"),
            (
                "jobs: [{name: a, command: size, options: {transfers: null}}]",
                "write true or false, a number",
            ),
            ("jobs: []", "there is no job in it"),
            ("- a", ""),
            ("", ""),
        ] {
            let error = JobsFile::parse(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
