//! Image data on its way from source to target: metered, hashed, and its last
//! chunk held back until the rest is known to be right.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use glance_model::{ContentProblem, ImageMetadata, Inspector};
use tokio::time::Instant;

use super::pieces::{self, Opened};
use crate::content::digest::{Digest, DigestAlgorithm};
use crate::content::hashing::{Hashing, take_in};
use crate::content::proof::{hash_lost, is_empty, stated_digest};
use crate::content::wrong::Wrong;
use crate::port::{ImageData, ImageDataStream, ImageSource, PortError};
use crate::run::context::RunContext;
use crate::run::error::ImageError;
use crate::run::event::Event;
use crate::run::result::ImageRef;
use crate::run::retry::RetryPolicy;

/// The bytes of an image's beginning that are looked at before its upload begins, at most:
/// as far as a VHDX mostly has tables.
const MOST_AHEAD_BYTES: u64 = 3 << 20;

/// The time between two events that tell how much data has arrived.
const TELL_EVERY: Duration = Duration::from_millis(50);

/// The data that was sent of an image, as far as it has been read.
#[derive(Clone, Default)]
pub(crate) struct Sent(Arc<Mutex<Arrived>>);

#[derive(Default)]
struct Arrived {
    digest: Option<Digest>,
    is_complete: bool,
}

impl Sent {
    fn with<T>(&self, change: impl FnOnce(&mut Arrived) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns whether all of the data was given out.
    pub(crate) fn is_complete(&self) -> bool {
        self.with(|arrived| arrived.is_complete)
    }

    /// The digest of all of the data, if it was hashed.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.with(|arrived| arrived.digest.clone())
    }
}

/// The demands of a target on the data that it is to get.
pub(crate) struct FlowOptions<'a> {
    pub(crate) retry: &'a RetryPolicy,
    /// Whether to hash the data, and hold its end back until it is right.
    pub(crate) hashes: bool,
    /// Whether to look at the data as the target will, and to end it if the target
    /// would refuse it.
    pub(crate) inspects: bool,
    /// The number of connections over which a large image is read.
    pub(crate) streams: usize,
}

impl<'a> FlowOptions<'a> {
    /// Nobody gets the data: it is read to be known.
    pub(crate) fn only_hashing(retry: &'a RetryPolicy) -> Self {
        Self {
            retry,
            hashes: true,
            inspects: false,
            streams: 1,
        }
    }
}

/// The data of an image at its source, and how it should end.
pub(crate) struct Flow {
    ctx: RunContext,
    source: Arc<dyn ImageSource>,
    image: ImageMetadata,
    image_ref: Arc<ImageRef>,
    retry: RetryPolicy,
    streams: usize,
    sent: Sent,
    /// The digest to be reached.
    stated: Option<Digest>,
    hashing: Option<Hashing>,
    inspector: Option<Inspector>,
    len_bytes: Option<u64>,
    chunks: ImageDataStream,
    /// The bytes of the image that have been read and hashed.
    at_bytes: u64,
    failures: u32,
    held: Option<Bytes>,
    /// The bytes that have arrived since the last event.
    untold_bytes: u64,
    told: Instant,
}

impl Flow {
    /// Opens an image at the source, behind what the target has kept of it.
    ///
    /// Returns the data that the target is to write; how it was proven is known
    /// once it has ended.
    pub(crate) async fn open(
        ctx: &RunContext,
        source: &Arc<dyn ImageSource>,
        image: &ImageMetadata,
        kept: Option<ImageData>,
        options: &FlowOptions<'_>,
        sent: &Sent,
    ) -> Result<ImageData, ImageError> {
        sent.with(|arrived| *arrived = Arrived::default());
        let stated = stated_digest(image);
        let algorithm = stated
            .as_ref()
            .map_or(DigestAlgorithm::Md5, Digest::algorithm);
        let start = || {
            let hash = || Hashing::start(algorithm, image.size);
            options.hashes.then(hash)
        };
        let mut hashing = start();
        let mut at_bytes = 0;
        // Data that is longer than the image is none of it; hashing it could take hours.
        let is_longer = |kept: &ImageData| {
            kept.len_bytes
                .zip(image.size)
                .is_some_and(|(len, size)| len > size)
        };
        if let Some(kept) = kept.filter(|kept| !is_longer(kept)) {
            let taken = take_in(kept, hashing.as_mut()).await;
            at_bytes = taken.map_err(ImageError::Target)?;
        }
        if image.size.is_some_and(|size| at_bytes > size) {
            (hashing, at_bytes) = (start(), 0);
        }
        let mut data = open_at(ctx, source, image, at_bytes, options.streams).await?;
        let mut inspector = None;
        if options.inspects && data.offset_bytes == 0 {
            let (chunks, begun) = look_ahead(image, data.chunks).await?;
            (data.chunks, inspector) = (chunks, Some(begun));
        }
        if data.offset_bytes != at_bytes {
            // The source gives all or nothing, so the target starts anew, too.
            (hashing, at_bytes) = (start(), 0);
        }
        let rest = data.len_bytes.map(|rest| at_bytes + rest);
        if let (Some(stated), Some(found)) = (image.size, rest)
            && stated != found
        {
            return Err(Wrong::Length { stated, found }.into());
        }
        let flow = Self {
            ctx: ctx.clone(),
            source: Arc::clone(source),
            image: image.clone(),
            image_ref: Arc::new(ImageRef::from(image)),
            retry: options.retry.clone(),
            streams: options.streams,
            sent: sent.clone(),
            stated,
            hashing,
            inspector,
            len_bytes: image.size.or(rest),
            chunks: data.chunks,
            at_bytes,
            failures: 0,
            held: None,
            untold_bytes: 0,
            told: Instant::now(),
        };
        Ok(flow.into_data())
    }

    fn into_data(self) -> ImageData {
        let (offset, len) = (self.at_bytes, self.len_bytes);
        let chunks = stream::try_unfold(Some(self), async |flow| {
            let Some(mut flow) = flow else {
                return Ok(None);
            };
            match flow.next().await {
                Ok(Some(chunk)) => Ok(Some((chunk, Some(flow)))),
                // The last chunk, or none at all: proven.
                Ok(None) => {
                    flow.sent.with(|arrived| arrived.is_complete = true);
                    Ok(flow.held.take().map(|last| (last, None)))
                }
                Err(error) => Err(error.in_data()),
            }
        });
        ImageData::new(len.map(|len| len - offset), chunks.boxed()).with_offset(offset)
    }

    /// The next chunk that may go out. `None` once everything has been read and
    /// found right: then what is held back may go, too.
    async fn next(&mut self) -> Result<Option<Bytes>, ImageError> {
        loop {
            let chunk = self.read().await?;
            let Some(chunk) = chunk else {
                self.tell();
                self.check().await?;
                return Ok(None);
            };
            self.inspect(&chunk)?;
            self.at_bytes += chunk.len() as u64;
            if let Some(stated) = self.len_bytes
                && self.at_bytes > stated
            {
                let found = self.at_bytes;
                return Err(Wrong::Length { stated, found }.into());
            }
            if let Some(hashing) = &mut self.hashing {
                hashing.update(chunk.clone()).await;
            }
            self.untold_bytes += chunk.len() as u64;
            if self.told.elapsed() >= TELL_EVERY {
                self.tell();
            }
            if let Some(before) = self.held.replace(chunk) {
                return Ok(Some(before));
            }
        }
    }

    /// Looks at a chunk, but for what was looked at before the upload began.
    fn inspect(&mut self, chunk: &[u8]) -> Result<(), ImageError> {
        let Some(inspector) = &mut self.inspector else {
            return Ok(());
        };
        let seen = inspector.seen_bytes().saturating_sub(self.at_bytes);
        let seen = usize::try_from(seen).unwrap_or(usize::MAX);
        inspector.see(chunk.get(seen..).unwrap_or_default());
        refuse(inspector.problem().cloned())
    }

    /// Tells how much has arrived, but not of each chunk: the display would take
    /// a tenth of the time.
    fn tell(&mut self) {
        let delta_bytes = std::mem::take(&mut self.untold_bytes);
        self.told = Instant::now();
        if delta_bytes > 0 {
            let image = Arc::clone(&self.image_ref);
            self.ctx.emit(Event::Transferred { image, delta_bytes });
        }
    }

    /// Reads a chunk; a source that breaks off is opened again at the byte
    /// reached, and the target notices nothing.
    async fn read(&mut self) -> Result<Option<Bytes>, ImageError> {
        loop {
            let next = self.ctx.until_cancelled(self.chunks.next()).await;
            let error = match next.map_err(ImageError::Source)? {
                Some(Ok(chunk)) if chunk.is_empty() => continue,
                Some(Ok(chunk)) => {
                    self.failures = 0;
                    return Ok(Some(chunk));
                }
                None => return Ok(None),
                Some(Err(error)) => error,
            };
            self.reopen(error).await?;
        }
    }

    async fn reopen(&mut self, error: PortError) -> Result<(), ImageError> {
        let mut error = ImageError::Source(error);
        loop {
            self.failures += 1;
            let Some(delay) = self.retry.after(self.failures, &error, &self.ctx) else {
                return Err(error);
            };
            let again = async {
                tokio::time::sleep(delay).await;
                let (at_bytes, streams) = (self.at_bytes, self.streams);
                open_at(&self.ctx, &self.source, &self.image, at_bytes, streams).await
            };
            let again = self.ctx.until_cancelled(again).await;
            match again.map_err(ImageError::Source)? {
                Ok(data) if data.offset_bytes == self.at_bytes => {
                    self.chunks = data.chunks;
                    return Ok(());
                }
                Ok(data) => match self.skip(data).await {
                    Ok(chunks) => {
                        self.chunks = chunks;
                        return Ok(());
                    }
                    Err(failed) => error = failed,
                },
                Err(failed) => error = failed,
            }
        }
    }

    /// Reads what was read before, for nothing: its digest must be the same.
    async fn skip(&mut self, data: ImageData) -> Result<ImageDataStream, ImageError> {
        let mut chunks = data.chunks;
        let algorithm = self.hashing.as_ref().map(Hashing::algorithm);
        let mut again = algorithm.map(|algorithm| Hashing::start(algorithm, Some(self.at_bytes)));
        let mut left = self.at_bytes.saturating_sub(data.offset_bytes);
        let mut rest = Bytes::new();
        while left > 0 {
            let next = self.ctx.until_cancelled(chunks.next()).await;
            let chunk = match next.map_err(ImageError::Source)? {
                Some(chunk) => chunk.map_err(ImageError::Source)?,
                None => {
                    return Err(Wrong::Length {
                        stated: self.at_bytes,
                        found: self.at_bytes - left,
                    }
                    .into());
                }
            };
            let known = left.min(chunk.len() as u64);
            left -= known;
            let known = usize::try_from(known).unwrap_or(usize::MAX);
            if let Some(again) = &mut again {
                again.update(chunk.slice(..known)).await;
            }
            rest = chunk.slice(known..);
        }
        if let (Some(again), Some(before)) = (&mut again, &mut self.hashing) {
            let (Some(now), Some(before)) = (again.so_far().await, before.so_far().await) else {
                return Err(ImageError::Source(hash_lost(&self.image.id)));
            };
            if now != before {
                return Err(Wrong::SourceChanged { before, now }.into());
            }
        }
        Ok(stream::iter((!rest.is_empty()).then_some(Ok(rest)))
            .chain(chunks)
            .boxed())
    }

    async fn check(&mut self) -> Result<(), ImageError> {
        if let Some(stated) = self.len_bytes
            && self.at_bytes != stated
        {
            let found = self.at_bytes;
            return Err(Wrong::Length { stated, found }.into());
        }
        self.check_digest().await?;
        refuse(self.inspector.take().and_then(Inspector::finish))
    }

    async fn check_digest(&mut self) -> Result<(), ImageError> {
        let Some(hashing) = &mut self.hashing else {
            return Ok(());
        };
        let Some(found) = hashing.so_far().await else {
            return Err(ImageError::Source(hash_lost(&self.image.id)));
        };
        let digest = Some(found.clone());
        self.sent.with(|arrived| arrived.digest = digest);
        match self.stated.clone() {
            Some(stated) if stated != found => Err(Wrong::SourceDigest { stated, found }.into()),
            _ => Ok(()),
        }
    }
}

async fn open_at(
    ctx: &RunContext,
    source: &Arc<dyn ImageSource>,
    image: &ImageMetadata,
    at_bytes: u64,
    streams: usize,
) -> Result<ImageData, ImageError> {
    if at_bytes > 0 && image.size == Some(at_bytes) {
        // Nothing is left to ask for, and a range of nothing is an error.
        return Ok(ImageData::from_bytes(Bytes::new()).with_offset(at_bytes));
    }
    let size = image.size.unwrap_or(0);
    let is_large = pieces::is_worth(size.saturating_sub(at_bytes));
    let data = if streams > 1 && is_large && !ctx.gives_no_parts() {
        let opened = pieces::open(source, image.id, at_bytes, size, streams).await;
        opened.map(|opened| match opened? {
            Opened::InPieces(data) => Some(data),
            Opened::Whole(data) => {
                ctx.found_no_parts();
                Some(data)
            }
        })
    } else {
        source.image_data(&image.id, at_bytes).await
    };
    match data.map_err(ImageError::Source)? {
        Some(data) => Ok(data),
        // A server with nothing to give out says so, whether there should be something or not.
        None if is_empty(image) => Ok(ImageData::from_bytes(Bytes::new())),
        None => Err(ImageError::DataLost),
    }
}

/// Reads the beginning, looks at it, and puts it back in front.
async fn look_ahead(
    image: &ImageMetadata,
    mut chunks: ImageDataStream,
) -> Result<(ImageDataStream, Inspector), ImageError> {
    let mut inspector = inspector(image);
    let mut read = Vec::new();
    let mut is_all = false;
    while inspector.wants_more() && inspector.seen_bytes() < MOST_AHEAD_BYTES {
        match chunks.next().await {
            Some(Ok(chunk)) => {
                inspector.see(&chunk);
                read.push(Ok(chunk));
            }
            // Left in its place, it is dealt with when it is reached.
            Some(Err(error)) => {
                read.push(Err(error));
                break;
            }
            None => {
                // Data that is too short is no whole header, and fails for its length.
                let len = inspector.seen_bytes();
                is_all = image.size.is_none_or(|size| size == len);
                break;
            }
        }
    }
    refuse(if is_all {
        inspector.clone().finish()
    } else {
        inspector.problem().cloned()
    })?;
    Ok((stream::iter(read).chain(chunks).boxed(), inspector))
}

/// Looks at an image of no bytes as a target will, which needs no data to be opened.
pub(crate) fn look_at_nothing(image: &ImageMetadata) -> Result<(), ImageError> {
    if !is_empty(image) {
        return Ok(());
    }
    refuse(inspector(image).finish())
}

fn inspector(image: &ImageMetadata) -> Inspector {
    let stated = |format: &Option<String>| format.clone().unwrap_or_default();
    Inspector::new(
        &stated(&image.disk_format),
        &stated(&image.container_format),
    )
}

fn refuse(problem: Option<ContentProblem>) -> Result<(), ImageError> {
    problem.map_or(Ok(()), |problem| Err(ImageError::Refused(problem)))
}
