//! Options that are written down, and read again by another run.

use std::any::TypeId;
use std::ffi::OsStr;
use std::path::{self, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// Options that no file gets: secrets, what trust goes by, and names for which the end stands.
const NEVER: [&str; 8] = [
    "sourcetoken",
    "targettoken",
    "source_os_cloud",
    "target_os_cloud",
    "source_cacert",
    "target_cacert",
    "source_insecure",
    "target_insecure",
];

/// Options, with the words that say the same.
#[derive(Debug)]
pub(crate) struct Worded<A> {
    pub(crate) args: A,
    /// Those that are not at their defaults, each as one word. Paths are absolute.
    pub(crate) words: Vec<String>,
}

impl<A: Args> Worded<A> {
    /// Reads words that were written down.
    pub(crate) fn read(words: &[String]) -> Result<A, Error> {
        let grammar = Command::new("plan").no_binary_name(true);
        let grammar = A::augment_args(grammar).args_override_self(true);
        A::from_arg_matches(&grammar.try_get_matches_from(words)?)
    }
}

impl<A: Args> Args for Worded<A> {
    fn augment_args(command: Command) -> Command {
        A::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        A::augment_args_for_update(command)
    }
}

impl<A: Args> FromArgMatches for Worded<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let grammar = A::augment_args(Command::new(""));
        let words = grammar.get_arguments();
        Ok(Self {
            words: words.flat_map(|arg| words_of(arg, matches)).collect(),
            args: A::from_arg_matches(matches)?,
        })
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        Self::from_arg_matches(matches)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Returns an option as words, unless it is at its default.
fn words_of(arg: &Arg, matches: &ArgMatches) -> Vec<String> {
    let id = arg.get_id().as_str();
    let Some(name) = arg.get_long().filter(|_| !NEVER.contains(&id)) else {
        return Vec::new();
    };
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        let is_set = matches.try_get_one::<bool>(id).ok().flatten() == Some(&true);
        return is_set.then(|| format!("--{name}")).into_iter().collect();
    }
    let Ok(Some(values)) = matches.try_get_raw(id) else {
        return Vec::new();
    };
    let values: Vec<&OsStr> = values.collect();
    if values == arg.get_default_values() {
        return Vec::new();
    }
    let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let word = |value: &OsStr| {
        let absolute = is_path.then(|| path::absolute(value).ok()).flatten();
        let value = absolute.map_or_else(|| value.to_owned(), PathBuf::into_os_string);
        format!("--{name}={}", value.to_string_lossy())
    };
    values.into_iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::super::PlanningArgs;
    use super::*;

    type Planning = Worded<PlanningArgs>;

    fn worded(line: &[&str]) -> Planning {
        let grammar = Planning::augment_args(Command::new("x").no_binary_name(true));
        Planning::from_arg_matches(&grammar.try_get_matches_from(line).unwrap()).unwrap()
    }

    #[test]
    fn what_is_written_down_says_the_same_and_no_secret() {
        assert_eq!(worded(&[]).words, [""; 0]);
        let line = [
            "--metaonly",
            "--owner=map",
            "--project-map=map.txt",
            "--drop-property=os_*",
            "--drop-property=hw a=b",
            "--set-property=a=b c",
            "--copy-to-stores=a,b",
            "--verify=read-back",
            "--source-region=One",
            "--target-api=v1",
            "--sourcetoken=secret",
            "--targettoken=secret",
            "--source-os-cloud=c",
            "--target-insecure",
        ];
        let first = worded(&line);
        assert!(!first.words.concat().contains("secret"), "{first:?}");
        let map = path::absolute("map.txt").unwrap();
        assert!(
            first
                .words
                .contains(&format!("--project-map={}", map.display()))
        );
        let words: Vec<&str> = first.words.iter().map(String::as_str).collect();
        assert_eq!(worded(&words).words, first.words);
        assert_eq!(words.len(), line.len() + 1 - 4);
        Planning::read(&first.words).unwrap();
        assert!(Planning::read(&["--nonsense".to_owned()]).is_err());
    }
}
