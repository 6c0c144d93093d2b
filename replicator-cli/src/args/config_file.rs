//! The sources of options: the command line, then the environment, then
//! configuration files, then the defaults. What is set and is no option is warned about.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory, Parser};
use configparser::ini::Ini;

use super::{grammar, help};
use crate::error::CliError;
use crate::near::near as nearest;

/// The prefix of the variables that set options.
const PREFIX: &str = "GLANCE_REPLICATOR_";
/// The option that no file can set.
const CONFIG_FILE: &str = "config-file";
/// Options that stand for ends, which are named on the command line alone: set for every run, one would
/// make a source of what is written as a target.
const ENDS: [&str; 3] = ["os-cloud", "source-os-cloud", "target-os-cloud"];
/// The most names that are told of what is no option and near none.
const TOLD: usize = 3;

/// A command line that was understood.
#[derive(Debug)]
pub(crate) struct Invocation<C> {
    pub(crate) command: C,
    /// Warnings about how it was written.
    pub(crate) warnings: Vec<String>,
}

/// Returns all commands with all of their options.
pub(crate) fn grammar<C: CommandFactory>() -> Command {
    grammar::whole(C::command())
}

/// Returns the value of a variable of the environment, if it is set.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Reads the command line, and the files that it names.
pub(crate) fn parse<C: Parser>(
    line: impl Iterator<Item = OsString>,
    variables: Variables<'_>,
) -> Result<Invocation<C>, CliError> {
    let line: Vec<OsString> = line.collect();
    if line.len() < 2 {
        return Err(CliError::FirstRun);
    }
    let mut grammar = self::grammar::<C>();
    if let Some(words) = grammar::asks_for_help(&grammar, &line) {
        let page = help::on(&grammar, &words);
        return Err(match page {
            Ok(page) => CliError::Help(page),
            Err(problem) => grammar.error(ErrorKind::InvalidSubcommand, problem).into(),
        });
    }
    let first = grammar::read(&grammar, &line)?;
    let mut plain = grammar.clone();
    let files = first.get_many::<PathBuf>("config_file");
    let options = options(&grammar);
    let mut settings = HashMap::new();
    let mut warnings = Vec::new();
    for file in files.into_iter().flatten() {
        let set = read(file, &options)?;
        warnings.extend(ignored_in(file, set.as_deref(), &options));
        settings.extend(set.into_iter().flatten());
    }
    warnings.extend(ignored_in_environment(&options));
    let matches =
        grammar::read(&with_defaults(grammar, &settings, variables), &line).map_err(|source| {
            CliError::Setting {
                source: Box::new(source),
            }
        })?;
    grammar::check(&mut plain, &matches)?;
    warnings.extend(tokens_in_view(&matches));
    Ok(Invocation {
        command: C::from_arg_matches(&matches)?,
        warnings,
    })
}

/// Returns what the section `DEFAULT` sets, if there is one, the names as options have them.
fn read(
    path: &Path,
    options: &BTreeSet<String>,
) -> Result<Option<Vec<(String, String)>>, CliError> {
    let failed = |problem: String| CliError::ConfigFile {
        path: path.to_owned(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let mut ini = Ini::new();
    // A token may have any of these characters in it.
    ini.set_inline_comment_symbols(Some(&[]));
    let mut sections = ini.read(text).map_err(failed)?;
    let Some(section) = sections.remove("default") else {
        return Ok(None);
    };
    let mut set = Vec::new();
    for (line, value) in section {
        let name = line.replace('_', "-");
        match value {
            Some(value) => set.push((name, value)),
            // Of other programs' files it may be the second line of a value, and a secret.
            None => {
                let word = name.split_whitespace().next().unwrap_or_default();
                if options.contains(word) {
                    return Err(failed(format!("{word} has no value: write {word} = VALUE")));
                }
            }
        }
    }
    set.sort_unstable();
    Ok(Some(set))
}

/// Warns of what a file sets that is no option: it may be that of another program, or a slip.
fn ignored_in(
    path: &Path,
    set: Option<&[(String, String)]>,
    options: &BTreeSet<String>,
) -> Option<String> {
    let Some(set) = set else {
        return Some(format!(
            "{} sets nothing: it has no section [DEFAULT]",
            path.display()
        ));
    };
    let names = set.iter().map(|(name, _)| name);
    let unknown = names.filter(|name| !options.contains(*name));
    let unknown = unknown.map(|name| (name.clone(), near(name, options).map(str::to_owned)));
    let told = told(unknown.collect())?;
    Some(format!(
        "{} sets what is no option of this program, and is ignored: {told}",
        path.display(),
    ))
}

fn ignored_in_environment(options: &BTreeSet<String>) -> Option<String> {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let unknown = names.filter_map(|name| {
        let near = unknown_variable(&name, options)?;
        Some((name, near))
    });
    let told = told(unknown.collect())?;
    Some(format!(
        "the environment sets what is no option of this program, and is ignored: {told}"
    ))
}

/// Returns, of a variable that looks like one of ours and is none, the one that may have been meant.
fn unknown_variable(name: &str, options: &BTreeSet<String>) -> Option<Option<String>> {
    let upper = name.to_ascii_uppercase();
    let option = upper.strip_prefix(PREFIX)?;
    let option = option.replace('_', "-").to_ascii_lowercase();
    let is_known = options.contains(&option) || option == CONFIG_FILE;
    if is_known && name == variable(&option) {
        return None;
    }
    let near = match is_known {
        true => Some(&*option),
        // It is an option, and none that is set here.
        false if ENDS.contains(&&*option) => None,
        false => near(&option, options),
    };
    Some(near.map(variable))
}

/// Lists names that are no option: those that may be slips, then the first others and how many more,
/// since the file may be that of another program.
fn told(mut unknown: Vec<(String, Option<String>)>) -> Option<String> {
    unknown.sort_unstable();
    let (near, others): (Vec<_>, Vec<_>) =
        unknown.into_iter().partition(|(_, near)| near.is_some());
    let more = others.len().saturating_sub(TOLD);
    let near = near
        .into_iter()
        .map(|(name, near)| format!("{name} (is it {}?)", near.unwrap_or_default()));
    let others = others.into_iter().take(TOLD).map(|(name, _)| name);
    let more = (more > 0).then(|| format!("and {more} more"));
    let told: Vec<String> = near.chain(others).chain(more).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// Finds the option that may have been meant.
fn near<'a>(name: &str, options: &'a BTreeSet<String>) -> Option<&'a str> {
    nearest(name, options.iter().map(String::as_str), 1).pop()
}

/// Makes settings the defaults of the options that they name. A setting that a command does not
/// use is not even looked at.
fn with_defaults(
    grammar: Command,
    settings: &HashMap<String, String>,
    variables: Variables<'_>,
) -> Command {
    let with_default = |arg| with_default(arg, settings, variables);
    grammar
        .mut_args(with_default)
        .mut_subcommands(|command| command.mut_args(with_default))
}

fn with_default(
    arg: clap::Arg,
    settings: &HashMap<String, String>,
    variables: Variables<'_>,
) -> clap::Arg {
    let names = names(&arg);
    let is_setting = |name: &String| name != CONFIG_FILE && !ENDS.contains(&&**name);
    let is_help = matches!(arg.get_action(), ArgAction::HelpShort);
    if arg.is_hide_set() || is_help || !names.iter().all(is_setting) {
        return arg;
    }
    let in_environment = names.iter().find_map(|name| variables(&variable(name)));
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

/// Lists the options that a file can set, by each of their names.
fn options(grammar: &Command) -> BTreeSet<String> {
    let mut options: BTreeSet<String> = grammar.get_arguments().flat_map(names).collect();
    // A file does not name another one.
    options.retain(|option| option != CONFIG_FILE && !ENDS.contains(&&**option));
    options.remove("help");
    options
}

/// Returns the variable that sets an option.
pub(crate) fn variable(option: &str) -> String {
    let name = option.replace('-', "_").to_ascii_uppercase();
    format!("{PREFIX}{name}")
}

fn tokens_in_view(matches: &ArgMatches) -> Vec<String> {
    let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
    ["token", "sourcetoken", "targettoken"]
        .into_iter()
        .filter(|name| matches.value_source(name) == Some(ValueSource::CommandLine))
        .filter(|name| {
            matches
                .get_one(name)
                .is_some_and(|token: &String| !token.is_empty())
        })
        .map(|name| {
            format!(
                "every user of this machine can read the token in --{name}; set {} or use \
                 --config-file",
                variable(name)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Cli;

    #[test]
    fn slips_are_told_with_the_option_that_is_near() {
        let options = options(&grammar::<Cli>());
        for (slip, meant) in [
            ("transfer", Some("transfers")),
            ("tranfsers", Some("transfers")),
            ("retry", Some("retries")),
            ("bw-limit", Some("bwlimit")),
            ("log-dirr", Some("log-dir")),
            ("target-token", Some("targettoken")),
            ("dont-replicate", Some("dontreplicate")),
            ("bind-port", None),
            ("transport-url", None),
            ("workers", None),
        ] {
            assert_eq!(near(slip, &options), meant, "{slip}");
        }
    }

    #[test]
    fn variables_of_ours_are_known_and_others_are_told() {
        let options = options(&grammar::<Cli>());
        let unknown = |name: &str| unknown_variable(name, &options);
        for name in [
            "TRANSFERS",
            "SLAVETOKEN",
            "USE_SYSLOG",
            "CONFIG_FILE",
            "EXIT_CODE",
        ] {
            assert_eq!(unknown(&format!("{PREFIX}{name}")), None, "{name}");
        }
        assert_eq!(unknown("GLANCE_REPLICATORS"), None);
        assert_eq!(unknown("OS_TRANSFERS"), None);
        for slip in ["GLANCE_REPLICATOR_TRANSFER", "glance_replicator_transfers"] {
            let near = "GLANCE_REPLICATOR_TRANSFERS".to_owned();
            assert_eq!(unknown(slip), Some(Some(near)));
        }
        for none in ["GLANCE_REPLICATOR_X", "GLANCE_REPLICATOR_SOURCE_OS_CLOUD"] {
            assert_eq!(unknown(none), Some(None));
        }
    }

    #[test]
    fn slips_are_all_told_and_of_other_names_the_first() {
        let name = |name: &str| (name.to_owned(), None);
        let slip = ("retry".to_owned(), Some("retries".to_owned()));
        let others = ["e", "d", "c", "b", "a"].map(name);
        let unknown: Vec<_> = others.into_iter().chain([slip]).collect();
        let expected = "retry (is it retries?), a, b, c, and 2 more";
        assert_eq!(told(unknown).as_deref(), Some(expected));
        assert_eq!(told(vec![name("x")]).as_deref(), Some("x"));
        assert_eq!(told(Vec::new()), None);
    }
}
