//! The projects that images are shared with, and those that own them.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use glance_model::{
    Identity, ImageId, ImageMetadata, MemberStatus, Members, OnMissingProject, Owner, ProjectMap,
    ProjectName, Projects, TargetForm, Visibility,
};
use replicator_core::testing::{MemoryImages, Setup, active_image};
use replicator_core::{
    Event, EventSink, ImageError, MembersLeftOut, Outcome, Report, RunContext, SkipReason,
};

const DATA: &[u8] = b"data";

fn members(of: &[(&str, MemberStatus)]) -> Members {
    let members = of.iter().map(|(id, status)| ((*id).to_owned(), *status));
    members.collect()
}

fn shared(of: &[(&str, MemberStatus)]) -> ImageMetadata {
    let mut image = active_image(DATA);
    image.visibility = Some(Visibility::Shared);
    image.members = Some(members(of));
    image
}

fn put(images: &MemoryImages, image: &ImageMetadata) {
    images.insert(image.clone(), Some(Bytes::from_static(DATA)));
}

fn find(images: &MemoryImages, id: ImageId) -> ImageMetadata {
    let mut all = images.all().into_iter();
    all.find(|image| image.id == id).unwrap()
}

/// The events about members.
#[derive(Default)]
struct Told(Mutex<Vec<(MembersLeftOut, Vec<String>)>>);

impl EventSink for Told {
    fn emit(&self, event: Event) {
        if let Event::MembersLeftOut {
            members, reason, ..
        } = event
        {
            let members = members.into_iter().collect();
            self.0.lock().unwrap().push((reason, members));
        }
    }
}

async fn run(setup: &Setup, source: &MemoryImages, target: &MemoryImages) -> Report {
    let ctx = RunContext::silent();
    let (source, target) = (Arc::new(source.clone()), Arc::new(target.clone()));
    setup.replicate(&ctx, source, target).await.unwrap()
}

#[tokio::test]
async fn members_arrive_and_others_stay() {
    use MemberStatus::{Accepted, Pending, Rejected};
    for form in [TargetForm::V2 { hidden: true }, TargetForm::Whole] {
        let source = MemoryImages::default();
        let target = MemoryImages::default().with_form(form);
        let image = shared(&[("a", Accepted), ("b", Pending), ("c", Rejected)]);
        put(&source, &image);
        let setup = Setup::default();
        assert_eq!(run(&setup, &source, &target).await.copied(), 1);
        assert_eq!(find(&target, image.id).members, image.members);
        assert_eq!(run(&setup, &source, &target).await.unchanged(), 1);

        // One has left at the target, one is new, and one has changed its mind.
        let mut found = find(&target, image.id);
        found.members = Some(members(&[
            ("b", Accepted),
            ("c", Rejected),
            ("own", Pending),
        ]));
        put(&target, &found);
        let report = run(&setup, &source, &target).await;
        assert_eq!((report.updated(), report.failures().count()), (1, 0));
        let expected = members(&[
            ("a", Accepted),
            ("b", Pending),
            ("c", Rejected),
            ("own", Pending),
        ]);
        assert_eq!(find(&target, image.id).members, Some(expected));
        assert_eq!(run(&setup, &source, &target).await.unchanged(), 1);
    }
}

#[tokio::test]
async fn only_shared_images_cost_a_request_and_at_the_target_only_those_with_members() {
    let (source, target) = (MemoryImages::default(), MemoryImages::default());
    for visibility in [
        Visibility::Private,
        Visibility::Public,
        Visibility::Community,
    ] {
        let mut image = active_image(DATA);
        image.visibility = Some(visibility);
        put(&source, &image);
        put(&target, &image);
    }
    for image in [
        shared(&[]),
        shared(&[]),
        shared(&[("a", MemberStatus::Pending)]),
    ] {
        put(&source, &image);
        put(&target, &image);
    }
    let mut setup = Setup::default();
    assert_eq!(run(&setup, &source, &target).await.unchanged(), 6);
    assert_eq!((source.member_reads(), target.member_reads()), (3, 1));
    setup.policy.omit = setup.policy.omit.with_field("members");
    assert_eq!(run(&setup, &source, &target).await.unchanged(), 6);
    assert_eq!((source.member_reads(), target.member_reads()), (3, 1));
}

#[tokio::test]
async fn members_that_sleep_at_the_target_do_not_wake() {
    let (source, target) = (MemoryImages::default(), MemoryImages::default());
    let image = shared(&[("a", MemberStatus::Accepted)]);
    put(&source, &image);
    let mut asleep = image.clone();
    asleep.visibility = Some(Visibility::Private);
    asleep.members = Some(members(&[("spy", MemberStatus::Accepted)]));
    put(&target, &asleep);
    let report = run(&Setup::default(), &source, &target).await;
    let (_, error) = report.failures().next().unwrap();
    assert!(
        matches!(error, ImageError::MembersWoke { members, is_restored: true } if members == &["spy"]),
        "{error}"
    );
    assert_eq!(
        find(&target, image.id).visibility,
        Some(Visibility::Private)
    );

    // Those that the source has may wake.
    asleep.members = Some(members(&[("a", MemberStatus::Accepted)]));
    put(&target, &asleep);
    assert_eq!(run(&Setup::default(), &source, &target).await.updated(), 1);
    let found = find(&target, image.id);
    assert_eq!(found.visibility, Some(Visibility::Shared));
    assert_eq!(found.members, image.members);
}

#[tokio::test]
async fn a_caller_who_may_not_set_statuses_leaves_them_and_says_so() {
    use MemberStatus::{Accepted, Pending};
    let (source, target) = (MemoryImages::default(), MemoryImages::default());
    let image = shared(&[("a", Accepted), ("b", Pending)]);
    put(&source, &image);
    let mut setup = Setup::default();
    setup.policy.leaves_members_pending = true;
    let told = Arc::new(Told::default());
    let ctx = RunContext::new(told.clone());
    let (from, to) = (Arc::new(source.clone()), Arc::new(target.clone()));
    let report = setup.replicate(&ctx, from, to).await.unwrap();
    assert_eq!(report.copied(), 1);
    assert_eq!(
        *told.0.lock().unwrap(),
        [(MembersLeftOut::Pending, vec!["a".to_owned()])]
    );
    assert_eq!(run(&setup, &source, &target).await.unchanged(), 1);
}

fn projects(of: &[(&str, &str)]) -> Arc<Projects> {
    let named = of.iter().map(|(id, name)| {
        let domain = Some("Default".to_owned());
        let name = (*name).to_owned();
        ((*id).to_owned(), ProjectName { domain, name })
    });
    Arc::new(Projects::new(named.collect(), true))
}

#[tokio::test]
async fn owners_and_members_are_mapped_and_a_missing_one_obeys_its_policy() {
    let source_projects = projects(&[("s1", "alpha"), ("s2", "beta"), ("s3", "gone")]);
    let target_projects = projects(&[("t1", "alpha"), ("t2", "beta")]);
    for (on_missing, copied, skipped, failed) in [
        (OnMissingProject::Fail, 1, 0, 2),
        (OnMissingProject::Skip, 2, 1, 0),
        (OnMissingProject::Use("t9".to_owned()), 3, 0, 0),
    ] {
        let (source, target) = (MemoryImages::default(), MemoryImages::default());
        let mut images = [
            shared(&[("s2", MemberStatus::Accepted)]),
            shared(&[("s2", MemberStatus::Pending), ("s3", MemberStatus::Pending)]),
            shared(&[]),
        ];
        for (image, owner) in images.iter_mut().zip(["s1", "s1", "s3"]) {
            image.owner = Some(owner.to_owned());
            put(&source, image);
        }
        let (from, to) = (source_projects.clone(), target_projects.clone());
        let map = ProjectMap::new(Owner::Mapped, on_missing.clone(), from, to, "").unwrap();
        let mut setup = Setup::default();
        setup.policy.identity = Identity::Mapped(Arc::new(map));
        let told = Arc::new(Told::default());
        let ctx = RunContext::new(told.clone());
        let (from, to) = (Arc::new(source.clone()), Arc::new(target.clone()));
        let report = setup.replicate(&ctx, from, to).await.unwrap();
        assert_eq!(report.copied(), copied, "{on_missing:?}");
        assert_eq!(report.skipped(), skipped, "{on_missing:?}");
        assert_eq!(report.failures().count(), failed, "{on_missing:?}");
        for (_, error) in report.failures() {
            let text = "the target has no project Default/gone (s3)";
            assert_eq!(error.to_string(), text);
        }
        if on_missing == OnMissingProject::Skip {
            let reasons = report.results.iter().map(|result| result.outcome);
            let mut skipped = reasons.filter(|outcome| {
                matches!(outcome, Outcome::Skipped(SkipReason::NoProject(problem)) if problem.id == "s3")
            });
            assert!(skipped.next().is_some());
        }
        let found = find(&target, images[0].id);
        assert_eq!(found.owner.as_deref(), Some("t1"));
        assert_eq!(
            found.members,
            Some(members(&[("t2", MemberStatus::Accepted)]))
        );
        if on_missing != OnMissingProject::Fail {
            let lost = vec!["Default/gone (s3)".to_owned()];
            assert_eq!(*told.0.lock().unwrap(), [(MembersLeftOut::NoProject, lost)]);
            let found = find(&target, images[1].id);
            assert_eq!(
                found.members,
                Some(members(&[("t2", MemberStatus::Pending)]))
            );
        }
        let again = run(&setup, &source, &target).await;
        assert_eq!(
            (again.unchanged(), again.copied(), again.updated()),
            (copied, 0, 0)
        );
    }
}

#[tokio::test]
async fn projects_that_the_target_does_not_know_are_counted_where_ids_are_kept() {
    let (source, target) = (MemoryImages::default(), MemoryImages::default());
    for owner in ["s1", "s1", "t1"] {
        let mut image = shared(&[("s2", MemberStatus::Pending), ("t2", MemberStatus::Pending)]);
        image.owner = Some(owner.to_owned());
        put(&source, &image);
    }
    let mut setup = Setup::default();
    setup.policy.identity = Identity::Kept {
        known: Some(projects(&[("t1", "alpha"), ("t2", "beta")])),
    };
    let ctx = RunContext::silent();
    let plan = setup.plan(&ctx, &source, Arc::new(target)).await.unwrap();
    let unknown: Vec<_> = plan.unknown_projects.into_iter().collect();
    assert_eq!(unknown, ["s1", "s2"]);
}
