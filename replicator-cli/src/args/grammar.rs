//! Which command takes which option, and where. A command takes the options that it uses, after
//! its name or before it, and those of the Python tool, which takes each of its options with each
//! of its commands.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::ffi::OsString;
use std::num::{IntErrorKind, ParseIntError};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, Id};

use super::{help, selection};

/// The Python tool's options that not all commands use. Where one has no use, it is accepted, and
/// the help does not show it.
const OF_PYTHON: [&str; 4] = ["dontreplicate", "metaonly", "sourcetoken", "targettoken"];

/// Returns the whole grammar, of the commands with the options that each of them uses.
pub(super) fn whole(commands: Command) -> Command {
    let options = commands
        .get_subcommands()
        .flat_map(Command::get_arguments)
        .filter(|arg| !arg.is_positional())
        .map(|arg| (arg.get_id().clone(), arg.clone().hide(true)));
    let options: BTreeMap<Id, Arg> = options.collect();
    // What is wrong with -1 is told as of any other value.
    let number = |arg: Arg| {
        let takes_values = arg.get_action().takes_values() && !arg.is_positional();
        arg.allow_negative_numbers(takes_values)
    };
    let grammar = commands
        .mut_args(number)
        .mut_subcommands(|command| {
            let command = command.mut_args(number);
            let takes = |id: &Id| command.get_arguments().any(|arg| arg.get_id() == id);
            let lacks = options
                .iter()
                .filter(|(id, _)| OF_PYTHON.contains(&id.as_str()) && !takes(id));
            let lacks: Vec<Arg> = lacks.map(|(_, arg)| arg.clone()).collect();
            command.args(lacks)
        })
        .args(options.into_values());
    help::with_pages(grammar)
}

/// Returns the words behind `help`, if that is the command of a line.
pub(super) fn asks_for_help(grammar: &Command, line: &[OsString]) -> Option<Vec<String>> {
    let front = front(grammar).try_get_matches_from(line).ok()?;
    let (name, rest) = front.subcommand()?;
    let words = rest.get_many::<OsString>("").into_iter().flatten();
    let words = words.map(|word| word.to_string_lossy().into_owned());
    (name == "help").then(|| words.collect())
}

/// The grammar of what stands before the name of a command.
fn front(grammar: &Command) -> Command {
    Command::new(grammar.get_name().to_owned())
        .version("")
        .disable_help_flag(true)
        .args(grammar.get_arguments())
        .args_override_self(true)
        .allow_external_subcommands(true)
}

/// Reads a command line. Options that stand before the command's name are read as if they stood
/// right behind it.
pub(super) fn read(grammar: &Command, line: &[OsString]) -> Result<ArgMatches, clap::Error> {
    read_in_order(grammar, line).map_err(|error| {
        let Some(message) = no_number(&error) else {
            return error;
        };
        let mut told = grammar.clone().error(ErrorKind::ValueValidation, message);
        for (kind, value) in error.context() {
            told.insert(kind, value.clone());
        }
        told
    })
}

/// Returns the words for a value that is no number, or not one of those that an option takes.
fn no_number(error: &clap::Error) -> Option<String> {
    let problem = error.source()?.downcast_ref::<ParseIntError>()?;
    let problem = match problem.kind() {
        IntErrorKind::Zero => "write a whole number of at least 1",
        IntErrorKind::PosOverflow => "the number is too large",
        _ => "write a whole number",
    };
    let value = error.get(ContextKind::InvalidValue)?;
    let option = error.get(ContextKind::InvalidArg)?;
    Some(format!("invalid value '{value}' for '{option}': {problem}"))
}

fn read_in_order(grammar: &Command, line: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let front = front(grammar).try_get_matches_from(line);
    let whole = grammar.clone();
    let front = match front {
        Ok(front) => front,
        Err(error) => {
            let read = whole.try_get_matches_from(line)?;
            // It knows the same options, so that it has failed or shown the help as well.
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(read),
                _ => Err(error),
            };
        }
    };
    let mut line = line.to_vec();
    let mut command = None;
    if let Some((name, rest)) = front.subcommand() {
        let behind = rest.get_many::<OsString>("").map_or(0, |words| words.len());
        let at = line.len().saturating_sub(behind + 1);
        if at >= 1 && line.get(at).is_some_and(|word| word == name) {
            let name = line.remove(at);
            line.insert(1, name);
        }
        command = Some(name);
    }
    let read = whole.try_get_matches_from(line);
    read.map_err(|error| match command {
        Some(command) => of_another_command(grammar, command, error),
        None => error,
    })
}

/// Names the command that does not use an option, where others do.
fn of_another_command(grammar: &Command, command: &str, error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let is_known = grammar
        .get_arguments()
        .filter_map(Arg::get_long_and_visible_aliases)
        .flatten()
        .any(|name| option.strip_prefix("--") == Some(name));
    let message =
        format!("'{option}' is an option of other commands, which {command} does not use");
    let mut grammar = grammar.clone();
    grammar.build();
    match grammar.find_subcommand_mut(command) {
        Some(command)
            if error.kind() == ErrorKind::UnknownArgument
                && command.get_arguments().any(|arg| arg.get_id() == "select")
                && let Some(ours) = selection::in_our_words(option) =>
        {
            let message = format!("there is no '{option}': use {ours}");
            command.error(ErrorKind::UnknownArgument, message)
        }
        Some(command) if is_known && error.kind() == ErrorKind::UnknownArgument => {
            command.error(ErrorKind::UnknownArgument, message)
        }
        _ => error,
    }
}
