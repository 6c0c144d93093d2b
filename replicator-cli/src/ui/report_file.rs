//! The file that has a result, or a plan: all of it, or nothing new.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use replicator_fs::take_over_permissions;
use tempfile::{Builder, TempPath};

use crate::error::CliError;

/// The streams of this process. A shell may have led one to a file, which is written to as well.
const OWN_STREAMS: [&str; 4] = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc/self/fd"];

/// The readers of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner alone: it has names and errors of others.
    Owner,
    /// Everybody, whatever the umask: another program serves it, or collects it.
    Everybody,
}

/// A file that is written beside the one that it becomes. What is dropped before its end leaves
/// the old one as it was. A device or a pipe is written to, and never replaced.
pub(crate) struct ReportFile {
    path: PathBuf,
    /// None if it is written straight to its place.
    beside: Option<TempPath>,
    file: BufWriter<File>,
}

impl ReportFile {
    /// Begins the file.
    pub(crate) fn begin(path: &Path, readers: Readers) -> Result<Self, CliError> {
        let begun = if is_stream(path) {
            let file = OpenOptions::new().append(true).open(path);
            file.map(|file| (file, None))
        } else {
            beside(path, readers).map(|(file, beside)| (file, Some(beside)))
        };
        let path = path.to_owned();
        match begun {
            Ok((file, beside)) => Ok(Self {
                path,
                beside,
                file: BufWriter::new(file),
            }),
            Err(source) => Err(CliError::Report { path, source }),
        }
    }

    /// Writes a text behind what is there.
    pub(crate) fn write(&mut self, text: &str) -> Result<(), CliError> {
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|source| self.failed(source))
    }

    /// Writes a text behind what is there, and puts the file in its place.
    pub(crate) fn end(mut self, text: &str) -> Result<(), CliError> {
        self.write(text)?;
        self.put().map_err(|source| self.failed(source))
    }

    fn put(&mut self) -> io::Result<()> {
        self.file.flush()?;
        if let Some(beside) = self.beside.take() {
            self.file.get_ref().sync_all()?;
            beside.persist(&self.path)?;
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> CliError {
        let path = self.path.clone();
        CliError::Report { path, source }
    }
}

/// Returns whether what is at a path takes text and is no file: a stream, a device, a named pipe.
fn is_stream(path: &Path) -> bool {
    let is_other = |found: fs::Metadata| !found.is_file() && !found.is_dir();
    OWN_STREAMS.iter().any(|stream| path.starts_with(stream))
        || fs::metadata(path).is_ok_and(is_other)
}

/// Creates a file of a name of its own, for its owner alone unless it is for everybody; or for those who
/// read the file that it is to replace.
fn beside(path: &Path, readers: Readers) -> io::Result<(File, TempPath)> {
    let name = path.file_name().filter(|_| !path.is_dir());
    let Some(name) = name else {
        return Err(io::ErrorKind::IsADirectory.into());
    };
    let prefix = format!(".{}.", name.to_string_lossy());
    let mut file = Builder::new();
    file.prefix(&prefix).suffix(".partial");
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let file = file.tempfile_in(directory.unwrap_or(Path::new(".")))?;
    let (file, beside) = file.into_parts();
    if readers == Readers::Everybody {
        file.set_permissions(Permissions::from_mode(0o644))?;
    }
    // A file system may have none to keep.
    let _ = take_over_permissions(&file, path);
    Ok((file, beside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_whole_or_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        fs::write(&path, "old").unwrap();
        drop(ReportFile::begin(&path, Readers::Owner).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        let mode = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        for (readers, old, wanted) in [
            (Readers::Owner, None, 0o600),
            (Readers::Owner, Some(0o640), 0o640),
            (Readers::Everybody, None, 0o644),
            (Readers::Everybody, Some(0o600), 0o600),
        ] {
            match old {
                Some(old) => mode(old),
                None => fs::remove_file(&path).unwrap(),
            }
            let file = ReportFile::begin(&path, readers).unwrap();
            file.end("new").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "new");
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, wanted);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn device_or_pipe_is_written_to_and_stays_what_it_is() {
        use std::os::unix::fs::FileTypeExt as _;
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        for path in [&pipe, &link] {
            std::thread::scope(|scope| {
                let read = scope.spawn(|| fs::read_to_string(&pipe).unwrap());
                let file = ReportFile::begin(path, Readers::Everybody).unwrap();
                file.end("all of it").unwrap();
                assert_eq!(read.join().unwrap(), "all of it");
            });
        }
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert!(is_stream(Path::new("/dev/null")) && is_stream(Path::new("/dev/fd/2")));
    }

    #[test]
    fn file_that_a_killed_run_left_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        // In a container, each run has the same process id.
        let left = format!(".report.json.{}.partial", std::process::id());
        fs::write(dir.path().join(left), "").unwrap();
        let file = ReportFile::begin(&path, Readers::Owner).unwrap();
        file.end("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn place_that_cannot_be_written_to_is_known_at_once() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("none/report.json")] {
            let file = ReportFile::begin(&path, Readers::Owner);
            assert!(file.is_err(), "{}", path.display());
        }
    }
}
