//! The people who may read the files of an archive.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use glance_model::{ImageMetadata, MetadataDiff};
use replicator_core::testing::active_image;
use replicator_core::{IdMap as _, ImageData, ImageTarget as _};
use replicator_fs::{IdMapFile, ImageArchive};

const DATA: &[u8] = b"private";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

struct Fixture {
    directory: tempfile::TempDir,
    image: ImageMetadata,
}

impl Fixture {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            image: active_image(&Bytes::from_static(DATA)),
        }
    }

    fn archive(&self) -> ImageArchive {
        ImageArchive::create(self.directory.path().join("new/archive")).unwrap()
    }

    fn files(&self) -> (PathBuf, PathBuf) {
        let metadata = self.archive().path().join(self.image.id.as_str());
        (metadata.clone(), metadata.with_extension("img"))
    }

    async fn write(&self, data: &'static [u8]) {
        let data = stream::once(async move { Ok(Bytes::from_static(data)) });
        let data = ImageData::new(Some(DATA.len() as u64), data.boxed());
        let _ = self.archive().write_image(&self.image, None, data).await;
    }

    async fn rename(&self, name: &str) {
        let mut renamed = self.image.clone();
        renamed.name = Some(name.to_owned());
        let diff = MetadataDiff::between(&renamed, &self.image, &Default::default());
        let updated = self.archive().update_metadata(&self.image, &diff).await;
        assert_eq!(updated.unwrap().name.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn what_is_created_is_for_its_owner_alone() {
    let fixture = Fixture::new();
    fixture.write(&DATA[..3]).await;
    let (metadata, data) = fixture.files();
    let archive = fixture.archive();
    let partial = format!(".{}.img.partial", fixture.image.id);
    assert_eq!(mode(&archive.path().join(partial)), 0o600);
    assert_eq!(mode(archive.path()), 0o700);
    assert_eq!(mode(&fixture.directory.path().join("new")), 0o700);
    fixture.write(DATA).await;
    assert_eq!((mode(&metadata), mode(&data)), (0o600, 0o600));

    let ids = fixture.directory.path().join("ids");
    let map = IdMapFile::open(&ids, "http://b").unwrap();
    map.assign(&fixture.image.id).await.unwrap();
    assert_eq!(mode(&ids), 0o600);
}

#[tokio::test]
async fn what_is_there_keeps_its_permissions_and_its_group_also_where_it_is_replaced() {
    let fixture = Fixture::new();
    fixture.write(DATA).await;
    let (metadata, data) = fixture.files();
    set_mode(fixture.archive().path(), 0o750);
    set_mode(&metadata, 0o640);
    // Only an administrator can give a file to any group.
    let given = chown(&metadata, None, Some(4321)).is_ok();
    fixture.rename("another").await;
    assert_eq!(mode(fixture.archive().path()), 0o750);
    assert_eq!(mode(&metadata), 0o640);
    assert_eq!(fs::metadata(&metadata).unwrap().gid() == 4321, given);

    // Damaged data is written anew, which replaces both files.
    fs::write(&data, "x").unwrap();
    set_mode(&data, 0o644);
    fixture.write(DATA).await;
    assert_eq!(fs::read(&data).unwrap(), DATA);
    assert_eq!((mode(&metadata), mode(&data)), (0o640, 0o644));
}

#[tokio::test]
async fn who_may_read_an_image_is_not_up_to_whoever_left_a_file_of_its_name() {
    let fixture = Fixture::new();
    fixture.write(DATA).await;
    let (metadata, data) = fixture.files();
    if chown(&metadata, Some(4321), None).is_err() {
        // Only an administrator can test it.
        return;
    }
    fs::write(&data, "x").unwrap();
    chown(&data, Some(4321), None).unwrap();
    for path in [&metadata, &data] {
        set_mode(path, 0o666);
    }
    fixture.write(DATA).await;
    assert_eq!(fs::read(&data).unwrap(), DATA);
    for path in [&metadata, &data] {
        assert_eq!(mode(path), 0o600);
        assert_ne!(fs::metadata(path).unwrap().uid(), 4321);
    }
}
