//! What the copies at a target lack.

use glance_model::{BadRecord, ImageMetadata, MetadataDiff, Omit};

use crate::list::pairs::{ListingError, MergedListing, Next};
use crate::port::{ImageSource, ImageTarget, PortError, Side, TargetIds};
use crate::run::context::RunContext;

/// What is different about one image.
#[derive(Debug)]
#[non_exhaustive]
pub enum Difference {
    /// The source has it, active, and the target does not.
    Missing,
    /// The target has it differently.
    Diff(MetadataDiff),
    /// One of the ends holds something that cannot be used.
    Damaged {
        /// Which end.
        side: Side,
        /// What is wrong.
        error: PortError,
    },
}

/// An image that differs.
#[derive(Debug)]
#[non_exhaustive]
pub struct Compared {
    /// Its id, as it is written: that of a bad record may be any text.
    pub id: String,
    /// Its name at the source.
    pub name: Option<String>,
    /// What is different.
    pub difference: Difference,
}

/// Goes through two ends, from difference to difference. Memory does not grow
/// with their number.
#[expect(
    missing_debug_implementations,
    reason = "it is a cursor over two streams"
)]
pub struct Comparison<'a> {
    ctx: &'a RunContext,
    listing: MergedListing,
    target: &'a dyn ImageTarget,
    filter: &'a Omit,
    compared: u64,
}

/// Compares two ends by what they state of their images, one way: what only the
/// target has does not matter. An image that goes by another id at the target is
/// compared with its copy there, after all others.
#[must_use]
pub fn compare<'a>(
    ctx: &'a RunContext,
    source: &dyn ImageSource,
    target: &'a dyn ImageTarget,
    filter: &'a Omit,
    target_ids: TargetIds,
) -> Comparison<'a> {
    Comparison {
        ctx,
        listing: MergedListing::new(source.images(), target.images(), target_ids),
        target,
        filter,
        compared: 0,
    }
}

impl Comparison<'_> {
    /// How many images of the source have been compared.
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// The next difference.
    ///
    /// # Errors
    ///
    /// [`ListingError`] if one of the ends cannot be listed in whole and in order.
    pub async fn next(&mut self) -> Result<Option<Compared>, ListingError> {
        while let Some(next) = self.listing.next(self.ctx).await? {
            let pair = match next {
                Next::Pair(pair) => *pair,
                Next::NoImage(side, bad) => return Ok(Some(Compared::bad(side, bad))),
            };
            let Some(source) = pair.source else {
                if let Some(Err(PortError::BadRecord(bad))) = pair.target {
                    return Ok(Some(Compared::bad(Side::Target, bad)));
                }
                continue;
            };
            self.compared += 1;
            let (name, difference) = match (source, pair.target) {
                (Err(PortError::BadRecord(bad)), _) => {
                    return Ok(Some(Compared::bad(Side::Source, bad)));
                }
                (Err(error), _) => (None, Some(damaged(Side::Source, error))),
                (Ok(source), Some(Err(error))) => (source.name, Some(damaged(Side::Target, error))),
                (Ok(source), None) => {
                    let missing = source.is_active().then_some(Difference::Missing);
                    (source.name, missing)
                }
                (Ok(source), Some(Ok(target))) => {
                    let name = source.name.clone();
                    (name, self.diff(source, target))
                }
            };
            if let Some(difference) = difference {
                return Ok(Some(Compared {
                    id: pair.id.to_string(),
                    name,
                    difference,
                }));
            }
        }
        Ok(None)
    }

    fn diff(&self, source: ImageMetadata, target: ImageMetadata) -> Option<Difference> {
        let form = self.target.form();
        let (source, _) = form.wanted(self.filter.apply(source));
        let diff = MetadataDiff::between(&source, &form.of(target), self.filter);
        (!diff.is_empty()).then_some(Difference::Diff(diff))
    }
}

impl Compared {
    fn bad(side: Side, mut bad: Box<BadRecord>) -> Self {
        Self {
            id: bad.id.clone(),
            name: bad.name.take(),
            difference: damaged(side, PortError::BadRecord(bad)),
        }
    }
}

fn damaged(side: Side, error: PortError) -> Difference {
    Difference::Damaged { side, error }
}
