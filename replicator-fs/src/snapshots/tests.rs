//! Snapshots of small archives.

use std::os::unix::fs::{MetadataExt as _, symlink};

use bytes::Bytes;
use glance_model::ImageMetadata;
use replicator_core::testing::active_image;
use replicator_core::{ImageData, ImageTarget as _};

use super::*;

fn image(number: u8, data: &'static [u8]) -> (ImageMetadata, &'static [u8]) {
    let mut image = active_image(data);
    let id = format!("00000000-0000-4000-8000-0000000000{number:02}");
    image.id = ImageId::parse(&id).unwrap();
    (image, data)
}

async fn fill(path: &Path, images: &[(ImageMetadata, &'static [u8])]) {
    let archive = ImageArchive::create(path).unwrap();
    for (image, data) in images {
        let found = archive.find_image(&image.id).await.unwrap();
        let data = ImageData::from_bytes(Bytes::from_static(data));
        let written = archive.write_image(image, found.as_ref(), data).await;
        written.unwrap();
    }
}

fn ids(images: &[(ImageMetadata, &'static [u8])]) -> BTreeSet<ImageId> {
    images.iter().map(|(image, _)| image.id).collect()
}

fn at(text: &str) -> Timestamp {
    format!("2026-11-{text}Z").parse().unwrap()
}

/// Makes a snapshot of these images.
async fn make(
    snapshots: &Snapshots,
    now: &str,
    images: &[(ImageMetadata, &'static [u8])],
) -> Snapshot {
    let new = snapshots.begin(at(now)).unwrap();
    let lacking: Vec<_> = images
        .iter()
        .filter(|(image, _)| !new.path().join(image.id.as_str()).exists())
        .cloned()
        .collect();
    fill(new.path(), &lacking).await;
    snapshots.finish(new, &ids(images)).unwrap()
}

fn inode(snapshot: &Snapshot, file: &str) -> u64 {
    fs::metadata(snapshot.path.join(file)).unwrap().ino()
}

fn usage(snapshot: &Snapshot) -> (u64, u64, u64) {
    let usage = snapshot.usage().unwrap();
    (usage.images, usage.bytes, usage.own_bytes)
}

#[tokio::test]
async fn snapshots_share_what_has_not_changed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::create(directory.path().join("new")).unwrap();
    let (one, two, three) = (image(1, b"one"), image(2, b"twoo"), image(3, b"three"));
    let old = make(&snapshots, "27T12:00:00", &[one.clone(), two.clone()]).await;
    // Notes of its user are no part of it.
    fs::write(old.path.join("NOTES"), "mine").unwrap();
    let new = make(&snapshots, "28T12:00:00", &[one.clone(), three.clone()]).await;

    assert_eq!(old.path.file_name().unwrap(), "2026-11-27T120000Z");
    for file in [one.0.id.to_string(), format!("{}.img", one.0.id)] {
        assert_eq!(inode(&old, &file), inode(&new, &file), "{file}");
    }
    let names = fs::read_dir(&new.path).unwrap();
    assert_eq!(names.count(), 4, "two images, and no note");
    assert_eq!(usage(&old), (2, 7, 4));
    assert_eq!(usage(&new), (2, 8, 5));
    assert_eq!(snapshots.all().unwrap(), [old.clone(), new.clone()]);

    snapshots.remove(&old).unwrap();
    assert_eq!(snapshots.all().unwrap(), std::slice::from_ref(&new));
    assert_eq!(usage(&new), (2, 8, 8), "what it shared is its own now");
    let archive = ImageArchive::open(&new.path).unwrap();
    assert!(
        archive
            .find_image(&one.0.id)
            .await
            .unwrap()
            .unwrap()
            .is_active()
    );
}

#[tokio::test]
async fn what_is_written_in_one_snapshot_is_in_that_one_alone() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::create(directory.path()).unwrap();
    let one = image(1, b"one");
    let old = make(&snapshots, "27T12:00:00", std::slice::from_ref(&one)).await;
    let new = snapshots.begin(at("28T12:00:00")).unwrap();
    let mut changed = image(1, b"neww");
    changed.0.name = Some("new".to_owned());
    fill(new.path(), std::slice::from_ref(&changed)).await;
    let new = snapshots.finish(new, &ids(&[changed])).unwrap();
    let read = |snapshot: &Snapshot| {
        let data = fs::read(snapshot.path.join(format!("{}.img", one.0.id))).unwrap();
        let metadata = fs::read_to_string(snapshot.path.join(one.0.id.as_str())).unwrap();
        (data, metadata.contains("\"name\": \"new\""))
    };
    assert_eq!(read(&old), (b"one".to_vec(), false));
    assert_eq!(read(&new), (b"neww".to_vec(), true));
}

#[tokio::test]
async fn a_snapshot_that_is_not_whole_is_gone_on_with_and_never_taken_for_whole() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::create(directory.path()).unwrap();
    let (one, two) = (image(1, b"one"), image(2, b"twoo"));
    let old = make(&snapshots, "27T12:00:00", std::slice::from_ref(&one)).await;
    let broken_off = snapshots.begin(at("28T12:00:00")).unwrap();
    fill(broken_off.path(), std::slice::from_ref(&two)).await;
    assert!(Snapshot::is_partial(broken_off.path()));
    assert!(!Snapshot::is_partial(&old.path));
    let all = snapshots.all().unwrap();
    let whole: Vec<_> = all.iter().map(|snapshot| snapshot.is_whole).collect();
    assert_eq!(whole, [true, false]);

    let new = snapshots.begin(at("29T12:00:00")).unwrap();
    assert!(!broken_off.path().exists(), "it goes by the new time");
    let new = snapshots.finish(new, &ids(&[one, two])).unwrap();
    assert_eq!(usage(&new), (2, 7, 4));
    assert_eq!(snapshots.all().unwrap(), [old, new]);
}

#[tokio::test]
async fn times_of_snapshots_are_in_the_order_in_which_they_were_made() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::create(directory.path()).unwrap();
    let one = [image(1, b"one")];
    for seconds in ["00", "00", "01"] {
        make(&snapshots, &format!("27T12:00:{seconds}"), &one).await;
    }
    let all = snapshots.all().unwrap();
    let times: Vec<_> = all.iter().map(|snapshot| snapshot.time).collect();
    let expected = ["27T12:00:00", "27T12:00:01", "27T12:00:02"].map(at);
    assert_eq!(times, expected);
    let error = snapshots.begin(at("26T12:00:00")).unwrap_err();
    assert!(matches!(error, ArchiveError::Ahead { .. }), "{error}");
}

#[tokio::test]
async fn archives_and_directories_of_snapshots_are_not_taken_for_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let one = [image(1, b"one")];
    fill(directory.path(), &one).await;
    let error = Snapshots::create(directory.path()).unwrap_err();
    assert!(matches!(error, ArchiveError::NoSnapshots { .. }), "{error}");

    let directory = tempfile::tempdir().unwrap();
    let contents = || ImageArchive::open(directory.path()).unwrap().contents();
    let snapshots = Snapshots::create(directory.path()).unwrap();
    fs::write(directory.path().join("NOTES"), "mine").unwrap();
    symlink("/", directory.path().join("2026-11-20T120000Z")).unwrap();
    assert_eq!(contents().unwrap(), Contents::Others);
    assert_eq!(snapshots.all().unwrap(), []);
    snapshots.begin(at("27T12:00:00")).unwrap();
    assert_eq!(contents().unwrap(), Contents::Snapshots);
    let busy = Snapshots::create(directory.path()).unwrap_err();
    assert!(matches!(busy, ArchiveError::Busy { .. }), "{busy}");
}

#[tokio::test]
async fn damage_and_what_is_no_image_are_not_shared() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::create(directory.path()).unwrap();
    let (one, two) = (image(1, b"one"), image(2, b"twoo"));
    let old = make(&snapshots, "27T12:00:00", &[one.clone(), two.clone()]).await;
    let data = old.path.join(format!("{}.img", one.0.id));
    fs::remove_file(&data).unwrap();
    symlink("/etc/passwd", &data).unwrap();
    fs::create_dir(directory.path().join(".2026-11-01T120000Z.removed")).unwrap();
    let new = snapshots.begin(at("28T12:00:00")).unwrap();
    assert_eq!(new.unshared, 0);
    let names = fs::read_dir(new.path()).unwrap();
    assert_eq!(names.count(), 2, "the other image");
    assert!(
        !directory
            .path()
            .join(".2026-11-01T120000Z.removed")
            .exists()
    );
}
