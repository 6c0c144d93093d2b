//! The contract of the ports: every source and every target keeps it. Adapters
//! run it in their own tests, on fakes and on real servers.
//!
//! Each function writes images of its own, with fresh ids, so that they can share
//! one end. A function panics where the contract is broken.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "these are tests: a broken contract is to panic"
)]

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use glance_model::{
    Fate, ImageId, ImageMetadata, ImageStatus, MemberStatus, Members, MetadataDiff, Omit,
    Retirement, Selection, TargetForm, View, Visibility,
};

use super::{active_image, random_id};
use crate::port::{IdUse, ImageData, ImageTarget, PortError};

/// All of it.
pub async fn target(target: &dyn ImageTarget) {
    written_image_reads_back(target).await;
    empty_image_is_active(target).await;
    data_is_read_from_an_offset(target).await;
    images_are_listed_once_and_in_order(target).await;
    taken_id_is_refused(target).await;
    unknown_image_is_not_found(target).await;
    record_has_no_data_and_takes_it_later(target).await;
    updated_metadata_is_equal(target).await;
    members_are_added_by_an_update_and_read_back(target).await;
    deactivated_image_keeps_its_data(target).await;
    retired_image_comes_back_or_is_deleted(target).await;
    broken_data_leaves_no_image(target).await;
    dropped_write_leaves_no_image(target).await;
}

/// 300,000 bytes that repeat nowhere near a chunk's length.
fn some_data() -> Bytes {
    (0_u32..75_000)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

async fn write(target: &dyn ImageTarget, data: &Bytes) -> ImageMetadata {
    write_image(target, target.nature().form.of(active_image(data)), data).await
}

async fn write_image(
    target: &dyn ImageTarget,
    image: ImageMetadata,
    data: &Bytes,
) -> ImageMetadata {
    let chunks: Vec<_> = data.chunks(10_000).map(|c| Ok(data.slice_ref(c))).collect();
    let stream = ImageData::new(Some(data.len() as u64), stream::iter(chunks));
    let written = target.write_image(&image, None, stream).await.unwrap();
    assert_eq!(written.status, ImageStatus::Active);
    image
}

async fn read(target: &dyn ImageTarget, id: &ImageId, offset_bytes: u64) -> (u64, Bytes) {
    let data = target.image_data(id, offset_bytes).await.unwrap().unwrap();
    let (start, len) = (data.offset_bytes, data.len_bytes);
    let chunks: Vec<Bytes> = data.chunks.try_collect().await.unwrap();
    let bytes = Bytes::from(chunks.concat());
    assert!(len.is_none_or(|len| len == bytes.len() as u64), "{len:?}");
    (start, bytes)
}

/// An image that was written is active, with what was written.
pub async fn written_image_reads_back(target: &dyn ImageTarget) {
    let data = some_data();
    let image = write(target, &data).await;
    let found = target.find_image(&image.id).await.unwrap().unwrap();
    assert_eq!(found.status, ImageStatus::Active);
    assert_eq!(found.size, Some(data.len() as u64));
    assert!(found.checksum.is_none() || found.checksum == image.checksum);
    assert_eq!(read(target, &image.id, 0).await, (0, data));
}

/// An image of no bytes is an image.
pub async fn empty_image_is_active(target: &dyn ImageTarget) {
    let image = write(target, &Bytes::new()).await;
    let found = target.find_image(&image.id).await.unwrap().unwrap();
    assert_eq!(found.size, Some(0));
    assert_eq!(read(target, &image.id, 0).await, (0, Bytes::new()));
}

/// Data is opened at a byte, or at the beginning, and says which.
pub async fn data_is_read_from_an_offset(target: &dyn ImageTarget) {
    let data = some_data();
    let image = write(target, &data).await;
    let (start, bytes) = read(target, &image.id, 123_456).await;
    assert!(start == 123_456 || start == 0, "{start}");
    let start = usize::try_from(start).unwrap();
    assert_eq!(bytes, data.slice(start..));
}

/// Listings are in ascending order of ids, each image once.
pub async fn images_are_listed_once_and_in_order(target: &dyn ImageTarget) {
    let mut written = Vec::new();
    for _ in 0..7 {
        written.push(write(target, &Bytes::from_static(b"x")).await.id);
    }
    let ids: Vec<ImageId> = target
        .images(&Selection::default())
        .map_ok(|image| image.id)
        .try_collect()
        .await
        .unwrap();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    for id in &written {
        assert!(ids.contains(id), "{id} is not listed");
    }
    let some = Selection::of_ids(written.iter().skip(2).copied());
    let mut listed: Vec<ImageId> = target
        .images(&some)
        .map_ok(|image| image.id)
        .try_collect()
        .await
        .unwrap();
    assert!(listed.is_sorted_by(|a, b| a < b), "{listed:?}");
    listed.retain(|id| some.matches_id(id));
    assert_eq!(listed.len(), 5, "a selected image is listed");
}

/// The id of an image that is there is not written again.
pub async fn taken_id_is_refused(target: &dyn ImageTarget) {
    let image = write(target, &Bytes::from_static(b"first")).await;
    let again = ImageData::from_bytes(&b"other"[..]);
    let error = target.write_image(&image, None, again).await.unwrap_err();
    assert!(
        matches!(error, PortError::AlreadyExists { .. }),
        "{error:?}"
    );
    let (_, data) = read(target, &image.id, 0).await;
    assert_eq!(data, &b"first"[..]);
}

/// An image that is not there is not found.
pub async fn unknown_image_is_not_found(target: &dyn ImageTarget) {
    let id = random_id();
    assert_eq!(target.find_image(&id).await.unwrap(), None);
    let error = target.image_data(&id, 0).await.unwrap_err();
    assert!(matches!(error, PortError::NotFound { .. }), "{error:?}");
}

/// A record without data has none to read, and data can be put into it.
pub async fn record_has_no_data_and_takes_it_later(target: &dyn ImageTarget) {
    let data = some_data();
    let image = target.nature().form.of(active_image(&data));
    target.create_record(&image).await.unwrap();
    let record = target.find_image(&image.id).await.unwrap().unwrap();
    assert_eq!(record.status, ImageStatus::Queued);
    assert!(target.image_data(&image.id, 0).await.unwrap().is_none());
    let stream = ImageData::from_bytes(data.clone());
    let written = target.write_image(&image, Some(&record), stream).await;
    assert_eq!(written.unwrap().status, ImageStatus::Active);
    assert_eq!(read(target, &image.id, 0).await, (0, data));
}

/// After an update nothing differs any more, and what was not named stays.
pub async fn updated_metadata_is_equal(target: &dyn ImageTarget) {
    let filter = Omit::default();
    let mut image = active_image(b"x");
    image.properties.insert("stays".into(), "here".into());
    image.properties.insert("changes".into(), "old".into());
    let image = target.nature().form.of(image);
    let data = ImageData::from_bytes(&b"x"[..]);
    let current = target.write_image(&image, None, data).await.unwrap();
    let mut wanted = image.clone();
    wanted.name = Some("größer, 日本 \"quoted\"".into());
    wanted.min_ram = Some(77);
    wanted.properties.insert("changes".into(), "new".into());
    wanted.properties.insert("empty".into(), String::new());
    wanted.tags.insert("a tag".into());
    let wanted = target.nature().form.of(wanted);
    let diff = MetadataDiff::between(&wanted, &target.nature().form.of(current.clone()), &filter);
    let updated = target.update_metadata(&current, &diff).await.unwrap();
    let found = target.find_image(&image.id).await.unwrap().unwrap();
    for now in [updated, found] {
        // A null property is in no header of v1.
        let mut wanted = wanted.clone();
        if !now.null_properties.contains("empty") && target.nature().form == TargetForm::V1 {
            wanted.null_properties.remove("empty");
        }
        let left = MetadataDiff::between(&wanted, &target.nature().form.of(now.clone()), &filter);
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(
            now.properties.get("stays").map(String::as_str),
            Some("here")
        );
    }
}

/// The members of an image that is shared come with an update, once it has its data, and others
/// stay.
pub async fn members_are_added_by_an_update_and_read_back(target: &dyn ImageTarget) {
    use MemberStatus::{Accepted, Pending, Rejected};
    let form = target.nature().form;
    let mut image = active_image(b"x");
    image.visibility = Some(Visibility::Shared);
    let image = form.of(image);
    let data = ImageData::from_bytes(&b"x"[..]);
    let mut current = target.write_image(&image, None, data).await.unwrap();
    let members = |of: &[(&str, MemberStatus)]| {
        let members = of.iter().map(|(id, status)| ((*id).to_owned(), *status));
        Some(members.collect::<Members>())
    };
    for (added, all) in [
        (
            members(&[("project-a", Pending), ("project-b", Accepted)]),
            members(&[("project-a", Pending), ("project-b", Accepted)]),
        ),
        (
            members(&[("project-a", Rejected), ("project-c", Pending)]),
            members(&[
                ("project-a", Rejected),
                ("project-b", Accepted),
                ("project-c", Pending),
            ]),
        ),
    ] {
        let mut wanted = image.clone();
        wanted.members = added;
        let wanted = form.of(wanted);
        let diff = MetadataDiff::between(&wanted, &form.of(current.clone()), &Omit::default());
        current = target.update_metadata(&current, &diff).await.unwrap();
        let listed = match target.members() {
            Some(reader) => reader.members_of(&image.id).await.unwrap(),
            None => target.find_image(&image.id).await.unwrap().unwrap().members,
        };
        let mut expected = image.clone();
        expected.members = all;
        let expected = form.of(expected).members;
        assert_eq!(current.members, expected);
        assert_eq!(listed, expected);
    }
}

/// An image that is deactivated keeps its data, which an administrator may read, if the target can
/// hold it so.
pub async fn deactivated_image_keeps_its_data(target: &dyn ImageTarget) {
    let form = target.nature().form;
    if !form.can_hold(&ImageStatus::Deactivated) {
        return;
    }
    let data = some_data();
    let image = write(target, &data).await;
    let current = target.find_image(&image.id).await.unwrap().unwrap();
    let mut wanted = form.of(current.clone());
    wanted.status = ImageStatus::Deactivated;
    wanted.min_ram = Some(77);
    let diff = MetadataDiff::between(&wanted, &form.of(current.clone()), &Omit::default());
    // It says the same however often it is sent.
    for _ in 0..2 {
        let updated = target.update_metadata(&current, &diff).await.unwrap();
        assert_eq!(updated.status, ImageStatus::Deactivated);
    }
    let found = target.find_image(&image.id).await.unwrap().unwrap();
    assert_eq!(found.status, ImageStatus::Deactivated);
    assert_eq!((found.has_data(), found.min_ram), (true, Some(77)));
    assert_eq!(read(target, &image.id, 0).await, (0, data));
}

/// An image that is retired is hidden, as far as the target can hide it, and comes back as it was;
/// or it is deleted, and gone then.
pub async fn retired_image_comes_back_or_is_deleted(target: &dyn ImageTarget) {
    let form = target.nature().form;
    let mut view = View::new(Omit::default(), form);
    view.origin = Some("contract".parse().unwrap());
    let now = Duration::from_secs(1_800_000_000);
    let rules = Retirement::new("contract".parse().unwrap(), Duration::ZERO, now);
    let data = some_data();
    let mut image = form.of(active_image(&data));
    view.mark(&mut image, None);
    let image = write_image(target, image, &data).await;
    for is_wanted_again in [true, false] {
        let found = form.of(target.find_image(&image.id).await.unwrap().unwrap());
        assert_eq!(rules.fate(&found, form), Fate::Retire);
        let changes = rules.changes(&found, form);
        target.update_metadata(&found, &changes).await.unwrap();
        let all = target.taken_ids(&Selection::of_ids([image.id]));
        let all: Vec<ImageMetadata> = all.try_collect().await.unwrap();
        let retired = all.into_iter().find(|listed| listed.id == image.id);
        let retired = form.of(retired.unwrap());
        assert_eq!(retired.hidden == Some(true), form.can_hide());
        assert_eq!(rules.fate(&retired, form), Fate::Delete);
        if is_wanted_again {
            let back = view.diff(&image, &retired);
            target.update_metadata(&retired, &back).await.unwrap();
            let found = form.of(target.find_image(&image.id).await.unwrap().unwrap());
            assert_eq!(
                (found.retired_at(), found.status.clone()),
                (None, ImageStatus::Active)
            );
            assert!(view.diff(&image, &found).is_empty());
            assert_eq!(read(target, &image.id, 0).await, (0, data.clone()));
        } else {
            target.delete_image(&retired).await.unwrap();
        }
    }
    let found = target.find_image(&image.id).await.unwrap();
    assert!(found.is_none_or(|found| found.status.is_burnt()));
    let again = target.delete_image(&image).await.unwrap_err();
    assert!(matches!(again, PortError::NotFound { .. }), "{again:?}");
}

/// Data that breaks off never becomes an image, and its error is handed back as it is.
pub async fn broken_data_leaves_no_image(target: &dyn ImageTarget) {
    let data = some_data();
    let image = target.nature().form.of(active_image(&data));
    let error = PortError::Data("on demand".into());
    let half = data.slice(..data.len() / 2);
    let chunks = stream::iter([Ok(half), Err(error)]);
    let broken = ImageData::new(Some(data.len() as u64), chunks);
    let error = target.write_image(&image, None, broken).await.unwrap_err();
    let is_of_data = matches!(&error, PortError::Data(cause) if cause.to_string() == "on demand");
    assert!(is_of_data, "{error:?}");
    let found = settled(target, &image.id).await;
    assert!(
        found.as_ref().is_none_or(|found| !found.is_active()),
        "{found:?}"
    );
    if target.nature().ids != IdUse::UsedUpByBrokenUpload {
        let written = write_again(target, &image, &data).await;
        assert_eq!(written.status, ImageStatus::Active);
        assert_eq!(read(target, &image.id, 0).await, (0, data));
    }
}

/// Data whose writing is given up never becomes an image, either.
pub async fn dropped_write_leaves_no_image(target: &dyn ImageTarget) {
    let data = some_data();
    let image = target.nature().form.of(active_image(&data));
    let half = data.slice(..data.len() / 2);
    let (reached, mut was_reached) = tokio::sync::mpsc::channel::<()>(1);
    let chunks = stream::iter([Ok(half)]).chain(
        async move {
            let _ = reached.send(()).await;
            std::future::pending().await
        }
        .into_stream(),
    );
    let endless = ImageData::new(Some(data.len() as u64), chunks);
    tokio::select! {
        written = target.write_image(&image, None, endless) => panic!("{written:?}"),
        _ = was_reached.recv() => {}
    }
    let found = settled(target, &image.id).await;
    assert!(
        found.as_ref().is_none_or(|found| !found.is_active()),
        "{found:?}"
    );
}

/// Writes an image anew whose upload has just broken off. A server that has yet to begin with that
/// one shows its record as `queued`, and is at it when the next comes.
async fn write_again(
    target: &dyn ImageTarget,
    image: &ImageMetadata,
    data: &Bytes,
) -> ImageMetadata {
    for _ in 0..20 {
        let found = settled(target, &image.id).await;
        let found = found.filter(|found| found.status == ImageStatus::Queued);
        let whole = ImageData::from_bytes(data.clone());
        match target.write_image(image, found.as_ref(), whole).await {
            Err(error) if error.is_transient() || matches!(error, PortError::Busy { .. }) => {
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            }
            written => return written.unwrap(),
        }
    }
    panic!("the upload that broke off never ends");
}

/// A server needs a moment to notice that an upload broke off.
async fn settled(target: &dyn ImageTarget, id: &ImageId) -> Option<ImageMetadata> {
    for _ in 0..100 {
        let found = target.find_image(id).await.unwrap();
        if found
            .as_ref()
            .is_none_or(|found| found.status != ImageStatus::Saving)
        {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    target.find_image(id).await.unwrap()
}
