//! The members of images that are shared, which no listing has: a request each.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, FuturesOrdered, StreamExt as _};
use glance_model::{ImageId, ImageMetadata, Omit, View, Visibility};
use tokio::task::JoinHandle;

use super::pairs::{Damaged, Listed, ListingError, Pair, Pairs};
use crate::port::{ImageSource, ImageStream, PortError, ReadMembers, Side};
use crate::run::context::RunContext;
use crate::run::result::ImageRef;

/// The number of images of an end whose members are asked for at a time.
const AT_A_TIME: usize = 8;

type Reader = Arc<dyn ReadMembers>;

/// Returns the reader of the members of an end, if they are wanted and its listing lacks them.
fn reader(end: &(impl ImageSource + ?Sized), omit: &Omit) -> Option<Reader> {
    end.members().filter(|_| !omit.contains("members"))
}

fn is_for_members(image: &ImageMetadata) -> bool {
    image.visibility.is_some_and(Visibility::is_for_members)
}

/// Adds the members to those of the images that are meant and shared, a few images ahead of the
/// reader.
pub(crate) fn with_members(
    end: &(impl ImageSource + ?Sized),
    listed: ImageStream,
    omit: &Omit,
    is_meant: impl Fn(&ImageId) -> bool + Send + 'static,
) -> ImageStream {
    let Some(reader) = reader(end, omit) else {
        return listed;
    };
    completed(listed, move |listed| match listed {
        Ok(mut image) if is_for_members(&image) && is_meant(&image.id) => {
            let reader = Arc::clone(&reader);
            let members = async move {
                image.members = reader.members_of(&image.id).await?;
                Ok(image)
            };
            Next::Wait(members.boxed())
        }
        listed => Next::Ready(listed),
    })
}

/// An item that is complete, or one that takes a request.
enum Next<T> {
    Ready(T),
    Wait(BoxFuture<'static, T>),
}

/// An item that is being completed. It is a task, since whoever reads the items waits for other
/// requests between two of them: a future that nobody polls meanwhile would keep its turn at a limit
/// or at a sign-in, for which those requests wait.
enum Waiting<T> {
    Ready(Option<T>),
    Task(JoinHandle<T>),
}

impl<T> Waiting<T> {
    fn begin(next: Next<T>) -> Self
    where
        T: Send + 'static,
    {
        match next {
            Next::Ready(item) => Self::Ready(Some(item)),
            Next::Wait(item) => Self::Task(tokio::spawn(item)),
        }
    }
}

impl<T: Unpin> Future for Waiting<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut *self {
            Self::Ready(item) => item.take().map_or(Poll::Pending, Poll::Ready),
            Self::Task(task) => match task.poll_unpin(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(item)) => Poll::Ready(item),
                Poll::Ready(Err(error)) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    // The runtime ends, and with it whoever waits.
                    Err(_) => Poll::Pending,
                },
            },
        }
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        if let Self::Task(task) = self {
            task.abort();
        }
    }
}

/// Completes the items of a stream, some at a time and in their order. Most need nothing, and
/// cost nothing.
fn completed<T: Send + Unpin + 'static>(
    items: BoxStream<'static, T>,
    complete: impl Fn(T) -> Next<T> + Send + 'static,
) -> BoxStream<'static, T> {
    let state = (items.fuse(), FuturesOrdered::new(), complete);
    let completed = stream::unfold(state, |(mut items, mut waiting, complete)| async move {
        loop {
            let next = if waiting.is_empty() {
                items.next().await.map(&complete)
            } else if waiting.len() < AT_A_TIME && !items.is_done() {
                tokio::select! {
                    biased;
                    Some(item) = waiting.next() => return Some((item, (items, waiting, complete))),
                    item = items.next() => item.map(&complete),
                }
            } else {
                None
            };
            match next {
                Some(Next::Ready(item)) if waiting.is_empty() => {
                    return Some((item, (items, waiting, complete)));
                }
                Some(next) => waiting.push_back(Waiting::begin(next)),
                None if items.is_done() || waiting.len() >= AT_A_TIME => {
                    let item = waiting.next().await?;
                    return Some((item, (items, waiting, complete)));
                }
                None => {}
            }
        }
    });
    completed.boxed()
}

/// Goes through pairs, and adds the members at the target to the images that have some at the
/// source, or, for a mirror, to all that are shared.
pub(crate) fn with_members_of_target(
    pairs: Pairs,
    ctx: &RunContext,
    target: &(impl ImageSource + ?Sized),
    view: &View,
) -> BoxStream<'static, Result<Pair, ListingError>> {
    let mirrors = view.mirrors;
    let of_pairs = ctx.clone();
    // It is large, and would be moved for each pair.
    let pairs = stream::try_unfold(Box::new(pairs), move |mut pairs| {
        let ctx = of_pairs.clone();
        async move {
            let next = pairs.next(&ctx).await?;
            Ok(next.map(|pair| (pair, pairs)))
        }
    });
    let Some(reader) = reader(target, &view.omit) else {
        return pairs.boxed();
    };
    let ctx = ctx.clone();
    completed(pairs.boxed(), move |pair| match pair {
        Ok(Pair::Both(listed, found))
            if is_for_members(&found) && has_members(&listed, mirrors) =>
        {
            let (ctx, reader) = (ctx.clone(), Arc::clone(&reader));
            Next::Wait(async move { both(&ctx, &reader, listed, found).await }.boxed())
        }
        pair => Next::Ready(pair),
    })
}

/// Returns whether an image has members, or, for a mirror, is known to have none.
fn has_members(listed: &Listed, mirrors: bool) -> bool {
    let members = listed.image.members.as_ref();
    members.is_some_and(|members| mirrors || !members.is_empty())
}

async fn both(
    ctx: &RunContext,
    reader: &Reader,
    listed: Box<Listed>,
    mut found: Box<ImageMetadata>,
) -> Result<Pair, ListingError> {
    let members = ctx.until_cancelled(reader.members_of(&found.id)).await;
    match members.flatten() {
        Ok(members) => {
            found.members = members;
            Ok(Pair::Both(listed, found))
        }
        Err(source @ PortError::Cancelled) => Err(ListingError::Failed {
            side: Side::Target,
            source,
        }),
        Err(error) => Ok(Pair::Damaged(Box::new(Damaged {
            side: Side::Target,
            image: ImageRef::from(&listed.image),
            error,
            source: Some(*listed),
        }))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::Mutex;
    use tokio::time::timeout;

    use super::*;

    /// Each waits for its turn, as at a limit of requests.
    #[tokio::test]
    async fn what_is_read_ahead_needs_nobody_who_reads_on() {
        let (turn, ended) = (Arc::new(Mutex::new(())), Arc::new(AtomicUsize::new(0)));
        let (of_all, count) = (Arc::clone(&turn), Arc::clone(&ended));
        let mut items = completed(stream::iter(0..AT_A_TIME).boxed(), move |item| {
            let (turn, ended) = (Arc::clone(&of_all), Arc::clone(&count));
            Next::Wait(
                async move {
                    let _taken = turn.lock().await;
                    tokio::task::yield_now().await;
                    ended.fetch_add(1, Ordering::Relaxed);
                    item
                }
                .boxed(),
            )
        });
        assert_eq!(items.next().await, Some(0));
        let mine = timeout(Duration::from_secs(10), turn.lock()).await;
        assert!(mine.is_ok(), "an item that nobody polls has the turn");
        drop(mine);
        let rest: Vec<_> = items.collect().await;
        assert_eq!(rest, (1..AT_A_TIME).collect::<Vec<_>>());
        assert_eq!(ended.load(Ordering::Relaxed), AT_A_TIME);
    }
}
