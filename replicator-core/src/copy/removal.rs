//! An image leaves a target: it is retired, or deleted.

use std::sync::Arc;

use futures_util::TryFutureExt as _;
use glance_model::{Fate, ImageMetadata, ImageStatus};

use super::update::Update;
use crate::plan::removal::reason_to_stay;
use crate::plan::{Action, PlannedImage};
use crate::port::{ImageSource, PortError};
use crate::run::error::ImageError;
use crate::run::options::RunOptions;
use crate::run::result::{NotDone, Outcome, SkipReason};
use crate::run::target_end::TargetEnd;

/// The removal of images from one target.
pub(crate) struct Removal<'a> {
    pub(crate) run: &'a RunOptions,
    pub(crate) source: &'a Arc<dyn ImageSource>,
    pub(crate) target: &'a TargetEnd,
}

impl Removal<'_> {
    /// Retires or deletes an image, as it is planned, if it is by now what it was when it was
    /// listed, and its source still has not got it. Listings of many pages may miss an image.
    pub(crate) async fn remove(&self, planned: &PlannedImage) -> Result<Outcome, ImageError> {
        let target = self.target;
        let Some(rules) = target.retirement(self.run) else {
            return Ok(Outcome::NotDone(NotDone::NotConfirmed));
        };
        let id = planned.other_id().unwrap_or(planned.wanted.id);
        let find = || target.images.find_image(&id).map_err(ImageError::Target);
        let Some(listed) = self.run.retry.run(&target.ctx, find).await? else {
            let gone = SkipReason::TargetStatus(ImageStatus::Deleted);
            return Ok(Outcome::Skipped(gone));
        };
        let view = target.view();
        let found = view.found(listed);
        let fate = rules.fate(&found, view.form);
        if let Some(reason) = reason_to_stay(&fate, &found) {
            return Ok(Outcome::Skipped(reason));
        }
        let member = target.policy.member.as_ref();
        let is_as_planned = match &planned.action {
            Action::Retire(_) => fate == Fate::Retire,
            Action::Delete => fate == Fate::Delete,
            _ => false,
        };
        if !is_as_planned || member.is_some_and(|member| !member.owns(&found)) {
            return Ok(Outcome::Skipped(SkipReason::Changed));
        }
        let ask = || {
            let has = self.source.has_image(&planned.wanted.id);
            has.map_err(ImageError::Source)
        };
        if self.run.retry.run(&target.ctx, ask).await? {
            return Ok(Outcome::Skipped(SkipReason::AtSource));
        }
        match &planned.action {
            Action::Retire(diff) => {
                let update = Update {
                    run: self.run,
                    target,
                    wanted: &planned.wanted,
                };
                let listed = planned.found.as_ref().unwrap_or(&found);
                update.of_listed(listed, diff).await?;
                Ok(Outcome::Retired)
            }
            _ => self.delete(&found).await,
        }
    }

    async fn delete(&self, found: &ImageMetadata) -> Result<Outcome, ImageError> {
        let images = &self.target.images;
        let delete = || async {
            match images.delete_image(found).await {
                // The answer to an earlier try was lost.
                Ok(()) | Err(PortError::NotFound { .. }) => Ok(Outcome::Deleted),
                Err(error) => Err(ImageError::Target(error)),
            }
        };
        self.run.retry.run(&self.target.ctx, delete).await
    }
}
