//! What sets the verbs that write apart.

use glance_model::ImageMetadata;

use crate::run::event::SkipReason;

/// The verbs that write to a target. They differ in what becomes of an image
/// without data, and of metadata that is there without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// From a Glance to a Glance.
    Livecopy,
    /// From a Glance to an archive.
    Dump,
    /// From an archive to a Glance.
    Load,
}

impl Verb {
    /// Says whether an image without data gets a record all the same. An archive
    /// holds the metadata of every image.
    pub(crate) fn keeps_records(self) -> bool {
        self == Self::Dump
    }

    /// Why an image is left alone whose data the source does not give out.
    pub(crate) fn no_data(self, image: &ImageMetadata) -> SkipReason {
        match self {
            Self::Load => SkipReason::NoData,
            _ if image.no_data.is_some() => SkipReason::NoData,
            Self::Livecopy | Self::Dump => SkipReason::SourceStatus(image.status.clone()),
        }
    }
}
