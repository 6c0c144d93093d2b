//! Files that appear whole or not at all.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use glance_model::ImageId;

use crate::ArchiveError;
use crate::layout::Layout;

/// Writes the metadata file of an image: to a temporary file, which is synced
/// and then takes the name.
pub(crate) fn write_metadata(
    layout: &Layout,
    id: &ImageId,
    contents: &[u8],
) -> Result<(), ArchiveError> {
    let path = layout.metadata(id);
    let failed = || ArchiveError::write(&path);
    let mut file = temporary(layout.directory(), &format!(".{id}.tmp"))?;
    file.write_all(contents).map_err(failed())?;
    file.as_file().sync_all().map_err(failed())?;
    file.persist(&path).map_err(|e| failed()(e.error))?;
    sync_directory(layout.directory())
}

/// Tries whether files can be made in a directory.
pub(crate) fn check_writable(directory: &Path) -> Result<(), ArchiveError> {
    temporary(directory, ".glance-replicator.tmp").map(drop)
}

/// A file that is removed when it is dropped, and which others may read as far
/// as the umask lets them.
fn temporary(directory: &Path, prefix: &str) -> Result<tempfile::NamedTempFile, ArchiveError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
        .tempfile_in(directory)
        .map_err(|e| ArchiveError::write(directory)(without_path(e)))
}

/// `tempfile` adds the path of the temporary file, which says nothing to anyone.
fn without_path(error: std::io::Error) -> std::io::Error {
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
