//! Hashing off the tasks that wait for the network, since SHA-512 is slower
//! than a fast one.
//!
//! There are as many threads for it as processors, whatever the number of images: a thread takes
//! what has gathered of one of them, and then of the next. Nobody waits on these threads, and no
//! work on files has to wait for them.

use std::mem;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::sync::oneshot;

use crate::content::digest::{Digest, DigestAlgorithm, Digester};
use crate::port::{ImageData, PortError};

/// The number of chunks that may gather before reading waits for the hash.
const QUEUE: usize = 4;
/// The bytes that may gather, too: chunks that come from a disk are large.
const QUEUE_BYTES: usize = 1 << 20;

/// Data of at most this many bytes is hashed where it is read: handing it to a thread
/// would take longer.
const SMALL_BYTES: u64 = 256 << 10;

/// A digest in the making.
pub(crate) struct Hashing {
    algorithm: DigestAlgorithm,
    place: Place,
}

enum Place {
    Here(Digester),
    /// On the threads for it: what they have now, and what has gathered since.
    Threads {
        running: oneshot::Receiver<Digester>,
        gathered: Vec<Bytes>,
    },
    /// The thread has panicked, and the digest is lost.
    Lost,
}

impl Hashing {
    /// Begins a digest of data, of `len_bytes` where the length is known.
    pub(crate) fn start(algorithm: DigestAlgorithm, len_bytes: Option<u64>) -> Self {
        let digester = algorithm.digester();
        let is_small = len_bytes.is_some_and(|len| len <= SMALL_BYTES);
        let place = if is_small || jobs().is_none() {
            Place::Here(digester)
        } else {
            Place::with_threads(digester, Vec::new())
        };
        Self { algorithm, place }
    }

    pub(crate) fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    pub(crate) async fn update(&mut self, data: Bytes) {
        match &mut self.place {
            Place::Here(digester) => digester.update(&data),
            Place::Threads { running, gathered } => {
                gathered.push(data);
                let digester = match running.try_recv() {
                    Ok(digester) => Ok(digester),
                    Err(oneshot::error::TryRecvError::Empty)
                        if gathered.len() < QUEUE
                            && gathered.iter().map(Bytes::len).sum::<usize>() < QUEUE_BYTES =>
                    {
                        return;
                    }
                    Err(_) => running.await,
                };
                let gathered = mem::take(gathered);
                self.place = digester.map_or(Place::Lost, |digester| {
                    Place::with_threads(digester, gathered)
                });
            }
            Place::Lost => {}
        }
    }

    /// The digest of everything so far, or `None` if the thread that had it has died.
    pub(crate) async fn so_far(&mut self) -> Option<Digest> {
        if let Place::Threads { running, gathered } = &mut self.place {
            let gathered = mem::take(gathered);
            self.place = match running.await {
                Ok(digester) => Place::with_threads(digester, gathered),
                Err(_) => Place::Lost,
            };
        }
        if let Place::Threads { running, .. } = &mut self.place {
            match running.await {
                Ok(digester) => {
                    let digest = digester.clone().finish();
                    self.place = Place::with_threads(digester, Vec::new());
                    return Some(digest);
                }
                Err(_) => self.place = Place::Lost,
            }
        }
        match &self.place {
            Place::Here(digester) => Some(digester.clone().finish()),
            _ => None,
        }
    }
}

impl Place {
    /// Has a thread add data to a digest.
    fn with_threads(mut digester: Digester, data: Vec<Bytes>) -> Self {
        let (answer, running) = oneshot::channel();
        let add = move || {
            for data in data {
                digester.update(&data);
            }
            // The receiver may be gone.
            drop(answer.send(digester));
        };
        if let Some(jobs) = jobs() {
            let _ = jobs.send(Box::new(add));
        }
        Self::Threads {
            running,
            gathered: Vec::new(),
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The way to the threads that hash, which are started when it is first asked for; `None` if
/// the system lets none be started.
fn jobs() -> Option<&'static Sender<Job>> {
    static JOBS: OnceLock<Option<Sender<Job>>> = OnceLock::new();
    let jobs = JOBS.get_or_init(|| {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let count = thread::available_parallelism().map_or(1, usize::from);
        let started = (0..count).filter(|_| {
            let queue = Arc::clone(&queue);
            let named = thread::Builder::new().name("hash".to_owned());
            named.spawn(move || work_off(&queue)).is_ok()
        });
        (started.count() > 0).then_some(jobs)
    });
    jobs.as_ref()
}

fn work_off(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => break,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// More of them at a time than any pool has threads, none of which is finished.
    #[tokio::test]
    async fn any_number_of_images_is_hashed_by_as_many_threads_as_there_are_processors() {
        let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
        let before = threads();
        let mut all: Vec<Hashing> = (0..700)
            .map(|_| Hashing::start(DigestAlgorithm::Md5, None))
            .collect();
        for number in 0_u8..10 {
            for hashing in &mut all {
                hashing.update(vec![number; 1000].into()).await;
            }
        }
        let processors = thread::available_parallelism().map_or(1, usize::from);
        assert!(
            threads() <= before + processors,
            "{before} and {}",
            threads()
        );
        let mut wanted = DigestAlgorithm::Md5.digester();
        for number in 0_u8..10 {
            wanted.update(&[number; 1000]);
        }
        let wanted = wanted.finish();
        for hashing in &mut all {
            assert_eq!(hashing.so_far().await.as_ref(), Some(&wanted));
            let again = hashing.so_far().await;
            assert_eq!(again.as_ref(), Some(&wanted), "it can be asked again");
        }
    }
}
