//! One stream for several readers: the source is read once, whatever the number
//! of targets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;

use crate::port::{FailureKind, Operation, PortError};

/// The number of items that a reader may be behind the fastest one.
const QUEUE: usize = 16;

type Items<T> = BoxStream<'static, Result<T, PortError>>;

/// A reader, as the one who reads for all sees it.
struct Queue<T> {
    items: mpsc::Sender<Result<T, PortError>>,
    is_complete: Arc<AtomicBool>,
}

/// Gives what `upstream` brings, errors included, to a number of `readers`. They are
/// as fast as the slowest of them, which may be a few items behind.
///
/// With `patience`, a reader that takes nothing for that time, while another one has
/// nothing to read, is left behind: its stream ends in an error that may pass, and
/// the others go on. A reader that is
/// dropped holds nobody up; once all are dropped, so is the upstream.
pub(crate) fn tee<T: Clone + Send + 'static>(
    upstream: Items<T>,
    readers: usize,
    patience: Option<Duration>,
    operation: &Operation,
) -> Vec<Items<T>> {
    let (queues, readers) = (0..readers)
        .map(|_| {
            let (items, taken) = mpsc::channel(QUEUE);
            let is_complete = Arc::new(AtomicBool::new(false));
            let queue = Queue {
                items,
                is_complete: Arc::clone(&is_complete),
            };
            (queue, reader(taken, is_complete, operation.clone()))
        })
        .unzip();
    tokio::spawn(read_for_all(upstream, queues, patience));
    readers
}

async fn read_for_all<T: Clone>(
    mut upstream: Items<T>,
    mut queues: Vec<Queue<T>>,
    patience: Option<Duration>,
) {
    while !queues.is_empty() {
        let all_gone = join_all(queues.iter().map(|queue| queue.items.closed()));
        let item = tokio::select! {
            _ = all_gone => return,
            item = upstream.next() => item,
        };
        let Some(item) = item else {
            for queue in queues {
                queue.is_complete.store(true, Ordering::Release);
            }
            return;
        };
        let all: Vec<_> = queues.iter().map(|queue| queue.items.clone()).collect();
        let given = queues
            .into_iter()
            .map(|queue| give(queue, item.clone(), patience, &all));
        queues = join_all(given).await.into_iter().flatten().collect();
    }
}

/// Gives the queue back, unless its reader is gone or holds up another one.
async fn give<T>(
    queue: Queue<T>,
    item: Result<T, PortError>,
    patience: Option<Duration>,
    all: &[mpsc::Sender<Result<T, PortError>>],
) -> Option<Queue<T>> {
    let is_sent = {
        let sent = queue.items.send(item);
        tokio::pin!(sent);
        loop {
            let Some(patience) = patience else {
                break sent.await.is_ok();
            };
            match tokio::time::timeout(patience, &mut sent).await {
                Ok(sent) => break sent.is_ok(),
                Err(_) if all.iter().any(is_read_empty) => break false,
                // All of them may be as slow: by a limit that they share.
                Err(_) => {}
            }
        }
    };
    is_sent.then_some(queue)
}

fn is_read_empty<T>(queue: &mpsc::Sender<T>) -> bool {
    !queue.is_closed() && queue.capacity() == queue.max_capacity()
}

fn reader<T: Send + 'static>(
    items: mpsc::Receiver<Result<T, PortError>>,
    is_complete: Arc<AtomicBool>,
    operation: Operation,
) -> Items<T> {
    stream::unfold(Some(items), move |items| {
        let (is_complete, operation) = (Arc::clone(&is_complete), operation.clone());
        async move {
            let mut items = items?;
            if let Some(item) = items.recv().await {
                return Some((item, Some(items)));
            }
            // A clean end would make what there is look whole.
            let is_cut = !is_complete.load(Ordering::Acquire);
            is_cut.then(|| {
                let kind = FailureKind::Transient { retry_after: None };
                let what = "it was left behind, as it took nothing for too long";
                (Err(PortError::adapter(operation, kind, what)), None)
            })
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    fn numbers(count: u32) -> Items<u32> {
        stream::iter((0..count).map(Ok)).boxed()
    }

    #[tokio::test]
    async fn every_reader_gets_all_and_one_that_is_gone_holds_nobody_up() {
        let mut readers = tee(numbers(1000), 3, None, &Operation::ListImages);
        drop(readers.pop());
        let wanted: Vec<u32> = (0..1000).collect();
        let read = readers
            .into_iter()
            .map(|reader| reader.try_collect::<Vec<u32>>());
        for found in join_all(read).await {
            assert_eq!(found.unwrap(), wanted);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_too_slow_is_left_behind_with_an_error_and_the_last_one_never_is() {
        let patience = Some(Duration::from_secs(10));
        let mut readers = tee(numbers(100), 2, patience, &Operation::ListImages);
        let (mut slow, quick) = (readers.pop().unwrap(), readers.pop().unwrap());
        assert_eq!(slow.next().await.unwrap().unwrap(), 0);
        let (mut quick, mut found) = (quick, 0);
        while let Some(item) = quick.next().await {
            assert_eq!(item.unwrap(), found);
            found += 1;
            // As slow as it likes, now that it is alone.
            if found > 50 {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        }
        assert_eq!(found, 100);
        let left: Vec<_> = slow.collect().await;
        let (last, before) = left.split_last().unwrap();
        assert!(before.len() < 100 && before.iter().all(Result::is_ok));
        assert!(last.as_ref().unwrap_err().is_transient());
    }

    #[tokio::test]
    async fn what_nobody_reads_is_not_read_on() {
        let (dropped, was_dropped) = tokio::sync::oneshot::channel::<()>();
        let upstream = stream::pending().chain(stream::once(async move {
            drop(dropped);
            Ok(0)
        }));
        let readers = tee(upstream.boxed(), 2, None, &Operation::ListImages);
        drop(readers);
        assert!(was_dropped.await.is_err());
    }
}
