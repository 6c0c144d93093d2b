//! The life of an image.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of an image in its life, as Glance states it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum ImageStatus {
    /// Has a record, and no data yet.
    Queued,
    /// Its data is being uploaded, or the server died while it was.
    Saving,
    /// Its data is being staged for an import.
    Uploading,
    /// Staged data is being imported.
    Importing,
    /// Has its data.
    Active,
    /// Has its data, which only administrators may read.
    Deactivated,
    /// An upload through v1 failed: neither the image nor its id can be used.
    Killed,
    /// Was deleted: its id stays taken.
    Deleted,
    /// Is about to be deleted.
    PendingDelete,
    /// Any other word.
    Other(Box<str>),
}

impl ImageStatus {
    /// Reads a status; letter case does not matter.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "queued" => Self::Queued,
            "saving" => Self::Saving,
            "uploading" => Self::Uploading,
            "importing" => Self::Importing,
            "active" => Self::Active,
            "deactivated" => Self::Deactivated,
            "killed" => Self::Killed,
            "deleted" => Self::Deleted,
            "pending_delete" => Self::PendingDelete,
            other => Self::Other(other.into()),
        }
    }

    /// The word that Glance uses.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Queued => "queued",
            Self::Saving => "saving",
            Self::Uploading => "uploading",
            Self::Importing => "importing",
            Self::Active => "active",
            Self::Deactivated => "deactivated",
            Self::Killed => "killed",
            Self::Deleted => "deleted",
            Self::PendingDelete => "pending_delete",
            Self::Other(word) => word,
        }
    }

    /// Returns whether somebody else is writing the image, or was when it last changed: a
    /// record in such a state takes no data until that ends.
    #[must_use]
    pub fn is_being_written(&self) -> bool {
        matches!(self, Self::Saving | Self::Uploading | Self::Importing)
    }

    /// Returns whether nobody is at work on the image, as far as the word is known: it waits for
    /// its data, or has it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Queued | Self::Active | Self::Deactivated)
    }

    /// Returns whether the id is used up: no data can ever be put under it again.
    #[must_use]
    pub fn is_burnt(&self) -> bool {
        matches!(self, Self::Killed | Self::Deleted | Self::PendingDelete)
    }
}

impl From<String> for ImageStatus {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<ImageStatus> for String {
    fn from(status: ImageStatus) -> Self {
        status.as_str().to_owned()
    }
}

impl fmt::Display for ImageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
