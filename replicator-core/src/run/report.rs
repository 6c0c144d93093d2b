//! The report of a run.

use super::error::ImageError;
use super::result::ImageResult;
use super::results::Results;

/// The results of a run at one target.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The results of the images that were planned, skipped, or failed, in the order in
    /// which they were known.
    pub results: Results,
    /// The number of images that were listed, and need nothing. They have no results, so
    /// that memory does not grow with them.
    pub unchanged: u64,
}

impl Report {
    /// The number of images that were copied with their data.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.results.counts().copied
    }

    /// The number of images that were copied, and whose content could not be proven.
    #[must_use]
    pub fn unverified(&self) -> u64 {
        self.results.counts().unverified
    }

    /// The number of bytes of image data that were copied.
    #[must_use]
    pub fn copied_bytes(&self) -> u64 {
        self.results.counts().copied_bytes
    }

    /// The number of images that somebody else has stored meanwhile.
    #[must_use]
    pub fn already_there(&self) -> u64 {
        self.results.counts().already_there
    }

    /// The number of records that were written without data.
    #[must_use]
    pub fn records_created(&self) -> u64 {
        self.results.counts().records_created
    }

    /// The number of images whose metadata was updated, or that more stores have now.
    #[must_use]
    pub fn updated(&self) -> u64 {
        self.results.counts().updated
    }

    /// The number of images that were retired.
    #[must_use]
    pub fn retired(&self) -> u64 {
        self.results.counts().retired
    }

    /// The number of images that were deleted.
    #[must_use]
    pub fn deleted(&self) -> u64 {
        self.results.counts().deleted
    }

    /// The number of images that need nothing, those that were read included.
    #[must_use]
    pub fn unchanged(&self) -> u64 {
        self.unchanged + self.results.counts().unchanged
    }

    /// The number of images that were left alone.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.results.counts().skipped
    }

    /// The number of images that were planned, and not begun or not finished.
    #[must_use]
    pub fn not_done(&self) -> u64 {
        self.results.counts().not_done
    }

    /// The number of images whose work is not what was approved.
    #[must_use]
    pub fn stale(&self) -> u64 {
        self.results.counts().stale
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
        let failed = self.results.failed();
        failed.filter_map(|result| Some((result, result.error()?)))
    }

    /// Returns whether anything has failed, or was not done.
    pub(crate) fn has_failures(&self) -> bool {
        let counts = self.results.counts();
        counts.failed + counts.not_done > counts.refused
    }
}
