//! The survey of a server: its stores, its quotas, reading from the middle.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use glance_client::Survey;
use glance_client::testing::{
    EmbeddedGlance, EmbeddedGlanceBuilder, FaultAction, FaultOn, ImageContent, ImageSpec, Profile,
    RangeSupport,
};
use serde_json::json;

use crate::kit::{ONE, start};

async fn surveyed(builder: EmbeddedGlanceBuilder) -> Survey {
    let (glance, client) = start(builder).await;
    glance.add_image(ImageSpec::new(ONE).data(ImageContent::bytes("data")));
    let survey = client.survey().await.unwrap();
    let changes = glance.requests().into_iter().filter(|r| r.method != "GET");
    assert_eq!(changes.count(), 0, "a survey changes nothing");
    survey
}

#[tokio::test]
async fn todays_glance_names_its_stores_and_reads_from_the_middle() {
    let builder = EmbeddedGlance::builder().stores(&["main", "spare"]);
    let survey = surveyed(builder).await;
    let stores: Vec<_> = survey.stores.unwrap();
    let stores: Vec<_> = stores.iter().map(|s| (&*s.id, s.is_default)).collect();
    assert_eq!(stores, [("main", true), ("spare", false)]);
    assert_eq!(survey.has_range, Some(true));
    assert_eq!(survey.first_page, (1, true));
    assert_eq!(survey.versions.last().map(String::as_str), Some("v2.17"));
    assert!(survey.date.unwrap().ends_with(" GMT"));
}

#[tokio::test]
async fn what_a_server_does_not_have_is_left_out() {
    for (profile, range, has_range) in [
        (Profile::V1Only, RangeSupport::Honoured, false),
        (Profile::Legacy, RangeSupport::Refused, false),
        (Profile::Legacy, RangeSupport::Honoured, true),
    ] {
        let builder = EmbeddedGlance::builder().profile(profile).range(range);
        let survey = surveyed(builder).await;
        assert_eq!((survey.stores, survey.import_methods), (None, None));
        assert_eq!(survey.has_range, Some(has_range), "{profile:?}");
    }
}

#[tokio::test]
async fn quotas_are_numbers_with_or_without_a_limit() {
    let (glance, client) = start(EmbeddedGlance::builder()).await;
    let usage = json!({"usage": {
        "image_count_total": {"limit": 10, "usage": 2},
        "image_size_total": {"limit": -1, "usage": 3},
    }});
    glance.fault(
        FaultOn::any().path("/v2/info/usage"),
        FaultAction::json(&usage),
    );
    let survey = client.survey().await.unwrap();
    let quotas: Vec<_> = survey
        .quotas
        .iter()
        .map(|q| (&*q.resource, q.usage, q.limit))
        .collect();
    assert_eq!(
        quotas,
        [
            ("image_count_total", 2, Some(10)),
            ("image_size_total", 3, None)
        ]
    );
    assert_eq!(survey.has_range, None);
}
