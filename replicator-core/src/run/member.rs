//! The rights of a token that is no administrator's.

use glance_model::{ImageMetadata, TargetForm, Visibility};

use super::error::ImageError;

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
    /// as `found`. Another owner is nothing that v1 refuses: it makes the image one of the token's
    /// own project.
    pub(crate) fn refusal(
        &self,
        form: TargetForm,
        wanted: &ImageMetadata,
        found: Option<&ImageMetadata>,
    ) -> Option<ImageError> {
        if form == TargetForm::Whole {
            return None;
        }
        // Servers of before 2019 know no readers, and let every role write.
        if self.is_reader && form == (TargetForm::V2 { hidden: true }) {
            return Some(ImageError::ReaderAtTarget);
        }
        let owners = [Some(wanted), found].into_iter().flatten();
        let mut owners = owners.filter_map(|image| image.owner.as_ref());
        let is_of_v2 = matches!(form, TargetForm::V2 { .. });
        if is_of_v2 && owners.any(|owner| *owner != self.project) {
            let project = self.project.clone();
            return Some(ImageError::OtherOwner { project });
        }
        let is_public = |image: &ImageMetadata| image.visibility == Some(Visibility::Public);
        (is_public(wanted) && !found.is_some_and(is_public)).then_some(ImageError::NotPublished)
    }
}
