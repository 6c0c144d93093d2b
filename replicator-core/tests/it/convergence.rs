//! Whatever the images are: after a run they compare equal, and a second run
//! changes nothing.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::sync::Arc;

use bytes::Bytes;
use glance_model::{ImageMetadata, ImageStatus, MemberStatus, Members, TargetForm, Visibility};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use replicator_core::testing::{MemoryImages, Setup, active_image};
use replicator_core::{RunContext, TargetIds};

use crate::kit::differences;

fn visibility() -> impl Strategy<Value = Option<Visibility>> {
    prop_oneof![
        Just(None),
        Just(Some(Visibility::Public)),
        Just(Some(Visibility::Community)),
        Just(Some(Visibility::Shared)),
        Just(Some(Visibility::Private)),
        Just(Some(Visibility::NotPublic)),
    ]
}

fn members() -> impl Strategy<Value = Members> {
    let status = prop_oneof![
        Just(MemberStatus::Pending),
        Just(MemberStatus::Accepted),
        Just(MemberStatus::Rejected),
    ];
    btree_map("[a-c]{1,2}", status, 0..4)
}

fn image() -> impl Strategy<Value = (ImageMetadata, Bytes)> {
    (
        (vec(any::<u8>(), 0..300), any::<bool>()),
        (
            any::<Option<String>>(),
            any::<Option<u64>>(),
            any::<Option<bool>>(),
        ),
        visibility(),
        (btree_set(".{0,5}", 0..3), members()),
        btree_map("[a-zA-Z_:-]{1,6}", ".{0,8}", 0..4),
    )
        .prop_map(
            |((data, active), (name, min_ram, hidden), visibility, (tags, members), properties)| {
                let data = Bytes::from(data);
                let mut image = active_image(&data);
                if !active {
                    image.status = ImageStatus::Queued;
                    (image.size, image.checksum) = (None, None);
                }
                image.name = name.filter(|name| !name.is_empty());
                image.min_ram = min_ram;
                image.hidden = hidden;
                image.visibility = visibility;
                image.tags = tags;
                image.members = visibility.filter(|v| v.is_for_members()).map(|_| members);
                image.properties = properties;
                (image, data)
            },
        )
}

async fn check(images: Vec<(ImageMetadata, Bytes)>, form: TargetForm) {
    let (source, target) = (
        MemoryImages::default(),
        MemoryImages::default().with_form(form),
    );
    for (image, data) in images {
        let data = image.is_active().then_some(data);
        source.insert(image, data);
    }
    let (ctx, options) = (RunContext::silent(), Setup::default());
    // An archive has the records of images without data as well.
    let is_replicated = |image: &&ImageMetadata| image.is_active() || form == TargetForm::Whole;
    let active = source.all().iter().filter(is_replicated).count() as u64;
    for expected in [active, 0] {
        let to: Arc<MemoryImages> = Arc::new(target.clone());
        let planned = options.plan(&ctx, &source, to.clone()).await.unwrap();
        assert_eq!(planned.images.len() as u64, expected);
        let from = Arc::new(source.clone());
        let report = options.run_plan(&ctx, from, to, planned).await;
        assert!(report.failures().next().is_none(), "{report:?}");
    }
    let differences = differences(&source, &target, TargetIds::new()).await;
    assert!(differences.is_empty(), "{differences:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_second_run_finds_nothing_to_do(images in vec(image(), 0..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for form in [
            TargetForm::Whole,
            TargetForm::V1,
            TargetForm::V2 { hidden: true },
            TargetForm::V2 { hidden: false },
        ] {
            runtime.block_on(check(images.clone(), form));
        }
    }
}
