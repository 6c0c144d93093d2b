//! The states of images at several targets.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use glance_model::{ImageMetadata, ImageStatus, MemberStatus, Selection, Visibility};
use replicator_core::testing::{MemoryImages, MockEnd, Setup, active_image};
use replicator_core::{
    FailureKind, Operation, PortError, RunContext, State, Status, Sum, TargetEnd, status,
};

async fn found(source: &MemoryImages, targets: Vec<TargetEnd>) -> Status {
    status(source, &Selection::default(), &targets, &Default::default()).await
}

fn end(images: MemoryImages) -> TargetEnd {
    Setup::default().end(&RunContext::silent(), Arc::new(images))
}

fn changed(image: &ImageMetadata, change: impl FnOnce(&mut ImageMetadata)) -> ImageMetadata {
    let mut image = image.clone();
    change(&mut image);
    image
}

#[tokio::test]
async fn every_state_is_what_a_copy_would_find() {
    type Change = fn(&mut ImageMetadata);
    let cases: [(State, &str, Option<Change>); 9] = [
        (State::Equal, "", Some(|_| ())),
        (State::Missing, "", None),
        (
            State::Metadata,
            "name",
            Some(|image| image.name = Some("old".into())),
        ),
        (
            State::Members,
            "members",
            Some(|image| image.members = Some([].into())),
        ),
        (State::Content, "size", Some(|image| image.size = Some(5))),
        (
            State::Incomplete,
            "",
            Some(|image| image.status = ImageStatus::Queued),
        ),
        (
            State::Incomplete,
            "",
            Some(|image| image.status = ImageStatus::Saving),
        ),
        (
            State::Burnt,
            "",
            Some(|image| image.status = ImageStatus::Killed),
        ),
        (
            State::Metadata,
            "status",
            Some(|image| image.status = ImageStatus::Deactivated),
        ),
    ];
    for (state, fields, change) in cases {
        let (source, target) = (MemoryImages::default(), MemoryImages::default());
        let image = changed(&active_image(b"data"), |image| {
            image.visibility = Some(Visibility::Shared);
            image.members = Some([("acme".to_owned(), MemberStatus::Pending)].into());
        });
        source.insert(image.clone(), None);
        if let Some(change) = change {
            target.insert(changed(&image, change), None);
        }
        let status = found(&source, vec![end(target)]).await;
        let standing = status.images[0].at[0].as_ref().unwrap();
        assert_eq!(
            (standing.state, &*standing.fields.join(" ")),
            (state, fields)
        );
        // A copy that is not made is told with its reason.
        let has_reason = matches!(state, State::Content | State::Burnt) || fields == "status";
        assert_eq!(standing.result.is_some(), has_reason, "{state:?}");
    }
}

#[tokio::test]
async fn what_only_a_target_has_and_what_has_no_data_is_no_difference() {
    let (source, target) = (MemoryImages::default(), MemoryImages::default());
    let queued = changed(&active_image(b""), |image| {
        image.status = ImageStatus::Queued
    });
    source.insert(queued, None);
    target.insert(active_image(b"there"), None);
    let gone = changed(&active_image(b""), |image| {
        image.status = ImageStatus::Deleted
    });
    target.insert(gone, None);
    // A copy whose origin has lost it; hidden, and with the mark of its time.
    let hidden = |marks: &[(&str, &str)]| {
        let marks = marks.iter();
        let marks = marks.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        changed(&active_image(b"old"), |image| {
            image.hidden = Some(true);
            image.properties.extend(marks);
        })
    };
    let (origin, since) = (
        ("replicator_origin", "prod"),
        ("replicator_retired_at", "2026-11-20T12:00:00Z"),
    );
    let retired = hidden(&[origin, since]);
    target.insert(retired.clone(), None);
    target.insert(hidden(&[since]), None);
    target.insert(
        hidden(&[origin, ("replicator_retired_at", "long ago")]),
        None,
    );
    let status = found(&source, vec![end(target)]).await;
    let row = |row: &&replicator_core::ImageStanding| row.image.id == retired.id.to_string();
    let row = status.images.iter().find(row).unwrap();
    let standing = row.at[0].as_ref().unwrap();
    assert_eq!(standing.retired, since.1.parse().ok());
    assert_eq!(row.since(standing), None);
    let totals = status.totals(0);
    let of = |images, bytes| {
        let mut sum = Sum::default();
        (sum.images, sum.bytes) = (images, bytes);
        sum
    };
    assert_eq!(totals.of(State::OnlyThere), of(3, 11));
    assert_eq!(totals.of(State::Retired), of(1, 3));
    assert_eq!(totals.of(State::Skipped).images, 1);
    assert_eq!((totals.differences(), totals.oldest), (0, None));
}

#[tokio::test]
async fn each_target_has_its_states_and_one_that_cannot_be_listed_has_none() {
    let time = |day: u32| Some(format!("2026-11-{day:02}T10:00:00Z"));
    let named = |name: &str, created: u32, updated: u32| {
        changed(&active_image(b"data"), |image| {
            image.name = Some(name.to_owned());
            (image.created_at, image.updated_at) = (time(created), time(updated));
        })
    };
    let images = [named("a", 1, 9), named("a", 2, 3), named("b", 5, 6)];
    let source = MemoryImages::default();
    images
        .iter()
        .for_each(|image| source.insert(image.clone(), None));
    let (first, second) = (MemoryImages::default(), MemoryImages::default());
    first.insert(images[1].clone(), None);
    first.insert(images[2].clone(), None);
    for image in &images {
        let other = changed(image, |image| image.min_ram = Some(99));
        second.insert(other, None);
    }
    second.insert(active_image(b"alone"), None);
    let mut broken = MockEnd::new();
    broken.expect_images().returning(|_| {
        let error = PortError::adapter(Operation::ListImages, FailureKind::Denied, "no");
        stream::iter([Err(error)]).boxed()
    });
    let broken = Setup::default().end(&RunContext::silent(), Arc::new(broken));

    let status = found(&source, vec![end(first), broken, end(second)]).await;
    let listed: Vec<bool> = status.listed.iter().map(Result::is_ok).collect();
    assert_eq!(listed, [true, false, true]);
    assert_eq!(status.images.len(), 4);
    assert!(status.images.iter().all(|image| image.at[1].is_none()));
    let newest = status.images.iter().filter(|image| image.is_newest);
    let mut newest: Vec<&str> = newest.map(|image| &*image.image.id).collect();
    let mut expected = [images[1].id.as_str(), images[2].id.as_str()];
    newest.sort_unstable();
    expected.sort_unstable();
    assert_eq!(newest, expected);
    // What is missing, since it was made; what differs, since it was changed.
    let [first, _, second] = [0, 1, 2].map(|target| status.totals(target));
    let day = |totals: &replicator_core::StatusTotals| {
        totals
            .oldest
            .map(|oldest| oldest.strftime("%d").to_string())
    };
    assert_eq!((first.differences(), day(&first)), (1, Some("01".into())));
    assert_eq!((second.differences(), day(&second)), (3, Some("03".into())));
    assert_eq!((first.names, first.newest_equal), (2, 2));
    assert_eq!((second.names, second.newest_equal), (2, 0));
    assert_eq!(second.of(State::OnlyThere).images, 1);
}
