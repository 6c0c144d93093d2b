//! Calls that make what was written safer, and that not every file system has.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};

use rustix::io::Errno;

/// Takes the error of a call that the file system does not have for none: what was written is
/// there, and as safe as it can be there.
pub(crate) fn as_far_as_possible(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_not_there(&error) => Ok(()),
        result => result,
    }
}

/// Returns whether an error says that the file system has no such call, rather than that the call
/// failed.
pub(crate) fn is_not_there(error: &io::Error) -> bool {
    let Some(code) = error.raw_os_error() else {
        return error.kind() == io::ErrorKind::Unsupported;
    };
    [
        Errno::INVAL,
        Errno::NOSYS,
        Errno::OPNOTSUPP,
        Errno::NOTSUP,
        Errno::NOTTY,
        Errno::NOLCK,
        Errno::BADF,
        Errno::PERM,
        Errno::ACCESS,
    ]
    .iter()
    .any(|errno| errno.raw_os_error() == code)
}

/// Writes a file to the disk.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    as_far_as_possible(file.sync_all())
}

/// Makes a file as long as it should be. Where a file cannot be lengthened, a zero is written
/// at its new end.
pub(crate) fn set_len(mut file: &File, len_bytes: u64) -> io::Result<()> {
    let found = file.metadata()?.len();
    if found == len_bytes {
        return Ok(());
    }
    match file.set_len(len_bytes) {
        Err(error) if is_not_there(&error) && found < len_bytes => {
            file.seek(SeekFrom::Start(len_bytes - 1))?;
            file.write_all(&[0])
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_file_system_does_not_have_is_done_without() {
        for (errno, is_fine) in [
            (Errno::INVAL, true),
            (Errno::NOSYS, true),
            (Errno::OPNOTSUPP, true),
            (Errno::NOLCK, true),
            (Errno::IO, false),
            (Errno::NOSPC, false),
            (Errno::DQUOT, false),
            (Errno::ROFS, false),
        ] {
            let result = as_far_as_possible(Err(errno.into()));
            assert_eq!(result.is_ok(), is_fine, "{errno}");
        }
    }

    #[test]
    fn a_file_is_as_long_as_it_should_be() {
        let file = tempfile::tempfile().unwrap();
        for len_bytes in [0, 5, 5, 1 << 20, 7] {
            set_len(&file, len_bytes).unwrap();
            assert_eq!(file.metadata().unwrap().len(), len_bytes);
        }
    }
}
