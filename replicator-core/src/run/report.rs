//! The report of a run.

use super::error::ImageError;
use super::result::{ImageResult, Outcome};
use crate::content::proof::Proof;

/// The results of a run at one target.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The results of the images that were planned, skipped, or failed, in the order in
    /// which they were known.
    pub results: Vec<ImageResult>,
    /// The number of images that were listed, and need nothing. They have no results, so
    /// that memory does not grow with them.
    pub unchanged: u64,
}

impl Report {
    /// The number of images that were copied with their data.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.count(|outcome| matches!(outcome, Outcome::Copied { .. }))
    }

    /// The number of images that were copied, and whose content could not be proven.
    #[must_use]
    pub fn unverified(&self) -> u64 {
        self.count(
            |outcome| matches!(outcome, Outcome::Copied { proof, .. } if *proof != Proof::Verified),
        )
    }

    /// The number of bytes of image data that were copied.
    #[must_use]
    pub fn copied_bytes(&self) -> u64 {
        let bytes = |result: &ImageResult| match result.outcome {
            Outcome::Copied { total_bytes, .. } => total_bytes,
            _ => 0,
        };
        self.results.iter().map(bytes).sum()
    }

    /// The number of images that somebody else has stored meanwhile.
    #[must_use]
    pub fn already_there(&self) -> u64 {
        self.count(|outcome| matches!(outcome, Outcome::AlreadyThere))
    }

    /// The number of records that were written without data.
    #[must_use]
    pub fn records_created(&self) -> u64 {
        self.count(|outcome| matches!(outcome, Outcome::RecordCreated))
    }

    /// The number of images whose metadata was updated, or that more stores have now.
    #[must_use]
    pub fn updated(&self) -> u64 {
        self.count(|outcome| {
            matches!(
                outcome,
                Outcome::MetadataUpdated(_) | Outcome::CopiedToStores
            )
        })
    }

    /// The number of images that were retired.
    #[must_use]
    pub fn retired(&self) -> u64 {
        self.count(|outcome| matches!(outcome, Outcome::Retired))
    }

    /// The number of images that were deleted.
    #[must_use]
    pub fn deleted(&self) -> u64 {
        self.count(|outcome| matches!(outcome, Outcome::Deleted))
    }

    /// The number of images that need nothing, those that were read included.
    #[must_use]
    pub fn unchanged(&self) -> u64 {
        self.unchanged + self.count(|outcome| matches!(outcome, Outcome::Unchanged))
    }

    /// The number of images that were left alone.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.count(|outcome| matches!(outcome, Outcome::Skipped(_)))
    }

    /// The number of images that were planned, and not begun or not finished.
    #[must_use]
    pub fn not_done(&self) -> u64 {
        self.count(|outcome| matches!(outcome, Outcome::NotDone(_)))
    }

    /// The number of images whose work is not what was approved.
    #[must_use]
    pub fn stale(&self) -> u64 {
        self.count(|outcome| matches!(outcome, Outcome::Stale(_)))
    }

    /// The images that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&ImageResult, &ImageError)> {
        self.not_at_the_target()
            .filter(|(_, error)| !error.is_left())
    }

    /// The images that were left to another run, and are not at the target yet.
    pub fn left(&self) -> impl Iterator<Item = (&ImageResult, &ImageError)> {
        self.not_at_the_target()
            .filter(|(_, error)| error.is_left())
    }

    /// The images that failed, and those that were left to another run.
    pub fn not_at_the_target(&self) -> impl Iterator<Item = (&ImageResult, &ImageError)> {
        let errors = self.results.iter().map(|result| (result, result.error()));
        errors.filter_map(|(result, error)| Some((result, error?)))
    }

    /// Returns whether anything has failed, or was not done.
    pub(crate) fn has_failures(&self) -> bool {
        let failed = |outcome: &Outcome| match outcome {
            Outcome::Failed { .. } => true,
            Outcome::NotDone(why) => !why.is_refusal(),
            _ => false,
        };
        self.count(failed) > 0
    }

    fn count(&self, is_it: impl Fn(&Outcome) -> bool) -> u64 {
        let counted = self.results.iter().filter(|result| is_it(&result.outcome));
        counted.count() as u64
    }
}
