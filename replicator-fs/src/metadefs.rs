//! A directory of metadata definitions: a file of JSON for each namespace.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use glance_model::Namespace;

use crate::{ArchiveError, access};

/// The end of the names of the files.
const EXTENSION: &str = "json";

/// A directory of metadata definitions, in files as Glance's own `etc/metadefs` has them.
#[derive(Clone, Debug)]
pub struct MetadefDirectory {
    path: PathBuf,
}

impl MetadefDirectory {
    /// Opens a directory that exists.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Missing`] or [`ArchiveError::NotADirectory`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ArchiveError> {
        let path = path.into();
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => Ok(Self { path }),
            Ok(_) => Err(ArchiveError::NotADirectory { path }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(ArchiveError::Missing { path })
            }
            Err(error) => Err(ArchiveError::read(&path)(error)),
        }
    }

    /// Opens a directory, and creates it, for its owner alone, if it is missing.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotADirectory`], or [`ArchiveError::Write`] if it cannot be created.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, ArchiveError> {
        let path = path.into();
        if fs::metadata(&path).is_ok_and(|found| !found.is_dir()) {
            return Err(ArchiveError::NotADirectory { path });
        }
        access::create_directory(&path).map_err(ArchiveError::write(&path))?;
        Ok(Self { path })
    }

    /// Returns the paths of the files, in order.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Read`] if the directory cannot be read.
    pub fn files(&self) -> Result<Vec<PathBuf>, ArchiveError> {
        let failed = || ArchiveError::read(&self.path);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed())? {
            let path = entry.map_err(failed())?.path();
            let is_hidden = path.file_name().is_none_or(|name| {
                let name = name.to_string_lossy();
                name.starts_with('.')
            });
            if !is_hidden && path.extension().is_some_and(|end| end == EXTENSION) {
                files.push(path);
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Reads the namespace of a file.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Metadefs`] if it holds none.
    pub fn read(path: &Path) -> Result<Namespace, ArchiveError> {
        let bytes = fs::read(path).map_err(ArchiveError::read(path))?;
        serde_json::from_slice(&bytes).map_err(|source| {
            let path = path.to_owned();
            ArchiveError::Metadefs { path, source }
        })
    }

    /// Reads a namespace by its name; `None` if it has no file.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Metadefs`] if its file holds none.
    pub fn find(&self, name: &str) -> Result<Option<Namespace>, ArchiveError> {
        match Self::read(&self.file(name)) {
            Err(ArchiveError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            found => found.map(Some),
        }
    }

    /// Writes a namespace, in the place of what its file holds.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Write`] if it cannot be written; its file is as it was then.
    pub fn write(&self, namespace: &Namespace) -> Result<(), ArchiveError> {
        let path = self.file(namespace.name());
        let text = format!("{:#}\n", serde_json::Value::from(namespace.clone()));
        let write = || {
            let mut file = tempfile::NamedTempFile::with_prefix_in(".", &self.path)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(ArchiveError::write(&path))
    }

    /// Returns the path of a namespace: what no name of a file can hold is written as `%2F`.
    fn file(&self, name: &str) -> PathBuf {
        let mut file = String::new();
        for (at, byte) in name.bytes().enumerate() {
            let is_kept = byte.is_ascii_alphanumeric() || b":_-".contains(&byte);
            match byte {
                b'.' if at > 0 => file.push('.'),
                _ if is_kept => file.push(char::from(byte)),
                _ => file.push_str(&format!("%{byte:02X}")),
            }
        }
        self.path.join(format!("{file}.{EXTENSION}"))
    }
}

/// The path of the directory.
impl fmt::Display for MetadefDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_namespace_is_read_as_it_was_written_whatever_its_name_is() {
        let dir = tempfile::tempdir().unwrap();
        let directory = MetadefDirectory::create(dir.path().join("new")).unwrap();
        for name in ["OS::Compute::CPU", "../a/b", ".hidden", "\u{e9} %2F"] {
            let document = json!({ "namespace": name, "tags": [{ "name": "gold" }] });
            let namespace = Namespace::try_from(document).unwrap();
            assert_eq!(directory.find(name).unwrap(), None);
            directory.write(&namespace).unwrap();
            assert_eq!(directory.find(name).unwrap(), Some(namespace));
        }
        let files = directory.files().unwrap();
        assert_eq!(files.len(), 4);
        assert!(
            files
                .iter()
                .all(|file| file.parent() == Some(&dir.path().join("new")))
        );
        assert!(directory.path.join("OS::Compute::CPU.json").exists());
    }

    #[test]
    fn what_is_no_namespace_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.json");
        fs::write(&file, "[]").unwrap();
        let error = MetadefDirectory::read(&file).unwrap_err();
        assert!(error.to_string().contains("a.json"), "{error}");
        assert!(MetadefDirectory::open(&file).is_err());
        assert!(MetadefDirectory::open(dir.path().join("none")).is_err());
    }
}
