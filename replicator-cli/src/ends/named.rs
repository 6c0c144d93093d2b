//! The ends of a command: written out, or named by the options that openstackclient's users know.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use glance_client::EndpointProblem;
use glance_client::cloud::{Cloud, Environment};

use super::location::{End, ParseEndError, is_like_a_server};
use crate::error::CliError;

/// What stands where a command line has its ends, in order, and is taken one after the other.
pub(crate) struct Ends<'a> {
    words: Vec<&'a OsString>,
    env: &'a Environment,
}

impl<'a> Ends<'a> {
    pub(crate) fn new(words: impl IntoIterator<Item = &'a OsString>, env: &'a Environment) -> Self {
        let mut words: Vec<_> = words.into_iter().collect();
        words.reverse();
        Self { words, env }
    }

    /// Takes the next end, unless an option names the cloud that it is.
    pub(crate) fn next(&mut self, what: &str, cloud: Option<&str>) -> Result<End, CliError> {
        match (cloud, self.words.pop()) {
            (Some(cloud), word) => {
                self.words.extend(word);
                self.cloud(cloud)
            }
            (None, Some(word)) => self.read(word),
            (None, None) => Err(missing(what)),
        }
    }

    /// Takes the next end, if there is one.
    pub(crate) fn optional(&mut self, cloud: Option<&str>) -> Result<Option<End>, CliError> {
        if cloud.is_none() && self.words.is_empty() {
            return Ok(None);
        }
        self.next("END", cloud).map(Some)
    }

    /// Takes a server and a directory, in this order; `copies` is what copies from server to server.
    pub(crate) fn server_and_directory(
        &mut self,
        cloud: Option<&str>,
        copies: &str,
    ) -> Result<(End, PathBuf), CliError> {
        // They are kept in the order in which they are taken from the end.
        let hint = match (self.words.first(), self.words.get(1)) {
            (Some(second), _) if !is_like_a_server(&second.to_string_lossy()) => None,
            (Some(_), Some(first)) if is_plainly_a_directory(first) => {
                Some("the server comes first, and the directory behind it".to_owned())
            }
            _ => Some(format!(
                "{copies} copies from server to server; {CALLED_SO}"
            )),
        };
        let both = self
            .next("SERVER", cloud)
            .and_then(|server| Ok((server, self.archive()?)));
        both.map_err(|error| match (error, hint) {
            (CliError::End { problem, .. }, Some(hint)) => CliError::End {
                problem,
                hint: Some(hint),
            },
            (error, _) => error,
        })
    }

    /// Takes the next one as the path of an archive.
    pub(crate) fn archive(&mut self) -> Result<PathBuf, CliError> {
        let word = self.words.pop().ok_or_else(|| missing("DIR"))?;
        End::archive(word).map_err(|error| self.wrong(word, error))
    }

    /// Takes the cloud that an option names, and all ends that are left, with their names: one at least.
    pub(crate) fn rest(
        &mut self,
        what: &str,
        cloud: Option<&str>,
    ) -> Result<Vec<(String, End)>, CliError> {
        let mut ends = Vec::new();
        if let Some(cloud) = cloud {
            ends.push((format!("cloud:{cloud}"), self.cloud(cloud)?));
        }
        while let Some(word) = self.words.pop() {
            ends.push((word.to_string_lossy().into_owned(), self.read(word)?));
        }
        match ends.is_empty() {
            true => Err(missing(what)),
            false => Ok(ends),
        }
    }

    /// Takes the only end of a command, with its name: where none is written, the cloud of an option,
    /// or else that of `OS_CLOUD`.
    pub(crate) fn only(&mut self, cloud: Option<&str>) -> Result<(String, End), CliError> {
        let mut ends = self.each(cloud)?;
        self.finish()?;
        match (ends.pop(), ends.is_empty()) {
            (Some(end), true) => Ok(end),
            _ => Err(one_too_many(&format!(
                "--os-cloud {}",
                cloud.unwrap_or_default()
            ))),
        }
    }

    /// Takes all ends of a command that does with each the same, with their names; where there are none,
    /// the cloud of `OS_CLOUD`.
    pub(crate) fn each(&mut self, cloud: Option<&str>) -> Result<Vec<(String, End)>, CliError> {
        match self.env.get("OS_CLOUD") {
            _ if cloud.is_some() || !self.words.is_empty() => self.rest("END", cloud),
            // With its region and whatever else OS_* say.
            Some(_) => Ok(vec![("env:".to_owned(), End::Environment)]),
            None => Err(CliError::End {
                problem: "no end is named".to_owned(),
                hint: Some(format!(
                    "{WRITE_ONE}, give --os-cloud NAME, or set OS_CLOUD"
                )),
            }),
        }
    }

    /// Makes sure that nothing is left.
    pub(crate) fn finish(&self) -> Result<(), CliError> {
        match self.words.last() {
            Some(word) => Err(one_too_many(&format!("{word:?}"))),
            None => Ok(()),
        }
    }

    fn cloud(&self, name: &str) -> Result<End, CliError> {
        End::cloud(name).map_err(|error| self.wrong(OsStr::new(name), error))
    }

    fn read(&self, word: &OsStr) -> Result<End, CliError> {
        End::parse(word).map_err(|error| self.wrong(word, error))
    }

    fn wrong(&self, word: &OsStr, error: ParseEndError) -> CliError {
        let hint = match &error {
            ParseEndError::NoDirectory { .. } => Some(CALLED_SO.to_owned()),
            _ => namesake(&word.to_string_lossy(), self.env),
        };
        let hint = hint.or_else(|| match &error {
            ParseEndError::Endpoint(error) if error.problem == EndpointProblem::NoPort => Some(
                "Glance mostly is at port 9292; a directory is written dir:PATH, and a cloud \
                 cloud:NAME"
                    .to_owned(),
            ),
            _ => None,
        });
        let problem = error.to_string();
        CliError::End { problem, hint }
    }
}

fn is_plainly_a_directory(word: &OsStr) -> bool {
    let path = Path::new(word);
    let is_path = path.is_absolute() || path.is_dir();
    matches!(End::parse(word), Ok(End::Archive(_))) || is_path
}

const CALLED_SO: &str = "a directory that is called so is written dir:NAME or ./NAME";

const WRITE_ONE: &str = "write one, such as cloud:NAME or HOST:PORT";

pub(super) fn missing(what: &str) -> CliError {
    CliError::End {
        problem: format!("no {what} is named"),
        hint: Some(WRITE_ONE.to_owned()),
    }
}

fn one_too_many(what: &str) -> CliError {
    CliError::End {
        problem: format!("{what} is one end too many"),
        hint: Some(
            "an option that names a cloud stands in place of an end that is written out".to_owned(),
        ),
    }
}

/// Says what else is called like a text that names no end.
fn namesake(text: &str, env: &Environment) -> Option<String> {
    let directory = Path::new(text).is_dir().then(|| format!("dir:{text}"));
    match (cloud_called(text, env), directory) {
        (Some(cloud), Some(directory)) => Some(format!(
            "a cloud and a directory are called so: write {cloud} or {directory}"
        )),
        (Some(end), None) => Some(format!("there is a cloud of that name: write {end}")),
        (None, Some(end)) => Some(format!("there is a directory of that name: write {end}")),
        (None, None) => None,
    }
}

/// Returns how a cloud is written whose name this is, be it with a region, or behind something that was
/// to be `cloud:`.
pub(super) fn cloud_called(text: &str, env: &Environment) -> Option<String> {
    let clouds = Cloud::names(env);
    let behind = text.split_once(':').map(|(_, behind)| behind);
    let mut ways = [Some(text), behind].into_iter().flatten();
    ways.find_map(|way| {
        let (name, region) = way.split_at(way.find('/').unwrap_or(way.len()));
        let cloud = clouds
            .iter()
            .find(|cloud| cloud.eq_ignore_ascii_case(name))?;
        Some(format!("cloud:{cloud}{region}"))
    })
}
