//! The abilities of a target.

use glance_model::TargetForm;

/// The abilities of a target, which decide how images are written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nature {
    /// The form in which it holds metadata.
    pub form: TargetForm,
    /// The use that it makes of an id.
    pub ids: IdUse,
    /// Whether it holds the records of images without data, each as its source has it.
    pub keeps_records: bool,
    /// Whether it looks at data that it is sent, and refuses what is not of the stated
    /// format.
    pub inspects_data: bool,
    /// Whether it is to copy the data of proven images to more of its stores
    /// ([`ImageTarget::copy_to_stores`](crate::ImageTarget::copy_to_stores)).
    pub copies_to_stores: bool,
}

/// The use that a target makes of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdUse {
    /// An image can be written over, and an id be used again.
    Reusable,
    /// The id of a deleted image is never given back.
    UsedUpByDeletion,
    /// Neither is the id of an image whose upload broke off.
    UsedUpByBrokenUpload,
}

impl Nature {
    /// Returns the nature of an archive: it is ours, so that anything in it can be
    /// replaced, and it holds all there is to know of an image.
    #[must_use]
    pub fn archive() -> Self {
        Self {
            form: TargetForm::Whole,
            ids: IdUse::Reusable,
            keeps_records: true,
            inspects_data: false,
            copies_to_stores: false,
        }
    }

    /// Returns the nature of a Glance that is spoken to in the API version of `form`.
    ///
    /// With v2, a broken upload leaves a record that takes other data (Glance sets it
    /// back to `queued`); with v1 alone, it ends in `killed`. A Glance that knows hidden
    /// images (v2.7, 2019) may look at the data that it is sent.
    #[must_use]
    pub fn glance(form: TargetForm) -> Self {
        Self {
            form,
            ids: match form {
                TargetForm::V1 => IdUse::UsedUpByBrokenUpload,
                _ => IdUse::UsedUpByDeletion,
            },
            keeps_records: false,
            inspects_data: form == TargetForm::V2 { hidden: true },
            copies_to_stores: false,
        }
    }

    /// Returns whether a record is made by the request that brings its data: where there is none
    /// to put other data into after a broken upload.
    pub(crate) fn makes_records_with_data(self) -> bool {
        self.ids == IdUse::UsedUpByBrokenUpload
    }

    /// Returns whether a record is made by a request of its own, before its data is sent.
    pub(crate) fn makes_records_first(self) -> bool {
        self.ids == IdUse::UsedUpByDeletion
    }

    /// Returns whether the role of whoever writes there decides what may be written. An archive is
    /// ours.
    pub(crate) fn has_users(self) -> bool {
        self.form != TargetForm::Whole
    }

    /// Returns whether it knows tokens that may read and not write: servers of before 2019 let every
    /// role write.
    pub(crate) fn knows_readers(self) -> bool {
        self.form == TargetForm::V2 { hidden: true }
    }

    /// Returns whether it refuses a member images of other projects. v1 makes them images of the
    /// member's project.
    pub(crate) fn keeps_owners(self) -> bool {
        matches!(self.form, TargetForm::V2 { .. })
    }

    /// Returns whether a record has to state its formats before it takes data.
    pub(crate) fn needs_formats(self) -> bool {
        matches!(self.form, TargetForm::V2 { .. })
    }

    /// Returns whether an image that is there can be written over.
    #[must_use]
    pub fn can_replace(self) -> bool {
        self.ids == IdUse::Reusable
    }
}
