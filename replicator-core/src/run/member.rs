//! The rights of a token that is no administrator's.

use glance_model::{ImageMetadata, Visibility};

use super::error::ImageError;
use crate::port::Nature;

/// The project of a token that is known to be no administrator's: v2 lets it write images of this
/// project and of no other, and no version lets it publish one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    project: String,
    is_reader: bool,
}

impl Member {
    /// The member of a project, by its id.
    pub fn of(project: impl Into<String>) -> Self {
        Self {
            project: project.into(),
            is_reader: false,
        }
    }

    /// The same, of whose roles none lets it write.
    #[must_use]
    pub fn reading_only(self) -> Self {
        Self {
            is_reader: true,
            ..self
        }
    }

    /// Returns whether an image is one of the project, and may be written.
    pub(crate) fn owns(&self, image: &ImageMetadata) -> bool {
        !self.is_reader && image.owner.as_ref() == Some(&self.project)
    }

    /// Returns the refusal that a server has for an image that is to be written there, and is there
    /// as `found`.
    pub(crate) fn refusal(
        &self,
        nature: Nature,
        wanted: &ImageMetadata,
        found: Option<&ImageMetadata>,
    ) -> Option<ImageError> {
        if !nature.has_users() {
            return None;
        }
        if self.is_reader && nature.knows_readers() {
            return Some(ImageError::ReaderAtTarget);
        }
        let owners = [Some(wanted), found].into_iter().flatten();
        let mut owners = owners.filter_map(|image| image.owner.as_ref());
        if nature.keeps_owners() && owners.any(|owner| *owner != self.project) {
            let project = self.project.clone();
            return Some(ImageError::OtherOwner { project });
        }
        let is_public = |image: &ImageMetadata| image.visibility == Some(Visibility::Public);
        (is_public(wanted) && !found.is_some_and(is_public)).then_some(ImageError::NotPublished)
    }
}
