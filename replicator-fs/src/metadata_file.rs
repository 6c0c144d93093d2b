//! Reads and writes the metadata of one image: JSON, as the Python tool has it.
//!
//! The file is the record that v1 lists, which is all that the Python tool
//! understands. What v1 cannot say stands in an object under the key `location`,
//! which that tool removes before it sends anything, and which no listing has.

mod extension;
mod python_json;
#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::path::Path;

use glance_model::{ImageId, ImageMetadata, NoData, ProjectName, TargetForm, v1, valid_unicode};
use serde_json::{Map, Value, json};

use crate::ArchiveError;
use crate::folder::{Folder, For};

/// A server lists at most 128 properties, tags and so on: some 100 KiB.
const MAX_BYTES: u64 = 16 << 20;

const EXTENSION: &str = "location";
const IN_V2: &str = "image_api_v2";
const NO_DATA: &str = "no_data";
const PROJECTS: &str = "projects";

/// Reads a metadata file, or returns `None` if there is none.
pub(crate) fn read(
    folder: &Folder,
    path: &Path,
    id: &ImageId,
) -> Result<Option<ImageMetadata>, ArchiveError> {
    let Some(file) = folder.file(path, For::Reading)? else {
        return Ok(None);
    };
    let failed = || ArchiveError::read(path);
    let len_bytes = file.metadata().map_err(failed())?.len();
    if len_bytes > MAX_BYTES {
        return Err(ArchiveError::TooLarge {
            path: path.to_owned(),
            len_bytes,
        });
    }
    let mut json = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut json)
        .map_err(failed())?;
    let metadata = metadata_from_json(&json).map_err(|source| ArchiveError::Metadata {
        path: path.to_owned(),
        source,
    })?;
    if metadata.id != *id {
        return Err(ArchiveError::OtherImage {
            path: path.to_owned(),
            found: metadata.id,
        });
    }
    Ok(Some(metadata))
}

/// Returns whether a file may be metadata, by its beginning. One that was cut short may be, and
/// one that cannot be read.
pub(crate) fn may_be_one(folder: &Folder, path: &Path) -> bool {
    let file = match folder.file(path, For::Reading) {
        Ok(Some(file)) => file,
        Err(ArchiveError::NotAFile { .. }) => return false,
        Ok(None) | Err(_) => return true,
    };
    let mut begin = Vec::new();
    let read = file.take(64).read_to_end(&mut begin);
    let begin = begin.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&begin);
    let begin = begin.trim_ascii_start();
    read.is_err() || begin.is_empty() || begin.starts_with(b"{")
}

/// Reads the JSON of a metadata file: what the file `<id>` of an archive holds.
///
/// It may be of this crate or of the Python tool, or edited by hand. That it is
/// the image which the name of the file says is up to the caller.
///
/// # Errors
///
/// If it is no JSON object, or one that describes no image.
pub fn metadata_from_json(json: &[u8]) -> Result<ImageMetadata, serde_json::Error> {
    // Editors of Windows put it before UTF-8.
    let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
    let mut record: Value = serde_json::from_slice(json)
        // The Python tool writes what a Glance on Python 2 keeps: half characters, too.
        .or_else(|_| serde_json::from_str(&valid_unicode(json)))?;
    let mut beside_v1 = record.get_mut(EXTENSION);
    let mut take = |key| beside_v1.as_mut()?.get_mut(key).map(Value::take);
    let (extension, no_data, projects) = (take(IN_V2), take(NO_DATA), take(PROJECTS));
    let mut metadata = serde_json::from_value::<v1::Record>(record)?.0;
    metadata.no_data = no_data.and_then(|reason| NoData::parse(reason.as_str()?));
    if let Some(Value::Object(projects)) = projects {
        let named = projects.into_iter().filter_map(|(id, name)| {
            // A name that cannot be read is as good as none.
            let name: Option<ProjectName> = serde_json::from_value(name).ok();
            Some((id, name?))
        });
        metadata.projects = named.collect();
    }
    if let Some(Value::Object(extension)) = extension {
        extension::add_to(&mut metadata, extension);
    }
    Ok(metadata)
}

/// Writes metadata as the JSON of a metadata file, as Python's `json.dumps`
/// would: one line of ASCII. [`metadata_from_json`] reads the same metadata.
#[must_use]
pub fn metadata_to_json(metadata: &ImageMetadata) -> Vec<u8> {
    let plain = TargetForm::V1.of(metadata.clone());
    let mut record = v1::record(&plain);
    let mut beside_v1 = Map::new();
    let extension = extension::of(metadata, &plain);
    if !extension.is_empty() {
        beside_v1.insert(IN_V2.into(), extension.into());
    }
    if let Some(reason) = metadata.no_data {
        beside_v1.insert(NO_DATA.into(), reason.as_str().into());
    }
    if !metadata.projects.is_empty() {
        let named = metadata.projects.iter().map(|(id, project)| {
            let mut name = Map::from_iter([("name".to_owned(), json!(project.name))]);
            name.extend(
                project
                    .domain
                    .iter()
                    .map(|d| ("domain".to_owned(), json!(d))),
            );
            (id.clone(), Value::Object(name))
        });
        beside_v1.insert(PROJECTS.into(), Value::Object(named.collect()));
    }
    if !beside_v1.is_empty()
        && let Some(record) = record.as_object_mut()
    {
        record.insert(EXTENSION.into(), beside_v1.into());
    }
    python_json::to_vec(&record)
}
