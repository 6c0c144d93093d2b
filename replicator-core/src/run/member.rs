//! The rights of a token that is no administrator's.

use glance_model::{ImageMetadata, TargetForm};

use super::error::ImageError;

/// The project of a token that is known to be no administrator's: v2 lets it write images of this
/// project and of no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    project: String,
}

impl Member {
    /// The member of a project, by its id.
    pub fn of(project: impl Into<String>) -> Self {
        Self {
            project: project.into(),
        }
    }

    /// Returns the refusal that a server has for an image that is to be written there, and is there
    /// as `found`. v1 refuses nothing: it makes the image one of the token's own project.
    pub(crate) fn refusal(
        &self,
        form: TargetForm,
        wanted: &ImageMetadata,
        found: Option<&ImageMetadata>,
    ) -> Option<ImageError> {
        let owners = [Some(wanted), found].into_iter().flatten();
        let mut owners = owners.filter_map(|image| image.owner.as_ref());
        let is_refused =
            matches!(form, TargetForm::V2 { .. }) && owners.any(|owner| *owner != self.project);
        is_refused.then(|| ImageError::OtherOwner {
            project: self.project.clone(),
        })
    }
}
