//! What became of a run.

use glance_model::ImageId;

use crate::content::proof::Proof;
use crate::run::error::Failure;

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
