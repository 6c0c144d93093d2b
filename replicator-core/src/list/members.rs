//! The members of images that are shared, which no listing has: a request each.

use std::future;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, FuturesOrdered, StreamExt as _};
use glance_model::{ImageMetadata, Omit, Visibility};

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

/// Adds the members to the images that are shared, a few images ahead of the reader.
pub(crate) fn with_members(
    end: &(impl ImageSource + ?Sized),
    listed: ImageStream,
    omit: &Omit,
) -> ImageStream {
    let Some(reader) = reader(end, omit) else {
        return listed;
    };
    completed(listed, move |listed| match listed {
        Ok(mut image) if is_for_members(&image) => {
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

/// Completes the items of a stream, some at a time and in their order. Most need nothing, and
/// cost nothing.
fn completed<T: Send + 'static>(
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
                Some(Next::Ready(item)) => waiting.push_back(future::ready(item).boxed()),
                Some(Next::Wait(item)) => waiting.push_back(item),
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
/// source.
pub(crate) fn with_members_of_target(
    pairs: Pairs,
    ctx: &RunContext,
    target: &(impl ImageSource + ?Sized),
    omit: &Omit,
) -> BoxStream<'static, Result<Pair, ListingError>> {
    let of_pairs = ctx.clone();
    // It is large, and would be moved for each pair.
    let pairs = stream::try_unfold(Box::new(pairs), move |mut pairs| {
        let ctx = of_pairs.clone();
        async move {
            let next = pairs.next(&ctx).await?;
            Ok(next.map(|pair| (pair, pairs)))
        }
    });
    let Some(reader) = reader(target, omit) else {
        return pairs.boxed();
    };
    let ctx = ctx.clone();
    completed(pairs.boxed(), move |pair| match pair {
        Ok(Pair::Both(listed, found)) if has_members(&listed) && is_for_members(&found) => {
            let (ctx, reader) = (ctx.clone(), Arc::clone(&reader));
            Next::Wait(async move { both(&ctx, &reader, listed, found).await }.boxed())
        }
        pair => Next::Ready(pair),
    })
}

fn has_members(listed: &Listed) -> bool {
    let members = listed.image.members.as_ref();
    members.is_some_and(|members| !members.is_empty())
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
