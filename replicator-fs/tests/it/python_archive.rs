//! Archives that the Python tool (glance 15.0.2, Python 2.7) has dumped, and
//! archives that something has gone wrong with.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use glance_model::{ImageId, ImageMetadata, ImageStatus, Selection, Visibility};
use replicator_core::{ImageSource as _, ImageTarget as _, PortError};
use replicator_fs::{ArchiveError, ImageArchive};

const ID: &str = "6d55dd55-053a-4765-b7bc-b30df0ea3861";

fn fixtures() -> PathBuf {
    PathBuf::from("tests/fixtures/python-15.0.2")
}

fn id(text: &str) -> ImageId {
    ImageId::parse(text).unwrap()
}

fn record(id: &str, size: u64) -> String {
    format!(r#"{{"status": "active", "size": {size}, "id": "{id}"}}"#)
}

async fn list(archive: &ImageArchive) -> Vec<Result<ImageMetadata, PortError>> {
    archive.images(&Selection::default()).collect().await
}

/// The chain of causes of the damage of the only image in an archive.
async fn damage(archive: &ImageArchive) -> String {
    let listed = list(archive).await;
    let [Err(PortError::Damaged { source, .. })] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    let path = archive.path().to_str().unwrap();
    let mut text = source.to_string().replace(path, "ARCHIVE");
    if let Some(cause) = source.source() {
        text = format!("{text}: {cause}");
    }
    text
}

async fn data(archive: &ImageArchive, id: &ImageId) -> Option<Bytes> {
    let data = archive.image_data(id, 0).await.unwrap()?;
    let chunks: Vec<Bytes> = data.chunks.try_collect().await.unwrap();
    Some(chunks.concat().into())
}

#[tokio::test]
async fn an_archive_of_the_python_tool_is_read() {
    let archive = ImageArchive::open(fixtures()).unwrap();
    let images: Vec<ImageMetadata> = archive
        .images(&Selection::default())
        .try_collect()
        .await
        .unwrap();
    let seen: Vec<_> = images
        .iter()
        .map(|image| (image.id.as_str(), image.status.as_str(), image.size))
        .collect();
    assert_eq!(
        seen,
        [
            ("0B1C6A2E-7A75-4A0C-9D1B-5C6F1F0A0003", "active", Some(8)),
            ("0b1c6a2e-7a75-4a0c-9d1b-5c6f1f0a0001", "active", Some(35)),
            ("0b1c6a2e-7a75-4a0c-9d1b-5c6f1f0a0002", "active", Some(0)),
            ("0b1c6a2e-7a75-4a0c-9d1b-5c6f1f0a0004", "queued", None),
            ("5dcddce0-cba5-4f18-9cf4-9853c7b207a6", "active", Some(4)),
            ("f1d63669-3dac-519a-b7f6-ee6ab5ff13e2", "active", Some(18)),
            ("f4da1d2a-40e8-4710-b3aa-0222a4cc887b", "deleted", Some(200)),
        ]
    );
    assert_eq!(archive.unfinished().await.unwrap(), []);

    let full = &images[1];
    assert_eq!(full.name.as_deref(), Some("größer, 日本 \"quoted\""));
    assert_eq!(full.visibility, Some(Visibility::Public));
    assert_eq!((full.protected, full.min_disk), (Some(true), Some(3)));
    assert_eq!(full.properties.get("note").unwrap(), "é\ttab");
    let bytes = data(&archive, &full.id).await.unwrap();
    assert_eq!(bytes, b"\0\x01\xff\r\n".repeat(7));

    let least = &images[4];
    assert_eq!(least.other.get("extra"), Some(&"thisissomeextra".into()));
    let nulls = &images[5];
    assert_eq!(
        (
            &nulls.owner,
            nulls.properties.len(),
            nulls.null_properties.len()
        ),
        (&None, 1, 1)
    );
    assert_eq!(data(&archive, &images[2].id).await, Some(Bytes::new()));
    assert_eq!(data(&archive, &images[3].id).await, None);
}

/// `test_replication_load` of the Python tool has such a file.
#[tokio::test]
async fn files_that_are_not_named_like_an_image_are_ignored() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["kjdfhf", "6d55dd55053a4765b7bcb30df0ea3861", ".hidden"] {
        fs::write(directory.path().join(name), "[1, 2, 3, 4, 5]").unwrap();
    }
    fs::create_dir(directory.path().join("lost+found")).unwrap();
    let archive = ImageArchive::open(directory.path()).unwrap();
    assert!(list(&archive).await.is_empty());
    assert_eq!(archive.unfinished().await.unwrap(), []);
}

#[tokio::test]
async fn a_damaged_image_does_not_keep_the_others_from_being_listed() {
    let directory = tempfile::tempdir().unwrap();
    let archive = ImageArchive::create(directory.path()).unwrap();
    for n in 0..250 {
        let id = format!("{n:08x}-053a-4765-b7bc-b30df0ea3861");
        let record = match n % 5 {
            0 | 1 => r#"{"status": "act"#.to_owned(),
            _ => format!(r#"{{"status": "queued", "id": "{id}"}}"#),
        };
        fs::write(directory.path().join(id), record).unwrap();
    }
    let listed = list(&archive).await;
    assert_eq!(listed.len(), 250);
    assert_eq!(listed.iter().filter(|image| image.is_err()).count(), 100);
    let ids = listed.iter().map(|image| match image {
        Ok(image) => &image.id,
        Err(PortError::Damaged { id, .. }) => id,
        Err(other) => panic!("{other}"),
    });
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn damage_is_named_with_the_file_it_is_in() {
    let other = "00000000-053a-4765-b7bc-b30df0ea3861";
    let cases: [(&str, String, &str); 7] = [
        (
            "truncated",
            record(ID, 4)[..15].to_owned(),
            ": EOF while parsing a string at line 1 column 15",
        ),
        ("empty", String::new(), ": EOF while parsing a value"),
        (
            "list",
            "[1, 2, 3, 4, 5]".to_owned(),
            ": invalid type: sequence",
        ),
        (
            "no id",
            r#"{"status": "active"}"#.to_owned(),
            ": image record without a valid id",
        ),
        (
            "a path",
            record("../../etc/passwd", 4),
            ": image record without a valid id",
        ),
        (
            "other id",
            record(other, 4),
            " holds the metadata of another image, 00000000",
        ),
        (
            "huge",
            " ".repeat(17 << 20),
            " has 17825792 bytes, too many for image metadata",
        ),
    ];
    for (name, contents, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let archive = ImageArchive::create(directory.path()).unwrap();
        fs::write(directory.path().join(ID), contents).unwrap();
        let damage = damage(&archive).await;
        assert!(
            damage.starts_with(&format!("ARCHIVE/{ID}")),
            "{name}: {damage}"
        );
        assert!(damage.contains(expected), "{name}: {damage}");
        let error = archive.find_image(&id(ID)).await.unwrap_err();
        assert!(
            matches!(error, PortError::Damaged { .. }),
            "{name}: {error}"
        );
    }
}

#[tokio::test]
async fn data_of_another_length_is_damage_and_can_be_written_again() {
    for len in [3, 5] {
        let directory = tempfile::tempdir().unwrap();
        let archive = ImageArchive::create(directory.path()).unwrap();
        fs::write(directory.path().join(ID), record(ID, 4)).unwrap();
        fs::write(directory.path().join(format!("{ID}.img")), vec![1; len]).unwrap();
        assert_eq!(
            damage(&archive).await,
            format!("ARCHIVE/{ID}.img has {len} bytes, its image has 4")
        );
        let found = archive.find_image(&id(ID)).await.unwrap().unwrap();
        assert_eq!(
            found.status,
            ImageStatus::Queued,
            "it has yet to get its data"
        );
        let mut image = found.clone();
        image.status = ImageStatus::Active;
        let whole = replicator_core::ImageData::from_bytes(&b"data"[..]);
        let written = archive.write_image(&image, Some(&found), whole).await;
        assert_eq!(written.unwrap(), image);
        assert_eq!(data(&archive, &id(ID)).await, Some(Bytes::from("data")));
    }
}

#[tokio::test]
async fn an_active_image_without_data_is_damaged_unless_only_metadata_was_dumped() {
    let directory = tempfile::tempdir().unwrap();
    let archive = ImageArchive::create(directory.path()).unwrap();
    let metadata = directory.path().join(ID);
    fs::write(&metadata, record(ID, 4)).unwrap();
    let listed: Vec<_> = archive.images(&Selection::default()).collect().await;
    assert!(matches!(&listed[..], [Err(PortError::Damaged { .. })]));

    // The Python tool does not write down that it left the data out.
    let without_data = archive.clone().metadata_only();
    let images: Vec<ImageMetadata> = without_data
        .images(&Selection::default())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(images[0].status, ImageStatus::Queued);

    for reason in ["not asked for", "lost at the source"] {
        let mut json: serde_json::Value = serde_json::from_str(&record(ID, 4)).unwrap();
        json["location"] = serde_json::json!({ "no_data": reason });
        fs::write(&metadata, json.to_string()).unwrap();
        let images: Vec<ImageMetadata> = archive
            .images(&Selection::default())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(images[0].status, ImageStatus::Queued);
        assert_eq!(
            images[0].no_data.map(|no_data| no_data.as_str()),
            Some(reason)
        );
        assert_eq!(data(&archive, &id(ID)).await, None);
    }
}

#[tokio::test]
async fn data_without_metadata_is_unfinished() {
    let directory = tempfile::tempdir().unwrap();
    let archive = ImageArchive::create(directory.path()).unwrap();
    let partial = "00000000-053a-4765-b7bc-b30df0ea3861";
    fs::write(directory.path().join(format!("{ID}.img")), "data").unwrap();
    fs::write(
        directory.path().join(format!(".{partial}.img.partial")),
        "da",
    )
    .unwrap();
    assert!(list(&archive).await.is_empty());
    assert_eq!(archive.unfinished().await.unwrap(), [id(partial), id(ID)]);
    let error = archive.image_data(&id(ID), 0).await.unwrap_err();
    assert!(matches!(error, PortError::NotFound { .. }), "{error}");

    let mut image = ImageMetadata::new(id(ID), ImageStatus::Active);
    image.size = Some(4);
    let whole = replicator_core::ImageData::from_bytes(&b"DATA"[..]);
    archive.write_image(&image, None, whole).await.unwrap();
    assert_eq!(archive.unfinished().await.unwrap(), [id(partial)]);
}

#[cfg(unix)]
#[tokio::test]
async fn links_and_directories_are_never_read() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = directory.path().join("elsewhere");
    fs::write(&elsewhere, record(ID, 4)).unwrap();

    let archive = ImageArchive::create(directory.path().join("archive")).unwrap();
    let metadata = archive.path().join(ID);
    std::os::unix::fs::symlink(&elsewhere, &metadata).unwrap();
    let not_a_file = format!("ARCHIVE/{ID} is not a regular file");
    assert_eq!(damage(&archive).await, not_a_file);
    fs::remove_file(&metadata).unwrap();
    fs::create_dir(&metadata).unwrap();
    assert_eq!(damage(&archive).await, not_a_file);
    fs::remove_dir(&metadata).unwrap();

    fs::write(&metadata, record(ID, 4)).unwrap();
    let data = archive.path().join(format!("{ID}.img"));
    std::os::unix::fs::symlink("/etc/hostname", &data).unwrap();
    assert_eq!(
        damage(&archive).await,
        format!("ARCHIVE/{ID}.img is not a regular file")
    );
    assert!(archive.image_data(&id(ID), 0).await.is_err());
}

/// Reading a named pipe would wait for ever.
#[cfg(unix)]
#[tokio::test]
async fn named_pipes_are_never_opened() {
    let directory = tempfile::tempdir().unwrap();
    let archive = ImageArchive::create(directory.path()).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(archive.path().join(ID))
        .status();
    assert!(made.unwrap().success());
    assert_eq!(
        damage(&archive).await,
        format!("ARCHIVE/{ID} is not a regular file")
    );
}

#[test]
fn a_path_that_is_no_archive_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let missing = directory.path().join("missing");
    let text = |error: ArchiveError| error.to_string();

    assert_eq!(
        text(ImageArchive::open(&missing).unwrap_err()),
        format!("the archive {} does not exist", missing.display())
    );
    assert_eq!(
        text(ImageArchive::open(&file).unwrap_err()),
        format!("the archive {} is not a directory", file.display())
    );
    assert_eq!(
        text(ImageArchive::create(&file).unwrap_err()),
        format!("the archive {} is not a directory", file.display())
    );
    let below_a_file = file.join("archive");
    assert_eq!(
        text(ImageArchive::create(&below_a_file).unwrap_err()),
        format!("cannot write {}", below_a_file.display())
    );
    ImageArchive::create(missing.join("deeper")).unwrap();
    assert_eq!(fs::read_dir(missing.join("deeper")).unwrap().count(), 0);
}
