//! What became of a run.

use std::sync::Arc;

use glance_model::{BadRecord, ContentProblem, ImageId, ImageMetadata, MetadataDiff, Visibility};

use crate::digest::DigestAlgorithm;
use crate::ids::IdProblem;
use crate::merge::End;
use crate::port::{FailureKind, PortError};
use crate::proof::Proof;

/// What a run did. It names each image that it worked on, and counts the others.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The images that were written, in the order in which they were finished.
    pub done: Vec<(ImageId, Outcome)>,
    /// The images that failed.
    pub failures: Vec<Failure>,
    /// The images that were left to another run, and are not at the target yet.
    pub left: Vec<Failure>,
    /// How many images needed nothing.
    pub unchanged: u64,
    /// How many images were left alone.
    pub skipped: u64,
    /// How many images were planned and not begun or not finished, since the run
    /// was cancelled or the target became unusable.
    pub not_done: u64,
}

/// How an image was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// With its data.
    Copied {
        /// How long its data is.
        total_bytes: u64,
        /// How its content is known to be right.
        proof: Proof,
    },
    /// Not by us: somebody else has stored it meanwhile, with the same content.
    AlreadyThere,
    /// Without data.
    RecordCreated,
    /// Its metadata was updated.
    MetadataUpdated,
}

/// An image that failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The id of the image, as it is written, and empty where there is none: that
    /// of a bad record may be any text.
    pub id: String,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// Why.
    pub error: Arc<ImageError>,
    /// What stays of it at the target, if this run had begun to write it there.
    pub left_behind: Option<Box<ImageMetadata>>,
}

impl Failure {
    pub(crate) fn new(id: &ImageId, name: Option<String>, error: ImageError) -> Self {
        Self {
            id: id.to_string(),
            name,
            error: Arc::new(error),
            left_behind: None,
        }
    }

    /// The failure of an image whose record cannot be used.
    pub(crate) fn of_record(end: End, mut bad: Box<BadRecord>) -> Self {
        let name = bad.name.take();
        let id = bad.id.clone();
        let error = PortError::BadRecord(bad);
        let error = Arc::new(match end {
            End::Source => ImageError::Source(error),
            End::Target => ImageError::Target(error),
        });
        Self {
            id,
            name,
            error,
            left_behind: None,
        }
    }
}

/// Why one image could not be replicated.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The source failed.
    #[error("the source failed")]
    Source(#[source] PortError),
    /// The target failed.
    #[error("the target failed")]
    Target(#[source] PortError),
    /// The stage failed.
    #[error("the stage failed")]
    Stage(#[source] PortError),
    /// The new id of the image could not be kept, so it was not used.
    #[error("the id map failed")]
    IdMap(#[source] PortError),
    /// The source has no data for it, though it says that it has.
    #[error("the source has lost the data of the image")]
    DataLost,
    /// An archive has no data of an image that is deactivated, though the caller may read it.
    #[error("it is deactivated at the source: the archive has its metadata, and not its data")]
    Withheld,
    /// The target says that it has the image, and has none of its data.
    #[error("the target has no data for the image, though its record is active and has a digest")]
    Hollow,
    /// The source's data is not as long as the source says.
    #[error("the source gives {found} bytes, and its record says {stated}")]
    Length {
        /// What the record says.
        stated: u64,
        /// What was read, at least.
        found: u64,
    },
    /// The source's data does not have the digest that the source states.
    #[error("the data from the source has the {algorithm} {found}, and its record says {stated}")]
    SourceDigest {
        /// The algorithm.
        algorithm: String,
        /// What the record says.
        stated: String,
        /// What was read.
        found: String,
    },
    /// The target does not say of its copy what the source says.
    #[error("the target states the {property} {target}, and the source {source_value}")]
    TargetDiffers {
        /// What is compared: `size`, `checksum`, or the name of an algorithm.
        property: String,
        /// What the source says.
        source_value: String,
        /// What the target says.
        target: String,
    },
    /// What was read from an end is not what it should be.
    #[error(
        "{found_bytes} bytes with the {algorithm} {found} were read, \
         and not {wanted_bytes} bytes with {wanted}"
    )]
    ReadBack {
        /// The algorithm of both digests.
        algorithm: DigestAlgorithm,
        /// The digest that it should have.
        wanted: String,
        /// The digest that it has.
        found: String,
        /// The length that it should have.
        wanted_bytes: u64,
        /// The length that it has.
        found_bytes: u64,
    },
    /// Both ends have an active image of that id, and they are not the same.
    #[error("the target has another image of that id: {}", describe(.0))]
    DifferentContent(MetadataDiff),
    /// A server with v2 takes no data for an image without formats, which v1 lets be.
    #[error("the image has no {missing}, and a target with v2 takes no data without one")]
    NoFormat {
        /// `disk_format`, `container_format`, or both.
        missing: &'static str,
    },
    /// The target would refuse the data, and spoil its record.
    #[error("the target would refuse the data")]
    Refused(#[source] ContentProblem),
    /// An upload broke off, and the target does not let go of its record.
    #[error("the upload broke off, and the target still has the image in saving")]
    StillSaving,
    /// The answer to an update is not what was asked for: other fields changed as well.
    #[error(
        "the update changed other fields at the target, {}, which {} set back",
        others(.diff),
        if *.is_restored { "were" } else { "could not be" }
    )]
    OtherFieldsChanged {
        /// What they should be, and what they became.
        diff: MetadataDiff,
        /// Whether they are as before by now.
        is_restored: bool,
    },
    /// The target shows the image to more people than the source does, and an update
    /// did not change that.
    #[error("the visibility is {} at the target, and it was to be {}", .found.as_str(), .wanted.as_str())]
    SeenByMore {
        /// What it is at the source.
        wanted: Visibility,
        /// What it is at the target.
        found: Visibility,
    },
    /// Somebody else was writing it, and it is not there when all else is done.
    #[error("{}", being_written(.since.as_deref()))]
    LeftToAnother {
        /// Since when, where the target says it.
        since: Option<String>,
    },
    /// Its id cannot be used at the target.
    #[error(transparent)]
    Id(#[from] IdProblem),
}

impl ImageError {
    /// Says whether the content of the image is wrong, rather than that it could
    /// not be copied.
    #[must_use]
    pub fn is_of_content(&self) -> bool {
        matches!(
            self,
            Self::Length { .. }
                | Self::SourceDigest { .. }
                | Self::TargetDiffers { .. }
                | Self::ReadBack { .. }
                | Self::DifferentContent(_)
                | Self::Hollow
        )
    }

    /// Returns whether an end holds something of the image that cannot be used.
    #[must_use]
    pub fn is_of_damage(&self) -> bool {
        matches!(self.port(), Some(PortError::Damaged { .. }))
    }

    pub(crate) fn port(&self) -> Option<&PortError> {
        match self {
            Self::Source(error) | Self::Target(error) | Self::Stage(error) | Self::IdMap(error) => {
                Some(error)
            }
            _ => None,
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self.port(), Some(PortError::Cancelled))
    }

    /// Returns whether the target has all of the data, and did not answer.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.port()
            .is_some_and(|error| error.kind() == FailureKind::Unanswered)
    }

    pub(crate) fn is_transient(&self) -> bool {
        self.port().is_some_and(PortError::is_transient)
    }

    /// Returns whether there was no room for the image, as there is none for larger ones.
    pub(crate) fn is_of_room(&self) -> bool {
        self.port()
            .is_some_and(|error| error.kind() == FailureKind::NoRoom)
    }

    /// Says whether the other images would fail in the same way.
    pub(crate) fn is_of_the_end(&self) -> bool {
        self.port()
            .is_some_and(|error| error.kind() == FailureKind::Unusable)
    }
}

fn being_written(since: Option<&str>) -> String {
    let since = since.map(|since| format!(" since {since}"));
    format!(
        "it was left to another run, which has been writing it{}, and it is not at the target yet",
        since.unwrap_or_default()
    )
}

pub(crate) fn describe(diff: &MetadataDiff) -> String {
    let texts: Vec<String> = diff
        .changes()
        .iter()
        .filter(|change| !change.is_writable())
        .map(|change| {
            let target = change.target.as_ref().map(ToString::to_string);
            let target = target.as_deref().unwrap_or("undefined");
            format!("its {} is {target}, not {}", change.field, change.source)
        })
        .collect();
    texts.join(", ")
}

fn others(diff: &MetadataDiff) -> String {
    let texts = diff.changes().iter().map(|change| {
        let found = change.target.as_ref().map(ToString::to_string);
        let found = found.as_deref().unwrap_or("undefined");
        format!("{} (to {found}, not {})", change.field, change.source)
    });
    texts.collect::<Vec<_>>().join(", ")
}

impl Report {
    /// How many images were copied with their data.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.count(|outcome| matches!(outcome, Outcome::Copied { .. }))
    }

    /// The images that are not at the target: those that failed, and those that were
    /// left to another run.
    pub fn all_failures(&self) -> impl Iterator<Item = &Failure> + Clone {
        self.failures.iter().chain(&self.left)
    }

    /// How many images somebody else has stored meanwhile.
    #[must_use]
    pub fn already_there(&self) -> u64 {
        self.count(|outcome| *outcome == Outcome::AlreadyThere)
    }

    /// How many bytes of image data were copied.
    #[must_use]
    pub fn copied_bytes(&self) -> u64 {
        let bytes = |outcome: &Outcome| match outcome {
            Outcome::Copied { total_bytes, .. } => *total_bytes,
            _ => 0,
        };
        self.done.iter().map(|(_, outcome)| bytes(outcome)).sum()
    }

    /// How many records were written without data.
    #[must_use]
    pub fn records_created(&self) -> u64 {
        self.count(|outcome| *outcome == Outcome::RecordCreated)
    }

    /// How many images had their metadata updated.
    #[must_use]
    pub fn updated(&self) -> u64 {
        self.count(|outcome| *outcome == Outcome::MetadataUpdated)
    }

    fn count(&self, is_it: impl Fn(&Outcome) -> bool) -> u64 {
        self.done
            .iter()
            .filter(|(_, outcome)| is_it(outcome))
            .count() as u64
    }
}
