//! A target of a run.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures_util::TryFutureExt as _;
use glance_model::{Excess, ImageId, ImageMetadata, Lost, Retirement, View};

use super::approved::Approved;
use super::context::RunContext;
use super::error::ImageError;
use super::event::{Event, LeftOut, MembersLeftOut};
use super::options::{RunOptions, TargetPolicy};
use super::result::ImageRef;
use crate::port::{IdMap, IdUse, ImageTarget, Nature, Stage, TargetIds};

/// A target of a run, and how images are written to it. Its [`images`](Self::images) say which
/// end it is.
#[derive(Clone)]
#[non_exhaustive]
pub struct TargetEnd {
    /// The receiver of the events of this target.
    pub ctx: RunContext,
    /// The images that are there.
    pub images: Arc<dyn ImageTarget>,
    /// The policy by which images are written there.
    pub policy: TargetPolicy,
    /// The place where each image is proven before its first byte is sent, if broken
    /// uploads use up ids at the target. Other targets need none, and no two targets
    /// may share one.
    pub stage: Option<Arc<dyn Stage>>,
    /// The images that go by another id at the target.
    pub id_map: Option<Arc<dyn IdMap>>,
    /// The only work that is planned; without it, all is.
    pub approved: Option<Arc<Approved>>,
}

impl TargetEnd {
    /// A target that is written to by the default policy, and without a stage or an id
    /// map.
    #[must_use]
    pub fn new(ctx: &RunContext, images: Arc<dyn ImageTarget>) -> Self {
        Self {
            ctx: ctx.clone(),
            images,
            policy: TargetPolicy::default(),
            stage: None,
            id_map: None,
            approved: None,
        }
    }

    /// Returns whether anything may be done about an image.
    pub(crate) fn is_meant(&self, id: &ImageId) -> bool {
        let approved = self.approved.as_ref();
        approved.is_none_or(|approved| approved.approval(id).is_some())
    }

    pub(crate) fn nature(&self) -> Nature {
        self.images.nature()
    }

    /// Returns the images that go by another id at the target.
    #[must_use]
    pub fn target_ids(&self) -> TargetIds {
        let ids = self.id_map.as_ref().map(|map| map.target_ids());
        ids.unwrap_or_default()
    }

    /// Returns the stage, if images for this target go over it.
    pub(crate) fn stage(&self) -> Option<&Arc<dyn Stage>> {
        self.stage
            .as_ref()
            .filter(|_| self.nature().ids == IdUse::UsedUpByBrokenUpload)
    }

    /// Returns the view in which the target and the source are compared.
    pub(crate) fn view(&self) -> View {
        let policy = &self.policy;
        let mut view = View::new(policy.omit.clone(), self.nature().form);
        view.adapt = policy.adapt.clone();
        view.identity = policy.identity.clone();
        view.leaves_members_pending = policy.leaves_members_pending;
        view.mirrors = policy.mirrors;
        view.origin.clone_from(&policy.origin);
        view
    }

    /// Returns the rules by which images leave the target, if any does in a run.
    pub(crate) fn retirement(&self, run: &RunOptions) -> Option<Retirement> {
        let (origin, delete) = (self.policy.origin.clone()?, self.policy.delete?);
        Some(Retirement::new(origin, delete.grace, run.now?))
    }

    /// Tells of members of an image that is written who do not become what they are at the
    /// source.
    pub(crate) fn tell_members(&self, wanted: &ImageMetadata, lost: &Lost) {
        for (members, reason) in [
            (&lost.members, MembersLeftOut::NoProject),
            (&lost.statuses, MembersLeftOut::Pending),
        ] {
            if !members.is_empty() {
                self.ctx.emit(Event::MembersLeftOut {
                    image: Arc::new(ImageRef::from(wanted)),
                    members: members.clone(),
                    reason,
                });
            }
        }
    }

    /// Tells of what an image that is written has too much of for most servers.
    pub(crate) fn tell_excesses(&self, wanted: &ImageMetadata, excesses: Vec<Excess>) {
        for excess in excesses {
            let image = Arc::new(ImageRef::from(wanted));
            self.ctx.emit(Event::Excess { image, excess });
        }
    }

    /// Copies the data of a proven image to more stores of the target, if that is asked of it, and
    /// returns whether any lacked it.
    pub(crate) async fn copy_to_stores(
        &self,
        run: &RunOptions,
        image: &ImageMetadata,
    ) -> Result<bool, ImageError> {
        if !self.nature().copies_to_stores {
            return Ok(false);
        }
        let copy = || {
            let copied = self.images.copy_to_stores(image);
            copied.map_err(ImageError::Target)
        };
        run.retry.run(&self.ctx, copy).await
    }

    /// Tells of additional properties of an image that are not written.
    pub(crate) fn tell_left_out(
        &self,
        wanted: &ImageMetadata,
        names: BTreeSet<String>,
        reason: LeftOut,
    ) {
        if names.is_empty() {
            return;
        }
        let image = Arc::new(ImageRef::from(wanted));
        self.ctx.emit(Event::PropertiesLeftOut {
            image,
            names,
            reason,
        });
    }
}

impl fmt::Debug for TargetEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetEnd")
            .field("images", &self.images)
            .field("policy", &self.policy)
            .field("stage", &self.stage)
            .field("id_map", &self.id_map)
            .finish_non_exhaustive()
    }
}
