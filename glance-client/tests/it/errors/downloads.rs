//! Downloads that break off or have nothing to give.

use futures_util::StreamExt as _;
use glance_client::ErrorKind;
use glance_client::testing::{
    At, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};

use super::{answer, start};
use crate::kit::{ONE, TWO, id};

#[tokio::test]
async fn a_download_that_is_cut_ends_in_an_error() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (glance, client) = start(profile).await;
        glance.add_image(ImageSpec::new(ONE).data(ImageContent::pattern(1, 300_000)));
        glance.fault(
            FaultOn::kind(RequestKind::Download),
            FaultAction::CutResponse(At::Percent(50)),
        );
        let mut data = client.download(&id(ONE), 0).await.unwrap().unwrap();
        assert_eq!(data.len_bytes, Some(300_000));
        let mut seen = 0;
        let error = loop {
            match data.chunks.next().await.unwrap() {
                Ok(chunk) => seen += chunk.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenBody, "{error:?}");
        assert!(seen <= 150_000, "{seen}");
        assert!(data.chunks.next().await.is_none());
    }
}

#[tokio::test]
async fn data_that_is_gone_from_the_store_is_none() {
    let (glance, client) = start(Profile::Today).await;
    glance.add_image(ImageSpec::new(ONE).data_gone(1000));
    assert!(client.download(&id(ONE), 0).await.unwrap().is_none());
    let error = client.download(&id(TWO), 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_partial_answer_that_begins_elsewhere_is_an_error() {
    let (glance, client) = start(Profile::Today).await;
    for range in ["bytes 0-9/10", "bytes */10", "nonsense"] {
        glance.clear_faults();
        glance.fault(
            FaultOn::any(),
            answer(206, &[("content-range", range)], "01234"),
        );
        let error = client.download(&id(ONE), 5).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidAnswer, "{range}");
    }
}
