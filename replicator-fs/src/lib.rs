#![doc = include_str!("../README.md")]

mod access;
mod archive;
mod direct;
mod directory;
mod error;
mod folder;
mod hardening;
mod id_map_file;
mod layout;
mod local_file;
mod locked_file;
mod metadata_file;
mod metadefs;
mod partial_file;
mod snapshots;
mod transfer;

pub use access::take_over_permissions;
pub use archive::ImageArchive;
pub use directory::Contents;
pub use error::ArchiveError;
pub use folder::free_bytes;
pub use id_map_file::IdMapFile;
pub use local_file::LocalFile;
pub use metadefs::MetadefDirectory;
pub use snapshots::{Keep, Kept, NewSnapshot, Snapshot, Snapshots, Usage};
// For the fuzz targets alone.
#[doc(hidden)]
pub use metadata_file::{metadata_from_json, metadata_to_json};
