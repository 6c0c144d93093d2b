//! The words that options take for their values.

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use glance_client::ApiChoice;
use glance_model::Visibility;
use replicator_core::{FormatCheck, OnIdConflict, Verify};

/// A word, its value, and its help.
type Word<T> = (&'static str, T, &'static str);

fn words<T, const N: usize>(words: [Word<T>; N]) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let shown = words.map(|(word, _, help)| PossibleValue::new(word).help(help));
    PossibleValuesParser::new(shown).try_map(move |text| {
        let word = words.iter().find(|(word, ..)| *word == text);
        word.map(|(_, value, _)| *value)
            .ok_or("not one of the words")
    })
}

pub(super) fn api() -> impl TypedValueParser<Value = ApiChoice> {
    words([
        (
            "auto",
            ApiChoice::Auto,
            "v2 where the server offers it, else v1",
        ),
        ("v1", ApiChoice::V1, "Images v1"),
        ("v2", ApiChoice::V2, "Images v2"),
    ])
}

pub(crate) fn verify() -> impl TypedValueParser<Value = Verify> {
    words([
        (
            "full",
            Verify::Full,
            "By hashing the data on its way, holding its end back until it is right, and comparing \
             what both servers state",
        ),
        (
            "target",
            Verify::Target,
            "By comparing what both servers state, after the upload",
        ),
        (
            "read-back",
            Verify::ReadBack,
            "As full, and by reading the copy from the target and hashing it again; in a directory, \
             what is there already is read too, and copied again if it is wrong",
        ),
        ("none", Verify::None, "By its length alone"),
    ])
}

pub(super) fn visibility() -> impl TypedValueParser<Value = Visibility> {
    words([
        ("private", Visibility::Private, "Its project"),
        ("shared", Visibility::Shared, "Its project, and its members"),
        (
            "community",
            Visibility::Community,
            "Everybody who knows its id",
        ),
        ("public", Visibility::Public, "Everybody"),
    ])
}

pub(super) fn on_id_conflict() -> impl TypedValueParser<Value = OnIdConflict> {
    words([
        ("fail", OnIdConflict::Fail, "The image fails"),
        ("skip", OnIdConflict::Skip, "The image is left alone"),
        (
            "new-id",
            OnIdConflict::NewId,
            "The image is copied under a new id, which --id-map keeps",
        ),
    ])
}

/// The widest visibility of a copy, if there is a limit.
pub(super) type Widest = Option<Visibility>;

pub(super) fn widest_visibility() -> impl TypedValueParser<Value = Widest> {
    words([
        ("keep", None, "That of the source"),
        (
            "private",
            Some(Visibility::Private),
            "The owner alone sees a copy",
        ),
        (
            "shared",
            Some(Visibility::Shared),
            "Its members, too: public and community images are shared",
        ),
        (
            "community",
            Some(Visibility::Community),
            "Whoever knows of it: public images are community images",
        ),
    ])
}

pub(super) fn owner() -> impl TypedValueParser<Value = OwnerPolicy> {
    words([
        ("keep", OwnerPolicy::Keep, "The project of the same id"),
        ("mine", OwnerPolicy::Mine, "The project that we sign in to"),
        (
            "map",
            OwnerPolicy::Map,
            "The project of the same name, in the domain of the same name",
        ),
    ])
}

pub(super) fn on_missing_project() -> impl TypedValueParser<Value = MissingProject> {
    words([
        ("fail", MissingProject::Fail, "The image fails"),
        ("skip", MissingProject::Skip, "The image is left alone"),
        (
            "mine",
            MissingProject::Mine,
            "The project that we sign in to owns it",
        ),
    ])
}

pub(super) fn members() -> impl TypedValueParser<Value = MembersPolicy> {
    words([
        (
            "keep",
            MembersPolicy::Keep,
            "As at the source, with their status where it may be set",
        ),
        ("skip", MembersPolicy::Skip, "Neither compared nor sent"),
    ])
}

pub(super) fn format_check() -> impl TypedValueParser<Value = FormatCheck> {
    words([
        ("auto", FormatCheck::Auto, "For targets that may refuse it"),
        ("off", FormatCheck::Off, "Never"),
    ])
}

/// The fate of the properties that name the source's cloud in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SnapshotProperties {
    /// They are copied
    Keep,
    /// They are left out
    Scrub,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, else lines
    Auto,
    /// Bars; lines where stderr is no terminal
    Bar,
    /// A line now and then
    Line,
    /// Nothing but problems and the summary
    None,
}

/// The owner of images at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnerPolicy {
    Keep,
    Mine,
    Map,
}

/// The fate of an image of which a project is missing at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingProject {
    Fail,
    Skip,
    Mine,
}

/// What becomes of the projects that an image is shared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MembersPolicy {
    Keep,
    Skip,
}

/// The form of lines on stderr, and of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text, on stderr behind the time if that is no terminal
    Text,
    /// Text, on stderr without the time
    Plain,
    /// A JSON object a line
    Json,
}
