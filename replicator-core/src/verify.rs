//! The comparison of the content of two ends.

use std::num::NonZeroUsize;
use std::sync::Arc;

use glance_model::{ImageId, ImageMetadata, ImageStatus, Sample, Selection};
use tokio::task::JoinSet;

use crate::content::proof::{Proof, compare_stated};
use crate::content::wrong::Wrong;
use crate::list::pairs::{Listed, ListingError, Pair, Pairs};
use crate::list::selected::{SelectedCount, at_target, selected};
use crate::port::{FailureKind, ImageSource, PortError, TargetIds, gives_last_byte};
use crate::run::context::RunContext;
use crate::run::error::ImageError;
use crate::run::event::Event;
use crate::run::read_back::read_back;
use crate::run::result::{ImageRef, ImageResult};

/// The way in which content is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyBy {
    /// By the sizes and digests that both ends state, and by whether the target has any data: where
    /// it names the stores that have it, that is taken for true.
    Stated,
    /// By the same, and by reading a byte of each image from the target, whatever it says.
    Probing,
    /// By reading each image from the target, and hashing it.
    Reading,
}

/// The options of [`verify`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// The way in which content is compared.
    pub by: VerifyBy,
    /// The number of images that are looked at or read at a time.
    pub transfers: NonZeroUsize,
    /// The images whose turn it is, of those that are wanted: all others are left out.
    pub sample: Option<Sample>,
}

impl VerifyOptions {
    /// Compares all wanted images, one at a time.
    #[must_use]
    pub fn new(by: VerifyBy) -> Self {
        Self {
            by,
            transfers: NonZeroUsize::MIN,
            sample: None,
        }
    }
}

/// The findings of [`verify`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The number of images that have the content that the source states.
    pub verified: u64,
    /// Images without a digest that could be compared.
    pub unverifiable: Vec<ImageRef>,
    /// Active images of the source that the target does not have with data.
    pub missing: Vec<ImageRef>,
    /// Images whose content is wrong, or could not be read.
    pub failures: Vec<ImageResult>,
    /// The number of images of the source that were selected, active or not.
    pub selected: SelectedCount,
}

/// Compares the content of the wanted, active images of the source with that of their
/// copies at the target. Nothing is changed.
///
/// If the run is cancelled, what was not read by then is in no list.
///
/// To check an archive by itself, give it as both, and read it.
///
/// # Errors
///
/// [`ListingError`] if one of them cannot be listed in whole and in order.
///
/// # Panics
///
/// If an adapter panics.
pub async fn verify(
    ctx: &RunContext,
    source: Arc<dyn ImageSource>,
    target: Arc<dyn ImageSource>,
    wanted: &Selection,
    target_ids: TargetIds,
    options: VerifyOptions,
) -> Result<VerifyReport, ListingError> {
    let VerifyOptions { by, .. } = options;
    let is_due = |id: &ImageId| options.sample.is_none_or(|sample| sample.has(id));
    let (at_target, _) = selected(&*target, &at_target(wanted, &target_ids));
    let (images, counter) = selected(&*source, wanted);
    let mut pairs = Pairs::new(images, at_target, target_ids);
    let mut report = VerifyReport::default();
    let mut reading = JoinSet::new();
    while let Some(pair) = pairs.next(ctx).await? {
        if pair.id_of_source().is_some_and(|id| !is_due(id)) {
            continue;
        }
        let (image, copy) = match pair {
            Pair::Missing(listed) if listed.image.is_active() => {
                report.missing.push(ImageRef::from(&listed.image));
                continue;
            }
            Pair::Both(listed, copy) if listed.image.has_data() => {
                // A deactivated image is copied for administrators alone.
                if !copy.has_data() && !listed.image.is_active() {
                    continue;
                }
                if !copy.has_data() {
                    report.missing.push(ImageRef::from(&listed.image));
                    continue;
                }
                (listed.image, *copy)
            }
            Pair::Missing(_) | Pair::Both(..) | Pair::Alone(..) => continue,
            Pair::Damaged(damaged) => {
                let is_active = |source: &Listed| source.image.is_active();
                if damaged.source.as_ref().is_none_or(is_active) {
                    report.fail(ctx, damaged.into());
                }
                continue;
            }
        };
        if reading.len() >= options.transfers.get() {
            report.join(ctx, &mut reading).await;
        }
        let (ctx, target) = (ctx.clone(), Arc::clone(&target));
        reading.spawn(async move {
            let work = async {
                match by {
                    VerifyBy::Stated => compare(&*target, &image, &copy).await,
                    VerifyBy::Probing => probe(&*target, &image, &copy).await,
                    VerifyBy::Reading => read(&*target, &image, &copy).await,
                }
            };
            let result = ctx.until_cancelled(work).await;
            let result = result.map_err(ImageError::Target).flatten();
            (image, result)
        });
    }
    while !reading.is_empty() {
        report.join(ctx, &mut reading).await;
    }
    report.selected = counter.count();
    Ok(report)
}

async fn compare(
    target: &dyn ImageSource,
    image: &ImageMetadata,
    copy: &ImageMetadata,
) -> Result<Proof, ImageError> {
    let proof = compare_stated(image, copy, image.size.or(copy.size).unwrap_or(0))?;
    match target.has_data(copy).await {
        Ok(false) => Err(Wrong::Hollow.into()),
        // A caller who may not read the data is told what is on record.
        Err(error) if error.kind() != FailureKind::Denied => Err(ImageError::Target(error)),
        Ok(true) | Err(_) => Ok(proof),
    }
}

/// Reads the last byte of the copy of an image, which is not there if there is less of it.
async fn probe(
    target: &dyn ImageSource,
    image: &ImageMetadata,
    copy: &ImageMetadata,
) -> Result<Proof, ImageError> {
    let proof = compare_stated(image, copy, image.size.or(copy.size).unwrap_or(0))?;
    match gives_last_byte(target, copy).await {
        Ok(true) => Ok(proof),
        Ok(false) => Err(Wrong::Hollow.into()),
        Err(error) => unless_withheld(error, copy),
    }
}

/// Reads the copy of an image. Who may not read a deactivated one is told that it was not read.
async fn read(
    target: &dyn ImageSource,
    image: &ImageMetadata,
    copy: &ImageMetadata,
) -> Result<Proof, ImageError> {
    match read_back(target, image, copy).await {
        Err(ImageError::Target(error)) => unless_withheld(error, copy),
        read => read,
    }
}

/// Takes a deactivated image for one that was not read, if this caller may not.
fn unless_withheld(error: PortError, copy: &ImageMetadata) -> Result<Proof, ImageError> {
    match (error.kind(), &copy.status) {
        (FailureKind::Denied, ImageStatus::Deactivated) => Ok(Proof::Unverifiable),
        _ => Err(ImageError::Target(error)),
    }
}

type Read = (ImageMetadata, Result<Proof, ImageError>);

impl VerifyReport {
    async fn join(&mut self, ctx: &RunContext, reading: &mut JoinSet<Read>) {
        let joined = reading.join_next().await;
        if let Some(Ok((image, _))) = &joined {
            let image = Arc::new(ImageRef::from(image));
            ctx.emit(Event::Checked { image });
        }
        match joined {
            Some(Ok((image, Ok(Proof::Unverifiable)))) => {
                self.unverifiable.push(ImageRef::from(&image))
            }
            Some(Ok((_, Ok(_)))) => self.verified += 1,
            Some(Ok((image, Err(error)))) => {
                self.fail(ctx, ImageResult::failed(ImageRef::from(&image), error));
            }
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => {}
        }
    }

    fn fail(&mut self, ctx: &RunContext, failed: ImageResult) {
        // An image that was broken off has not failed.
        if ctx.is_cancelled() {
            return;
        }
        ctx.emit(Event::Finished(failed.clone()));
        self.failures.push(failed);
    }
}
