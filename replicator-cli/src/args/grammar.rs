//! Which command takes which option, and where. A command takes the options that it uses, after
//! its name or before it, and those of the Python tool, which takes each of its options with each
//! of its commands.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::ffi::OsString;
use std::num::{IntErrorKind, ParseIntError};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, Id};

use super::{heading, help, selection};

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
    let of_servers = commands.get_arguments().filter(|arg| is_of_servers(arg));
    let of_servers: Vec<Arg> = of_servers.map(|arg| arg.clone().hide(true)).collect();
    // What is wrong with -1 is told as of any other value.
    let number = |arg: Arg| {
        let takes_values = arg.get_action().takes_values() && !arg.is_positional();
        arg.allow_negative_numbers(takes_values)
    };
    commands
        .mut_args(number)
        .mut_subcommands(|command| {
            let command = command.mut_args(number);
            let takes = |id: &Id| command.get_arguments().any(|arg| arg.get_id() == id);
            let lacks = options
                .iter()
                .filter(|(id, _)| OF_PYTHON.contains(&id.as_str()) && !takes(id));
            let lacks: Vec<Arg> = lacks.map(|(_, arg)| arg.clone()).collect();
            let hidden = of_servers.iter().filter(|_| is_local(command.get_name()));
            let hidden: Vec<Arg> = hidden.cloned().collect();
            command.args(lacks).args(hidden)
        })
        .args(options.into_values())
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
    let read = match read_in_order(grammar, line) {
        // The pages of all commands take longer than all else up to here, and few runs show one.
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            read_in_order(&help::with_pages(grammar.clone()), line)
        }
        read => read,
    };
    read.map_err(|error| {
        let Some(message) = in_plain_words(&error) else {
            return error;
        };
        let message = format!("{message}\n\nFor more information, try '--help'.\n");
        let mut told = clap::Error::raw(ErrorKind::ValueValidation, message);
        for (kind, value) in error.context() {
            told.insert(kind, value.clone());
        }
        told
    })
}

/// Returns the words for a value that is not one of those that an option takes, where those of the
/// library do not say what is right.
fn in_plain_words(error: &clap::Error) -> Option<String> {
    let problem = error.source()?;
    let problem = match problem.downcast_ref().map(ParseIntError::kind) {
        Some(IntErrorKind::Zero) => "write a whole number of at least 1",
        Some(IntErrorKind::PosOverflow) => "the number is too large",
        Some(_) => "write a whole number",
        None if problem.to_string() == "value was not a boolean" => "write true or false",
        None => return None,
    };
    let value = error.get(ContextKind::InvalidValue)?;
    let option = error.get(ContextKind::InvalidArg)?;
    Some(format!("invalid value '{value}' for '{option}': {problem}"))
}

/// Options that need another one, wherever that is set: the library asks for it on the command line.
const NEEDS: [(&str, &str); 2] = [("delete", "origin"), ("per", "newest")];
/// Options of the command line that have no effect without another one, wherever that is set.
const IDLE_WITHOUT: [(&str, &str); 3] = [
    ("grace", "delete"),
    ("max_delete", "delete"),
    ("yes", "delete"),
];
/// Options of the command line that have no effect with another one, wherever that is set.
const IDLE_WITH: [(&str, &str); 2] = [("report", "dry_run"), ("metrics_file", "dry_run")];

/// Fails if options do not go together, of which some may be set elsewhere than on the command line.
pub(super) fn check(grammar: &mut Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    grammar.build();
    let Some(command) = grammar.find_subcommand_mut(name) else {
        return Ok(());
    };
    let is_set = |id: &str| match matches.try_get_one::<bool>(id) {
        Ok(flag) => flag == Some(&true),
        Err(_) => matches.try_contains_id(id).unwrap_or(false),
    };
    let is_typed = |id: &str| {
        let is_known = matches.try_contains_id(id).unwrap_or(false);
        is_known && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    let shown = |command: &Command, id: &str| {
        let arg = command.get_arguments().find(|arg| arg.get_id() == id);
        arg.map_or_else(String::new, Arg::to_string)
    };
    if let Some((option, needed)) = NEEDS.iter().find(|(a, b)| is_set(a) && !is_set(b)) {
        let (option, needed) = (shown(command, option), shown(command, needed));
        let message = format!("'{option}' needs '{needed}'");
        return Err(command.error(ErrorKind::MissingRequiredArgument, message));
    }
    if let Some((option, other)) = IDLE_WITHOUT.iter().find(|(a, b)| is_typed(a) && !is_set(b)) {
        let (option, other) = (shown(command, option), shown(command, other));
        let message = format!("'{option}' has no effect without '{other}'");
        return Err(command.error(ErrorKind::MissingRequiredArgument, message));
    }
    if let Some((option, other)) = IDLE_WITH.iter().find(|(a, b)| is_typed(a) && is_set(b)) {
        let (option, other) = (shown(command, option), shown(command, other));
        let message = format!("'{option}' cannot be used with '{other}', which is set");
        return Err(command.error(ErrorKind::ArgumentConflict, message));
    }
    let idle = command
        .get_arguments()
        .find(|arg| is_local(name) && is_of_servers(arg) && is_typed(arg.get_id().as_str()));
    if let Some(option) = idle.map(Arg::to_string) {
        let message = format!("{name} reaches no server: '{option}' has no effect");
        return Err(command.error(ErrorKind::ArgumentConflict, message));
    }
    Ok(())
}

/// Returns whether a command reaches no server itself.
fn is_local(command: &str) -> bool {
    ["archive", "report", "run", "completion", "complete", "man"].contains(&command)
}

/// Returns whether an option of every command is about servers.
fn is_of_servers(arg: &Arg) -> bool {
    arg.is_global_set() && arg.get_help_heading() == Some(heading::CONNECTION)
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
