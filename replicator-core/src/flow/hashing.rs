//! Hashing off the tasks that wait for the network, since SHA-512 is slower
//! than a fast one.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::sync::{mpsc, oneshot};

use crate::digest::{DigestAlgorithm, Digester};
use crate::port::{ImageData, PortError};

/// How many chunks may wait to be hashed before reading waits for them.
const QUEUE: usize = 8;

/// A digest that is computed on a thread of its own.
pub(crate) struct Hashing {
    algorithm: DigestAlgorithm,
    queue: mpsc::Sender<Message>,
}

enum Message {
    Data(Bytes),
    Digest(oneshot::Sender<Digester>),
}

impl Hashing {
    pub(crate) fn start(algorithm: DigestAlgorithm) -> Self {
        let (queue, mut messages) = mpsc::channel(QUEUE);
        let mut digester = algorithm.digester();
        tokio::task::spawn_blocking(move || {
            while let Some(message) = messages.blocking_recv() {
                match message {
                    Message::Data(data) => digester.update(&data),
                    // Whoever asked may be gone.
                    Message::Digest(answer) => drop(answer.send(digester.clone())),
                }
            }
        });
        Self { algorithm, queue }
    }

    pub(crate) fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    pub(crate) fn same_algorithm(&self) -> Self {
        Self::start(self.algorithm)
    }

    pub(crate) async fn update(&mut self, data: Bytes) {
        // The thread ends only after the queue is dropped.
        let _ = self.queue.send(Message::Data(data)).await;
    }

    /// The digest of everything so far.
    pub(crate) async fn so_far(&self) -> String {
        let (answer, digest) = oneshot::channel();
        let _ = self.queue.send(Message::Digest(answer)).await;
        // Empty, and so equal to no digest, if the thread has panicked.
        digest.await.map(Digester::finish).unwrap_or_default()
    }
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
