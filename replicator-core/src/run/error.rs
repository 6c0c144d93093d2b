//! The errors of images.

use std::error::Error;
use std::iter;
use std::time::Duration;

use glance_model::{ContentProblem, MetadataDiff, MetadataProblem, NoProject, Visibility};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::content::wrong::Wrong;
use crate::port::{FailureKind, PortError};
use crate::run::id_problem::{IdProblem, describe};

/// The reason why one image could not be replicated.
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
    /// The target would refuse the metadata.
    #[error("the target would refuse its metadata: {}", all(.problems))]
    Metadata {
        /// The reasons, at least one.
        problems: Vec<MetadataProblem>,
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
        /// The fields as they should be, and as they became.
        diff: MetadataDiff,
        /// Whether they are as before by now.
        is_restored: bool,
    },
    /// The target shows the image to more people than the source does, and an update
    /// did not change that.
    #[error("the visibility is {} at the target, and it was to be {}", .found.as_str(), .wanted.as_str())]
    SeenByMore {
        /// The visibility at the source.
        wanted: Visibility,
        /// The visibility at the target.
        found: Visibility,
    },
    /// The target would refuse it, since it belongs to another project than the token.
    #[error(
        "the target takes images of other projects from administrators alone, and this token is one of \
         the project {project}"
    )]
    OtherOwner {
        /// The project of the token.
        project: String,
    },
    /// The source would not give out its data, since the token has no role but that of a reader.
    #[error(
        "the source gives image data to members alone, and this token has the role reader and no other"
    )]
    ReaderAtSource,
    /// The target would refuse it, for the same reason.
    #[error(
        "the target takes images from members alone, and this token has the role reader and no other"
    )]
    ReaderAtTarget,
    /// The target would not let the token make it public.
    #[error("the target lets administrators alone publish images, and the image is public")]
    NotPublished,
    /// Somebody else was writing it, and it is not there when all else is done.
    #[error("{}", being_written(.since.as_deref()))]
    LeftToAnother {
        /// The time since when, where the target says it.
        since: Option<String>,
    },
    /// Its id cannot be used at the target.
    #[error(transparent)]
    Id(#[from] IdProblem),
    /// Its owner, or a member, has no counterpart at the target.
    #[error(transparent)]
    NoProject(#[from] NoProject),
    /// It was to be shared, and projects that were its members before would have been so again.
    #[error(
        "shared, it has members at the target that the source does not have, {}: it {} not shared",
        .members.join(", "),
        if *.is_restored { "is again" } else { "could not be made" }
    )]
    MembersWoke {
        /// The ids of the projects.
        members: Vec<String>,
        /// Whether it is as before by now.
        is_restored: bool,
    },
    /// The error was written down, by an earlier run or another program.
    #[error(transparent)]
    WrittenDown(WrittenError),
}

/// The sort of an error: the part of it that decides what a run makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The content of the image is wrong.
    WrongContent,
    /// The target would refuse the data, which is held back.
    Refused,
    /// Another run is writing the image.
    LeftToAnother,
    /// Any other.
    Other,
}

/// An error as it is written down: its sort, and its text with those of its causes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, thiserror::Error)]
#[error("{}", .causes.join(": "))]
pub struct WrittenError {
    kind: ErrorKind,
    causes: Vec<String>,
}

impl From<&ImageError> for WrittenError {
    fn from(error: &ImageError) -> Self {
        if let ImageError::WrittenDown(written) = error {
            return written.clone();
        }
        let causes = iter::successors(Some(error as &dyn Error), |&error| error.source());
        Self {
            kind: error.kind(),
            causes: causes.map(ToString::to_string).collect(),
        }
    }
}

impl Serialize for ImageError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WrittenError::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ImageError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WrittenError::deserialize(deserializer).map(Self::WrittenDown)
    }
}

impl ImageError {
    /// The sort of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Content(_) | Self::DifferentContent(_) => ErrorKind::WrongContent,
            Self::Refused(_) => ErrorKind::Refused,
            Self::LeftToAnother { .. } => ErrorKind::LeftToAnother,
            Self::WrittenDown(written) => written.kind,
            _ => ErrorKind::Other,
        }
    }

    /// The error in which data ends that is on its way to a target. Whoever writes it
    /// hands it back.
    pub(crate) fn in_data(self) -> PortError {
        PortError::Data(self.into())
    }

    /// The error of a write, which is that of its data if the data ended in one.
    pub(crate) fn of_write(error: PortError) -> Self {
        match error {
            PortError::Data(cause) => match cause.downcast_ref::<Self>() {
                Some(error) => error.clone(),
                None => Self::Source(PortError::Data(cause)),
            },
            error => Self::Target(error),
        }
    }

    /// Returns whether the content of the image is wrong, rather than that it could
    /// not be copied.
    #[must_use]
    pub fn is_of_content(&self) -> bool {
        self.kind() == ErrorKind::WrongContent
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

    /// Returns whether the image was left to another run.
    pub(crate) fn is_left(&self) -> bool {
        self.kind() == ErrorKind::LeftToAnother
    }

    /// The time that a server asked to be given before the next attempt.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.port()?.kind() {
            FailureKind::Transient { retry_after } => retry_after,
            _ => None,
        }
    }

    pub(crate) fn is_transient(&self) -> bool {
        self.port().is_some_and(PortError::is_transient)
    }

    /// Returns whether there was no room for the image, as there is none for larger ones.
    pub(crate) fn is_of_room(&self) -> bool {
        self.port()
            .is_some_and(|error| error.kind() == FailureKind::NoRoom)
    }

    /// Returns whether the other images would fail in the same way.
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

fn all(problems: &[MetadataProblem]) -> String {
    let texts = problems.iter().map(ToString::to_string);
    texts.collect::<Vec<_>>().join("; ")
}

fn others(diff: &MetadataDiff) -> String {
    let texts = diff.changes().iter().map(|change| {
        let found = change.target.as_ref().map(ToString::to_string);
        let found = found.as_deref().unwrap_or("undefined");
        format!("{} (to {found}, not {})", change.field, change.source)
    });
    texts.collect::<Vec<_>>().join(", ")
}
