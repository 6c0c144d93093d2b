//! Files that appear whole or not at all.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};

use glance_model::ImageId;

use super::Directory;
use crate::access;
use crate::error::{ArchiveError, is_full};
use crate::folder::For;
use crate::hardening;

/// Writes the metadata file of an image: to a temporary file, which is synced
/// and then takes the name.
///
/// The temporary file is the same each time, so that what a killed process left
/// of it is used up by the next one.
pub(crate) fn write_metadata(
    directory: &Directory,
    id: &ImageId,
    contents: &[u8],
) -> Result<(), ArchiveError> {
    let (layout, folder) = (directory.layout(), directory.folder());
    let path = layout.metadata(id);
    let standard = layout.new_metadata(id);
    let Some((file, temporary)) = directory.open_unshared(&standard, For::WritingAnew)? else {
        return Err(folder.gone_or(ArchiveError::Changed { path: standard }));
    };
    let changed = || {
        folder.gone_or(ArchiveError::Changed {
            path: temporary.clone(),
        })
    };
    let is_at = |path| folder.is_at(&file, path).unwrap_or_default();
    let filled = hardening::as_far_as_possible(access::take_over_permissions(&file, &path))
        .and_then(|()| fill(&file, contents, directory))
        .map_err(|error| folder.failed(&path, error));
    let written = filled.and_then(|()| match is_at(&temporary) {
        true => folder.rename(&temporary, &path),
        false => Err(changed()),
    });
    if let Err(error) = written {
        // It would only take up room, of which there may be none.
        if is_at(&temporary) {
            let _ = folder.remove(&temporary);
        }
        return Err(error);
    }
    if !is_at(&path) {
        return Err(changed());
    }
    folder.sync()
}

fn fill(mut file: &File, contents: &[u8], directory: &Directory) -> io::Result<()> {
    loop {
        hardening::set_len(file, 0)?;
        file.rewind()?;
        match file.write_all(contents) {
            Err(error) if is_full(&error) && directory.make_room() => {}
            written => {
                written?;
                return hardening::sync(file);
            }
        }
    }
}
