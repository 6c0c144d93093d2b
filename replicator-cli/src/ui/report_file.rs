//! The file that has a result, or a plan: all of it, or nothing new.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::CliError;

/// The readers of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner alone: it has names and errors of others.
    Owner,
    /// Everybody, whatever the umask: another program serves it, or collects it.
    Everybody,
}

/// A file that is written beside the one that it becomes. What is dropped before its end leaves
/// the old one as it was.
pub(crate) struct ReportFile {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
}

impl ReportFile {
    /// Begins the file.
    pub(crate) fn begin(path: &Path, readers: Readers) -> Result<Self, CliError> {
        let partial = beside(path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial);
        let file = file.and_then(|file| {
            if readers == Readers::Everybody {
                file.set_permissions(fs::Permissions::from_mode(0o644))?;
            }
            Ok(file)
        });
        let file = match file {
            // It is the directory that nobody can write to.
            _ if path.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            file => file,
        };
        let path = path.to_owned();
        match file {
            Ok(file) => Ok(Self {
                path,
                partial,
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
        let written = self.file.flush();
        let written = written.and_then(|()| self.file.get_ref().sync_all());
        let written = written.and_then(|()| fs::rename(&self.partial, &self.path));
        written.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> CliError {
        let path = self.path.clone();
        CliError::Report { path, source }
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        // After its end, it has another name.
        let _ = fs::remove_file(&self.partial);
    }
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.partial", std::process::id()))
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
        for (readers, wanted) in [(Readers::Owner, 0o600), (Readers::Everybody, 0o644)] {
            let file = ReportFile::begin(&path, readers).unwrap();
            file.end("new").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "new");
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, wanted);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
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
