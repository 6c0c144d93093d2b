//! Why an image could not be replicated.

use std::sync::Arc;
use std::time::Duration;

use glance_model::{BadRecord, ContentProblem, ImageId, ImageMetadata, MetadataDiff, Visibility};

use crate::content::wrong::Wrong;
use crate::port::{FailureKind, PortError, Side};
use crate::run::id_problem::{IdProblem, describe};

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
    pub(crate) fn of_record(side: Side, mut bad: Box<BadRecord>) -> Self {
        let name = bad.name.take();
        let id = bad.id.clone();
        let error = PortError::BadRecord(bad);
        let error = Arc::new(match side {
            Side::Source => ImageError::Source(error),
            Side::Target => ImageError::Target(error),
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
    /// The content of the image is not right.
    #[error(transparent)]
    Content(#[from] Wrong),
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
        matches!(self, Self::Content(_) | Self::DifferentContent(_))
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

fn others(diff: &MetadataDiff) -> String {
    let texts = diff.changes().iter().map(|change| {
        let found = change.target.as_ref().map(ToString::to_string);
        let found = found.as_deref().unwrap_or("undefined");
        format!("{} (to {found}, not {})", change.field, change.source)
    });
    texts.collect::<Vec<_>>().join(", ")
}

pub(crate) fn retry_after(error: &ImageError) -> Option<Duration> {
    match error.port()?.kind() {
        FailureKind::Transient { retry_after } => retry_after,
        _ => None,
    }
}
