//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use glance_model::ImageId;

use crate::ArchiveError;
use crate::access;
use crate::layout::Layout;
use crate::locked_file;

/// Writes the metadata file of an image: to a temporary file, which is synced
/// and then takes the name.
///
/// The temporary file is the same each time, so that what a killed process left
/// of it is used up by the next one.
pub(crate) fn write_metadata(
    layout: &Layout,
    id: &ImageId,
    contents: &[u8],
) -> Result<(), ArchiveError> {
    let (path, temporary) = (layout.metadata(id), layout.new_metadata(id));
    let file = locked_file::open_or_create(&temporary)?;
    let written = access::take_over(&file, &path)
        .and_then(|()| fill(&file, contents))
        .and_then(|()| fs::rename(&temporary, &path));
    if let Err(error) = written {
        // It would only take up room, of which there may be none.
        let _ = fs::remove_file(&temporary);
        return Err(ArchiveError::write(&path)(error));
    }
    sync_directory(layout.directory())
}

fn fill(mut file: &File, contents: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Tries whether files can be made in a directory, by one that has no name.
pub(crate) fn check_writable(directory: &Path) -> Result<(), ArchiveError> {
    tempfile::tempfile_in(directory)
        .map(drop)
        .map_err(|e| ArchiveError::write(directory)(without_path(e)))
}

/// `tempfile` adds the path of the temporary file, which says nothing to anyone.
fn without_path(error: io::Error) -> io::Error {
    error.kind().into()
}

/// Makes the names of new files durable. Only Unix has directories that can be
/// synced.
fn sync_directory(directory: &Path) -> Result<(), ArchiveError> {
    if cfg!(unix) {
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(ArchiveError::write(directory))?;
    }
    Ok(())
}
