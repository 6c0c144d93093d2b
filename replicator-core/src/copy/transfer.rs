//! One image: open, meter, hash, hold back, write, prove, publish.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use glance_model::{ImageMetadata, ImageStatus};
use tokio::time::Instant;

use super::flow::{Flow, FlowOptions, Sent, look_at_nothing};
use super::update::Update;
use crate::content::digest::Digest;
use crate::content::proof::{Proof, compare_stated, read_data, stated_digest};
use crate::port::{ImageData, ImageSource, PortError};
use crate::run::error::ImageError;
use crate::run::event::Event;
use crate::run::id_problem::{IdProblem, refused_before};
use crate::run::options::{FormatCheck, RunOptions, Verify};
use crate::run::result::{ImageRef, Outcome};
use crate::run::target_end::TargetEnd;

/// The number of times that somebody else may be faster: with the record, and then with its
/// data.
const MOST_TAKEN: u32 = 2;

/// The time for which, when all else is done, it is looked whether what others were writing is
/// there, and how often.
const LAST_LOOK: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One image on its way to one target, with as many attempts as it takes.
pub(crate) struct Transfer<'a> {
    pub(crate) run: &'a RunOptions,
    pub(crate) source: &'a Arc<dyn ImageSource>,
    pub(crate) target: &'a TargetEnd,
    /// The image as the target is to have it, under its id at the source.
    pub(crate) wanted: &'a ImageMetadata,
    /// The same under its id at the target, which may be another one.
    pub(crate) copy: &'a ImageMetadata,
}

/// Data that is read once for several targets.
pub(crate) struct SharedData {
    pub(crate) data: ImageData,
    pub(crate) sent: Sent,
}

/// The state of an image at the target before its data is sent.
pub(crate) enum Record {
    /// The record that the data can be put into, or none where the data comes with it.
    Ready(Option<ImageMetadata>),
    /// The image, which somebody else has stored.
    There(ImageMetadata),
    /// It could not be made ready, which may pass.
    Failed { error: ImageError, attempts: u32 },
}

impl Transfer<'_> {
    /// Makes the record ready; `found` is what the target has of the image already.
    /// A failure that may pass is retried here only if that `waits`.
    pub(crate) async fn ready(
        &self,
        mut found: Option<ImageMetadata>,
        waits: bool,
    ) -> Result<Record, ImageError> {
        if flow_options(self.run, self.target).inspects {
            look_at_nothing(self.wanted)?;
        }
        let (mut attempts, mut taken) = (0, 0);
        loop {
            let images = &self.target.images;
            let prepared = images.prepare_record(self.copy, found.as_ref());
            let error = match prepared.await {
                Ok(record) => return Ok(Record::Ready(record)),
                Err(error) => ImageError::Target(error),
            };
            if let ImageError::Target(PortError::AlreadyExists { .. }) = error
                && taken < MOST_TAKEN
            {
                taken += 1;
                match self.find_taken(error).await? {
                    there if there.has_data() => return Ok(Record::There(there)),
                    record => found = Some(record),
                }
                continue;
            }
            if !error.is_transient() {
                return Err(error);
            }
            attempts += 1;
            let delay = self.run.retry.after(attempts, &error, &self.target.ctx);
            let Some(delay) = delay.filter(|_| waits) else {
                return Ok(Record::Failed { error, attempts });
            };
            self.retrying(attempts, error);
            tokio::time::sleep(delay).await;
        }
    }

    /// Copies the image into what is [`ready`](Self::ready). The first attempt takes
    /// the data that is `shared`, if it is; whatever is tried again after that is read
    /// for this target alone.
    pub(crate) async fn send(
        &self,
        mut record: Record,
        mut shared: Option<SharedData>,
    ) -> Result<Outcome, ImageError> {
        let image = Arc::new(ImageRef::from(self.wanted));
        self.target.ctx.emit(Event::TransferStarted {
            image,
            total_bytes: self.wanted.size.unwrap_or(0),
        });
        // The copy at the target is wrong, and to be replaced.
        let is_replaced = matches!(&record, Record::Ready(Some(found)) if found.has_data());
        let (mut attempts, mut taken) = (0, 0);
        let mut sent = Sent::default();
        let stated = loop {
            let error = match record {
                Record::There(found) => return self.already_there(found).await,
                Record::Failed {
                    error,
                    attempts: failed,
                } => {
                    shared = None;
                    attempts += failed.saturating_sub(1);
                    error
                }
                Record::Ready(existing) => {
                    let written = match shared.take() {
                        Some(shared) => {
                            sent = shared.sent;
                            self.write_data(shared.data, existing.as_ref()).await
                        }
                        None => {
                            sent = Sent::default();
                            self.write(existing.as_ref(), &sent).await
                        }
                    };
                    match written {
                        Ok(stated) => break stated,
                        Err(error) => error,
                    }
                }
            };
            attempts += 1;
            if let ImageError::Target(PortError::AlreadyExists { .. }) = error
                && taken < MOST_TAKEN
            {
                taken += 1;
                record = match self.find_taken(error).await? {
                    found if found.has_data() => Record::There(found),
                    found => self.ready(Some(found), false).await?,
                };
                continue;
            }
            let Some(delay) = self.run.retry.after(attempts, &error, &self.target.ctx) else {
                return Err(error);
            };
            if error.is_unanswered() {
                // Sent again, it would wait as long for the same.
                match self.look_again(delay).await? {
                    Some(found) if found.has_data() => break found,
                    _ => return Err(error),
                }
            }
            self.retrying(attempts, error);
            record = match self.look_again(delay).await? {
                // It is the wrong one still.
                Some(found) if found.has_data() && is_replaced => Record::Ready(Some(found)),
                // The answer was lost, the image was not.
                Some(found) if found.has_data() && sent.is_complete() => break found,
                Some(found) if found.has_data() => Record::There(found),
                found => self.ready(found, false).await?,
            };
        };
        let total_bytes = self.wanted.size.or(stated.size).unwrap_or(0);
        let proof = self.prove(&stated, total_bytes, sent.digest()).await?;
        self.publish(stated).await?;
        self.target.copy_to_stores(self.run, self.copy).await?;
        Ok(Outcome::Copied { total_bytes, proof })
    }

    fn retrying(&self, attempts: u32, error: ImageError) {
        self.target.ctx.emit(Event::Retrying {
            image: Arc::new(ImageRef::from(self.wanted)),
            attempts,
            error: Arc::new(error),
        });
    }

    /// Proves and publishes what somebody else has stored: whoever that is may have
    /// come no further.
    pub(crate) async fn already_there(&self, found: ImageMetadata) -> Result<Outcome, ImageError> {
        self.check_content(&found)?;
        let total_bytes = self.wanted.size.or(found.size).unwrap_or(0);
        self.prove(&found, total_bytes, None).await?;
        self.publish(found).await?;
        self.target.copy_to_stores(self.run, self.copy).await?;
        Ok(Outcome::AlreadyThere)
    }

    /// Asks the target for an image that somebody else was writing. While there is
    /// nothing that says how that ends, it is looked again for a while.
    pub(crate) async fn settled(&self) -> Result<Option<ImageMetadata>, ImageError> {
        let begun = Instant::now();
        let retry = &self.run.retry;
        let patience = match retry.retries {
            0 => Duration::ZERO,
            _ => LAST_LOOK.min(retry.notice_time),
        };
        // In an archive, what is being written looks as if nobody did.
        let keeps_records = self.target.nature().keeps_records;
        loop {
            let found = self.find().await?;
            let is_settled = match found.as_ref().map(|found| &found.status) {
                None => false,
                Some(status) if status.is_being_written() => false,
                Some(ImageStatus::Queued) => !keeps_records,
                Some(_) => true,
            };
            if is_settled || begun.elapsed() >= patience {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits, and asks the target what it has: the image, a record that takes
    /// data, or nothing.
    async fn look_again(&self, mut delay: Duration) -> Result<Option<ImageMetadata>, ImageError> {
        let broken = Instant::now();
        loop {
            tokio::time::sleep(delay).await;
            match self.find().await? {
                Some(found) if found.status.is_burnt() => {
                    return Err(IdProblem::Burnt(found.status).into());
                }
                // The server has yet to notice that the upload broke off.
                Some(found) if found.status == ImageStatus::Saving => {
                    delay = self
                        .run
                        .retry
                        .until_noticed(broken.elapsed(), self.target.ctx.run_time())
                        .ok_or(ImageError::StillSaving)?;
                }
                found => {
                    let refused = found.as_ref().and_then(|f| refused_before(self.wanted, f));
                    if let Some(problem) = refused {
                        return Err(ImageError::Refused(problem));
                    }
                    let is_usable = |found: &ImageMetadata| {
                        found.has_data() || found.status == ImageStatus::Queued
                    };
                    return Ok(found.filter(is_usable));
                }
            }
        }
    }

    /// Asks the target what it has under an id that it will not take: somebody else
    /// may have been faster.
    async fn find_taken(&self, error: ImageError) -> Result<ImageMetadata, ImageError> {
        let found = self.find().await?;
        let Some(found) = found.filter(|found| !found.status.is_burnt()) else {
            return Err(error);
        };
        if let Some(problem) = IdProblem::find(self.wanted, &found, self.run.now) {
            return Err(problem.into());
        }
        if let Some(problem) = refused_before(self.wanted, &found) {
            return Err(ImageError::Refused(problem));
        }
        match found.status {
            _ if found.has_data() => self.check_content(&found).map(|()| found),
            ImageStatus::Queued => Ok(found),
            status if status.is_being_written() => Err(ImageError::Target(PortError::Busy {
                id: found.id,
                since: found.updated_at,
            })),
            _ => Err(error),
        }
    }

    /// An image that is there is the same one, as far as sizes and digests tell.
    fn check_content(&self, found: &ImageMetadata) -> Result<(), ImageError> {
        let view = self.target.view();
        let diff = view.diff(self.wanted, &view.found(found.clone()));
        if diff.is_of_content() {
            return Err(ImageError::DifferentContent(diff));
        }
        Ok(())
    }

    async fn prove(
        &self,
        stated: &ImageMetadata,
        total_bytes: u64,
        sent: Option<Digest>,
    ) -> Result<Proof, ImageError> {
        let verify = self.target.policy.verify;
        if verify == Verify::None {
            return Ok(Proof::Unverifiable);
        }
        let compared = compare_stated(self.wanted, stated, total_bytes)?;
        match verify {
            Verify::ReadBack => {
                let Some(wanted) = sent.or_else(|| stated_digest(self.wanted)) else {
                    return Ok(compared);
                };
                let images = &*self.target.images;
                let found = read_data(images, &self.copy.id, wanted.algorithm()).await;
                let found = found.map_err(ImageError::Target)?;
                Ok(found.check(total_bytes, &wanted)?)
            }
            // It was hashed on its way, and is what the source states.
            Verify::Full if sent.is_some() && stated_digest(self.wanted).is_some() => {
                Ok(Proof::Verified)
            }
            // An archive states only what it was told.
            Verify::Target if self.target.nature().keeps_records => Ok(Proof::Unverifiable),
            _ => Ok(compared),
        }
    }

    async fn write(
        &self,
        found: Option<&ImageMetadata>,
        sent: &Sent,
    ) -> Result<ImageMetadata, ImageError> {
        let kept = self.target.images.partial_data(self.copy).await;
        let kept = kept.map_err(ImageError::Target)?;
        let is_continued = kept.is_some();
        match self.write_behind(kept, found, sent).await {
            // The part that was kept may be wrong: a disk lost it, or the image
            // was another one then.
            Err(error) if is_continued && error.is_of_content() => {
                self.write_behind(None, found, sent).await
            }
            written => written,
        }
    }

    async fn write_behind(
        &self,
        kept: Option<ImageData>,
        found: Option<&ImageMetadata>,
        sent: &Sent,
    ) -> Result<ImageMetadata, ImageError> {
        let options = flow_options(self.run, self.target);
        let ctx = &self.target.ctx;
        let data = Flow::open(ctx, self.source, self.wanted, kept, &options, sent).await?;
        self.write_data(data, found).await
    }

    async fn write_data(
        &self,
        data: ImageData,
        found: Option<&ImageMetadata>,
    ) -> Result<ImageMetadata, ImageError> {
        let written = self.target.images.write_image(self.copy, found, data).await;
        written.map_err(ImageError::of_write)
    }

    /// Asks the target what it has; it may have been out of reach a moment ago.
    async fn find(&self) -> Result<Option<ImageMetadata>, ImageError> {
        let TargetEnd { ctx, images, .. } = self.target;
        let find = || images.find_image(&self.copy.id).map_err(ImageError::Target);
        self.run.retry.run(ctx, find).await
    }

    /// Sets what had to wait until the content was proven, and what else the
    /// target does not say yet.
    async fn publish(&self, stated: ImageMetadata) -> Result<(), ImageError> {
        let update = Update {
            run: self.run,
            target: self.target,
            wanted: self.wanted,
        };
        let diff = update.lacking(&self.target.view().found(stated.clone()));
        if diff.is_empty() {
            return Ok(());
        }
        update.of_current(&stated, &diff).await
    }
}

/// The demands of a target on the data that it is to get.
pub(crate) fn flow_options<'a>(run: &'a RunOptions, target: &TargetEnd) -> FlowOptions<'a> {
    let policy = &target.policy;
    FlowOptions {
        retry: &run.retry,
        hashes: policy.verify.hashes(),
        inspects: policy.format_check == FormatCheck::Auto && target.nature().inspects_data,
        streams: run.streams.get(),
    }
}
