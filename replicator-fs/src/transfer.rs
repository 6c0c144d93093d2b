//! Image data between files and streams. Files are read and written on threads
//! that may block, one step ahead of the stream.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use replicator_core::{FailureKind, ImageData, ImageDataStream, Operation, PortError};
use tokio::task::JoinHandle;

use crate::ArchiveError;
use crate::direct::AlignedBuffer;
use crate::partial_file::PartialFile;

/// The bytes that are read or written at a time. Each transfer holds twice as much.
const STEP_BYTES: usize = 1 << 20;

/// Waits for work on a thread that may block.
pub(crate) async fn finish<T>(
    work: JoinHandle<Result<T, ArchiveError>>,
    operation: &Operation,
) -> Result<T, PortError> {
    match work.await {
        Ok(done) => done.map_err(|e| e.during(operation.clone())),
        // The runtime is shutting down.
        Err(e) => Err(PortError::adapter(
            operation.clone(),
            FailureKind::Unusable,
            e,
        )),
    }
}

/// Begins to read a file as image data.
pub(crate) fn read(
    mut file: File,
    path: PathBuf,
    offset_bytes: u64,
) -> Result<Reader, ArchiveError> {
    let failed = || ArchiveError::read(&path);
    let len_bytes = file.metadata().map_err(failed())?.len();
    // Beyond the end there is nothing to give: it begins at the beginning.
    let offset_bytes = if offset_bytes > len_bytes {
        0
    } else {
        offset_bytes
    };
    file.seek(SeekFrom::Start(offset_bytes)).map_err(failed())?;
    // Read far ahead.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(&file, offset_bytes, None, rustix::fs::Advice::Sequential);
    Ok(Reader {
        file,
        offset_bytes,
        left_bytes: len_bytes - offset_bytes,
        path,
    })
}

/// A file that is being read.
#[derive(Debug)]
pub(crate) struct Reader {
    file: File,
    path: PathBuf,
    offset_bytes: u64,
    left_bytes: u64,
}

type Reading = JoinHandle<Result<(Reader, Bytes), ArchiveError>>;

impl Reader {
    /// Must be called within a runtime: it begins to read.
    pub(crate) fn into_data(self, operation: Operation) -> ImageData {
        ImageData {
            offset_bytes: self.offset_bytes,
            len_bytes: Some(self.left_bytes),
            chunks: self.into_chunks(operation),
        }
    }

    fn into_chunks(self, operation: Operation) -> ImageDataStream {
        stream::try_unfold(self.step(), move |reading| {
            let operation = operation.clone();
            async move {
                let Some(reading) = reading else {
                    return Ok(None);
                };
                let (reader, chunk) = finish(reading, &operation).await?;
                Ok(Some((chunk, reader.step())))
            }
        })
        .boxed()
    }

    fn step(mut self) -> Option<Reading> {
        let want = self.left_bytes.min(STEP_BYTES as u64);
        if want == 0 {
            return None;
        }
        Some(tokio::task::spawn_blocking(move || {
            let mut chunk = Vec::with_capacity(want as usize);
            let got = (&self.file)
                .take(want)
                .read_to_end(&mut chunk)
                .map_err(ArchiveError::read(&self.path))?;
            if got as u64 != want {
                let cut_short = io::ErrorKind::UnexpectedEof.into();
                return Err(ArchiveError::read(&self.path)(cut_short));
            }
            self.left_bytes -= want;
            Ok((self, chunk.into()))
        }))
    }
}

/// Writes image data to a partial file, while the next data comes in.
pub(crate) struct Writer {
    operation: Operation,
    /// The end of the data that has come in.
    end_bytes: u64,
    buffer: AlignedBuffer,
    writing: JoinHandle<Result<(PartialFile, AlignedBuffer), ArchiveError>>,
}

impl Writer {
    pub(crate) fn new(partial: PartialFile, offset_bytes: u64, operation: Operation) -> Self {
        let buffer = || AlignedBuffer::with_capacity(STEP_BYTES);
        Self {
            operation,
            end_bytes: offset_bytes,
            buffer: buffer(),
            writing: tokio::task::spawn_blocking(move || Ok((partial, buffer()))),
        }
    }

    /// Takes in data. After an error the writer cannot be used.
    pub(crate) async fn push(mut self, mut chunk: Bytes) -> Result<Self, PortError> {
        while !chunk.is_empty() {
            // Steps end at multiples of their size in the file, so that blocks
            // of zeros are seen whole.
            let into_step = (self.end_bytes % STEP_BYTES as u64) as usize;
            let part = chunk.split_to(chunk.len().min(STEP_BYTES - into_step));
            self.buffer.push(&part);
            self.end_bytes += part.len() as u64;
            if into_step + part.len() == STEP_BYTES {
                self = self.step().await?;
            }
        }
        Ok(self)
    }

    async fn step(mut self) -> Result<Self, PortError> {
        let (mut partial, spare) = finish(self.writing, &self.operation).await?;
        let mut full = std::mem::replace(&mut self.buffer, spare);
        self.writing = tokio::task::spawn_blocking(move || {
            partial.append(full.data())?;
            full.clear();
            Ok((partial, full))
        });
        Ok(self)
    }

    /// The end of the data that was taken in.
    pub(crate) fn end_bytes(&self) -> u64 {
        self.end_bytes
    }

    /// Waits until all is written.
    pub(crate) async fn settle(self) -> Result<PartialFile, PortError> {
        let settled = self.step().await?;
        let (partial, _) = finish(settled.writing, &settled.operation).await?;
        Ok(partial)
    }
}
