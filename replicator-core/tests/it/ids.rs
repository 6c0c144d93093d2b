//! Images whose ids cannot be used at the target.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use glance_model::{ImageId, ImageMetadata, ImageStatus, TargetForm};
use replicator_core::testing::{MemoryImages, Setup, random_id};
use replicator_core::{
    IdMap, IdProblem, ImageError, OnIdConflict, PortError, Report, TargetIds, VerifyBy,
};

use crate::kit::{differences, images, livecopy_with, verified};

#[derive(Debug, Default)]
struct MemoryIdMap(Mutex<TargetIds>);

#[async_trait]
impl IdMap for MemoryIdMap {
    fn target_ids(&self) -> TargetIds {
        self.0.lock().unwrap().clone()
    }

    async fn assign(&self, source: &ImageId) -> Result<ImageId, PortError> {
        let id = random_id();
        self.0.lock().unwrap().insert(*source, id);
        Ok(id)
    }
}

fn with(on_id_conflict: OnIdConflict, id_map: Option<&Arc<MemoryIdMap>>) -> Setup {
    let mut options = Setup::default();
    options.policy.on_id_conflict = on_id_conflict;
    options.id_map = id_map.map(|map| Arc::clone(map) as _);
    options
}

async fn livecopy(source: &MemoryImages, target: &MemoryImages, options: &Setup) -> Report {
    livecopy_with(options, source.clone(), target.clone()).await
}

/// Five images, and a target on which the id of one is used up.
fn ends() -> (MemoryImages, MemoryImages, ImageId) {
    let (source, target) = (images(&[1000; 5]), MemoryImages::default());
    let burnt = source.all()[2].id;
    target.insert(ImageMetadata::new(burnt, ImageStatus::Killed), None);
    (source, target, burnt)
}

#[tokio::test]
async fn an_id_that_is_used_up_fails_or_is_left_alone() {
    for (policy, skipped, failed) in [
        (OnIdConflict::Fail, 0, 1),
        (OnIdConflict::Skip, 1, 0),
        // There is nowhere to keep a new one.
        (OnIdConflict::NewId, 0, 1),
    ] {
        let (source, target, burnt) = ends();
        let report = livecopy(&source, &target, &with(policy, None)).await;
        let found = (report.copied(), report.skipped(), report.failures().count());
        assert_eq!(found, (4, skipped, failed), "{policy:?}");
        for (result, error) in report.failures() {
            let ImageError::Id(IdProblem::Burnt(ImageStatus::Killed)) = error else {
                panic!("{policy:?}: {result:?}");
            };
            assert_eq!(result.image.id, burnt.as_str());
        }
    }
}

#[tokio::test]
async fn a_new_id_is_kept_and_found_by_later_runs() {
    let (source, target, burnt) = ends();
    let map = Arc::new(MemoryIdMap::default());
    let options = with(OnIdConflict::NewId, Some(&map));
    assert_eq!(livecopy(&source, &target, &options).await.copied(), 5);
    let new = map.target_ids()[&burnt];
    assert_eq!(target.data(&new), source.data(&burnt));

    let again = livecopy(&source, &target, &with(OnIdConflict::Fail, Some(&map))).await;
    assert_eq!(
        (again.unchanged(), again.failures().count()),
        (5, 0),
        "{again:?}"
    );

    let mut changed = source.all()[2].clone();
    let data = source.data(&burnt);
    changed.name = Some("changed".into());
    source.insert(changed, data);
    let found = differences(&source, &target, map.target_ids()).await;
    let found: Vec<&str> = found.iter().map(|one| &*one.image.id).collect();
    assert_eq!(found, [burnt.as_str()]);
    assert_eq!(livecopy(&source, &target, &options).await.updated(), 1);
    let copy = target.all().into_iter().find(|image| image.id == new);
    assert_eq!(copy.unwrap().name.as_deref(), Some("changed"));

    for by in [VerifyBy::Stated, VerifyBy::Reading] {
        let report = verified(source.clone(), target.clone(), map.target_ids(), by).await;
        assert_eq!(report.verified, 5, "{by:?}");
    }
}

#[tokio::test]
async fn a_staged_image_that_was_sent_under_a_new_id_does_not_stay() {
    let (source, target, burnt) = ends();
    let target = target.with_form(TargetForm::V1);
    let map = Arc::new(MemoryIdMap::default());
    let options = with(OnIdConflict::NewId, Some(&map));
    assert_eq!(livecopy(&source, &target, &options).await.copied(), 5);
    // As a run leaves it that is killed before it can remove it.
    let stage = MemoryImages::default().with_form(TargetForm::Whole);
    stage.insert(source.all()[2].clone(), source.data(&burnt));
    let mut staged = with(OnIdConflict::Fail, Some(&map));
    staged.stage = Some(Arc::new(stage.clone()));
    assert_eq!(livecopy(&source, &target, &staged).await.unchanged(), 5);
    assert!(stage.all().is_empty());
}

#[tokio::test]
async fn a_copy_whose_new_id_was_lost_as_well_gets_another_one() {
    let (source, target, burnt) = ends();
    let map = Arc::new(MemoryIdMap::default());
    let options = with(OnIdConflict::NewId, Some(&map));
    livecopy(&source, &target, &options).await;
    let lost = map.target_ids()[&burnt];
    target.insert(ImageMetadata::new(lost, ImageStatus::Deleted), None);
    assert_eq!(livecopy(&source, &target, &options).await.copied(), 1);
    let new = map.target_ids()[&burnt];
    assert_ne!(new, lost);
    assert_eq!(target.data(&new), source.data(&burnt));
}
