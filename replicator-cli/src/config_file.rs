//! Where options come from: the command line, then the environment, then
//! configuration files, then the defaults.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use configparser::ini::Ini;

use crate::args::Args;
use crate::error::CliError;

/// A command line that was understood.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) args: Args,
    /// What the user should know about how it was written.
    pub(crate) warnings: Vec<String>,
    /// What the files set that is no option: they may be those of other programs.
    pub(crate) ignored: Vec<String>,
}

/// Reads the command line, and the files that it names.
pub(crate) fn parse(line: impl Iterator<Item = OsString>) -> Result<Invocation, CliError> {
    let line: Vec<OsString> = line.collect();
    let first = Args::command().try_get_matches_from(&line)?;
    let files = first.get_many::<PathBuf>("config_file");
    let files: Vec<&Path> = files.into_iter().flatten().map(PathBuf::as_path).collect();
    let mut settings = HashMap::new();
    for file in &files {
        settings.extend(read(file)?);
    }
    let command = with_defaults(Args::command(), &settings);
    let ignored = unknown(&command, &settings);
    let matches = command
        .try_get_matches_from(&line)
        .map_err(|source| CliError::Setting {
            source: Box::new(source),
        })?;
    Ok(Invocation {
        args: Args::from_arg_matches(&matches)?,
        warnings: tokens_in_view(&matches),
        ignored,
    })
}

fn read(path: &Path) -> Result<HashMap<String, String>, CliError> {
    let failed = |problem: String| CliError::ConfigFile {
        path: path.to_owned(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let mut ini = Ini::new();
    // A token may have any of these characters in it.
    ini.set_inline_comment_symbols(Some(&[]));
    let mut sections = ini.read(text).map_err(failed)?;
    let settings = sections.remove("default").unwrap_or_default();
    Ok(settings
        .into_iter()
        .filter_map(|(name, value)| Some((name.replace('_', "-"), value?)))
        .collect())
}

/// Makes settings the defaults of the options that they name.
fn with_defaults(command: clap::Command, settings: &HashMap<String, String>) -> clap::Command {
    command
        .mut_args(|arg| with_default(arg, settings))
        .mut_subcommands(|command| command.mut_args(|arg| with_default(arg, settings)))
}

fn with_default(arg: clap::Arg, settings: &HashMap<String, String>) -> clap::Arg {
    if arg.get_id() == "config_file" {
        return arg;
    }
    let names = names(&arg);
    // clap itself looks at the variable of an option's first name only.
    let in_environment = names
        .iter()
        .find_map(|name| std::env::var_os(variable(name)));
    let in_file = || names.iter().find_map(|name| settings.get(name));
    match in_environment.or_else(|| in_file().map(OsString::from)) {
        Some(value) => arg.default_value(value),
        None => arg,
    }
}

fn names(arg: &clap::Arg) -> Vec<String> {
    let names = arg.get_long_and_visible_aliases().unwrap_or_default();
    names.into_iter().map(str::to_owned).collect()
}

fn unknown(command: &clap::Command, settings: &HashMap<String, String>) -> Vec<String> {
    let of_commands = command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments);
    let known: HashSet<String> = command
        .get_arguments()
        .chain(of_commands)
        .flat_map(names)
        .collect();
    let is_unknown = |name: &&String| !known.contains(*name);
    let mut unknown: Vec<String> = settings.keys().filter(is_unknown).cloned().collect();
    unknown.sort_unstable();
    unknown
}

fn variable(option: &str) -> String {
    let name = option.replace('-', "_").to_ascii_uppercase();
    format!("GLANCE_REPLICATOR_{name}")
}

fn tokens_in_view(matches: &ArgMatches) -> Vec<String> {
    ["token", "sourcetoken", "targettoken"]
        .into_iter()
        .filter(|name| matches.value_source(name) == Some(ValueSource::CommandLine))
        .map(|name| {
            format!(
                "every user of this machine can read the token in --{name}; set {} or use \
                 --config-file",
                variable(name)
            )
        })
        .collect()
}
