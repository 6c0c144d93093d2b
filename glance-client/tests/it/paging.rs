//! Listings: how many requests they take, and images that come and go meanwhile.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use glance_client::testing::{
    EmbeddedGlance, EmbeddedGlanceBuilder, FaultAction, FaultOn, ImageContent, ImageSpec, Profile,
    RequestKind,
};
use glance_client::{ErrorKind, GlanceClient};
use glance_model::{ImageMetadata, Selection};
use serde_json::json;

use crate::kit;

fn numbered(number: usize) -> String {
    format!("{number:08x}-1111-4111-8111-111111111111")
}

async fn start(builder: EmbeddedGlanceBuilder, images: usize) -> (EmbeddedGlance, GlanceClient) {
    let (glance, client) = kit::start(builder).await;
    for number in 0..images {
        glance.add_image(ImageSpec::new(&numbered(number)));
    }
    (glance, client)
}

fn numbers(images: &[ImageMetadata]) -> Vec<usize> {
    let number = |image: &ImageMetadata| usize::from_str_radix(&image.id.as_str()[..8], 16);
    images.iter().map(|image| number(image).unwrap()).collect()
}

#[tokio::test]
async fn five_thousand_images_take_a_request_a_page_and_few_more() {
    for (profile, requests) in [
        // One for the hidden ones, and one more because the last page is full.
        (Profile::Today, 7),
        // One that is refused, and one for community images.
        (Profile::Legacy, 8),
        (Profile::V1Only, 6),
    ] {
        let builder = EmbeddedGlance::builder().profile(profile).page_size(1000);
        let (glance, client) = start(builder, 5000).await;
        let images: Vec<_> = client.images().try_collect().await.unwrap();
        assert_eq!(
            numbers(&images),
            (0..5000).collect::<Vec<_>>(),
            "{profile:?}"
        );
        assert_eq!(glance.total_requests(), requests, "{profile:?}");
    }
}

#[tokio::test]
async fn the_server_decides_how_long_a_page_is() {
    for profile in [Profile::Today, Profile::Legacy, Profile::V1Only] {
        let builder = EmbeddedGlance::builder().profile(profile).page_size(2);
        let (_glance, client) = start(builder, 5).await;
        let images: Vec<_> = client.images().try_collect().await.unwrap();
        assert_eq!(numbers(&images), [0, 1, 2, 3, 4], "{profile:?}");
    }
}

#[tokio::test]
async fn one_page_ahead_is_fetched_and_no_more() {
    let (glance, client) = start(EmbeddedGlance::builder().page_size(2), 9).await;
    let mut images = client.images();
    images.next().await.unwrap().unwrap();
    while glance.count(RequestKind::Listing) < 3 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let listings = glance.count(RequestKind::Listing);
    assert_eq!(listings, 3, "two pages, and one of the hidden ones");
}

#[tokio::test]
async fn hidden_and_community_images_are_listed_once_and_in_their_place() {
    let (glance, client) = start(EmbeddedGlance::builder(), 0).await;
    for (number, spec) in (0..9).map(|number| (number, ImageSpec::new(&numbered(number)))) {
        glance.add_image(match number % 3 {
            0 => spec.hidden(),
            1 => spec.visibility("community").owner("another"),
            _ => spec.visibility("private").owner("another"),
        });
    }
    let images: Vec<_> = client.images().try_collect().await.unwrap();
    assert_eq!(numbers(&images), (0..9).collect::<Vec<_>>());
}

/// As the server answers when the image that the next page would follow was
/// deleted: the listing goes on from where it was.
#[tokio::test]
async fn a_refused_marker_is_replaced_by_an_earlier_one() {
    for refusals in [1, 2, 3, 4] {
        let (glance, client) = start(EmbeddedGlance::builder().page_size(4), 11).await;
        let on = FaultOn::kind(RequestKind::Listing).path("visibility=all&marker=");
        let refused = FaultAction::status(400);
        glance.fault(on.skip(1).times(refusals), refused);
        let images: Vec<_> = client.images().try_collect().await.unwrap();
        assert_eq!(
            numbers(&images),
            (0..11).collect::<Vec<_>>(),
            "{refusals} refusals"
        );
    }
}

#[tokio::test]
async fn a_server_that_refuses_every_marker_ends_the_listing() {
    let (glance, client) = start(EmbeddedGlance::builder().page_size(4), 11).await;
    glance.fault(
        FaultOn::kind(RequestKind::Listing).path("marker="),
        FaultAction::status(400),
    );
    let listed: Result<Vec<_>, _> = client.images().try_collect().await;
    assert_eq!(listed.unwrap_err().status().unwrap().as_u16(), 400);
    assert!(glance.total_requests() < 50, "{}", glance.total_requests());
}

#[tokio::test]
async fn a_page_that_fails_is_asked_for_again_as_often_as_allowed() {
    let (glance, client) = start(EmbeddedGlance::builder().page_size(4), 11).await;
    let busy = |times| {
        let on = FaultOn::kind(RequestKind::Listing)
            .path("marker=")
            .times(times);
        glance.fault(on, FaultAction::retry_after(503, 0));
    };
    busy(1);
    let listed: Result<Vec<_>, _> = client.images().try_collect().await;
    assert_eq!(listed.unwrap_err().status().unwrap().as_u16(), 503);

    let mut config = kit::config(&glance);
    config.listing_retries = 2;
    glance.fault(FaultOn::any().times(2), FaultAction::retry_after(503, 0));
    let client = GlanceClient::connect(&config).await.unwrap();
    busy(2);
    let images: Vec<_> = client.images().try_collect().await.unwrap();
    assert_eq!(numbers(&images), (0..11).collect::<Vec<_>>());
    busy(3);
    let listed: Result<Vec<_>, _> = client.images().try_collect().await;
    assert_eq!(listed.unwrap_err().status().unwrap().as_u16(), 503);
}

fn page(images: &[&str], next: Option<&str>) -> FaultAction {
    let record = |id: &&str| json!({"id": id, "status": "active"});
    let images: Vec<_> = images.iter().map(record).collect();
    FaultAction::json(&json!({"images": images, "next": next}))
}

fn listing() -> FaultOn {
    FaultOn::kind(RequestKind::Listing)
}

#[tokio::test]
async fn a_page_without_images_that_has_a_next_one_does_not_end_the_listing() {
    let (glance, client) = start(EmbeddedGlance::builder(), 0).await;
    let [one, two] = [1, 2].map(numbered);
    let behind = |marker: &str| Some(format!("/v2/images?limit=2&marker={marker}"));
    glance.fault(listing().path("os_hidden"), page(&[], None));
    glance.fault(
        listing().path("marker=here"),
        page(&[], behind("there").as_deref()),
    );
    glance.fault(listing().path("marker=there"), page(&[&two], None));
    glance.fault(
        listing().path("marker="),
        page(&[], behind("here").as_deref()),
    );
    glance.fault(listing(), page(&[&one], behind(&one).as_deref()));
    let images: Vec<_> = client.images().try_collect().await.unwrap();
    assert_eq!(numbers(&images), [1, 2]);
}

#[tokio::test]
async fn pages_without_images_that_promise_more_for_ever_are_an_error() {
    for next in ["/v2/images?marker=here", "/v2/images", "x"] {
        let (glance, client) = start(EmbeddedGlance::builder(), 0).await;
        glance.fault(listing(), page(&[], Some(next)));
        let listed: Result<Vec<_>, _> = client.images().try_collect().await;
        assert_eq!(
            listed.unwrap_err().kind(),
            ErrorKind::InvalidAnswer,
            "{next}"
        );
        assert!(glance.total_requests() < 10, "{next}");
    }
}

#[tokio::test]
async fn the_listing_goes_on_behind_a_record_whose_id_is_none() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (glance, client) = start(EmbeddedGlance::builder().profile(profile), 0).await;
        let [one, two] = [1, 2].map(numbered);
        glance.fault(listing().path("os_hidden"), page(&[], None));
        glance.fault(listing().path(&format!("marker={two}")), page(&[], None));
        glance.fault(listing().path("marker=%7B%20%2F%7D"), page(&[&two], None));
        glance.fault(listing(), page(&[&one, "{ /}"], Some("x")));
        let listed: Vec<_> = client.images().collect().await;
        let [Ok(_), Err(error), Ok(last)] = &*listed else {
            panic!("{listed:?}");
        };
        assert_eq!(error.kind(), ErrorKind::BadRecord);
        assert_eq!(last.id.as_str(), two);
    }
}

#[tokio::test]
async fn of_a_page_that_is_too_long_half_is_asked_for() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (glance, client) = start(EmbeddedGlance::builder().profile(profile), 5).await;
        let body = Bytes::from(vec![b' '; 65 << 20]);
        let too_long = || FaultAction::Answer {
            status: 200,
            headers: Vec::new(),
            body: body.clone(),
        };
        for limit in [1000, 500, 250, 125, 62, 31, 15, 7, 3] {
            glance.fault(listing().path(&format!("limit={limit}&")), too_long());
        }
        let images: Vec<_> = client.images().try_collect().await.unwrap();
        assert_eq!(numbers(&images), [0, 1, 2, 3, 4], "{profile:?}");
    }
}

#[tokio::test]
async fn ids_of_a_selection_cost_a_page_each_200_and_keep_their_order() {
    let id = |number: usize| kit::id(&numbered(number));
    for (profile, requests) in [
        // Visible and hidden images, by 200 ids.
        (Profile::Today, 10),
        // No filters: pages of all images, the refused query, community images; an empty page.
        (Profile::Legacy, 4),
        (Profile::V1Only, 3),
    ] {
        let builder = EmbeddedGlance::builder().profile(profile).page_size(1000);
        let (glance, client) = start(builder, 1200).await;
        let wanted = Selection::of_ids((0..2000).step_by(2).map(id));
        let images: Vec<_> = client.selected_images(&wanted).try_collect().await.unwrap();
        let even: Vec<_> = (0..1200).step_by(2).collect();
        assert_eq!(numbers(&images), even, "{profile:?}");
        assert_eq!(glance.total_requests(), requests, "{profile:?}");
    }
    let (glance, client) = start(EmbeddedGlance::builder(), 3).await;
    let none = client.selected_images(&Selection::of_ids([]));
    assert_eq!(none.try_collect::<Vec<_>>().await.unwrap(), []);
    assert_eq!(glance.total_requests(), 0, "nothing is asked for");
}

#[tokio::test]
async fn a_selection_is_asked_for_and_tested_again() {
    for profile in [Profile::Today, Profile::Legacy, Profile::V1Only] {
        let (glance, client) = start(EmbeddedGlance::builder().profile(profile), 4).await;
        let spec = |number| {
            let spec = ImageSpec::new(&numbered(number)).owner("alpha");
            spec.name("a, b").property("os", "linux")
        };
        glance.add_image(spec(1).data(ImageContent::zeros(10)));
        glance.add_image(spec(2).data(ImageContent::zeros(20)));
        glance.add_image(spec(3).data(ImageContent::zeros(10)).hidden());
        let wanted = [
            r#"name="a, b""#,
            "owner=alpha",
            "property:os=linux",
            "status=active,queued",
            "size>=1",
            "size<=10",
            "created>=2000-01-01",
            "updated<2100-01-01",
            "protected=false",
        ];
        let wanted = wanted.map(|test| test.parse().unwrap());
        let wanted = wanted
            .into_iter()
            .fold(Selection::default(), Selection::with);
        let images: Vec<_> = client.selected_images(&wanted).try_collect().await.unwrap();
        assert_eq!(numbers(&images), [1, 3], "{profile:?}");
        let asked = |text: &str| glance.requests().iter().any(|r| r.target.contains(text));
        let (sizes, names) = (asked("size_max=10"), asked("owner=alpha"));
        let expected = match profile {
            Profile::Today => (true, true),
            Profile::V1Only => (true, false),
            _ => (false, false),
        };
        assert_eq!((sizes, names), expected, "{profile:?}");
    }
}

/// A proxy may take no long URL.
#[tokio::test]
async fn where_filters_are_refused_all_images_are_listed_and_tested_here() {
    let (glance, client) = start(EmbeddedGlance::builder(), 5).await;
    let refused = FaultOn::kind(RequestKind::Listing).times(1);
    glance.fault(refused, FaultAction::status(414));
    let wanted = Selection::of_ids([kit::id(&numbered(3))]);
    let images: Vec<_> = client.selected_images(&wanted).try_collect().await.unwrap();
    assert_eq!(numbers(&images), [3]);
}
