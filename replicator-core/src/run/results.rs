//! The results of a run, packed: as values, those of 100,000 images are 30 MB.

use std::fmt;

use super::packed::{InJson, Pack, Packed};
use super::result::{ImageResult, Outcome};
use crate::content::proof::Proof;

/// The results of images, in the order in which they were known. Each takes some 60 bytes of memory,
/// or more if images near it have failed.
#[derive(Clone, Default)]
pub struct Results {
    results: Packed<ImageResult>,
    counts: Counts,
}

impl Pack for ImageResult {
    const BLOCK: usize = 64;
    const MANY: usize = Self::BLOCK;

    fn in_json(&self) -> InJson {
        match &self.outcome {
            _ if self.error().is_some() => InJson::Other,
            // The values of properties may be as deep as their source likes.
            Outcome::MetadataUpdated(_) => InJson::SameIfRead,
            _ => InJson::Same,
        }
    }
}

/// The number of results of each sort.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) all: u64,
    pub(super) copied: u64,
    pub(super) copied_bytes: u64,
    pub(super) unverified: u64,
    pub(super) already_there: u64,
    pub(super) records_created: u64,
    pub(super) updated: u64,
    pub(super) retired: u64,
    pub(super) deleted: u64,
    pub(super) unchanged: u64,
    pub(super) skipped: u64,
    pub(super) failed: u64,
    pub(super) not_done: u64,
    /// Those of the ones before that were not done for the sake of safety alone.
    pub(super) refused: u64,
    pub(super) stale: u64,
}

impl Results {
    pub(crate) fn push(&mut self, result: ImageResult) {
        self.counts.add(&result.outcome);
        self.results.push(result);
    }

    /// The number of results.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.counts.all).unwrap_or(usize::MAX)
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.all == 0
    }

    /// Goes through the results.
    pub fn iter(&self) -> impl Iterator<Item = ImageResult> {
        self.results.iter()
    }

    /// Goes through those of images that failed.
    pub(super) fn failed(&self) -> impl Iterator<Item = &ImageResult> {
        let plain = self.results.plain();
        plain.filter(|result| result.error().is_some())
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        self.all += 1;
        let of_its_sort = match outcome {
            Outcome::Copied { total_bytes, proof } => {
                self.copied_bytes += total_bytes;
                self.unverified += u64::from(*proof != Proof::Verified);
                &mut self.copied
            }
            Outcome::AlreadyThere => &mut self.already_there,
            Outcome::RecordCreated => &mut self.records_created,
            Outcome::MetadataUpdated(_) | Outcome::CopiedToStores => &mut self.updated,
            Outcome::Retired => &mut self.retired,
            Outcome::Deleted => &mut self.deleted,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Skipped(_) => &mut self.skipped,
            Outcome::Failed { .. } => &mut self.failed,
            Outcome::NotDone(why) => {
                self.refused += u64::from(why.is_refusal());
                &mut self.not_done
            }
            Outcome::Stale(_) => &mut self.stale,
        };
        *of_its_sort += 1;
    }
}

impl FromIterator<ImageResult> for Results {
    fn from_iter<T: IntoIterator<Item = ImageResult>>(results: T) -> Self {
        let mut packed = Self::default();
        results.into_iter().for_each(|result| packed.push(result));
        packed
    }
}

impl<'a> IntoIterator for &'a Results {
    type Item = ImageResult;
    type IntoIter = Box<dyn Iterator<Item = ImageResult> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl fmt::Debug for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use glance_model::{ImageId, ImageMetadata, ImageStatus, MetadataDiff, Omit};
    use serde_json::{Value, json};

    use super::*;
    use crate::run::error::ImageError;
    use crate::run::result::ImageRef;

    const BLOCK: usize = ImageResult::BLOCK;

    fn result(number: usize, outcome: Outcome) -> ImageResult {
        let id = ImageId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap();
        let image = ImageRef {
            id: id.to_string(),
            name: Some(format!("\u{1f600}\u{0}\"{number}")),
            size: Some(number as u64),
        };
        let mut result = ImageResult::new(image.into(), outcome);
        result.target_id = number.is_multiple_of(2).then_some(id);
        result.took = Some(Duration::new(number as u64, 999_999_999));
        result
    }

    fn copied(number: usize) -> ImageResult {
        let outcome = Outcome::Copied {
            total_bytes: number as u64,
            proof: Proof::Unverifiable,
        };
        result(number, outcome)
    }

    /// The update of a property whose value is nested as deeply as this.
    fn updated(number: usize, depth: usize) -> ImageResult {
        let id = ImageId::parse("00000000-0000-4000-8000-000000000000").unwrap();
        let found = ImageMetadata::new(id, ImageStatus::Active);
        let mut wanted = found.clone();
        let nested = (0..depth).fold(json!(1), |inner, _| Value::Array(vec![inner]));
        wanted.other.insert("nested".into(), nested);
        let diff = MetadataDiff::between(&wanted, &found, &Omit::default());
        result(number, Outcome::MetadataUpdated(diff))
    }

    #[test]
    fn what_is_packed_is_what_came_out() {
        let failed = |number| {
            let error = Arc::new(ImageError::DataLost);
            let left_behind = None;
            result(number, Outcome::Failed { error, left_behind })
        };
        for count in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 7] {
            let result = |number: usize| match number {
                70 => failed(number),
                150 => updated(number, 2),
                210 => updated(number, 126),
                _ => copied(number),
            };
            let results: Results = (0..count).map(result).collect();
            let wanted: Vec<String> = (0..count)
                .map(|number| format!("{:?}", result(number)))
                .collect();
            let found: Vec<String> = results.iter().map(|found| format!("{found:?}")).collect();
            assert_eq!(found, wanted);
            assert_eq!((results.len(), results.is_empty()), (count, count == 0));
            let failed: Vec<_> = results.failed().map(|failed| &*failed.image.id).collect();
            assert_eq!(failed.len(), usize::from(count > 70), "{failed:?}");
        }
    }

    #[test]
    fn many_results_take_little_memory() {
        let results: Results = (0..BLOCK * 100).map(copied).collect();
        let bytes = results.results.packed_bytes();
        assert!(bytes < results.len() * 80, "{bytes}");
    }
}
