//! The plan for each state of an image at the two ends, and what reaches
//! the ports then.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use glance_model::{
    ImageId, ImageMetadata, ImageStatus, Key, NoData, Selection, TargetForm, Test, Visibility,
};
use replicator_core::testing::{MemoryImages, MockEnd, Setup, active_image, random_id};
use replicator_core::{
    Action, DataPolicy, ErrorKind, Event, EventSink, ImageError, ImageResult, ListingError, Member,
    Newest, Outcome, Plan, PortError, RunContext, SkipReason, find_named, select_newest, size,
};

#[derive(Default)]
struct Recorded(Mutex<Vec<Event>>);

impl EventSink for Recorded {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Recorded {
    fn skipped(&self) -> Vec<SkipReason> {
        let reason = |event: &Event| match event {
            Event::Finished(result) => match &result.outcome {
                Outcome::Skipped(reason) => Some(reason.clone()),
                _ => None,
            },
            Event::PutOff { since, .. } => Some(SkipReason::BeingWritten {
                since: since.clone(),
            }),
            _ => None,
        };
        self.0.lock().unwrap().iter().filter_map(reason).collect()
    }
}

fn image(status: ImageStatus) -> ImageMetadata {
    let id = ImageId::parse("5dcddce0-cba5-4f18-9cf4-9853c7b207a6").unwrap();
    let mut image = ImageMetadata::new(id, status);
    image.size = Some(4);
    with_formats(image)
}

/// A server with v2 takes no data of an image without formats.
fn with_formats(mut image: ImageMetadata) -> ImageMetadata {
    image.disk_format = Some("raw".into());
    image.container_format = Some("bare".into());
    image
}

/// Plans for one image; the word says what came out.
async fn planned(
    form: TargetForm,
    data: DataPolicy,
    source: ImageMetadata,
    target: Option<ImageMetadata>,
) -> String {
    let (from, to) = (MemoryImages::default(), MemoryImages::default());
    let to = to.with_form(form);
    from.insert(source, None);
    if let Some(target) = target {
        to.insert(target, None);
    }
    let mut options = Setup::default();
    options.policy.data = data;
    let events = Arc::new(Recorded::default());
    let ctx = RunContext::new(events.clone());
    let plan = options.plan(&ctx, &from, Arc::new(to)).await.unwrap();
    let failures: Vec<_> = plan.settled.iter().filter_map(ImageResult::error).collect();
    let images: Vec<_> = plan.images.iter().collect();
    match (&images[..], &failures[..], &events.skipped()[..]) {
        ([one], [], []) => match &one.action {
            Action::Copy => format!("copy: {:?}", one.reason),
            Action::CreateRecord => "record".to_owned(),
            Action::UpdateMetadata(diff) => {
                let fields: Vec<_> = diff.changes().iter().map(|c| c.field.to_string()).collect();
                format!("update {}", fields.join(" "))
            }
            other => format!("{other:?}"),
        },
        ([], [failure], []) => format!("fail: {failure}"),
        ([], [], [reason]) => format!("skip: {reason:?}"),
        ([], [], []) => format!("unchanged: {}", plan.unchanged),
        _ => format!("{plan:?}"),
    }
}

#[tokio::test]
async fn every_pair_of_states_has_its_action() {
    use DataPolicy::{Copy, MetadataOnly};
    let glance = TargetForm::V2 { hidden: true };
    let archive = TargetForm::Whole;
    let active = || image(ImageStatus::Active);
    let queued = || image(ImageStatus::Queued);
    let with = |status, name: &str| {
        let mut image = image(status);
        image.name = Some(name.to_owned());
        image
    };
    let lost = || {
        let mut image = queued();
        image.no_data = Some(NoData::Lost);
        image
    };
    let deactivated = || image(ImageStatus::Deactivated);
    let withheld = || {
        let mut image = deactivated();
        image.no_data = Some(NoData::Withheld);
        image
    };
    let other_data = || {
        let mut image = active();
        image.size = Some(5);
        image
    };
    let differs = "fail: the target has another image of that id: its size is 5, not 4";
    // A row a line: rustfmt would give each six.
    #[rustfmt::skip]
    let cases = [
        ("missing", glance, Copy, active(), None, "copy: Missing"),
        ("missing", archive, Copy, active(), None, "copy: Missing"),
        ("missing, no data", glance, Copy, queued(), None, "skip: SourceStatus(Queued)"),
        ("missing, no data", archive, Copy, queued(), None, "record"),
        ("no data in an archive", glance, Copy, lost(), None, "skip: NoData"),
        ("missing, -m", glance, MetadataOnly, active(), None, "skip: MetadataOnly"),
        ("missing, -m", archive, MetadataOnly, active(), None, "record"),
        ("equal", glance, Copy, active(), Some(active()), "unchanged: 1"),
        ("differs", glance, Copy, with(ImageStatus::Active, "a"), Some(active()), "update name"),
        ("differs", archive, Copy, with(ImageStatus::Active, "a"), Some(active()), "update name"),
        ("differs, -m", glance, MetadataOnly, with(ImageStatus::Active, "a"), Some(active()), "update name"),
        ("target has more", glance, Copy, active(), Some(with(ImageStatus::Active, "b")), "unchanged: 1"),
        ("source deactivated", glance, Copy, deactivated(), Some(active()), "update status"),
        ("source queued, and more", glance, Copy, with(ImageStatus::Queued, "a"), Some(active()), "update name"),
        ("no data there", glance, Copy, active(), Some(queued()), "copy: DataMissing"),
        ("no data there", archive, Copy, active(), Some(queued()), "copy: DataMissing"),
        ("no data there, -m", archive, MetadataOnly, with(ImageStatus::Active, "a"), Some(queued()), "update name"),
        ("no data there, -m", glance, MetadataOnly, active(), Some(queued()), "skip: TargetStatus(Queued)"),
        ("no data on either", glance, Copy, queued(), Some(queued()), "skip: SourceStatus(Queued)"),
        ("no data on either", archive, Copy, queued(), Some(queued()), "unchanged: 1"),
        ("archived as queued", archive, Copy, deactivated(), Some(queued()), "copy: DataMissing"),
        ("deactivated", glance, Copy, deactivated(), None, "copy: Missing"),
        ("deactivated", archive, Copy, deactivated(), None, "copy: Missing"),
        ("deactivated", TargetForm::V1, Copy, deactivated(), None, "skip: CannotDeactivate"),
        ("deactivated, -m", glance, MetadataOnly, deactivated(), None, "skip: MetadataOnly"),
        ("deactivated, -m", archive, MetadataOnly, deactivated(), None, "record"),
        ("deactivated by now", archive, Copy, deactivated(), Some(active()), "update status"),
        ("deactivated by now", TargetForm::V1, Copy, deactivated(), Some(active()), "skip: OnlyStatusDiffers(Active)"),
        ("active again", archive, Copy, active(), Some(deactivated()), "update status"),
        ("deactivated on both", glance, Copy, deactivated(), Some(deactivated()), "unchanged: 1"),
        ("withheld", glance, Copy, withheld(), None, "skip: Withheld"),
        ("withheld", archive, Copy, withheld(), None, "record"),
        ("withheld", archive, Copy, withheld(), Some(withheld()), "unchanged: 1"),
        ("withheld before", archive, Copy, deactivated(), Some(withheld()), "copy: DataMissing"),
        ("being written", glance, Copy, active(), Some(image(ImageStatus::Saving)), "skip: BeingWritten { since: None }"),
        ("deactivated there", glance, Copy, active(), Some(deactivated()), "skip: OnlyStatusDiffers(Deactivated)"),
        ("burnt", glance, Copy, active(), Some(image(ImageStatus::Killed)), "fail: the id is used up on the target, where the image is killed"),
        ("burnt, no data", glance, Copy, queued(), Some(image(ImageStatus::Deleted)), "skip: TargetStatus(Deleted)"),
        ("other data", glance, Copy, active(), Some(other_data()), differs),
        ("other data", archive, Copy, active(), Some(other_data()), differs),
    ];
    for (name, form, data, source, target, expected) in cases {
        let found = planned(form, data, source, target).await;
        assert_eq!(found, expected, "{form:?} {data:?}: {name}");
    }
}

fn listing(images: Vec<ImageMetadata>) -> MockEnd {
    let mut end = MockEnd::new();
    end.expect_images()
        .return_once(move |_| stream::iter(images.into_iter().map(Ok)).boxed());
    end
}

#[tokio::test]
async fn what_a_target_would_refuse_a_member_is_settled_before_anything_is_tried() {
    let of = |status, owner: &str| {
        let mut image = image(status);
        image.owner = Some(owner.to_owned());
        image
    };
    let active = |owner| of(ImageStatus::Active, owner);
    let hidden = TargetForm::V2 { hidden: true };
    for (name, form, source, target, is_refused) in [
        ("own", hidden, active("alpha"), None, false),
        ("of nobody", hidden, image(ImageStatus::Active), None, false),
        ("of another", hidden, active("beta"), None, true),
        (
            "of another, there",
            hidden,
            active("beta"),
            Some(of(ImageStatus::Queued, "beta")),
            true,
        ),
        (
            "another owner there",
            hidden,
            active("alpha"),
            Some(active("beta")),
            true,
        ),
        (
            "another owner here",
            hidden,
            active("beta"),
            Some(active("alpha")),
            true,
        ),
        ("equal", hidden, active("beta"), Some(active("beta")), false),
        ("v1 takes it", TargetForm::V1, active("beta"), None, false),
        ("archive", TargetForm::Whole, active("beta"), None, false),
    ] {
        let (from, to) = (
            MemoryImages::default(),
            MemoryImages::default().with_form(form),
        );
        from.insert(source, None);
        if let Some(target) = target {
            to.insert(target, None);
        }
        let mut options = Setup::default();
        options.policy.member = Some(Member::of("alpha"));
        let ctx = RunContext::silent();
        let plan = options.plan(&ctx, &from, Arc::new(to)).await.unwrap();
        let mut errors = plan.settled.iter().filter_map(ImageResult::error);
        let refused = errors.any(|error| matches!(error, ImageError::OtherOwner { .. }));
        assert_eq!(
            (refused, plan.images.is_empty()),
            (is_refused, is_refused || name == "equal"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_a_member_would_publish_and_what_a_reader_would_write_is_settled_too() {
    let as_seen = |visibility| {
        let mut image = image(ImageStatus::Active);
        image.visibility = Some(visibility);
        image
    };
    let (public, private) = (Visibility::Public, Visibility::Private);
    let (today, old) = (
        TargetForm::V2 { hidden: true },
        TargetForm::V2 { hidden: false },
    );
    let member = Member::of("alpha");
    let reader = member.clone().reading_only();
    let refused = "the target lets administrators alone publish images, and the image is public";
    let read_only = "the target takes images from members alone, and this token has the role reader and no other";
    for (member, form, wanted, found, expected) in [
        (&member, today, public, None, Some(refused)),
        (&member, today, public, Some(private), Some(refused)),
        (&member, today, public, Some(public), None),
        (&member, today, private, Some(public), None),
        (&member, TargetForm::V1, public, None, Some(refused)),
        (&member, TargetForm::Whole, public, None, None),
        (&reader, today, private, None, Some(read_only)),
        (&reader, today, private, Some(private), None),
        (&reader, old, private, None, None),
        (&reader, TargetForm::Whole, private, None, None),
    ] {
        let (from, to) = (
            MemoryImages::default(),
            MemoryImages::default().with_form(form),
        );
        from.insert(as_seen(wanted), None);
        if let Some(found) = found {
            to.insert(as_seen(found), None);
        }
        let mut options = Setup::default();
        options.policy.member = Some(member.clone());
        let ctx = RunContext::silent();
        let plan = options.plan(&ctx, &from, Arc::new(to)).await.unwrap();
        let errors = plan.settled.iter().filter_map(ImageResult::error);
        let errors: Vec<String> = errors.map(ToString::to_string).collect();
        let case = format!("{member:?} {form:?} {wanted:?} {found:?}");
        assert_eq!(errors.first().map(|error| &**error), expected, "{case}");
    }
}

#[tokio::test]
async fn data_that_a_reader_is_not_given_is_not_asked_for() {
    let mut images = vec![active_image(b"x"), image(ImageStatus::Queued)];
    images.sort_by_key(|image| image.id);
    let source = listing(images);
    let archive = MemoryImages::default();
    let mut options = Setup::default();
    options.run.reads_records_only = true;
    let ctx = RunContext::silent();
    let target = Arc::new(archive);
    let report = options.replicate(&ctx, Arc::new(source), target).await;
    let report = report.unwrap();
    let errors: Vec<_> = report.failures().map(|(_, error)| error).collect();
    assert!(
        matches!(&*errors, [ImageError::ReaderAtSource]),
        "{errors:?}"
    );
    assert_eq!((report.copied(), report.skipped()), (0, 1));
}

#[tokio::test]
async fn metadata_only_never_opens_image_data() {
    // No expectation on `image_data`: a call would panic.
    let (mut there, here) = (image(ImageStatus::Active), image(ImageStatus::Active));
    there.name = Some("new".into());
    let mut images = vec![there, active_image(b"missing")];
    images.sort_by_key(|a| a.id);
    let source = listing(images);
    let mut target = listing(vec![here]);
    target
        .expect_update()
        .times(1)
        .returning(|current, diff| diff.apply_to(current));
    let mut options = Setup::default();
    options.policy.data = DataPolicy::MetadataOnly;
    let ctx = RunContext::silent();
    let (source, target) = (Arc::new(source), Arc::new(target));
    let report = options.replicate(&ctx, source, target).await.unwrap();
    assert_eq!((report.updated(), report.skipped()), (1, 1));
}

#[tokio::test]
async fn a_run_with_nothing_to_do_only_lists() {
    let images: Vec<_> = (0..3).map(|_| active_image(b"x")).collect();
    let sorted = || {
        let mut images = images.clone();
        images.sort_by_key(|a| a.id);
        listing(images)
    };
    let (ctx, options) = (RunContext::silent(), Setup::default());
    let (source, target) = (sorted(), sorted());
    let planned = options.plan(&ctx, &source, Arc::new(target)).await;
    assert_eq!(planned.unwrap().unchanged, 3);
}

#[tokio::test]
async fn a_listing_out_of_order_is_an_error_never_a_plan() {
    let mut images = [active_image(b"x"), active_image(b"y")];
    images.sort_by_key(|image| std::cmp::Reverse(image.id));
    let twice = [images[0].clone(), images[0].clone()];
    for bad in [images.to_vec(), twice.to_vec()] {
        for bad_source in [true, false] {
            let (bad, good) = (listing(bad.clone()), listing(vec![]));
            let (source, target) = if bad_source { (bad, good) } else { (good, bad) };
            let options = Setup::default();
            let ctx = RunContext::silent();
            let planned = options.plan(&ctx, &source, Arc::new(target));
            let error = planned.await.unwrap_err();
            assert!(
                matches!(error, ListingError::OutOfOrder { .. }),
                "{error:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_damaged_image_fails_and_the_others_go_on() {
    let (mut first, mut last) = (random_id(), random_id());
    if first > last {
        std::mem::swap(&mut first, &mut last);
    }
    let good = with_formats(ImageMetadata::new(last, ImageStatus::Active));
    let mut source = MockEnd::new();
    let id = first;
    source.expect_images().return_once(move |_| {
        let source = "not JSON".into();
        stream::iter([Err(PortError::Damaged { id, source }), Ok(good)]).boxed()
    });
    let options = Setup::default();
    let target = listing(vec![]);
    let ctx = RunContext::silent();
    let planned = options.plan(&ctx, &source, Arc::new(target));
    let Plan {
        images, settled, ..
    } = planned.await.unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!(settled[0].image.id, first.as_str());
    assert!(matches!(settled[0].error(), Some(ImageError::Source(_))));
}

#[tokio::test]
async fn size_counts_active_images_only() {
    let images = MemoryImages::default();
    for (status, size) in [
        (ImageStatus::Active, 100),
        (ImageStatus::Deleted, 200),
        (ImageStatus::Active, 300),
    ] {
        let mut image = ImageMetadata::new(random_id(), status);
        image.size = Some(size);
        images.insert(image, None);
    }
    let total = size(&RunContext::silent(), &images, &Selection::default())
        .await
        .unwrap();
    assert_eq!((total.images, total.total_bytes), (2, 400));
}

#[tokio::test]
async fn an_image_is_private_until_it_is_proven() {
    let data = Bytes::from_static(b"some data");
    let mut public = active_image(&data);
    public.visibility = Some(Visibility::Public);
    let source = MemoryImages::default();
    source.insert(public.clone(), Some(data));
    let mut target = listing(vec![]);
    let mut order = mockall::Sequence::new();
    target
        .expect_write()
        .times(1)
        .in_sequence(&mut order)
        .returning(|mut stated| {
            stated.visibility = Some(Visibility::Private);
            stated
        });
    target
        .expect_update()
        .times(1)
        .in_sequence(&mut order)
        .withf(|_, diff| matches!(diff.changes(), [one] if one.source.to_string() == "public"))
        .returning(|current, diff| diff.apply_to(current));
    let (ctx, options) = (RunContext::silent(), Setup::default());
    let (source, target) = (Arc::new(source), Arc::new(target));
    let report = options.replicate(&ctx, source, target).await.unwrap();
    assert!(report.failures().next().is_none(), "{report:?}");
    assert_eq!(report.copied(), 1);
}

#[tokio::test]
async fn a_plan_is_data_with_a_version_and_its_errors_are_texts() {
    let (source, target) = (MemoryImages::default(), MemoryImages::default());
    for (n, found) in [None, Some(4), Some(5)].into_iter().enumerate() {
        let mut image = active_image(b"data");
        image.name = Some(format!("image {n}"));
        source.insert(image.clone(), Some("data".into()));
        if let Some(size) = found {
            (image.size, image.name) = (Some(size), None);
            target.insert(image, Some("data".into()));
        }
    }
    source.insert(ImageMetadata::new(random_id(), ImageStatus::Queued), None);
    let (ctx, options) = (RunContext::silent(), Setup::default());
    let plan = options.plan(&ctx, &source, Arc::new(target)).await.unwrap();
    assert_eq!((plan.images.len(), plan.settled.len()), (2, 2));
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["version"], 1);
    let read: Plan = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), json);
    let errors = |plan: &Plan| {
        let errors = plan.settled.iter().filter_map(ImageResult::error);
        let errors = errors.map(|error| (error.kind(), error.to_string()));
        errors.collect::<Vec<_>>()
    };
    assert_eq!(errors(&read), errors(&plan));
    assert_eq!(errors(&read)[0].0, ErrorKind::WrongContent);
    let mut newer = json;
    newer["version"] = 2.into();
    let error = serde_json::from_value::<Plan>(newer).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
}

#[tokio::test]
async fn what_is_not_selected_is_neither_planned_nor_looked_at() {
    let (source, target) = (MemoryImages::default(), MemoryImages::default());
    for name in ["wanted", "other", "other"] {
        let mut image = active_image(b"data");
        image.name = Some(name.into());
        source.insert(image, Some("data".into()));
    }
    let (ctx, mut options) = (RunContext::silent(), Setup::default());
    options.selection = Selection::default().with(Test::is(Key::Name, "wanted"));
    let (from, to) = (Arc::new(source.clone()), Arc::new(target.clone()));
    let report = options.replicate(&ctx, from, to.clone()).await.unwrap();
    assert_eq!((report.copied(), report.results.len()), (1, 1));
    assert_eq!(target.all()[0].name.as_deref(), Some("wanted"));
    // By its id, which a target is asked for as well.
    let id = source.all()[0].id;
    options.selection = Selection::of_ids([id]);
    let plan = options.plan(&ctx, &source, to).await.unwrap();
    assert_eq!(plan.images.len() as u64 + plan.unchanged, 1);
}

#[tokio::test]
async fn selected_images_are_counted_and_those_of_the_end_where_they_are_all_seen() {
    let source = MemoryImages::default();
    for number in 1..=5 {
        let mut image = active_image(b"data");
        image.name = Some(format!("image-{}", number % 2));
        source.insert(image, Some("data".into()));
    }
    let ctx = RunContext::silent();
    let ids: Vec<ImageId> = source.all().iter().map(|image| image.id).collect();
    let named = Selection::default().with(Test::is(Key::Name, "image-0"));
    let of_ids = Selection::of_ids(ids.iter().take(2).copied());
    for (wanted, images, of) in [
        (Selection::default(), 5, Some(5)),
        (of_ids, 2, None),
        (named, 2, Some(5)),
    ] {
        let total = size(&ctx, &source, &wanted).await.unwrap();
        assert_eq!((total.selected.images, total.selected.of), (images, of));
        let mut options = Setup::default();
        options.selection = wanted;
        let target = Arc::new(MemoryImages::default());
        let plan = options.plan(&ctx, &source, target).await.unwrap();
        assert_eq!(plan.selected, total.selected);
    }
}

#[tokio::test]
async fn images_are_found_by_names_and_ids_and_the_newest_of_a_group_are_selected() {
    let source = MemoryImages::default();
    let ctx = RunContext::silent();
    let mut ids = Vec::new();
    for (name, created) in [("a", "1"), ("a", "3"), ("a", "2"), ("b", "1"), ("b", "")] {
        let mut image = active_image(b"data");
        image.name = Some(name.to_owned());
        if !created.is_empty() {
            image.created_at = Some(format!("2026-11-0{created}T00:00:00Z"));
        }
        ids.push(image.id);
        source.insert(image, Some("data".into()));
    }
    let wanted = ["a", "x", &ids[3].to_string()].map(str::to_owned);
    let named = find_named(&ctx, &source, &wanted.clone().into())
        .await
        .unwrap();
    let counts = wanted.each_ref().map(|name| named.found[name]);
    assert_eq!(counts, [3, 0, 1]);
    assert_eq!(named.ids, ids[..4].iter().copied().collect());

    for (count, per, newest) in [
        (1, vec![Key::Name], vec![ids[1], ids[3]]),
        (2, vec![Key::Name], vec![ids[1], ids[2], ids[3], ids[4]]),
        (1, vec![], vec![ids[1]]),
        (1, vec![Key::Name, Key::Owner], vec![ids[1], ids[3]]),
    ] {
        let newest_of = Newest::new(count.try_into().unwrap(), per);
        let found = select_newest(&ctx, &source, &Selection::default(), &newest_of).await;
        let (found, count) = found.unwrap();
        assert_eq!(found, newest.into_iter().collect());
        assert_eq!((count.images, count.of), (found.len() as u64, Some(5)));
    }
}
