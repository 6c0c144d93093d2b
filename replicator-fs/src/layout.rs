//! The names of the files of an archive.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use glance_model::ImageId;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const DATA_SUFFIX: &str = ".img";
const PARTIAL_SUFFIX: &str = ".img.partial";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// The kind of a file of an archive, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// `<id>`: the metadata of an image.
    Metadata(ImageId),
    /// `<id>.img`: its data.
    Data(ImageId),
    /// `.<id>.img.partial`: data that has yet to become whole.
    Partial(ImageId),
    /// `.<id>.img.partial.<writer>` or `.<id>.tmp.<writer>`: the same, and new
    /// metadata, where files cannot be locked and each writer has its own.
    Unlocked(ImageId),
    /// No business of ours.
    Other,
}

impl Entry {
    pub(crate) fn of(name: &OsStr) -> Self {
        let Some(name) = name.to_str() else {
            return Self::Other;
        };
        let id = |text: Option<&str>| text.and_then(|text| ImageId::parse(text).ok());
        if let Some(id) = id(Some(name)) {
            Self::Metadata(id)
        } else if let Some(id) = id(name.strip_suffix(DATA_SUFFIX)) {
            Self::Data(id)
        } else if let Some(id) = id(name
            .strip_prefix('.')
            .and_then(|name| name.strip_suffix(PARTIAL_SUFFIX)))
        {
            Self::Partial(id)
        } else if let Some(id) = id(unlocked(name)) {
            Self::Unlocked(id)
        } else {
            Self::Other
        }
    }
}

/// The id in the name of a file that only one writer writes.
fn unlocked(name: &str) -> Option<&str> {
    let (name, _) = name.strip_prefix('.')?.rsplit_once('.')?;
    [PARTIAL_SUFFIX, TEMPORARY_SUFFIX]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
}

/// The file that one writer alone writes in the place of another one.
pub(crate) fn of_writer(path: &Path, writer: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(writer);
    path.into()
}

/// Returns whether a file is metadata that was about to take its name.
pub(crate) fn is_new_metadata(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_prefix('.'));
    let id = name.and_then(|name| name.strip_suffix(TEMPORARY_SUFFIX));
    id.is_some_and(|id| ImageId::parse(id).is_ok())
}

/// The form of the time in the name of a snapshot: in UTC, and without what some file systems do
/// not take in a name.
const SNAPSHOT: &str = "%Y-%m-%dT%H%M%SZ";
const PARTIAL_SNAPSHOT_SUFFIX: &str = ".partial";
const REMOVED_SNAPSHOT_SUFFIX: &str = ".removed";

/// The name of a snapshot, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotName {
    /// `<time>`: it is whole.
    Whole(Timestamp),
    /// `.<time>.partial`: it has yet to become whole.
    Partial(Timestamp),
    /// `.<time>.removed`: it is being removed.
    Removed(Timestamp),
}

impl SnapshotName {
    pub(crate) fn of(name: &OsStr) -> Option<Self> {
        let name = name.to_str()?;
        let Some(hidden) = name.strip_prefix('.') else {
            return time_in(name).map(Self::Whole);
        };
        let suffixed = |suffix| hidden.strip_suffix(suffix).and_then(time_in);
        suffixed(PARTIAL_SNAPSHOT_SUFFIX)
            .map(Self::Partial)
            .or_else(|| suffixed(REMOVED_SNAPSHOT_SUFFIX).map(Self::Removed))
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(time) => write!(f, "{}", time.strftime(SNAPSHOT)),
            Self::Partial(time) => {
                write!(f, ".{}{PARTIAL_SNAPSHOT_SUFFIX}", time.strftime(SNAPSHOT))
            }
            Self::Removed(time) => {
                write!(f, ".{}{REMOVED_SNAPSHOT_SUFFIX}", time.strftime(SNAPSHOT))
            }
        }
    }
}

/// The time in a name that is written as we write it.
fn time_in(name: &str) -> Option<Timestamp> {
    let time = DateTime::strptime(SNAPSHOT, name).ok()?;
    let time = TimeZone::UTC.to_timestamp(time).ok()?;
    (time.strftime(SNAPSHOT).to_string() == name).then_some(time)
}

/// The places of the files of an archive.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    directory: PathBuf,
}

impl Layout {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn metadata(&self, id: &ImageId) -> PathBuf {
        self.directory.join(id.as_str())
    }

    pub(crate) fn data(&self, id: &ImageId) -> PathBuf {
        self.directory.join(format!("{id}{DATA_SUFFIX}"))
    }

    /// The directory of the images that are retired. Its files have the same names.
    pub(crate) fn retired(&self) -> PathBuf {
        self.directory.join(".retired")
    }

    /// The metadata that is about to take its place.
    pub(crate) fn new_metadata(&self, id: &ImageId) -> PathBuf {
        self.directory.join(format!(".{id}{TEMPORARY_SUFFIX}"))
    }

    pub(crate) fn partial(&self, id: &ImageId) -> PathBuf {
        self.directory.join(format!(".{id}{PARTIAL_SUFFIX}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_known_by_its_name() {
        let id = ImageId::parse("6D55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        let layout = Layout::new("archive".into());
        for (path, entry) in [
            (layout.metadata(&id), Entry::Metadata(id)),
            (layout.data(&id), Entry::Data(id)),
            (layout.partial(&id), Entry::Partial(id)),
            (of_writer(&layout.partial(&id), "7-ab"), Entry::Unlocked(id)),
            (
                of_writer(&layout.new_metadata(&id), "7-ab"),
                Entry::Unlocked(id),
            ),
        ] {
            assert_eq!(Entry::of(path.file_name().unwrap()), entry, "{path:?}");
        }
    }

    #[test]
    fn a_snapshot_is_known_by_its_name() {
        let time = "2026-11-27T12:00:00Z".parse().unwrap();
        for (name, text) in [
            (SnapshotName::Whole(time), "2026-11-27T120000Z"),
            (SnapshotName::Partial(time), ".2026-11-27T120000Z.partial"),
            (SnapshotName::Removed(time), ".2026-11-27T120000Z.removed"),
        ] {
            assert_eq!(name.to_string(), text);
            assert_eq!(SnapshotName::of(OsStr::new(text)), Some(name));
        }
        for other in [
            "2026-11-27",
            "2026-11-27T120000",
            "2026-11-27T12:00:00Z",
            "2026-11-31T120000Z",
            " 2026-11-27T120000Z",
            ".2026-11-27T120000Z",
            "2026-11-27T120000Z.partial",
        ] {
            assert_eq!(SnapshotName::of(OsStr::new(other)), None, "{other}");
        }
    }

    #[test]
    fn other_names_are_no_images() {
        for name in [
            "kjdfhf",
            "6d55dd55053a4765b7bcb30df0ea3861",
            "6d55dd55-053a-4765-b7bc-b30df0ea3861.qcow2",
            ".6d55dd55-053a-4765-b7bc-b30df0ea3861.tmp",
            ".img",
            ".img.partial",
            "lost+found",
        ] {
            assert_eq!(Entry::of(OsStr::new(name)), Entry::Other, "{name}");
        }
    }
}
