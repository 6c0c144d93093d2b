//! Limits that clients share.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join, join_all};
use futures_util::{StreamExt as _, TryStreamExt as _};
use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec};
use glance_client::{GlanceClient, Limits, Rate, Upload};
use glance_model::ImageId;

use crate::kit;

fn id(number: u64) -> ImageId {
    kit::id(&format!("00000000-0000-4000-8000-{number:012}"))
}

async fn connect(glance: &EmbeddedGlance, limits: &Limits) -> GlanceClient {
    let mut config = kit::config(glance);
    config.limits = limits.clone();
    config.stall_timeout = Duration::from_millis(300);
    config.answer_timeout = Duration::from_millis(300);
    GlanceClient::connect(&config).await.unwrap()
}

async fn read(client: &GlanceClient, image: u64) -> Vec<u8> {
    let data = client.download(&id(image), 0).await.unwrap().unwrap();
    let chunks: Vec<Bytes> = data.chunks.try_collect().await.unwrap();
    chunks.concat()
}

fn seconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64()
}

#[tokio::test]
async fn who_waits_for_a_limit_is_not_taken_for_a_stall() {
    let data = ImageContent::pattern(1, 3000);
    let glance = EmbeddedGlance::builder().start().await;
    glance.add_image(ImageSpec::new(id(1).as_str()).data(data.clone()));
    let limits = Limits::default();
    let client = connect(&glance, &limits).await;
    let data = data.to_vec().unwrap();

    // A piece is 1 KiB, and takes half a second.
    let slow = Rate::per_second(2048.0);
    limits.set_download(slow);
    let begin = Instant::now();
    assert_eq!(read(&client, 1).await, data);
    assert!((0.8..3.0).contains(&seconds(begin)), "{}", seconds(begin));

    limits.set_upload(slow);
    let mut image = kit::image(3000);
    image.id = id(2);
    let begin = Instant::now();
    let written = client.create_image(&image, Upload::from_bytes(data));
    assert_eq!(written.await.unwrap().size, Some(3000));
    assert!((0.8..3.0).contains(&seconds(begin)), "{}", seconds(begin));

    limits.set_requests(Rate::per_second(2.0));
    let begin = Instant::now();
    for _ in 0..4 {
        assert!(client.find_image(&id(2)).await.unwrap().is_some());
    }
    assert!((1.2..4.0).contains(&seconds(begin)), "{}", seconds(begin));
}

#[tokio::test]
async fn clients_of_several_servers_share_their_limits() {
    const LEN: usize = 500_000;
    let limits = Limits::default();
    limits.set_download(Rate::per_second(1e6));
    limits.set_requests(Rate::per_second(100.0));
    let (one, other) = join(
        EmbeddedGlance::builder().start(),
        EmbeddedGlance::builder().start(),
    )
    .await;
    for glance in [&one, &other] {
        let data = ImageContent::zeros(LEN as u64);
        glance.add_image(ImageSpec::new(id(1).as_str()).data(data));
    }
    let clients = join(connect(&one, &limits), connect(&other, &limits)).await;
    let clients = [clients.0.clone(), clients.0, clients.1.clone(), clients.1];

    let begin = Instant::now();
    let reads = clients.iter().map(|client| read(client, 1));
    for data in join_all(reads).await {
        assert_eq!(data.len(), LEN);
    }
    assert!((1.7..4.0).contains(&seconds(begin)), "{}", seconds(begin));

    let begin = Instant::now();
    let finds = clients.iter().map(async |client| {
        for _ in 0..25 {
            client.find_image(&id(1)).await.unwrap();
        }
    });
    join_all(finds).await;
    assert!((0.7..3.0).contains(&seconds(begin)), "{}", seconds(begin));
}

#[tokio::test]
async fn a_download_that_is_dropped_takes_nothing_from_the_others() {
    let glance = EmbeddedGlance::builder().start().await;
    let data = ImageContent::zeros(100_000);
    glance.add_image(ImageSpec::new(id(1).as_str()).data(data));
    let limits = Limits::default();
    let client = connect(&glance, &limits).await;
    let open = async || client.download(&id(1), 0).await.unwrap().unwrap().chunks;
    let (mut one, mut other) = (open().await, open().await);
    limits.set_download(Rate::per_second(1024.0));
    // The first piece is free, the next one is due in a second.
    assert_eq!(one.next().await.unwrap().unwrap().len(), 1024);
    let begin = Instant::now();
    let wait = tokio::time::timeout(Duration::from_millis(200), one.next());
    assert!(wait.await.is_err());
    drop(one);
    assert_eq!(other.next().await.unwrap().unwrap().len(), 1024);
    assert!((0.7..3.0).contains(&seconds(begin)), "{}", seconds(begin));
}
