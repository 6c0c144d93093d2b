//! The metadata of an image is changed at the target, and the answer compared with what
//! was wanted.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::TryFutureExt as _;
use glance_model::{BaseProperty, Field, ImageMetadata, MetadataDiff, TargetForm, Visibility};

use crate::run::error::ImageError;
use crate::run::event::{Event, LeftOut};
use crate::run::options::RunOptions;
use crate::run::result::ImageRef;
use crate::run::target_end::TargetEnd;

/// An update of one image at one target.
pub(crate) struct Update<'a> {
    pub(crate) run: &'a RunOptions,
    pub(crate) target: &'a TargetEnd,
    /// The image as the target is to have it, in its form.
    pub(crate) wanted: &'a ImageMetadata,
}

impl Update<'_> {
    /// The changes that the target lacks and can be given. Those that can only come with a
    /// new record are told.
    pub(crate) fn lacking(&self, found: &ImageMetadata) -> MetadataDiff {
        let (diff, names) = self.diff(found);
        let target = self.target;
        target.tell_left_out(self.wanted, names, LeftOut::NotUpdated);
        diff
    }

    /// Makes the changes of a diff in an image that was listed a while ago.
    pub(crate) async fn of_listed(
        &self,
        listed: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<(), ImageError> {
        // Its state by now, so that it can be told what the update changes. What v1
        // says of one image is not all that it lists, and an archive changes nothing else.
        let before = match self.target.nature().form {
            TargetForm::V2 { .. } => self.target.images.find_image(&listed.id).await,
            TargetForm::Whole | TargetForm::V1 | _ => Ok(None),
        };
        let mut before = before.map_err(ImageError::Target)?;
        if let Some(before) = &mut before {
            // That it was not asked for once more.
            before.members.clone_from(&listed.members);
        }
        self.make(before.as_ref().unwrap_or(listed), before.as_ref(), diff)
            .await
    }

    /// Makes the changes of a diff in an image that is `before` at this moment.
    pub(crate) async fn of_current(
        &self,
        before: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<(), ImageError> {
        self.make(before, Some(before), diff).await
    }

    async fn make(
        &self,
        current: &ImageMetadata,
        before: Option<&ImageMetadata>,
        diff: &MetadataDiff,
    ) -> Result<(), ImageError> {
        let form = self.target.nature().form;
        let updated = self.send(current, diff).await?;
        let found = form.of(updated.clone());
        let meant = before.map(|before| diff.apply_to(form.of(before.clone())));
        let changed = |found: &ImageMetadata| {
            let changed = match &meant {
                Some(meant) => MetadataDiff::to_restore(meant, found).updatable(form).0,
                None => self.diff(found).0,
            };
            changed.without(diff)
        };
        let others = changed(&found);
        if !others.is_empty() {
            let restored = self.send(&updated, &others).await;
            let is_restored = restored.is_ok_and(|now| changed(&form.of(now)).is_empty());
            return Err(ImageError::OtherFieldsChanged {
                diff: others,
                is_restored,
            });
        }
        if let Some(before) = before {
            self.no_member_woke(before, &updated).await?;
        }
        let (left, _) = self.diff(&found);
        if left.is_empty() {
            return Ok(());
        }
        if is_seen_by_more(&left, self.wanted, &found) {
            return Err(ImageError::SeenByMore {
                wanted: self.wanted.visibility.unwrap_or(Visibility::Private),
                found: found.visibility.unwrap_or(Visibility::Private),
            });
        }
        let image = Arc::new(ImageRef::from(self.wanted));
        let event = Event::MetadataNotKept { image, diff: left };
        self.target.ctx.emit(event);
        Ok(())
    }

    /// An image that becomes shared again has the members that it had before. Where the source
    /// does not have these, nobody meant to let them see it: it is made what it was.
    async fn no_member_woke(
        &self,
        before: &ImageMetadata,
        updated: &ImageMetadata,
    ) -> Result<(), ImageError> {
        let is_shared = |image: &ImageMetadata| {
            let visibility = image.visibility;
            visibility.is_some_and(Visibility::is_for_members)
        };
        let Some(wanted) = &self.wanted.members else {
            return Ok(());
        };
        if is_shared(before) || !is_shared(updated) {
            return Ok(());
        }
        let members = match (&updated.members, self.target.images.members()) {
            (Some(members), _) => Some(members.clone()),
            (None, Some(reader)) => {
                let members = reader.members_of(&updated.id).await;
                members.map_err(ImageError::Target)?
            }
            (None, None) => None,
        };
        let mut members = members.unwrap_or_default();
        members.retain(|project, _| !wanted.contains_key(project));
        if members.is_empty() {
            return Ok(());
        }
        let form = self.target.nature().form;
        let (before, found) = (form.of(before.clone()), form.of(updated.clone()));
        let (back, _) = MetadataDiff::to_restore(&before, &found).updatable(form);
        let restored = self.send(updated, &back).await;
        Err(ImageError::MembersWoke {
            members: members.into_keys().collect(),
            is_restored: restored.is_ok_and(|now| !is_shared(&now)),
        })
    }

    fn diff(&self, found: &ImageMetadata) -> (MetadataDiff, BTreeSet<String>) {
        let view = self.target.view();
        view.updatable(view.diff(self.wanted, found))
    }

    /// Sends an update, again if the target is out of reach: it says the same however
    /// often it is sent.
    async fn send(
        &self,
        current: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, ImageError> {
        let TargetEnd { ctx, images, .. } = self.target;
        let send = || {
            images
                .update_metadata(current, diff)
                .map_err(ImageError::Target)
        };
        self.run.retry.run(ctx, send).await
    }
}

/// Returns whether an image that differs in visibility is shown to more people than it
/// should be.
fn is_seen_by_more(diff: &MetadataDiff, wanted: &ImageMetadata, found: &ImageMetadata) -> bool {
    let of = |image: &ImageMetadata| image.visibility.unwrap_or(Visibility::Private);
    let visibility = Field::Base(BaseProperty::Visibility);
    diff.changes()
        .iter()
        .any(|change| change.field == visibility)
        && of(found).is_wider_than(of(wanted))
}
