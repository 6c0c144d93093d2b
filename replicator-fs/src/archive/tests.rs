//! Archives on file systems without locks.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use glance_model::Selection;
use replicator_core::testing::active_image;
use replicator_core::{ImageData, ImageSource as _, ImageTarget as _, Stage as _};

use super::ImageArchive;

fn without_locks(path: &Path) -> ImageArchive {
    let archive = ImageArchive::create(path).unwrap();
    archive.0.without_locks();
    archive
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn two_writers_without_locks_never_mix_their_data() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let data: Bytes = (0..3 << 20).map(|n| (n % 251) as u8).collect();
    let image = active_image(&data);
    let (one, other) = (without_locks(path), without_locks(path));
    let (reached, mut was_reached) = tokio::sync::mpsc::channel::<()>(1);
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    // The first has other data in the middle: it is wrong, and will say so in the end.
    let wrong = Bytes::from(vec![7; 2 << 20]);
    let rest = stream::once(async move {
        reached.send(()).await.unwrap();
        may_go_on.await.unwrap();
        Err(replicator_core::PortError::Cancelled)
    });
    let slow = ImageData::new(None, stream::iter([Ok(wrong)]).chain(rest));
    let second = async {
        was_reached.recv().await.unwrap();
        // The data of the first writer is not taken for its own.
        assert!(other.partial_data(&image).await.unwrap().is_none());
        let whole = ImageData::from_bytes(data.clone());
        let written = other.write_image(&image, None, whole).await;
        go_on.send(()).unwrap();
        written
    };
    let (first, second) = tokio::join!(one.write_image(&image, None, slow), second);
    first.unwrap_err();
    second.unwrap();
    assert!(fs::read(path.join(format!("{}.img", image.id))).unwrap() == data);
    // A later run may go on with its own only.
    let kept = one.partial_data(&image).await.unwrap().unwrap();
    assert_eq!(kept.len_bytes, Some(2 << 20));
}

#[tokio::test]
async fn what_killed_writers_without_locks_have_left_goes_once_the_image_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let data = Bytes::from_static(b"data");
    let image = active_image(&data);
    let id = &image.id;
    let left = [
        format!(".{id}.img.partial"),
        format!(".{id}.img.partial.7-ab"),
        format!(".{id}.tmp.7-ab"),
    ];
    for name in &left {
        fs::write(path.join(name), "left").unwrap();
    }
    let archive = without_locks(path);
    assert_eq!(archive.images(&Selection::default()).count().await, 0);
    assert_eq!(
        archive.unfinished().await.unwrap(),
        std::slice::from_ref(id)
    );
    let whole = ImageData::from_bytes(data);
    archive.write_image(&image, None, whole).await.unwrap();
    assert_eq!(names(path), [id.to_string(), format!("{id}.img")]);
    archive.remove_image(id).await.unwrap();
    assert!(names(path).is_empty());
}
