//! The permissions of what this crate creates: its owner alone may read it, since images may be
//! private.
//!
//! A file that is there already is as its user wants it: its permissions are left, and one that
//! takes the place of one of our own gets the permissions of that one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file as `how` says; one that it creates is for its owner alone.
pub(crate) fn open(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        how.mode(0o600);
    }
    how.open(path)
}

/// Creates a directory, and those above it, as far as they are missing: for their owner alone.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    let mut how = DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        how.mode(0o700);
    }
    how.recursive(true).create(path)
}

/// Gives a file that is about to replace another one the permissions and the group of that one.
///
/// Those of somebody else's file are not taken over: whoever has put it there would choose who
/// may read the image. Nor are those of a group that we cannot give the file to.
///
/// # Errors
///
/// Those of the system, if it does not tell of the file, or does not let its permissions be changed.
pub fn take_over_permissions(file: &File, replaced: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::fs::Permissions;
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};

        const GROUP: u32 = 0o070;

        let old = match replaced.symlink_metadata() {
            Ok(old) if old.is_file() => old,
            _ => return Ok(()),
        };
        let new = file.metadata()?;
        if old.uid() != new.uid() {
            return Ok(());
        }
        let mut mode = old.mode() & 0o777;
        if mode & GROUP != 0
            && old.gid() != new.gid()
            && fchown(file, None, Some(old.gid())).is_err()
        {
            mode &= !GROUP;
        }
        if mode != new.mode() & 0o777 {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
    }
    #[cfg(not(unix))]
    let _ = (file, replaced);
    Ok(())
}
