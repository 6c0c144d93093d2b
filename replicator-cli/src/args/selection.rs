//! The options that say which images are meant.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ArgAction;
use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use glance_model::{ExpressionError, Key, Selection, Shard, Surroundings, Test};
use jiff::Timestamp;
use replicator_core::Newest;

use super::heading;

/// The options that select images.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::WHICH)]
pub(crate) struct SelectionArgs {
    /// Image of this id or name; may be repeated
    ///
    /// A name means all images that are called so. One that no image has is an error, as is such an id.
    #[arg(long, value_name = "ID|NAME", action = ArgAction::Append)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    image: Vec<String>,

    /// File of ids, one a line; - is stdin
    ///
    /// Empty lines, and what is behind #, are left out. An id that no image has is named at the end,
    /// and the exit code is 3 then.
    #[arg(long, value_name = "FILE")]
    pub(crate) images_from: Option<PathBuf>,

    /// Images that pass a test, as 'name=debian-*'
    ///
    /// May be given more than once: all tests have to pass. `glance-replicator help selection` has
    /// the keys and operators.
    #[arg(long, value_name = "TEST", action = ArgAction::Append, value_parser = test)]
    select: Vec<String>,

    /// Leave out images that pass a test
    ///
    /// May be given more than once: none of the tests may pass.
    #[arg(long, value_name = "TEST", action = ArgAction::Append, value_parser = test)]
    exclude: Vec<String>,

    /// The newest N images, or those of each group
    ///
    /// They are the newest by the time of their creation, of those that the other options select.
    #[arg(long, value_name = "N")]
    newest: Option<NonZeroUsize>,

    /// Groups of --newest: name, property:NAME ...
    ///
    /// Several keys are separated by commas: images that agree in all of them are one group.
    #[arg(long, value_name = "KEYS", value_delimiter = ',', value_parser = group)]
    per: Vec<Key>,

    /// One share of the images, as 2/8
    ///
    /// For several machines that divide the work: each takes another K of the same N, from 0 or
    /// from 1. An image is always in the same share, by a hash of its id. The share is taken of
    /// what the other options select.
    #[arg(long, value_name = "K/N")]
    pub(crate) shard: Option<Shard>,

    /// As a member, take images of other projects, too
    ///
    /// Where one is signed in without the role admin, the images of the token's project alone are
    /// taken (`owner=mine`), unless images are named, or a test is about their owner.
    #[arg(long, value_parser = BoolishValueParser::new(), hide_short_help = true)]
    all_visible: bool,

    /// Fail if no image is selected
    ///
    /// Without it, that is a warning.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) error_on_nothing: bool,
}

impl SelectionArgs {
    /// Returns the ids and names of images that are asked for by them.
    pub(crate) fn images(&self) -> BTreeSet<String> {
        self.image.iter().cloned().collect()
    }

    /// Returns whether images are asked for other than by tests.
    pub(crate) fn names_images(&self) -> bool {
        !self.image.is_empty() || self.images_from.is_some() || self.newest.is_some()
    }

    /// Returns whether a server is asked for all of its images.
    pub(crate) fn lists_all(&self) -> bool {
        !self.names_images() && self.select.is_empty()
    }

    /// Returns the tests as a selection; `project` is the one that `owner=mine` means.
    pub(crate) fn tests(&self, project: Option<String>) -> Result<Selection, ExpressionError> {
        let surroundings = now().of_project(project);
        let read = |test: &String| Test::parse(test, &surroundings);
        let mut selection = Selection::default();
        for test in &self.select {
            selection = selection.with(read(test)?);
        }
        for test in &self.exclude {
            selection = selection.without(read(test)?);
        }
        Ok(selection)
    }

    /// Returns whether images are meant whoever owns them, unless the tests say it.
    pub(crate) fn means_any_owner(&self, tests: &Selection) -> bool {
        let mut all = tests.tests().iter().chain(tests.excluded());
        self.all_visible
            || !self.image.is_empty()
            || self.images_from.is_some()
            || all.any(|test| *test.key() == Key::Owner)
    }

    pub(crate) fn newest(&self) -> Option<Newest> {
        self.newest
            .map(|count| Newest::new(count, self.per.clone()))
    }
}

/// Ages count from the second that it is now.
fn now() -> Surroundings {
    let now = Timestamp::now();
    Surroundings::at(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Whose project `owner=mine` means is known only when the end is.
fn test(text: &str) -> Result<String, ExpressionError> {
    let surroundings = now().of_project(Some(String::new()));
    Test::parse(text, &surroundings).map(|_| text.to_owned())
}

fn group(text: &str) -> Result<Key, String> {
    let key: Key = text
        .parse()
        .map_err(|error: ExpressionError| error.to_string())?;
    match key {
        Key::Name
        | Key::Owner
        | Key::Visibility
        | Key::DiskFormat
        | Key::ContainerFormat
        | Key::Property(_) => Ok(key),
        _ => Err(
            "images are grouped by name, owner, visibility, disk_format, container_format and \
             property:NAME"
                .to_owned(),
        ),
    }
}

/// Options of other tools, and how the same is said here.
const OTHER_WORDS: [(&[&str], &str); 12] = [
    (
        &["--name", "--names"],
        "--image NAME, or --select 'name=PATTERN'",
    ),
    (&["--id", "--ids", "--image-id", "--only"], "--image ID"),
    (&["--tag", "--tags"], "--select 'tag=TAG'"),
    (
        &["--property", "--properties"],
        "--select 'property:NAME=VALUE'",
    ),
    (
        &["--public", "--private", "--shared", "--community"],
        "--select 'visibility=public'",
    ),
    (
        &["--visibility", "--is-public"],
        "--select 'visibility=public'",
    ),
    (&["--status", "--active"], "--select 'status=active'"),
    (
        &["--owner", "--project", "--tenant"],
        "--select 'owner=PROJECT_ID'",
    ),
    (
        &["--filter", "--include", "--match", "--where"],
        "--select 'KEY=VALUE'",
    ),
    (&["--skip", "--ignore", "--not"], "--exclude 'KEY=VALUE'"),
    (
        &["--size-min", "--size-max", "--min-size", "--max-size"],
        "--select 'size<=10G'",
    ),
    (
        &[
            "--since",
            "--newer-than",
            "--older-than",
            "--after",
            "--before",
            "--max-age",
        ],
        "--select 'created>=30d'",
    ),
];

/// Returns how to say here what an option of other tools says.
pub(super) fn in_our_words(option: &str) -> Option<&'static str> {
    let mut words = OTHER_WORDS.iter();
    words
        .find(|(options, _)| options.contains(&option))
        .map(|(_, ours)| *ours)
}
