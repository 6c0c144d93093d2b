//! The words that may stand where a command line is still being written, for the completion of shells.

use std::fs;

use clap::{Arg, Command};

use super::{help, topics};

/// A word, and what it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) word: String,
    pub(crate) about: String,
}

/// A cloud of clouds.yaml, and its regions as far as they are known there.
pub(crate) struct KnownCloud {
    pub(crate) name: String,
    pub(crate) regions: Vec<String>,
}

/// Returns the words that may stand in the place of the last one of a line, without the program's
/// name; none where a path is meant, which the shell knows best.
pub(crate) fn candidates(
    grammar: &Command,
    line: &[String],
    clouds: &[KnownCloud],
) -> Vec<Candidate> {
    let Some((current, before)) = line.split_last() else {
        return Vec::new();
    };
    let read = Read::of(grammar, before);
    let mut found = if let Some(option) = read.open {
        values(option, clouds)
    } else if let Some((option, value)) = with_value(grammar, current) {
        let mut values = values(option, clouds);
        let kept = current.len() - value.len();
        for candidate in &mut values {
            candidate
                .word
                .insert_str(0, current.get(..kept).unwrap_or_default());
        }
        values
    } else if current.starts_with('-') {
        options(grammar, read.command)
    } else if read.is_help {
        let topics = topics::TOPICS
            .iter()
            .map(|topic| candidate(topic.name, topic.about));
        let all = candidate(topics::OPTIONS, "Every option, in full");
        commands(grammar).chain(topics).chain([all]).collect()
    } else {
        match read.command {
            None => {
                let help = candidate("help", "Explain a command, a topic, or an option");
                commands(grammar).chain([help]).collect()
            }
            Some(command) => argument(command, read.arguments, current, clouds),
        }
    };
    found.retain(|candidate| candidate.word.starts_with(current.as_str()));
    found
}

fn candidate(word: impl Into<String>, about: impl Into<String>) -> Candidate {
    let (word, about) = (word.into(), about.into());
    Candidate { word, about }
}

/// The part of a line that is written.
#[derive(Default)]
struct Read<'a> {
    command: Option<&'a Command>,
    is_help: bool,
    /// The number of arguments behind the command.
    arguments: usize,
    /// The option whose value comes next.
    open: Option<&'a Arg>,
}

impl<'a> Read<'a> {
    fn of(grammar: &'a Command, words: &[String]) -> Self {
        let mut read = Self::default();
        for word in words {
            if read.open.take().is_some() {
                continue;
            }
            if let Some(long) = word.strip_prefix("--") {
                read.open = option(grammar, long).filter(|arg| takes_value(arg));
            } else if let Some(letters) = word.strip_prefix('-') {
                // What stands behind the first one that takes a value is its value.
                let mut letters = letters.chars();
                let of_letter = |letter| {
                    let mut args = grammar.get_arguments();
                    args.find(|arg| arg.get_short() == Some(letter) && takes_value(arg))
                };
                let found = letters.find_map(of_letter);
                read.open = found.filter(|_| letters.as_str().is_empty());
            } else if read.command.is_some() || read.is_help {
                read.arguments += 1;
            } else {
                read.is_help = word == "help";
                read.command = grammar.find_subcommand(word);
            }
        }
        read
    }
}

/// The grammar itself has the options of all commands.
fn option<'a>(grammar: &'a Command, long: &str) -> Option<&'a Arg> {
    grammar.get_arguments().find(|arg| {
        let names = arg.get_long_and_visible_aliases();
        names.is_some_and(|names| names.contains(&long))
    })
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

/// Splits `--option=value`.
fn with_value<'a, 'b>(grammar: &'a Command, word: &'b str) -> Option<(&'a Arg, &'b str)> {
    let (long, value) = word.strip_prefix("--")?.split_once('=')?;
    Some((option(grammar, long)?, value))
}

fn commands(grammar: &Command) -> impl Iterator<Item = Candidate> {
    help::shown(grammar).map(|command| {
        let about = command.get_about().map(ToString::to_string);
        candidate(command.get_name(), about.unwrap_or_default())
    })
}

/// The options of a command, or those of all commands.
fn options(grammar: &Command, command: Option<&Command>) -> Vec<Candidate> {
    let own = command.into_iter().flat_map(Command::get_arguments);
    let common = grammar.get_arguments().filter(|arg| arg.is_global_set());
    let args = own.chain(common).filter(|arg| !arg.is_hide_set());
    let options = args.filter_map(|arg| {
        let about = arg.get_help().map(ToString::to_string);
        Some(candidate(
            format!("--{}", arg.get_long()?),
            about.unwrap_or_default(),
        ))
    });
    options.collect()
}

fn words(arg: &Arg) -> Vec<Candidate> {
    let words = arg.get_possible_values().into_iter();
    let words = words.filter(|word| !word.is_hide_set());
    let words = words.map(|word| {
        let about = word.get_help().map(ToString::to_string);
        candidate(word.get_name(), about.unwrap_or_default())
    });
    words.collect()
}

fn values(option: &Arg, clouds: &[KnownCloud]) -> Vec<Candidate> {
    let name = option.get_long().unwrap_or_default();
    if name.ends_with("os-cloud") {
        let names = clouds.iter().map(|cloud| candidate(&cloud.name, "cloud"));
        return names.collect();
    }
    if name.ends_with("-region") {
        let regions = clouds.iter().flat_map(|cloud| {
            let regions = cloud.regions.iter();
            regions.map(|region| candidate(region, format!("region of {}", cloud.name)))
        });
        return regions.collect();
    }
    words(option)
}

/// The words for an argument of a command. The last one may be repeated.
fn argument(
    command: &Command,
    number: usize,
    current: &str,
    clouds: &[KnownCloud],
) -> Vec<Candidate> {
    let arguments = command.get_positionals();
    let Some(argument) = arguments.take(number + 1).last() else {
        return Vec::new();
    };
    let words = words(argument);
    let names = argument.get_value_names().unwrap_or_default();
    if !words.is_empty() || names.iter().any(|name| matches!(&**name, "FILE" | "DIR")) {
        return words;
    }
    ends(current, clouds)
}

fn ends(current: &str, clouds: &[KnownCloud]) -> Vec<Candidate> {
    let mut found = Vec::new();
    for KnownCloud { name, regions } in clouds {
        found.push(candidate(format!("cloud:{name}"), "cloud"));
        let regions = regions.iter();
        found.extend(regions.map(|region| candidate(format!("cloud:{name}/{region}"), "region")));
    }
    found.push(candidate(
        "env:",
        "The cloud that the OS_* variables describe",
    ));
    match current.strip_prefix("dir:") {
        Some(path) => found.extend(directories(path)),
        None => found.push(candidate("dir:", "A directory of images")),
    }
    found
}

fn directories(path: &str) -> Vec<Candidate> {
    let above = path
        .rfind('/')
        .and_then(|end| path.get(..=end))
        .unwrap_or("");
    let place = if above.is_empty() { "." } else { above };
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.path().is_dir());
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let begun = path.get(above.len()..).unwrap_or_default();
    let names = names.filter(|name| !name.starts_with('.') || begun.starts_with('.'));
    let mut names: Vec<String> = names.collect();
    names.sort();
    let found = names.iter();
    found
        .map(|name| candidate(format!("dir:{above}{name}/"), "directory"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::config_file::grammar;
    use crate::command::Cli;

    fn found(line: &[&str]) -> Vec<String> {
        let line: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
        let regions = ["one", "two"].map(str::to_owned).to_vec();
        let cloud = |name: &str, regions| KnownCloud {
            name: name.to_owned(),
            regions,
        };
        let clouds = [cloud("dr", Vec::new()), cloud("prod", regions)];
        let found = candidates(&grammar::<Cli>(), &line, &clouds);
        found.into_iter().map(|candidate| candidate.word).collect()
    }

    #[test]
    fn words_are_completed_by_what_may_stand_there() {
        for (line, expected) in [
            (&["li"][..], &["list", "livecopy"][..]),
            (&["help", "exi"], &["exit-codes"]),
            (&["metadefs", ""], &["copy", "dump", "load"]),
            (&["report", "m"], &["merge"]),
            (&["livecopy", "--veri"], &["--verify"]),
            (&["livecopy", "--verify", "r"], &["read-back"]),
            (
                &["--verify", "none", "livecopy", "--verify=f"],
                &["--verify=full"],
            ),
            (&["list", "-vf", "j"], &["json", "jsonl"]),
            (&["size", "--os-cloud", ""], &["dr", "prod"]),
            (&["size", "--target-region", ""], &["one", "two"]),
            (&["livecopy", "cloud:d"], &["cloud:dr"]),
            (
                &["livecopy", "cloud:dr", "cloud:p"],
                &["cloud:prod", "cloud:prod/one", "cloud:prod/two"],
            ),
            (&["livecopy", "a:1", "b:1", "e"], &["env:"]),
            // A path, or anything else that nobody knows.
            (&["load", "cloud:dr", "/"], &[]),
            (&["push", ""], &[]),
            (&["livecopy", "--report", ""], &[]),
            (&["livecopy", "--image", ""], &[]),
        ] {
            assert_eq!(found(line), expected, "{line:?}");
        }
    }

    #[test]
    fn commands_that_are_for_shells_and_packages_are_not_offered() {
        let commands = found(&[""]);
        assert!(commands.contains(&"completion".to_owned()), "{commands:?}");
        assert!(
            !commands
                .iter()
                .any(|name| name == "complete" || name == "man")
        );
    }

    #[test]
    fn directories_are_offered_behind_their_word() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["images", ".hidden"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("image"), "").unwrap();
        let begun = format!("dir:{}/", dir.path().display());
        assert_eq!(found(&["verify", &begun]), [format!("{begun}images/")]);
        let hidden = format!("{begun}.");
        assert_eq!(found(&["verify", &hidden]), [format!("{begun}.hidden/")]);
    }
}
