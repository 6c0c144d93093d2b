//! The sender of a request, and what that lets see and change.

use super::state::StoredImage;

/// The sender of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The project of the token; an admin may have none.
    pub project: Option<String>,
    /// Whether the token has the admin role.
    pub admin: bool,
    /// Whether it has no role but `reader`, with which today's server lets one see records and
    /// members, and nothing else.
    pub reader: bool,
}

impl Caller {
    /// An admin without a project, as everybody is on a server without Keystone.
    #[must_use]
    pub fn admin() -> Self {
        Self {
            project: None,
            admin: true,
            reader: false,
        }
    }

    /// A member of a project.
    #[must_use]
    pub fn member(project: &str) -> Self {
        Self {
            project: Some(project.to_owned()),
            admin: false,
            reader: false,
        }
    }

    /// A reader of a project.
    #[must_use]
    pub fn reader(project: &str) -> Self {
        Self {
            reader: true,
            ..Self::member(project)
        }
    }

    pub(super) fn owns(&self, image: &StoredImage) -> bool {
        self.project.is_some() && self.project == image.owner
    }

    pub(super) fn may_change(&self, image: &StoredImage) -> bool {
        self.admin || (self.owns(image) && !self.reader)
    }

    pub(super) fn sees(&self, image: &StoredImage) -> bool {
        self.admin
            || self.owns(image)
            || image.owner.is_none()
            || matches!(image.visibility, "public" | "community")
            || (image.visibility == "shared" && self.membership(image).is_some())
    }

    pub(super) fn membership<'a>(&self, image: &'a StoredImage) -> Option<&'a str> {
        image
            .members
            .get(self.project.as_deref()?)
            .map(String::as_str)
    }
}
