//! The client's behaviour on every Glance: run on the embedded one and on real ones
//! alike, so that the embedded one cannot claim what no real one does.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test helpers"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use glance_client::{
    ApiChoice, ApiVersion, ClientConfig, Endpoint, ErrorKind, GlanceClient, GlanceEnd, Upload,
};
use glance_model::{ImageId, ImageMetadata, ImageStatus, MetadataDiff, Omit, Visibility};
use replicator_core::testing::contract;
use replicator_core::testing::{active_image, random_id};

/// A server, and the version that is spoken to it.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) api: ApiChoice,
}

impl Server {
    fn config(&self) -> ClientConfig {
        ClientConfig::new(Endpoint::parse(&self.url).unwrap()).with_api(self.api)
    }

    pub(crate) async fn client(&self) -> GlanceClient {
        GlanceClient::connect(&self.config()).await.unwrap()
    }

    async fn client_with_pages_of(&self, page_limit: u32) -> GlanceClient {
        let mut config = self.config();
        config.page_limit = page_limit;
        GlanceClient::connect(&config).await.unwrap()
    }

    /// The client has no use for it, and so cannot.
    async fn delete(&self, client: &GlanceClient, id: &ImageId) {
        let version = match client.version() {
            ApiVersion::V1 => "v1",
            _ => "v2",
        };
        let url = format!("{}/{version}/images/{id}", self.url);
        // The lab's SQLite may be locked just then.
        for _ in 0..5 {
            let answer = reqwest::Client::new().delete(&url).send().await.unwrap();
            if answer.status().is_success() {
                return;
            }
            assert!(answer.status().is_server_error(), "{}", answer.status());
        }
        panic!("{id} cannot be deleted");
    }
}

/// All of it.
pub(crate) async fn holds_on(server: &Server) {
    let client = server.client().await;
    the_contract(&client).await;
    rich_metadata_comes_back_as_it_was_sent(&client).await;
    an_update_changes_what_it_names_and_nothing_else(&client).await;
    what_the_server_refuses_has_its_kind_and_its_words(&client).await;
    data_is_read_from_any_byte(&client).await;
    a_large_image_arrives_whole(&client).await;
    a_refused_upload_says_why(&client).await;
    a_used_id_stays_used(server, &client).await;
    images_that_go_while_they_are_listed_do_no_harm(server).await;
    hidden_and_community_images_are_listed(&client).await;
}

async fn the_contract(client: &GlanceClient) {
    contract::target(&GlanceEnd::new(client.clone())).await;
}

async fn listed(client: &GlanceClient) -> BTreeMap<ImageId, ImageMetadata> {
    let images: Vec<ImageMetadata> = client.images().try_collect().await.unwrap();
    let count = images.len();
    let images: BTreeMap<_, _> = images.into_iter().map(|i| (i.id, i)).collect();
    assert_eq!(images.len(), count, "each image once");
    images
}

async fn write(client: &GlanceClient, image: &ImageMetadata, data: &'static [u8]) -> ImageMetadata {
    let image = client.form().of(image.clone());
    let data = Upload::from_bytes(data);
    client.create_image(&image, data).await.unwrap()
}

async fn read(client: &GlanceClient, id: &ImageId, offset: u64) -> (u64, Bytes) {
    let data = client.download(id, offset).await.unwrap().unwrap();
    let chunks: Vec<Bytes> = data.chunks.try_collect().await.unwrap();
    (data.offset_bytes, chunks.concat().into())
}

fn assert_same(client: &GlanceClient, wanted: &ImageMetadata, found: &ImageMetadata) {
    let (wanted, found) = (
        client.form().of(wanted.clone()),
        client.form().of(found.clone()),
    );
    let diff = MetadataDiff::between(&wanted, &found, &Omit::default());
    assert!(diff.is_empty(), "{diff:?}");
}

async fn rich_metadata_comes_back_as_it_was_sent(client: &GlanceClient) {
    let mut image = active_image(b"x");
    image.name = Some(
        "\u{65e5}\u{672c} \"gr\u{fc}n\" 'a' \\ %20 "
            .repeat(8)
            .trim()
            .to_owned(),
    );
    image.visibility = Some(Visibility::Private);
    image.owner = Some("acme".into());
    image.protected = Some(true);
    image.min_disk = Some(7);
    image.min_ram = Some(512);
    image.tags = ["one", "\u{65e5}\u{672c}", "with blank"]
        .map(String::from)
        .into();
    for number in 0..40 {
        let value = format!("value \u{65e5} {number}, \"quoted\"; a=b: c");
        image.properties.insert(format!("property_{number}"), value);
    }
    image
        .properties
        .insert("With-Dash.and.dots".into(), "1".into());
    image.properties.insert("lines".into(), "one\r\ntwo".into());
    image.properties.insert("empty".into(), String::new());
    image.properties.insert("long".into(), "x".repeat(5000));
    let written = write(client, &image, b"x").await;
    assert_same(client, &image, &written);
    let all = listed(client).await;
    assert_same(client, &image, &all[&image.id]);
    let found = client.find_image(&image.id).await.unwrap().unwrap();
    if client.version() == ApiVersion::V1 {
        image.properties.remove("empty");
    }
    assert_same(client, &image, &found);
}

async fn an_update_changes_what_it_names_and_nothing_else(client: &GlanceClient) {
    let mut image = active_image(b"x");
    image.properties.insert("stays".into(), "here".into());
    let current = write(client, &image, b"x").await;
    image.name = Some("another".into());
    image.visibility = Some(Visibility::Public);
    image.properties.insert("comes".into(), "\u{65e5}".into());
    let wanted = client.form().of(image);
    let diff = MetadataDiff::between(&wanted, &current, &Omit::default());
    let updated = client.update(&current.id, &diff).await.unwrap();
    assert_same(client, &wanted, &updated);
    assert_eq!(updated.properties.len(), 2, "{:?}", updated.properties);
    let unknown = client.update(&random_id(), &diff).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound, "{unknown}");
}

async fn what_the_server_refuses_has_its_kind_and_its_words(client: &GlanceClient) {
    let taken = active_image(b"x");
    write(client, &taken, b"x").await;
    let taken = client.form().of(taken);
    let again = client.create_record(&taken).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::DuplicateId, "{again}");
    assert!(
        again.message().unwrap().contains("already exists"),
        "{again}"
    );
    assert!(again.request_id().unwrap().starts_with("req-"), "{again}");

    let mut odd = client.form().of(active_image(b"x"));
    odd.disk_format = Some("floppy".into());
    let refused = client.create_record(&odd).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected, "{refused}");
    assert!(refused.message().unwrap().contains("floppy"), "{refused}");
    assert!(!refused.to_string().contains(['<', '\n']), "{refused}");
}

async fn data_is_read_from_any_byte(client: &GlanceClient) {
    let image = active_image(b"0123456789");
    write(client, &image, b"0123456789").await;
    for offset in [0, 1, 9] {
        let (start, bytes) = read(client, &image.id, offset).await;
        let wanted = if client.version() == ApiVersion::V1 {
            0
        } else {
            offset
        };
        assert_eq!(start, wanted);
        let from = usize::try_from(start).unwrap();
        assert_eq!(bytes, &b"0123456789"[from..]);
    }
    for behind in [10, 11] {
        assert_eq!(
            read(client, &image.id, behind).await,
            (0, Bytes::from("0123456789"))
        );
    }
}

async fn a_large_image_arrives_whole(client: &GlanceClient) {
    const MIB: usize = 1 << 20;
    let pattern: Bytes = (0..MIB)
        .map(|at| (at.wrapping_mul(31) >> 7) as u8)
        .collect();
    let data = pattern.repeat(24);
    let image = client.form().of(active_image(&data));
    let chunks = stream::iter(vec![pattern.clone(); 24]).map(Ok::<_, std::io::Error>);
    let upload = Upload::new(Some(data.len() as u64), chunks);
    let written = client.create_image(&image, upload).await.unwrap();
    assert_eq!(written.status, ImageStatus::Active);
    assert_eq!(written.checksum, image.checksum);
    let (_, read) = read(client, &image.id, 0).await;
    assert!(read == data, "other bytes came back");
}

/// Most of the data is never sent, and the status is still told.
async fn a_refused_upload_says_why(client: &GlanceClient) {
    let image = client.form().of(active_image(b"x"));
    write(client, &image, b"x").await;
    let len = 64 << 20;
    let zeros = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 65536])));
    let upload = Upload::new(Some(len), zeros.take(1024));
    let mut again = image.clone();
    (again.size, again.checksum) = (Some(len), None);
    let error = client.upload(&again, upload).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
}

async fn a_used_id_stays_used(server: &Server, client: &GlanceClient) {
    let image = active_image(b"x");
    write(client, &image, b"x").await;
    server.delete(client, &image.id).await;
    let found = client.find_image(&image.id).await.unwrap();
    match client.version() {
        // HEAD finds it all the same.
        ApiVersion::V1 => assert!(found.unwrap().status.is_burnt()),
        _ => assert_eq!(found, None),
    }
    assert!(!listed(client).await.contains_key(&image.id));
    let image = client.form().of(image);
    let again = client.create_image(&image, Upload::from_bytes("x")).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::DuplicateId);
}

async fn images_that_go_while_they_are_listed_do_no_harm(server: &Server) {
    let client = server.client_with_pages_of(3).await;
    let before = listed(&client).await;
    let mut ours = Vec::new();
    for _ in 0..9 {
        ours.push(write(&client, &active_image(b"x"), b"x").await.id);
    }
    ours.sort();
    let mut images = client.images();
    let mut seen = Vec::new();
    let mut deleted = Vec::new();
    while let Some(image) = images.next().await {
        let id = image.unwrap().id;
        assert!(
            seen.last().is_none_or(|last| *last < id),
            "{id} after {seen:?}"
        );
        // Each of ours goes as soon as it was listed, and so may be a marker.
        if ours.contains(&id) {
            server.delete(&client, &id).await;
            deleted.push(id);
        }
        seen.push(id);
    }
    assert_eq!(deleted, ours);
    assert_eq!(seen.len(), before.len() + ours.len());
}

async fn hidden_and_community_images_are_listed(client: &GlanceClient) {
    if client.version() == ApiVersion::V1 {
        return;
    }
    let mut wanted = Vec::new();
    for (hidden, visibility) in [
        (false, Visibility::Community),
        (true, Visibility::Community),
        (true, Visibility::Private),
    ] {
        let mut image = active_image(b"x");
        image.owner = Some("another".into());
        image.visibility = Some(visibility);
        image.hidden = Some(hidden);
        wanted.push(write(client, &image, b"x").await);
    }
    // The database may need a moment under load, the listing does not.
    tokio::time::timeout(Duration::from_secs(60), async {
        let all = listed(client).await;
        for image in wanted {
            assert_same(client, &image, &all[&image.id]);
        }
    })
    .await
    .unwrap();
}

/// On a server that speaks both: v1 puts such properties into headers as they are.
pub(crate) async fn what_v2_wrote_is_read_through_v1(url: &str) {
    let through = async |api| {
        let url = url.to_owned();
        Server { url, api }.client().await
    };
    let (v2, v1) = (through(ApiChoice::V2).await, through(ApiChoice::V1).await);
    let mut image = active_image(b"01234");
    for (name, value) in [
        ("lines", "one\r\ntwo\n three"),
        ("with blank", "x"),
        ("co:lon", "x"),
        ("Capital", "x"),
        ("empty", ""),
    ] {
        image.properties.insert(name.into(), value.into());
    }
    write(&v2, &image, b"01234").await;
    let found = v1.find_image(&image.id).await.unwrap().unwrap();
    assert_eq!(found.status, ImageStatus::Active);
    assert_eq!(read(&v1, &image.id, 0).await, (0, Bytes::from("01234")));
    // The listing's JSON is exact.
    let all = listed(&v1).await;
    assert_eq!(all[&image.id].properties, image.properties);
}
