//! The data of a large image, read in pieces over several connections at once, and given out in
//! order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use glance_model::ImageId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::port::{FailureKind, ImageData, ImageSource, Operation, PortError};

/// The bytes that pieces of one image hold together, at most.
const MOST_BYTES: u64 = 32 << 20;
/// The most bytes of a piece.
const PIECE_BYTES: u64 = 8 << 20;

/// Image data that was asked for in pieces.
pub(crate) enum Opened {
    InPieces(ImageData),
    /// The source gives more than a piece, as one that knows no parts does.
    Whole(ImageData),
}

/// Opens an image of `end` bytes at a byte, to be read over `streams` connections; `None` if the
/// source has no data of it.
pub(crate) async fn open(
    source: &Arc<dyn ImageSource>,
    id: ImageId,
    at: u64,
    end: u64,
    streams: usize,
) -> Result<Option<Opened>, PortError> {
    let len = PIECE_BYTES.min(MOST_BYTES / streams.max(1) as u64).max(1);
    let first = at..end.min(at + len);
    let Some(data) = open_part(source, id, &first).await? else {
        return Ok(None);
    };
    if !is_part(&data, &first) {
        return Ok(Some(Opened::Whole(data)));
    }
    let mut pieces = Pieces {
        source: Arc::clone(source),
        id,
        streams,
        len,
        next: first.end,
        end,
        begun: VecDeque::new(),
        reading: JoinSet::new(),
    };
    pieces.begin(first, Some(data));
    let chunks = stream::unfold(pieces, async |mut pieces| {
        Some((pieces.next().await?, pieces))
    });
    let data = ImageData::new(Some(end - at), chunks).with_offset(at);
    Ok(Some(Opened::InPieces(data)))
}

/// Returns whether an image is so large that it comes in several pieces.
pub(crate) fn is_worth(bytes: u64) -> bool {
    bytes >= 2 * PIECE_BYTES
}

type Chunks = mpsc::UnboundedReceiver<Result<Bytes, PortError>>;

/// The pieces of an image that are being read, the first of which is given out meanwhile. What the
/// others bring waits, a piece each at most.
struct Pieces {
    source: Arc<dyn ImageSource>,
    id: ImageId,
    streams: usize,
    len: u64,
    /// The byte at which the next piece begins.
    next: u64,
    end: u64,
    begun: VecDeque<Chunks>,
    /// The tasks that read. They end with it.
    reading: JoinSet<()>,
}

impl Pieces {
    fn begin(&mut self, part: Range<u64>, opened: Option<ImageData>) {
        let (source, id) = (Arc::clone(&self.source), self.id);
        let (chunks, received) = mpsc::unbounded_channel();
        self.begun.push_back(received);
        self.reading.spawn(async move {
            let read = read(&source, id, part, opened, &chunks).await;
            // If nobody reads any more, nobody needs to be told.
            let _ = read.map_err(|error| chunks.send(Err(error)));
        });
    }

    async fn next(&mut self) -> Option<Result<Bytes, PortError>> {
        loop {
            while self.begun.len() < self.streams && self.next < self.end {
                let part = self.next..self.end.min(self.next + self.len);
                self.next = part.end;
                self.begin(part, None);
            }
            match self.begun.front_mut()?.recv().await {
                Some(Ok(chunk)) => return Some(Ok(chunk)),
                Some(Err(error)) => {
                    self.reading.abort_all();
                    self.begun.clear();
                    self.next = self.end;
                    return Some(Err(error));
                }
                None => drop(self.begun.pop_front()),
            }
            while self.reading.try_join_next().is_some() {}
        }
    }
}

/// Reads a part. If it breaks off after it has brought something, it is asked for again at the byte
/// reached; one that brings nothing is an error, which whoever reads the image deals with.
async fn read(
    source: &Arc<dyn ImageSource>,
    id: ImageId,
    mut part: Range<u64>,
    mut opened: Option<ImageData>,
    chunks: &mpsc::UnboundedSender<Result<Bytes, PortError>>,
) -> Result<(), PortError> {
    loop {
        let begun = part.start;
        let mut data = match opened.take() {
            Some(data) => data,
            None => open_part(source, id, &part)
                .await?
                .filter(|data| is_part(data, &part))
                .ok_or_else(|| no_part(id))?,
        };
        let error = loop {
            match data.chunks.next().await {
                Some(Ok(chunk)) => {
                    part.start += chunk.len() as u64;
                    if part.start > part.end {
                        return Err(no_part(id));
                    }
                    if chunks.send(Ok(chunk)).is_err() {
                        return Ok(());
                    }
                }
                Some(Err(error)) => break error,
                None if part.is_empty() => return Ok(()),
                None => break no_part(id),
            }
        };
        if part.is_empty() || part.start == begun || !error.is_transient() {
            return Err(error);
        }
    }
}

async fn open_part(
    source: &Arc<dyn ImageSource>,
    id: ImageId,
    part: &Range<u64>,
) -> Result<Option<ImageData>, PortError> {
    source
        .image_part(&id, part.start, part.end - part.start)
        .await
}

fn is_part(data: &ImageData, part: &Range<u64>) -> bool {
    data.offset_bytes == part.start && data.len_bytes == Some(part.end - part.start)
}

/// A source that has given parts gives another one, or none; another try may go better.
fn no_part(id: ImageId) -> PortError {
    let kind = FailureKind::Transient { retry_after: None };
    let what = "the source did not give the part of the image that was asked for";
    PortError::adapter(Operation::ReadData(id), kind, what)
}
