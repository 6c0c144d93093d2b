//! Only what this writer has made is written, renamed and removed: what somebody else puts in
//! its place is told, and stays as it is.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use replicator_core::{FailureKind, ImageData, ImageTarget as _, PortError};
use replicator_fs::{ArchiveError, ImageArchive};

use crate::kit::Fixture;

/// Some steps of what is written at a time.
const LEN: usize = 5 << 20;

fn fixture() -> Fixture {
    Fixture::of((0..LEN).map(|n| (n % 251) as u8).collect())
}

impl Fixture {
    /// Does something to the files while the last fifth of the data has yet to come.
    async fn write_disturbed(&self, disturb: impl FnOnce() + Send + 'static) -> PortError {
        let (first, last) = (
            self.data.slice(..LEN / 5 * 4),
            self.data.slice(LEN / 5 * 4..),
        );
        let path = self.file(".ID.img.partial");
        let rest = stream::once(async move {
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
            while fs::metadata(&path).unwrap().len() < 3 << 20 {
                assert!(std::time::Instant::now() < deadline);
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            disturb();
            Ok(last)
        });
        let data = ImageData::new(Some(LEN as u64), stream::iter([Ok(first)]).chain(rest));
        let written = self.archive.write_image(&self.image, None, data).await;
        written.unwrap_err()
    }
}

fn causes(error: &PortError) -> String {
    let source = std::error::Error::source(error);
    source.map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_file_that_is_replaced_or_cut_while_it_is_written_never_becomes_an_image() {
    type Disturb = fn(&Path);
    let cases: [(Disturb, bool); 4] = [
        (
            |path| {
                fs::remove_file(path).unwrap();
                fs::write(path, "abc").unwrap();
            },
            true,
        ),
        (
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            false,
        ),
        (|path| fs::remove_file(path).unwrap(), true),
        (
            |path| {
                let file = fs::File::options().write(true).open(path).unwrap();
                file.set_len(10).unwrap();
            },
            true,
        ),
    ];
    for (number, (disturb, is_healed)) in cases.into_iter().enumerate() {
        let fixture = fixture();
        let path = fixture.file(".ID.img.partial");
        let error = fixture.write_disturbed({
            let path = path.clone();
            move || disturb(&path)
        });
        let error = error.await;
        assert!(error.is_transient(), "{number}: {error:?}");
        assert!(
            causes(&error).contains("changed by somebody else"),
            "{number}: {error:?}"
        );
        assert!(!fixture.file("ID").exists(), "{number}");
        assert!(!fixture.file("ID.img").exists(), "{number}");
        if !is_healed {
            let error = fixture.write_whole().await.unwrap_err();
            assert_eq!(error.kind(), FailureKind::Refused, "{error:?}");
            fs::remove_dir(&path).unwrap();
        }
        fixture.write_whole().await.unwrap();
        fixture.assert_complete().await;
    }
}

#[tokio::test]
async fn what_was_hashed_is_what_is_continued() {
    let fixture = fixture();
    let path = fixture.file(".ID.img.partial");
    fs::write(&path, &fixture.data[..1000]).unwrap();
    let kept = fixture.archive.partial_data(&fixture.image).await.unwrap();
    assert_eq!(kept.unwrap().len_bytes, Some(1000));
    // Another process ends, and leaves something else.
    fs::write(&path, vec![7; 2000]).unwrap();
    let rest = || ImageData::from_bytes(fixture.data.slice(1000..)).with_offset(1000);
    let written = fixture
        .archive
        .write_image(&fixture.image, None, rest())
        .await;
    let error = written.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(!fixture.file("ID.img").exists());
}

#[tokio::test]
async fn links_in_the_place_of_files_that_are_written_lead_nowhere() {
    for name in [".ID.img.partial", ".ID.tmp"] {
        let fixture = fixture();
        let elsewhere = fixture.directory.path().join("elsewhere");
        symlink(&elsewhere, fixture.file(name)).unwrap();
        let error = fixture.write_whole().await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Refused, "{error:?}");
        assert!(!elsewhere.exists(), "{name}");

        // A second name of a file that somebody needs.
        fs::remove_file(fixture.file(name)).unwrap();
        fs::write(&elsewhere, "needed").unwrap();
        fs::hard_link(&elsewhere, fixture.file(name)).unwrap();
        let error = fixture.write_whole().await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Refused, "{error:?}");
        assert_eq!(fs::read(&elsewhere).unwrap(), b"needed", "{name}");
    }
}

#[test]
fn a_stage_is_a_directory_that_only_its_owner_can_have_filled() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    ImageArchive::stage(at("new")).unwrap();
    ImageArchive::stage(at("new")).unwrap();
    let mode = fs::metadata(at("new")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    fs::create_dir(at("archive")).unwrap();
    symlink(at("archive"), at("link")).unwrap();
    symlink(at("nothing"), at("dangling")).unwrap();
    fs::create_dir(at("open")).unwrap();
    fs::set_permissions(at("open"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(at("file"), "").unwrap();
    for name in ["link", "dangling", "open", "file"] {
        let error = ImageArchive::stage(at(name)).unwrap_err();
        assert!(
            matches!(error, ArchiveError::NotOurs { .. }),
            "{name}: {error}"
        );
    }
    assert!(!at("nothing").exists());
}

#[tokio::test]
async fn data_that_is_whole_and_lacks_its_metadata_is_taken_and_not_written_again() {
    let fixture = fixture();
    fs::write(fixture.file("ID.img"), &fixture.data).unwrap();
    let before = fs::metadata(fixture.file("ID.img")).unwrap();
    assert!(fixture.kept().await.unwrap() == fixture.data);
    let nothing = ImageData::from_bytes(Bytes::new()).with_offset(LEN as u64);
    let written = fixture
        .archive
        .write_image(&fixture.image, None, nothing)
        .await;
    assert_eq!(written.unwrap(), fixture.image);
    fixture.assert_complete().await;
    let after = fs::metadata(fixture.file("ID.img")).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());

    // Data of another length is not that of the image.
    fs::remove_file(fixture.file("ID")).unwrap();
    fs::write(fixture.file("ID.img"), "short").unwrap();
    assert_eq!(fixture.kept().await, None);
    fixture.write_whole().await.unwrap();
    fixture.assert_complete().await;
}

#[tokio::test]
async fn a_partial_file_that_is_longer_than_its_image_is_not_read() {
    let fixture = fixture();
    let file = fs::File::create(fixture.file(".ID.img.partial")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(fixture.kept().await, None);
    drop(file);
    fixture.write_whole().await.unwrap();
    fixture.assert_complete().await;
}

#[tokio::test]
async fn data_that_is_wrong_is_replaced_once_the_new_data_is_whole() {
    let fixture = fixture();
    fixture.write_whole().await.unwrap();
    let wrong = vec![7; LEN];
    fs::write(fixture.file("ID.img"), &wrong).unwrap();
    assert_eq!(fixture.kept().await, None);
    let short = ImageData::from_bytes(fixture.data.slice(..LEN - 1));
    let replaced = Some(&fixture.image);
    let written = fixture.archive.write_image(&fixture.image, replaced, short);
    written.await.unwrap_err();
    assert!(fs::read(fixture.file("ID.img")).unwrap() == wrong);
    let data = ImageData::from_bytes(fixture.data.clone());
    let written = fixture.archive.write_image(&fixture.image, replaced, data);
    written.await.unwrap();
    fixture.assert_complete().await;
}
