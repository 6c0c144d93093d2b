//! One image to several targets, read from the source once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::flow::{Flow, Sent};
use super::one_image::{Begun, Done, WriteError, Writer};
use super::transfer::{SharedData, flow_options};
use crate::list::tee::tee;
use crate::plan::{Action, PlannedImage};
use crate::port::{ImageData, ImageSource, Nature, Operation};
use crate::run::context::RunContext;
use crate::run::error::ImageError;
use crate::run::options::RunOptions;
use crate::run::target_end::TargetEnd;

/// The longest time that one target may hold up the others. Their servers cut a connection on
/// which nothing comes: the sample configuration of Glance does so after 10 s.
const PATIENCE: Duration = Duration::from_secs(8);

/// A target of an image, and what is to be done there.
pub(crate) struct Member {
    /// The number of the target in its run.
    pub(crate) index: usize,
    pub(crate) target: Arc<TargetEnd>,
    pub(crate) planned: PlannedImage,
    /// The record that was made ready for it, if it was begun.
    pub(crate) begun: Option<Result<Begun, ImageError>>,
}

/// Makes the records of an image ready, at each target that it is to be copied to.
/// A failure that may pass holds up the next image only where there is no other target
/// that would wait.
pub(crate) async fn begin_all(
    run: &RunOptions,
    source: &Arc<dyn ImageSource>,
    members: Vec<Member>,
    waits: bool,
) -> Vec<Member> {
    let begun = members.into_iter().map(|member| async move {
        let writer = writer(run, source, &member.target);
        // Large, and moved several times if it were not in a box.
        let begun = Box::pin(writer.begin(&member.planned, waits));
        let ctx = &member.target.ctx;
        let begun = ctx.until_cancelled(begun).await;
        let begun = begun.map_err(ImageError::Target).flatten();
        Member {
            begun: Some(begun),
            ..member
        }
    });
    join_all(begun).await
}

/// Opens the data of an image while its record is made, where that takes the target a request.
/// What fails is left to whoever writes the image.
pub(crate) async fn open_early(
    ctx: &RunContext,
    run: &RunOptions,
    source: &Arc<dyn ImageSource>,
    planned: &PlannedImage,
    target: &TargetEnd,
) -> Option<SharedData> {
    if !target.nature().makes_records_first() || target.stage().is_some() {
        return None;
    }
    let (options, sent) = (flow_options(run, target), Sent::default());
    let opened = Flow::open(ctx, source, &planned.wanted, None, &options, &sent);
    let data = ctx.until_cancelled(opened).await.ok()?.ok()?;
    Some(SharedData { data, sent })
}

/// Does what is planned for an image, at each target that it is planned for. The
/// results come in the order of the members. The only one may have its data `opened` already.
pub(crate) async fn write_all(
    ctx: &RunContext,
    run: &RunOptions,
    source: &Arc<dyn ImageSource>,
    members: Vec<Member>,
    opened: Option<SharedData>,
) -> Vec<Result<Done, WriteError>> {
    let shares = async {
        match opened {
            Some(opened) => vec![Ok(Some(opened))],
            None => shares(ctx, run, source, &members).await,
        }
    };
    let shares = ctx.until_cancelled(shares).await;
    let shares = shares.unwrap_or_else(|cancelled| {
        let cancelled = ImageError::Target(cancelled);
        members.iter().map(|_| Err(cancelled.clone())).collect()
    });
    let written = members
        .into_iter()
        .zip(shares)
        .map(|(member, share)| async move {
            let writer = writer(run, source, &member.target);
            let work = Box::pin(writer.write(member.planned, member.begun, share?));
            // Dropped on cancellation, which breaks off its requests.
            let written = ctx.until_cancelled(work).await;
            written.map_err(|cancelled| WriteError::from(ImageError::Target(cancelled)))?
        });
    join_all(written).await
}

pub(crate) fn writer<'a>(
    run: &'a RunOptions,
    source: &'a Arc<dyn ImageSource>,
    target: &'a TargetEnd,
) -> Writer<'a> {
    Writer {
        run,
        source,
        target,
    }
}

type Share = Result<Option<SharedData>, ImageError>;

/// The data for each member that shares it with another one: those whose data has
/// to pass the same checks.
async fn shares(
    ctx: &RunContext,
    run: &RunOptions,
    source: &Arc<dyn ImageSource>,
    members: &[Member],
) -> Vec<Share> {
    let mut shares: Vec<Share> = members.iter().map(|_| Ok(None)).collect();
    let natures: Vec<Option<Nature>> = members
        .iter()
        .map(|member| {
            let is_staged = member.target.stage().is_some();
            let is_copy = member.planned.action == Action::Copy;
            let is_ready = matches!(&member.begun, Some(Ok(begun)) if begun.is_ready());
            (is_copy && is_ready && !is_staged).then(|| member.target.nature())
        })
        .collect();
    for (first, nature) in natures.iter().enumerate() {
        let same: Vec<usize> = (first..natures.len())
            .filter(|index| nature.is_some() && natures.get(*index) == Some(nature))
            .collect();
        let is_done = natures.iter().take(first).any(|before| before == nature);
        let Some(member) = members.get(first).filter(|_| same.len() > 1 && !is_done) else {
            continue;
        };
        let opened = open(ctx, run, source, member, same.len()).await;
        for (index, share) in same.into_iter().zip(opened) {
            if let Some(place) = shares.get_mut(index) {
                *place = share;
            }
        }
    }
    shares
}

/// Opens the image once, for a number of readers.
async fn open(
    ctx: &RunContext,
    run: &RunOptions,
    source: &Arc<dyn ImageSource>,
    member: &Member,
    readers: usize,
) -> Vec<Share> {
    let Member {
        target, planned, ..
    } = member;
    let options = flow_options(run, target);
    let sent = Sent::default();
    let opened = Flow::open(ctx, source, &planned.wanted, None, &options, &sent).await;
    let data = match opened {
        Ok(data) => data,
        // Each of them tries again by itself.
        Err(error) if error.is_transient() => return (0..readers).map(|_| Ok(None)).collect(),
        Err(error) => return (0..readers).map(|_| Err(error.clone())).collect(),
    };
    let operation = Operation::ReadData(planned.wanted.id);
    let (offset_bytes, len_bytes) = (data.offset_bytes, data.len_bytes);
    tee(data.chunks, readers, Some(PATIENCE), &operation)
        .into_iter()
        .map(|chunks| {
            let data = ImageData {
                offset_bytes,
                len_bytes,
                chunks,
            };
            let sent = sent.clone();
            Ok(Some(SharedData { data, sent }))
        })
        .collect()
}
