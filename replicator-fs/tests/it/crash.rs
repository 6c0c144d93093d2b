//! A transfer that is dropped or fails half-way leaves nothing that looks
//! complete, and what it leaves can be gone on with.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use glance_model::{ImageId, ImageStatus, Selection};
use replicator_core::testing::active_image;
use replicator_core::{
    FailureKind, ImageData, ImageSource as _, ImageTarget as _, Operation, PortError, Stage as _,
};
use replicator_fs::ImageArchive;

use crate::kit::Fixture;

/// Longer than what is read or written at a time, and no multiple of it.
const LEN: usize = (5 << 20) / 2 + 123;

/// Bytes that repeat nowhere near a block's length.
fn some_data() -> Bytes {
    let numbers = 0..u32::try_from(LEN / 4 + 1).unwrap();
    let bytes = numbers.flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes());
    bytes.take(LEN).collect()
}

fn chunks(data: &Bytes) -> Vec<Result<Bytes, PortError>> {
    data.chunks(70_001).map(|c| Ok(data.slice_ref(c))).collect()
}

/// The data that comes before the source breaks off.
fn broken(data: &Bytes) -> ImageData {
    let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
    let error = PortError::adapter(Operation::ReadData(id), FailureKind::Refused, "gone");
    let mut chunks = chunks(data);
    chunks.push(Err(error));
    ImageData::new(None, stream::iter(chunks))
}

fn whole(data: &Bytes) -> ImageData {
    ImageData::new(Some(data.len() as u64), stream::iter(chunks(data)))
}

fn fixture() -> Fixture {
    Fixture::of(some_data())
}

impl Fixture {
    async fn assert_no_image(&self) {
        assert_eq!(self.archive.images(&Selection::default()).count().await, 0);
        assert_eq!(self.archive.find_image(&self.image.id).await.unwrap(), None);
    }
}

fn causes(error: &PortError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn data_that_breaks_off_is_kept_and_gone_on_with() {
    for kept in [1, 70_001, 1 << 20, LEN - 1] {
        let fixture = fixture();
        let error = fixture.write(broken(&fixture.data.slice(..kept))).await;
        assert_eq!(
            causes(&error.unwrap_err()).rsplit(": ").next(),
            Some("gone")
        );
        assert_eq!(fixture.files(), [".ID.img.partial"]);
        fixture.assert_no_image().await;
        assert!(
            fixture.kept().await.unwrap_or_default() == fixture.data.slice(..kept),
            "{kept}"
        );

        let rest = whole(&fixture.data.slice(kept..)).with_offset(kept as u64);
        assert_eq!(fixture.write(rest).await.unwrap(), fixture.image);
        fixture.assert_complete().await;
    }
}

#[tokio::test]
async fn a_partial_file_is_cut_where_the_data_begins() {
    for offset in [0, 1, 65_536, 1_000_000] {
        let fixture = fixture();
        let other = [&fixture.data[..offset], &[7; 100_000]].concat();
        fixture.write(broken(&other.into())).await.unwrap_err();
        let rest = whole(&fixture.data.slice(offset..)).with_offset(offset as u64);
        fixture.write(rest).await.unwrap();
        fixture.assert_complete().await;
    }
}

#[tokio::test]
async fn data_that_begins_behind_what_is_kept_is_refused() {
    let fixture = fixture();
    let rest = || whole(&fixture.data.slice(100..)).with_offset(100);
    let error = fixture.write(rest()).await.unwrap_err();
    assert!(error.is_transient(), "it goes once the data is sent whole");
    assert!(fixture.files().is_empty());

    fixture
        .write(broken(&fixture.data.slice(..99)))
        .await
        .unwrap_err();
    let error = causes(&fixture.write(rest()).await.unwrap_err());
    let path = fixture.file(".ID.img.partial").display().to_string();
    assert!(
        error.ends_with(&format!(
            "{path} has 99 bytes and cannot be continued at byte 100"
        )),
        "{error}"
    );
    assert_eq!(
        fixture.kept().await.unwrap_or_default(),
        fixture.data.slice(..99)
    );
}

#[tokio::test]
async fn a_write_that_is_dropped_leaves_no_image_and_can_be_done_again() {
    let fixture = fixture();
    let (reached, mut was_reached) = tokio::sync::mpsc::channel::<()>(1);
    let half = chunks(&fixture.data.slice(..LEN - 1));
    let endless = stream::iter(half).chain(stream::once(async move {
        reached.send(()).await.unwrap();
        std::future::pending().await
    }));
    tokio::select! {
        written = fixture.write(ImageData::new(None, endless)) => panic!("{written:?}"),
        _ = was_reached.recv() => {}
    }
    // At once: the last step may still be on its way to the disk.
    let kept = fixture.kept().await.unwrap_or_default();
    assert!(!kept.is_empty() && fixture.data.starts_with(&kept));
    fixture.assert_no_image().await;
    let rest = whole(&fixture.data.slice(kept.len()..)).with_offset(kept.len() as u64);
    fixture.write(rest).await.unwrap();
    fixture.assert_complete().await;
}

#[tokio::test]
async fn data_that_is_too_short_is_no_image() {
    let fixture = fixture();
    let short = fixture.data.slice(..LEN - 1);
    let error = causes(&fixture.write(whole(&short)).await.unwrap_err());
    let path = fixture.file("ID.img").display().to_string();
    assert!(
        error.ends_with(&format!(
            "{path} has {} bytes, its image has {LEN}",
            LEN - 1
        )),
        "{error}"
    );
    fixture.assert_no_image().await;
    assert_eq!(fixture.kept().await.unwrap_or_default(), short);
}

#[tokio::test]
async fn data_that_is_too_long_is_thrown_away() {
    let fixture = fixture();
    let endless = stream::repeat_with(|| Ok(Bytes::from(vec![1; 70_001])));
    let error = fixture.write(ImageData::new(None, endless)).await;
    assert!(matches!(error.unwrap_err().kind(), FailureKind::Refused));
    fixture.assert_no_image().await;
    assert!(fixture.files().is_empty());
}

#[tokio::test]
async fn an_image_of_unknown_size_has_that_of_its_data() {
    let fixture = fixture();
    let mut image = fixture.image.clone();
    image.size = None;
    let data = whole(&fixture.data);
    let written = fixture.archive.write_image(&image, None, data).await;
    assert_eq!(written.unwrap(), fixture.image);
    fixture.assert_complete().await;
}

#[tokio::test]
async fn a_record_that_could_not_be_read_is_written_again() {
    let fixture = fixture();
    fs::write(fixture.file("ID"), "[1, 2").unwrap();
    fixture.write(whole(&fixture.data)).await.unwrap();
    fixture.assert_complete().await;
}

#[tokio::test]
async fn a_complete_image_is_never_written_again() {
    let fixture = fixture();
    fixture.write(whole(&fixture.data)).await.unwrap();
    // Left behind by somebody who was slower.
    fs::write(fixture.file(".ID.img.partial"), "part").unwrap();
    let other = Bytes::from(vec![7; LEN]);
    let error = fixture.write(whole(&other)).await.unwrap_err();
    assert!(matches!(error, PortError::AlreadyExists { .. }), "{error}");
    let error = fixture.archive.create_record(&fixture.image).await;
    assert!(matches!(error, Err(PortError::AlreadyExists { .. })));
    fixture.assert_complete().await;
}

#[tokio::test]
async fn two_processes_do_not_write_one_image() {
    let fixture = fixture();
    let (reached, mut was_reached) = tokio::sync::mpsc::channel::<()>(1);
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    let last = fixture.data.slice(LEN - 1..);
    let slow =
        stream::iter(chunks(&fixture.data.slice(..LEN - 1))).chain(stream::once(async move {
            reached.send(()).await.unwrap();
            may_go_on.await.unwrap();
            Ok(last)
        }));
    let second = async {
        was_reached.recv().await.unwrap();
        // As another process opens it: it shares nothing but the directory.
        let other = ImageArchive::open(fixture.archive.path()).unwrap();
        let data = whole(&fixture.data);
        let error = other.write_image(&fixture.image, None, data).await;
        go_on.send(()).unwrap();
        error.unwrap_err()
    };
    let slow = ImageData::new(None, slow);
    let (first, error) = tokio::join!(fixture.write(slow), second);
    assert!(matches!(error, PortError::Busy { .. }), "{error}");
    first.unwrap();
    fixture.assert_complete().await;
}

#[cfg(unix)]
#[tokio::test]
async fn what_a_killed_process_left_of_a_metadata_file_is_used_up() {
    let fixture = fixture();
    fs::write(fixture.file(".ID.tmp"), "x".repeat(100_000)).unwrap();
    fixture.write(whole(&fixture.data)).await.unwrap();
    fixture.assert_complete().await;
    assert_eq!(fixture.files(), ["ID", "ID.img"]);
}

#[tokio::test]
async fn two_processes_do_not_write_the_metadata_of_one_image() {
    let fixture = fixture();
    let other = fs::File::create(fixture.file(".ID.tmp")).unwrap();
    other.lock().unwrap();
    let error = fixture.archive.create_record(&fixture.image).await;
    let error = error.unwrap_err();
    assert!(matches!(error, PortError::Busy { .. }), "{error}");
    drop(other);
    fixture.archive.create_record(&fixture.image).await.unwrap();
}

#[tokio::test]
async fn runs_of_zeros_are_holes() {
    use std::os::unix::fs::MetadataExt as _;

    let fixture = fixture();
    let mut sparse = vec![0; 64 << 20];
    sparse[10 << 20..][..3].copy_from_slice(b"abc");
    let sparse = Bytes::from(sparse);
    let fixture = Fixture {
        image: active_image(&sparse),
        data: sparse,
        ..fixture
    };
    fixture.write(whole(&fixture.data)).await.unwrap();
    fixture.assert_complete().await;
    let written = fs::metadata(fixture.file("ID.img")).unwrap();
    assert_eq!(written.len(), 64 << 20);
    assert!(
        written.blocks() * 512 <= 1 << 20,
        "{} blocks for 3 bytes",
        written.blocks()
    );
}

#[tokio::test]
async fn a_directory_that_is_gone_is_the_fault_of_the_archive() {
    let fixture = fixture();
    fs::remove_dir(fixture.archive.path()).unwrap();
    let error = fixture.write(whole(&fixture.data)).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Unusable);
    let path = fixture.archive.path().display().to_string();
    assert!(causes(&error).contains(&path), "{error:?}");
    let listed: Vec<_> = fixture
        .archive
        .images(&Selection::default())
        .collect()
        .await;
    let [Err(error)] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!(error.kind(), FailureKind::Unusable);
}

#[tokio::test]
async fn metadata_of_an_image_without_data_is_replaced_whole() {
    let fixture = fixture();
    let mut record = fixture.image.clone();
    record.status = ImageStatus::Queued;
    record.size = None;
    fixture.archive.create_record(&record).await.unwrap();
    assert_eq!(fixture.files(), ["ID"]);
    let found = fixture.archive.find_image(&record.id).await.unwrap();
    assert_eq!(found, Some(record));
    fixture.write(whole(&fixture.data)).await.unwrap();
    fixture.assert_complete().await;
}

/// A stage is emptied of what was sent, and of nothing else.
#[tokio::test]
async fn an_image_that_is_removed_leaves_nothing_behind() {
    let fixture = fixture();
    let (archive, image) = (&fixture.archive, &fixture.image);
    let other = active_image(b"x");
    let data = ImageData::from_bytes("x");
    archive.write_image(&other, None, data).await.unwrap();
    archive
        .write_image(image, None, whole(&fixture.data))
        .await
        .unwrap();
    archive.remove_image(&image.id).await.unwrap();
    archive.remove_image(&image.id).await.unwrap();
    assert_eq!(archive.find_image(&image.id).await.unwrap(), None);
    assert_eq!(fs::read_dir(archive.path()).unwrap().count(), 2);
}

/// An image that is archived without data may get another status, as it did there.
#[tokio::test]
async fn a_status_that_has_changed_is_archived() {
    let fixture = fixture();
    let archive = &fixture.archive;
    let mut image = fixture.image.clone();
    image.status = ImageStatus::Queued;
    archive.create_record(&image).await.unwrap();
    let mut changed = image.clone();
    changed.status = ImageStatus::Deactivated;
    let filter = glance_model::Omit::default();
    let diff = glance_model::MetadataDiff::between(&changed, &image, &filter);
    archive.update_metadata(&image, &diff).await.unwrap();
    let found = archive.find_image(&image.id).await.unwrap().unwrap();
    assert_eq!(found.status, ImageStatus::Deactivated);
}

#[tokio::test]
async fn an_image_that_another_process_writes_is_not_removed() {
    let fixture = fixture();
    let writing = fs::File::create(fixture.file(".ID.img.partial")).unwrap();
    writing.lock().unwrap();
    let error = fixture.archive.remove_image(&fixture.image.id).await;
    let error = error.unwrap_err();
    assert!(matches!(error, PortError::Busy { .. }), "{error}");
    assert_eq!(fixture.files(), [".ID.img.partial"]);
}
