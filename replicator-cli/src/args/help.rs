//! The help: a page for each command, a line an option, and more on each option and topic for
//! those who ask.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::columns::{hanging, table, wrapped};
use super::{heading, topics};
use crate::exit_code;

/// The headings of a page, in their order.
const HEADINGS: [&str; 6] = [
    heading::WHICH,
    heading::IMAGE,
    heading::HOW,
    heading::CONNECTION,
    heading::OUTPUT,
    heading::COMPATIBILITY,
];

pub(super) const ENVIRONMENT: [(&str, &str); 2] = [
    (
        "GLANCE_REPLICATOR_<OPTION>",
        "sets an option: _TRANSFERS=8; tokens best so: _TOKEN, _SOURCETOKEN",
    ),
    (
        "OS_CLIENT_CONFIG_FILE, OS_*",
        "clouds.yaml for cloud:NAME, and the cloud that env: means",
    ),
];

/// Gives each command its page, which takes long: each lays out all of its options.
pub(super) fn with_pages(grammar: Command) -> Command {
    let first = first_page(&grammar);
    let common = common(&grammar);
    grammar
        .mut_subcommands(|command| {
            let page = page(&command, &common);
            command.override_help(page)
        })
        .override_help(first)
}

/// Returns the help on a command, a topic, or an option as `--NAME`; without words, that on all.
/// On anything else, the error is what could have been asked for.
pub(super) fn on(grammar: &Command, words: &[String]) -> Result<String, String> {
    let [word] = words else {
        return if words.is_empty() {
            Ok(first_page(grammar))
        } else {
            Err("help explains one command, topic or --option at a time".to_owned())
        };
    };
    if let Some(command) = grammar.find_subcommand(word) {
        return Ok(page(command, &common(grammar)));
    }
    if word == topics::OPTIONS {
        return Ok(all_options(grammar));
    }
    if let Some(topic) = topics::TOPICS.iter().find(|topic| topic.name == word) {
        return Ok((topic.text)());
    }
    let mut options = grammar.get_arguments();
    let name = word.strip_prefix("--").unwrap_or_default();
    if let Some(arg) = options.find(|arg| names(arg).any(|known| known == name)) {
        return Ok(in_full(grammar, arg));
    }
    let commands = shown(grammar).map(Command::get_name);
    let topics = topics::TOPICS.iter().map(|topic| topic.name);
    let known: Vec<&str> = commands.chain(topics).chain([topics::OPTIONS]).collect();
    Err(format!(
        "there is no help on '{word}': ask for an option as --NAME, or for one of {}",
        known.join(", ")
    ))
}

/// The commands that people call.
pub(super) fn shown(grammar: &Command) -> impl Iterator<Item = &Command> {
    let commands = grammar.get_subcommands();
    commands.filter(|command| !command.is_hide_set())
}

/// The options of every command.
fn common(grammar: &Command) -> Vec<Arg> {
    let args = grammar.get_arguments();
    args.filter(|arg| arg.is_global_set()).cloned().collect()
}

/// The names of an option, without dashes.
fn names(arg: &Arg) -> impl Iterator<Item = &str> {
    let names = arg.get_long_and_visible_aliases();
    names.into_iter().flatten()
}

fn first_page(grammar: &Command) -> String {
    let mut text = about(grammar);
    let _ = write!(
        text,
        "\nUsage: {} COMMAND [OPTIONS] [ENDS]\n",
        grammar.get_name()
    );
    let commands = shown(grammar).map(|command| {
        let about = command.get_about().map(ToString::to_string);
        (command.get_name().to_owned(), about.unwrap_or_default())
    });
    let help = "Explain a command, a topic, or an option, as in `help --verify`";
    let help = ("help".to_owned(), help.to_owned());
    table(&mut text, "Commands", commands.chain([help]));
    let topics = topics::TOPICS.iter();
    let topics = topics.map(|topic| (topic.name.to_owned(), topic.about.to_owned()));
    let options = "Every option, in full".to_owned();
    let options = (topics::OPTIONS.to_owned(), options);
    table(&mut text, "Topics", topics.chain([options]));
    end(&mut text, grammar);
    text
}

fn page(command: &Command, common: &[Arg]) -> String {
    let mut text = about(command);
    let name = format!("glance-replicator {}", command.get_name());
    let usage = command.clone().bin_name(name).render_usage();
    let _ = writeln!(text, "\n{}", usage.to_string().trim_end());
    let ends = command.get_positionals().map(|arg| {
        let help = arg.get_help().map(ToString::to_string);
        // The usage shows which can be left out.
        let name = arg.clone().required(true).to_string();
        (name, help.unwrap_or_default())
    });
    table(&mut text, "Arguments", ends);
    let is_own = |arg: &&Arg| {
        command
            .get_arguments()
            .any(|own| own.get_id() == arg.get_id())
    };
    let common = common.iter().filter(|arg| !is_own(arg));
    let args: Vec<&Arg> = command.get_arguments().chain(common).collect();
    for heading in HEADINGS {
        let own = args
            .iter()
            .filter(|arg| arg.get_help_heading() == Some(heading));
        let rows = own.filter_map(|arg| row(arg, &args));
        let other_names = (heading == heading::COMPATIBILITY)
            .then(|| other_names(&args))
            .flatten();
        table(&mut text, heading, rows.chain(other_names));
    }
    let is_rare = |arg: &&&Arg| {
        let is_hidden = arg.is_hide_set() || arg.is_hide_long_help_set();
        !is_hidden && arg.is_hide_short_help_set()
    };
    let rare = args.iter().filter(is_rare).count();
    if rare > 0 {
        let _ = write!(
            text,
            "\n{rare} options that are seldom used: glance-replicator help options\n"
        );
    }
    end(&mut text, command);
    text
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about());
    wrapped(&about.map(ToString::to_string).unwrap_or_default(), 0)
}

/// Ends a page with examples, the environment, and the exit codes.
fn end(text: &mut String, command: &Command) {
    if let Some(examples) = command.get_after_help() {
        let _ = write!(text, "\nExamples:\n{examples}\n");
    }
    let environment = ENVIRONMENT.map(|(name, about)| (name.to_owned(), about.to_owned()));
    table(text, "Environment", environment.into_iter());
    let _ = write!(text, "\nExit codes:\n{}", wrapped(&exit_code::brief(), 2));
}

/// Whether an option has its line on a page.
fn is_shown(arg: &Arg) -> bool {
    !arg.is_positional() && !arg.is_hide_set() && !arg.is_hide_short_help_set()
}

/// Returns the line of an option. Where a command has an option for either side, both share one.
fn row(arg: &Arg, args: &[&Arg]) -> Option<(String, String)> {
    if !is_shown(arg) {
        return None;
    }
    let id = arg.get_id().as_str();
    let other = |from: &str, to: &str| {
        let id = id.strip_prefix(from).map(|rest| format!("{to}{rest}"))?;
        let mut args = args.iter();
        args.find(|arg| is_shown(arg) && arg.get_id() == &*id)
    };
    if other("target", "source").is_some() {
        return None;
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let (spec, mut help) = match other("source", "target") {
        None => (spec(arg), help),
        Some(target) => {
            let spec = format!("{}{}", pair(arg, target), value(arg));
            (spec, help.replace("at the source", "at that side"))
        }
    };
    let defaults = arg.get_default_values();
    if arg.get_action().takes_values() && !arg.is_hide_default_value_set() {
        for default in defaults {
            let _ = write!(help, " [default: {}]", default.to_string_lossy());
        }
    }
    Some((spec, help))
}

fn flags(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("-{short}, "));
    let long = arg.get_long().unwrap_or_default();
    format!("{:4}--{long}", short.unwrap_or_default())
}

/// The flags of the options of both sides.
fn pair(source: &Arg, target: &Arg) -> String {
    match source
        .get_long()
        .and_then(|long| long.strip_prefix("source-"))
    {
        Some(rest) => format!("    --{{source,target}}-{rest}"),
        None => format!("{}, {}", flags(source), flags(target).trim_start()),
    }
}

fn value(arg: &Arg) -> String {
    if !arg.get_action().takes_values() {
        return String::new();
    }
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(|name| format!(" <{name}>")).collect()
}

fn spec(arg: &Arg) -> String {
    flags(arg) + &value(arg)
}

/// The row of names that options also go by.
fn other_names(args: &[&Arg]) -> Option<(String, String)> {
    let args = args.iter().filter(|arg| is_shown(arg));
    let names = args.flat_map(|arg| {
        let aliases = arg.get_visible_aliases().unwrap_or_default();
        let long = arg.get_long().unwrap_or_default();
        aliases
            .into_iter()
            .map(move |alias| format!("--{alias} for --{long}"))
    });
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then(|| ("    Other names".to_owned(), names.join(", ")))
}

/// Every option, in full.
fn all_options(grammar: &Command) -> String {
    let mut text = String::new();
    for heading in HEADINGS {
        let args = grammar.get_arguments();
        let mut args: Vec<&Arg> = args
            .filter(|arg| arg.get_help_heading() == Some(heading))
            .collect();
        args.sort_by_key(|arg| arg.get_long());
        let _ = write!(text, "{heading}:\n\n");
        for arg in args {
            let _ = writeln!(text, "{}", in_full(grammar, arg));
        }
    }
    text
}

/// All that there is to be known of an option.
fn in_full(grammar: &Command, arg: &Arg) -> String {
    let mut text = format!("{}\n", spec(arg));
    let help = arg.get_long_help().or(arg.get_help());
    text += &wrapped(&help.map(ToString::to_string).unwrap_or_default(), 10);
    for word in arg.get_possible_values() {
        if let (Some(help), true) = (word.get_help(), arg.get_action().takes_values()) {
            text += &hanging(&format!("{}: ", word.get_name()), &help.to_string(), 10);
        }
    }
    let mut facts = Vec::new();
    if arg.get_action().takes_values() {
        let defaults = arg.get_default_values().iter();
        facts.extend(defaults.map(|value| format!("default: {}", value.to_string_lossy())));
    }
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    facts.extend(aliases.iter().map(|alias| format!("also --{alias}")));
    if !arg.is_global_set() {
        let users = grammar.get_subcommands().filter(|command| {
            let mut args = command.get_arguments();
            args.any(|own| own.get_id() == arg.get_id() && !own.is_hide_set())
        });
        let users: Vec<&str> = users.map(Command::get_name).collect();
        facts.push(format!("of {}", users.join(", ")));
    }
    if !facts.is_empty() {
        text += &wrapped(&format!("[{}]", facts.join("; ")), 10);
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::grammar;
    use crate::command::Cli;

    #[test]
    fn every_example_is_understood_and_each_command_has_three() {
        let grammar = grammar::whole(Cli::command());
        let pages = super::shown(&grammar).chain([&grammar]);
        for command in pages {
            let examples = command.get_after_help().unwrap().to_string();
            let lines = examples.lines().filter_map(|line| line.strip_prefix("  "));
            let lines = lines.filter(|line| line.starts_with("glance-replicator "));
            let mut count = 0;
            for line in lines {
                count += 1;
                let line = line.split(" #").next().unwrap();
                let words = line.split(['\'', '"']).enumerate();
                // What is quoted is one word.
                let words = words.flat_map(|(index, part)| match index % 2 {
                    0 => part.split_whitespace().map(Into::into).collect(),
                    _ => vec![part.into()],
                });
                let words: Vec<std::ffi::OsString> = words.collect();
                let read = grammar::read(&grammar, &words);
                assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
            }
            assert_eq!(count, 3, "{}", command.get_name());
        }
    }
}
