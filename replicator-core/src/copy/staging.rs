//! Images that are proven on local disk before they are sent.

use std::sync::Arc;

use glance_model::ImageMetadata;

use super::transfer::{Record, Transfer};
use crate::content::proof::compare_stated;
use crate::plan::planned_images::PlannedImages;
use crate::port::{ImageSource, ImageTarget, PortError, Stage};
use crate::run::error::ImageError;
use crate::run::event::NoEvents;
use crate::run::result::Outcome;
use crate::run::target_end::TargetEnd;

/// Copies an image to the stage, and from there to the target. What is staged
/// and not sent, or staged in part, is taken up by the next run.
pub(crate) async fn run(
    transfer: &Transfer<'_>,
    stage: &Arc<dyn Stage>,
    record: Record,
) -> Result<Outcome, ImageError> {
    let id = &transfer.wanted.id;
    fill(transfer, stage).await?;
    let source = Arc::clone(stage) as Arc<dyn ImageSource>;
    let staged = Transfer {
        source: &source,
        ..*transfer
    };
    let outcome = match staged.send(record, None).await {
        // Another run, on the same stage, has sent and removed it.
        Err(ImageError::Source(PortError::NotFound { .. }) | ImageError::DataLost) => {
            let id = *id;
            return Err(ImageError::Target(PortError::Busy { id, since: None }));
        }
        sent => sent?,
    };
    match stage.remove_image(id).await {
        // Another run stages it, will find it sent, and remove it then.
        Ok(()) | Err(PortError::Busy { .. }) => Ok(outcome),
        Err(error) => Err(ImageError::Stage(error)),
    }
}

/// An image that another run stages is about to be sent by it.
fn of_stage(error: PortError) -> ImageError {
    match error {
        PortError::Busy { .. } => ImageError::Target(error),
        error => ImageError::Stage(error),
    }
}

/// Removes what an earlier run has sent, and was killed before it could remove
/// it. What cannot be removed now, the next run will find.
pub(crate) async fn tidy(stage: &dyn Stage, target: &TargetEnd, planned: &PlannedImages) {
    let Ok(mut left) = stage.staged_ids().await else {
        return;
    };
    left.retain(|id| !planned.ids().any(|planned| planned == *id));
    let target_ids = target.target_ids();
    for id in left {
        let found = target
            .images
            .find_image(target_ids.get(&id).unwrap_or(&id))
            .await;
        if matches!(found, Ok(Some(image)) if image.is_active()) {
            let _ = stage.remove_image(&id).await;
        }
    }
}

async fn fill(transfer: &Transfer<'_>, stage: &Arc<dyn Stage>) -> Result<(), ImageError> {
    let image = transfer.wanted;
    let found = stage.find_image(&image.id).await;
    let found = found.map_err(ImageError::Stage)?;
    let size = image.size.unwrap_or(0);
    match found.filter(ImageMetadata::is_active) {
        Some(staged) if compare_stated(image, &staged, size).is_ok() => return Ok(()),
        // Another image had this id then.
        Some(_) => {
            let removed = stage.remove_image(&image.id).await;
            removed.map_err(of_stage)?;
        }
        None => {}
    }
    let to_stage = TargetEnd {
        ctx: transfer.target.ctx.reporting_to(Arc::new(NoEvents)),
        images: Arc::clone(stage) as Arc<dyn ImageTarget>,
        policy: transfer.target.policy.clone(),
        stage: None,
        id_map: None,
        approved: None,
    };
    let to_stage = Transfer {
        target: &to_stage,
        copy: image,
        ..*transfer
    };
    match to_stage.send(Record::Ready(None), None).await {
        Ok(_) => Ok(()),
        Err(ImageError::Target(error)) => Err(of_stage(error)),
        Err(error) => Err(error),
    }
}
