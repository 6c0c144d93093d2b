#![doc = include_str!("../README.md")]

mod archive;
mod atomic;
mod directory;
mod error;
mod layout;
mod metadata_file;
mod partial_file;
mod transfer;

pub use archive::ImageArchive;
pub use error::ArchiveError;
