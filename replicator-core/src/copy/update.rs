//! The metadata of an image is changed at the target, and the answer compared with what
//! was wanted.

use std::collections::BTreeSet;
use std::sync::Arc;

use glance_model::{BaseProperty, Field, ImageMetadata, MetadataDiff, TargetForm, Visibility};

use crate::port::ImageTarget;
use crate::run::context::RunContext;
use crate::run::error::{ImageError, retry_after};
use crate::run::event::{Event, LeftOut};
use crate::run::options::ReplicateOptions;

/// An update of one image at one target.
pub(crate) struct Update<'a> {
    pub(crate) ctx: &'a RunContext,
    pub(crate) target: &'a Arc<dyn ImageTarget>,
    pub(crate) options: &'a ReplicateOptions,
    /// What the target is to say of the image, in its form.
    pub(crate) image: &'a ImageMetadata,
}

impl Update<'_> {
    /// What the target lacks and can be given. What it lacks and can only be given with a
    /// new record is named.
    pub(crate) fn lacking(&self, found: &ImageMetadata) -> MetadataDiff {
        let (diff, names) = self.diff(found);
        if !names.is_empty() {
            self.ctx.emit(Event::PropertiesLeftOut {
                id: self.image.id,
                names,
                reason: LeftOut::NotUpdated,
            });
        }
        diff
    }

    /// Makes the changes of a diff in an image that was listed a while ago.
    pub(crate) async fn of_listed(
        &self,
        listed: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<(), ImageError> {
        // What it is by now, so that it can be told what the update changes. What v1
        // says of one image is not all that it lists, and an archive changes nothing else.
        let before = match self.target.form() {
            TargetForm::V2 { .. } => self.target.find_image(&listed.id).await,
            TargetForm::Whole | TargetForm::V1 | _ => Ok(None),
        };
        let before = before.map_err(ImageError::Target)?;
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
        let form = self.target.form();
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
        let (left, _) = self.diff(&found);
        if left.is_empty() {
            return Ok(());
        }
        if is_seen_by_more(&left, self.image, &found) {
            return Err(ImageError::SeenByMore {
                wanted: self.image.visibility.unwrap_or(Visibility::Private),
                found: found.visibility.unwrap_or(Visibility::Private),
            });
        }
        let id = self.image.id;
        self.ctx.emit(Event::MetadataNotKept { id, diff: left });
        Ok(())
    }

    fn diff(&self, found: &ImageMetadata) -> (MetadataDiff, BTreeSet<String>) {
        let form = self.target.form();
        MetadataDiff::between(self.image, found, &self.options.omit).updatable(form)
    }

    /// Sends an update, again if the target is out of reach: it says the same however
    /// often it is sent.
    async fn send(
        &self,
        current: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, ImageError> {
        let mut failed = 0;
        loop {
            let error = match self.target.update_metadata(current, diff).await {
                Ok(updated) => return Ok(updated),
                Err(error) => ImageError::Target(error),
            };
            failed += 1;
            let retry = &self.options.retry;
            let delay = retry.delay(failed, retry_after(&error), self.ctx.run_time());
            match delay.filter(|_| error.is_transient()) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(error),
            }
        }
    }
}

/// Returns whether an image that differs in visibility is shown to more people than it
/// should be.
fn is_seen_by_more(diff: &MetadataDiff, wanted: &ImageMetadata, found: &ImageMetadata) -> bool {
    let circle = |visibility: Option<Visibility>| match visibility {
        Some(Visibility::Public) => 3,
        Some(Visibility::Community) => 2,
        Some(Visibility::Shared | Visibility::NotPublic) => 1,
        Some(Visibility::Private) | None => 0,
    };
    let visibility = Field::Base(BaseProperty::Visibility);
    diff.changes()
        .iter()
        .any(|change| change.field == visibility)
        && circle(found.visibility) > circle(wanted.visibility)
}
