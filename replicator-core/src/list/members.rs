//! The members of images that are shared, which no listing has: a request each.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt as _};
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
    let with_members = move |listed: Result<ImageMetadata, PortError>| {
        let reader = Arc::clone(&reader);
        async move {
            let mut image = listed?;
            if is_for_members(&image) {
                image.members = reader.members_of(&image.id).await?;
            }
            Ok(image)
        }
    };
    listed.map(with_members).buffered(AT_A_TIME).boxed()
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
    let pairs = stream::try_unfold(pairs, move |mut pairs| {
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
    let with_members = move |pair| {
        let (ctx, reader) = (ctx.clone(), Arc::clone(&reader));
        async move {
            match pair? {
                Pair::Both(listed, found) if has_members(&listed) && is_for_members(&found) => {
                    both(&ctx, &reader, listed, found).await
                }
                pair => Ok(pair),
            }
        }
    };
    pairs.map(with_members).buffered(AT_A_TIME).boxed()
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
