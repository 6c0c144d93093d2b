//! Images on their way over a stage.

use glance_model::{ImageId, TargetForm};
use replicator_core::testing::{Faults, Faulty, MemoryImages};
use std::sync::Arc;

use crate::kit::{assert_same, faults, livecopy_with, quick, source};

#[tokio::test]
async fn an_image_is_proven_on_the_stage_before_v1_gets_a_byte_of_it() {
    let stage = MemoryImages::default().with_form(TargetForm::Whole);
    let mut options = quick();
    options.stage = Some(Arc::new(stage.clone()));
    for (form, flipped, staged_for) in [
        (TargetForm::V1, Some(500), true),
        (TargetForm::V1, None, true),
        (TargetForm::V2 { hidden: true }, None, false),
    ] {
        let (images, source) = source(&[10_000], faults(|f| f.flipped_byte = flipped));
        let target = MemoryImages::default().with_form(form);
        let report = livecopy_with(&options, source, target.clone()).await;
        if flipped.is_some() {
            assert_eq!(target.all(), [], "nothing was sent");
            assert!(report.failures().next().unwrap().1.is_of_content());
            continue;
        }
        assert_eq!(report.copied(), 1, "{report:?}");
        assert_same(&images, &target);
        let left = stage
            .all()
            .iter()
            .any(|staged| staged.id == images.all()[0].id);
        assert!(!left, "staged: {staged_for}");
    }
}

#[tokio::test]
async fn what_is_staged_already_is_not_read_from_the_source_again() {
    let (images, _) = source(&[10_000], Faults::default());
    let image = images.all().remove(0);
    let stage = MemoryImages::default().with_form(TargetForm::Whole);
    stage.insert(image.clone(), images.data(&image.id));
    let mut options = quick();
    options.stage = Some(Arc::new(stage));
    let unreadable = Faulty::new(images.clone(), faults(|f| f.unreadable = Some(image.id)));
    let target = MemoryImages::default().with_form(TargetForm::V1);
    let report = livecopy_with(&options, unreadable, target.clone()).await;
    assert_eq!(report.copied(), 1, "{report:?}");
    assert_same(&images, &target);
}

#[tokio::test]
async fn what_was_sent_already_does_not_stay_on_the_stage() {
    let (images, _) = source(&[10_000, 20_000], Faults::default());
    let (sent, other) = (images.all().remove(0), images.all().remove(1));
    let stage = MemoryImages::default().with_form(TargetForm::Whole);
    let target = MemoryImages::default().with_form(TargetForm::V1);
    target.insert(sent.clone(), images.data(&sent.id));
    stage.insert(sent.clone(), images.data(&sent.id));
    // Of no image that this run knows: it may be another run's.
    let mut foreign = other.clone();
    foreign.id = ImageId::parse("ffffffff-0000-4000-8000-000000000000").unwrap();
    stage.insert(foreign.clone(), images.data(&other.id));
    let mut options = quick();
    options.stage = Some(Arc::new(stage.clone()));
    let report = livecopy_with(&options, images.clone(), target.clone()).await;
    assert_eq!(report.copied(), 1, "{report:?}");
    assert_same(&images, &target);
    let left: Vec<ImageId> = stage.all().into_iter().map(|image| image.id).collect();
    assert_eq!(left, [foreign.id]);
}
