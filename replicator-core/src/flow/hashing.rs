//! Hashing off the tasks that wait for the network, since SHA-512 is slower
//! than a fast one.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::sync::{mpsc, oneshot};

use crate::digest::{DigestAlgorithm, Digester};
use crate::port::{ImageData, PortError};

/// How many chunks may wait to be hashed before reading waits for them.
const QUEUE: usize = 4;

/// What is no larger than this is hashed where it is read: handing it to a thread
/// would take longer.
const SMALL_BYTES: u64 = 256 << 10;

/// A digest in the making.
pub(crate) struct Hashing {
    algorithm: DigestAlgorithm,
    place: Place,
}

enum Place {
    Here(Digester),
    /// On a thread of its own.
    Thread(mpsc::Sender<Message>),
}

enum Message {
    Data(Bytes),
    Digest(oneshot::Sender<Digester>),
}

impl Hashing {
    /// Begins a digest of so many bytes, if it is known how many.
    pub(crate) fn start(algorithm: DigestAlgorithm, len_bytes: Option<u64>) -> Self {
        let place = if len_bytes.is_some_and(|len| len <= SMALL_BYTES) {
            Place::Here(algorithm.digester())
        } else {
            Place::Thread(on_thread(algorithm.digester()))
        };
        Self { algorithm, place }
    }

    pub(crate) fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    pub(crate) async fn update(&mut self, data: Bytes) {
        match &mut self.place {
            Place::Here(digester) => digester.update(&data),
            // The thread ends only after the queue is dropped.
            Place::Thread(queue) => drop(queue.send(Message::Data(data)).await),
        }
    }

    /// The digest of everything so far.
    pub(crate) async fn so_far(&self) -> String {
        match &self.place {
            Place::Here(digester) => digester.clone().finish(),
            Place::Thread(queue) => {
                let (answer, digest) = oneshot::channel();
                let _ = queue.send(Message::Digest(answer)).await;
                // Empty, and so equal to no digest, if the thread has panicked.
                digest.await.map(Digester::finish).unwrap_or_default()
            }
        }
    }
}

fn on_thread(mut digester: Digester) -> mpsc::Sender<Message> {
    let (queue, mut messages) = mpsc::channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        while let Some(message) = messages.blocking_recv() {
            match message {
                Message::Data(data) => digester.update(&data),
                // Whoever asked may be gone.
                Message::Digest(answer) => drop(answer.send(digester.clone())),
            }
        }
    });
    queue
}

/// Reads all of an image's data, and hashes it; returns how much it was.
pub(crate) async fn take_in(
    mut data: ImageData,
    mut hashing: Option<&mut Hashing>,
) -> Result<u64, PortError> {
    let mut len_bytes = 0;
    while let Some(chunk) = data.chunks.try_next().await? {
        len_bytes += chunk.len() as u64;
        if let Some(hashing) = &mut hashing {
            hashing.update(chunk).await;
        }
    }
    Ok(len_bytes)
}
