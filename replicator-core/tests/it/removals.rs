//! Images that their source does not have any more: which of them leave the target, and what holds
//! them back.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use glance_model::{
    ImageId, ImageMetadata, ImageStatus, MaxDelete, Selection, Shard, TargetForm, Test,
};
use replicator_core::testing::{MemoryImages, Setup, active_image};
use replicator_core::{
    Action, DeletePolicy, ImageData, ImageSource, ImageStream, Member, NotDone, Outcome, Plan,
    PortError, Reason, Report, RunContext, SkipReason, Stage as _,
};

use crate::kit::quick;

const DAY: Duration = Duration::from_secs(86_400);
const NOW: Duration = Duration::from_secs(1_800_000_000);
const DATA: &[u8] = b"data";

/// Twenty images that were copied for the origin `prod`, of which the source has lost two.
struct World {
    setup: Setup,
    source: MemoryImages,
    target: MemoryImages,
    lost: [ImageId; 2],
}

impl World {
    async fn new(form: TargetForm) -> Self {
        let source = MemoryImages::default();
        for _ in 0..20 {
            let mut image = active_image(DATA);
            image.owner = Some("acme".to_owned());
            source.insert(image, Some(Bytes::from_static(DATA)));
        }
        let mut setup = quick();
        setup.policy.origin = Some("prod".parse().unwrap());
        setup.policy.delete = Some(DeletePolicy {
            grace: 7 * DAY,
            max: MaxDelete::Cautious,
        });
        setup.run.now = Some(NOW);
        let target = MemoryImages::default().with_form(form);
        let ids: Vec<ImageId> = source.all().into_iter().map(|image| image.id).collect();
        let world = Self {
            setup,
            source,
            target,
            lost: [ids[3], ids[11]],
        };
        assert_eq!(world.run().await.copied(), 20);
        for id in &world.lost {
            world.source.remove_image(id).await.unwrap();
        }
        world
    }

    async fn run(&self) -> Report {
        let plan = self.plan().await;
        self.run_plan(plan).await
    }

    async fn plan(&self) -> Plan {
        let ctx = RunContext::silent();
        let target = Arc::new(self.target.clone());
        self.setup.plan(&ctx, &self.source, target).await.unwrap()
    }

    async fn run_plan(&self, plan: Plan) -> Report {
        let ctx = RunContext::silent();
        let (source, target) = (Arc::new(self.source.clone()), Arc::new(self.target.clone()));
        self.setup.run_plan(&ctx, source, target, plan).await
    }

    fn later(&mut self, time: Duration) {
        self.setup.run.now = Some(NOW + time);
    }

    fn change(&self, id: ImageId, change: impl FnOnce(&mut ImageMetadata)) {
        let mut all = self.target.all().into_iter();
        let mut image = all.find(|image| image.id == id).unwrap();
        change(&mut image);
        let data = self.target.data(&id);
        self.target.insert(image, data);
    }

    fn found(&self, id: ImageId) -> Option<ImageMetadata> {
        let mut all = self.target.all().into_iter();
        all.find(|image| image.id == id)
    }
}

const FORMS: [TargetForm; 4] = [
    TargetForm::V2 { hidden: true },
    TargetForm::V2 { hidden: false },
    TargetForm::V1,
    TargetForm::Whole,
];

#[tokio::test]
async fn what_the_source_has_lost_is_retired_and_deleted_when_the_grace_is_over() {
    for form in FORMS {
        let mut world = World::new(form).await;
        let plan = world.plan().await;
        let planned: Vec<_> = plan.removals().map(|planned| planned.reason).collect();
        assert_eq!(planned, [Reason::GoneAtSource; 2]);
        let written = serde_json::to_string(&plan).unwrap();
        let read: Plan = serde_json::from_str(&written).unwrap();
        assert_eq!(read.removals().count(), 2);
        let report = world.run_plan(read).await;
        assert_eq!((report.retired(), report.unchanged()), (2, 18), "{form:?}");
        for id in world.lost {
            let found = world.found(id).unwrap();
            assert_eq!(found.retired_at(), Some("2027-01-15T08:00:00Z"));
            assert_eq!(found.hidden == Some(true), form.can_hide());
        }
        world.later(7 * DAY - Duration::from_secs(1));
        let report = world.run().await;
        assert_eq!(
            (report.retired(), report.deleted(), report.skipped()),
            (0, 0, 2)
        );
        let results = &report.results;
        assert!(results.iter().all(|result| matches!(
            &result.outcome,
            Outcome::Skipped(SkipReason::Retired { until }) if until == "2027-01-22T08:00:00Z"
        )));
        world.later(7 * DAY);
        let plan = world.plan().await;
        assert!(
            plan.removals()
                .all(|planned| planned.action == Action::Delete)
        );
        let report = world.run_plan(plan).await;
        assert_eq!((report.retired(), report.deleted()), (0, 2));
        assert_eq!(world.target.all().len(), 18);
        let report = world.run().await;
        assert_eq!((report.unchanged(), report.results.len()), (18, 0));
    }
}

#[tokio::test]
async fn what_comes_back_is_what_it_was() {
    for form in FORMS {
        let mut world = World::new(form).await;
        let [id, other] = world.lost;
        let before = world.found(id).unwrap();
        assert_eq!(world.run().await.retired(), 2);
        let mut back = before.clone();
        back.hidden = Some(false);
        world.source.insert(back, Some(Bytes::from_static(DATA)));
        // Whatever the options: its time must not go on.
        world.setup.policy.delete = None;
        let report = world.run().await;
        assert_eq!((report.updated(), report.unchanged()), (1, 18), "{form:?}");
        let after = world.found(id).unwrap();
        assert_eq!((after.retired_at(), after.origin()), (None, Some("prod")));
        assert_ne!(after.hidden, Some(true));
        assert!(world.found(other).unwrap().retired_at().is_some());
        let report = world.run().await;
        assert_eq!((report.unchanged(), report.results.len()), (19, 0));
    }
}

/// The reason why nothing left the target, where there is one for all.
async fn held_back(world: &World) -> Vec<NotDone> {
    let before = world.target.all();
    let report = world.run().await;
    assert_eq!((report.retired(), report.deleted()), (0, 0));
    let after = world.target.all();
    for image in &before {
        let found = after.iter().find(|found| found.id == image.id).unwrap();
        assert_eq!(
            (found.hidden, found.retired_at()),
            (image.hidden, image.retired_at())
        );
    }
    let outcomes = report.results.iter().map(|result| result.outcome);
    let why = outcomes.filter_map(|outcome| match outcome {
        Outcome::NotDone(why) => Some(why),
        _ => None,
    });
    why.collect()
}

/// Worlds in which two images are to be retired, and in which they are to be deleted.
async fn worlds() -> [World; 2] {
    let form = TargetForm::V2 { hidden: true };
    let [retire, mut delete] = [World::new(form).await, World::new(form).await];
    assert_eq!(delete.run().await.retired(), 2);
    delete.later(8 * DAY);
    [retire, delete]
}

#[tokio::test]
async fn a_source_that_lists_nothing_takes_nothing_away() {
    for world in worlds().await {
        for image in world.source.all() {
            world.source.remove_image(&image.id).await.unwrap();
        }
        let why = held_back(&world).await;
        assert!(!why.is_empty());
        assert!(
            why.iter().all(|why| *why == NotDone::SourceEmpty),
            "{why:?}"
        );
    }
}

#[tokio::test]
async fn no_more_leave_the_target_than_may() {
    for (max, is_held) in [
        (MaxDelete::Number(1), true),
        (MaxDelete::Percent(5), true),
        (MaxDelete::Number(0), true),
        (MaxDelete::Number(2), false),
        (MaxDelete::Percent(10), false),
    ] {
        for mut world in worlds().await {
            world.setup.policy.delete.as_mut().unwrap().max = max;
            if is_held {
                let why = held_back(&world).await;
                let most = max.of(20);
                assert_eq!(why, [NotDone::TooManyGone { images: 2, most }; 2]);
            } else {
                let report = world.run().await;
                assert_eq!(report.retired() + report.deleted(), 2);
            }
        }
    }
    // By default, 10 % of 20.
    for world in worlds().await {
        let third = world.source.all().remove(0).id;
        world.source.remove_image(&third).await.unwrap();
        let report = world.run().await;
        match report.deleted() {
            0 => assert_eq!((report.retired(), report.not_done()), (0, 3)),
            _ => assert_eq!((report.retired(), report.deleted()), (1, 2)),
        }
    }
}

#[tokio::test]
async fn nothing_leaves_the_target_after_a_failure() {
    for world in worlds().await {
        // Known when it is planned.
        let other = world.source.all().remove(5);
        world.change(other.id, |image| image.checksum = Some("0".repeat(32)));
        assert_eq!(held_back(&world).await, [NotDone::AfterFailures; 2]);
    }
    for world in worlds().await {
        // Seen when it is done: the source has lost the data of an image.
        let plain = active_image(DATA);
        world.source.insert(plain, None);
        assert_eq!(held_back(&world).await, [NotDone::AfterFailures; 2]);
    }
}

#[tokio::test]
async fn ends_that_may_be_one_lose_nothing() {
    for world in worlds().await {
        let times = |image: &mut ImageMetadata| {
            image.created_at = Some("2026-01-01T00:00:00Z".to_owned());
            image.updated_at = Some("2026-01-02T00:00:00Z".to_owned());
        };
        for mut image in world.source.all() {
            world.change(image.id, times);
            times(&mut image);
            let mark = world.found(image.id).unwrap().properties;
            image.properties = mark;
            world.source.insert(image, Some(Bytes::from_static(DATA)));
        }
        assert_eq!(held_back(&world).await, [NotDone::SameEnd; 2]);
        // One that differs shows that they are two.
        let first = world.source.all().remove(0);
        world.change(first.id, |image| {
            image.updated_at = Some("2026-01-03T00:00:00Z".to_owned())
        });
        let report = world.run().await;
        assert_eq!(report.retired() + report.deleted(), 2);
    }
}

#[tokio::test]
async fn what_is_not_ours_stays() {
    type Change = fn(&mut ImageMetadata);
    let cases: [(Change, Option<SkipReason>); 7] = [
        (
            |image| image.protected = Some(true),
            Some(SkipReason::Protected),
        ),
        (
            |image| image.status = ImageStatus::Saving,
            Some(SkipReason::BeingWritten { since: None }),
        ),
        (|image| image.status = ImageStatus::Deleted, None),
        (
            |image| {
                drop(
                    image
                        .properties
                        .insert("replicator_origin".into(), "other".into()),
                )
            },
            None,
        ),
        (
            |image| {
                drop(
                    image
                        .properties
                        .insert("replicator_origin".into(), "PROD".into()),
                )
            },
            None,
        ),
        (
            |image| drop(image.properties.remove("replicator_origin")),
            None,
        ),
        (|image| image.owner = Some("beta".into()), None),
    ];
    for (change, reason) in cases {
        for mut world in worlds().await {
            world.setup.policy.member = Some(Member::of("acme"));
            for id in world.lost {
                world.change(id, change);
            }
            let report = world.run().await;
            let outcomes: Vec<_> = report.results.iter().map(|result| result.outcome).collect();
            let kept = outcomes.iter().all(|outcome| match outcome {
                Outcome::Skipped(why) => Some(why) == reason.as_ref(),
                _ => false,
            });
            assert!(kept, "{outcomes:?}");
            assert_eq!(outcomes.is_empty(), reason.is_none());
            assert_eq!(world.target.all().len(), 20);
        }
    }
}

#[tokio::test]
async fn without_the_wish_or_the_time_nothing_leaves_the_target() {
    let changes: [fn(&mut Setup); 3] = [
        |setup| setup.policy.delete = None,
        |setup| setup.policy.origin = None,
        |setup| setup.run.now = None,
    ];
    for change in changes {
        for mut world in worlds().await {
            change(&mut world.setup);
            assert_eq!(held_back(&world).await, []);
        }
    }
    // Nor with a plan that was made with it.
    for mut world in worlds().await {
        let plan = world.plan().await;
        world.setup.policy.delete = None;
        let report = world.run_plan(plan).await;
        assert_eq!(
            (report.retired() + report.deleted(), report.not_done()),
            (0, 2)
        );
        assert_eq!(world.target.all().len(), 20);
    }
}

#[tokio::test]
async fn what_has_changed_since_it_was_listed_stays() {
    type Change = fn(&mut ImageMetadata);
    let cases: [(Change, SkipReason); 3] = [
        (|image| image.protected = Some(true), SkipReason::Protected),
        (
            |image| drop(image.properties.remove("replicator_origin")),
            SkipReason::Changed,
        ),
        (
            |image| image.owner = Some("beta".into()),
            SkipReason::Changed,
        ),
    ];
    for (change, reason) in cases {
        for mut world in worlds().await {
            world.setup.policy.member = Some(Member::of("acme"));
            let plan = world.plan().await;
            for id in world.lost {
                world.change(id, change);
            }
            let report = world.run_plan(plan).await;
            assert_eq!((report.skipped(), report.not_done()), (2, 0));
            let is_for_it = |outcome: &Outcome| match outcome {
                Outcome::Skipped(why) => *why == reason,
                _ => false,
            };
            assert!(
                report
                    .results
                    .iter()
                    .all(|result| is_for_it(&result.outcome))
            );
            assert_eq!(world.target.all().len(), 20);
        }
    }
    // Somebody has shown one again, and one has come back.
    let [_, world] = worlds().await;
    let plan = world.plan().await;
    let [shown, back] = world.lost;
    world.change(shown, |image| image.hidden = Some(false));
    let image = world.found(back).unwrap();
    world.source.insert(image, Some(Bytes::from_static(DATA)));
    let report = world.run_plan(plan).await;
    let outcomes: Vec<_> = report.results.iter().map(|result| result.outcome).collect();
    let reasons = outcomes.into_iter().filter_map(|outcome| match outcome {
        Outcome::Skipped(why) => Some(why),
        _ => None,
    });
    let reasons: Vec<_> = reasons.collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons.contains(&SkipReason::Changed) && reasons.contains(&SkipReason::AtSource));
}

/// A source whose listing misses some images that it has.
#[derive(Debug)]
struct Missing(MemoryImages, [ImageId; 2]);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ImageSource for Missing {
    fn images(&self, wanted: &Selection) -> ImageStream {
        let missed = self.1;
        let images = self.0.images(wanted);
        let listed = images.filter(move |image| {
            let is_missed = image.as_ref().is_ok_and(|image| missed.contains(&image.id));
            std::future::ready(!is_missed)
        });
        listed.boxed()
    }

    async fn has_image(&self, id: &ImageId) -> Result<bool, PortError> {
        self.0.has_image(id).await
    }

    async fn image_data(&self, id: &ImageId, at: u64) -> Result<Option<ImageData>, PortError> {
        self.0.image_data(id, at).await
    }
}

#[tokio::test]
async fn an_image_that_a_listing_misses_stays() {
    for world in worlds().await {
        for id in world.lost {
            let image = world.found(id).unwrap();
            world.source.insert(image, Some(Bytes::from_static(DATA)));
        }
        let ctx = RunContext::silent();
        let target = Arc::new(world.target.clone());
        let source = Missing(world.source.clone(), world.lost);
        let report = world
            .setup
            .replicate(&ctx, Arc::new(source), target)
            .await
            .unwrap();
        assert_eq!(
            (report.retired(), report.deleted(), report.not_done()),
            (0, 0, 0)
        );
        assert_eq!(world.target.all().len(), 20);
    }
}

#[tokio::test]
async fn of_a_selection_leaves_what_is_selected_and_gone() {
    for mut world in worlds().await {
        let [id, _] = world.lost;
        world.change(id, |image| image.tags.extend(["gold".to_owned()]));
        let gold: Test = "tag=gold".parse().unwrap();
        world.setup.selection = Selection::default().with(gold);
        // Nothing of it is left at the source.
        assert_eq!(held_back(&world).await, [NotDone::NothingSelected]);
        let mut other = world.source.all().remove(0);
        other.tags.insert("gold".into());
        world.source.insert(other, Some(Bytes::from_static(DATA)));
        let report = world.run().await;
        assert_eq!(
            (report.retired() + report.deleted(), report.updated()),
            (1, 1)
        );
    }
}

#[tokio::test]
async fn the_first_share_takes_away_what_is_gone_from_all() {
    for mut world in worlds().await {
        let first: Shard = "0/7".parse().unwrap();
        world.setup.selection = Selection::default().of_shard(Some(first));
        let plan = world.plan().await;
        let of_share = world
            .source
            .all()
            .into_iter()
            .filter(|image| first.has(&image.id));
        assert_eq!(plan.selected.images, of_share.count() as u64);
        assert_eq!(plan.selected.images, plan.unchanged);
        let report = world.run_plan(plan).await;
        assert_eq!(report.retired() + report.deleted(), 2);
    }
}
