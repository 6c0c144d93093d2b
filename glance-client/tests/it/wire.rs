//! The requests of each operation: method, path, headers and body, in v1 and in v2.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile, RequestRecord};
use glance_client::{ApiVersion, AuthToken, GlanceClient, Upload};
use glance_model::{ImageId, ImageMetadata, ImageStatus, MetadataDiff, Omit, Visibility};
use serde_json::json;

use crate::kit::{ONE, TWO, config, id};

struct Lab {
    glance: EmbeddedGlance,
    client: GlanceClient,
}

impl Lab {
    async fn of(profile: Profile) -> Self {
        let glance = EmbeddedGlance::builder().profile(profile).start().await;
        let token = AuthToken::new("a-token").unwrap();
        let config = config(&glance).with_token(token);
        let client = GlanceClient::connect(&config).await.unwrap();
        Self { glance, client }
    }

    /// The requests since the last time.
    fn sent(&self) -> Vec<RequestRecord> {
        let sent = self.glance.requests();
        self.glance.clear_requests();
        sent
    }

    fn lines(&self) -> Vec<String> {
        let line = |r: &RequestRecord| format!("{} {}", r.method, r.target);
        self.sent().iter().map(line).collect()
    }

    fn with_images(&self) {
        self.glance.add_image(ImageSpec::new(ONE).data(content()));
        self.glance.add_image(ImageSpec::new(TWO));
        self.glance.clear_requests();
    }
}

fn content() -> ImageContent {
    ImageContent::bytes(&b"0123456789"[..])
}

fn image() -> ImageMetadata {
    let mut image = ImageMetadata::new(id(ONE), ImageStatus::Active);
    image.name = Some("gr\u{fc}n \u{65e5}\u{672c}".into());
    image.disk_format = Some("raw".into());
    image.container_format = Some("bare".into());
    image.visibility = Some(Visibility::Public);
    image.min_ram = Some(64);
    image.size = Some(10);
    image.checksum = Some("781e5e245d69b566979b86e28d23f2c7".into());
    image.properties.insert("os_type".into(), "linux".into());
    image
}

async fn read(client: &GlanceClient, id: &ImageId, offset: u64) -> Option<(u64, Vec<u8>)> {
    let download = client.download(id, offset).await.unwrap()?;
    let chunks: Vec<Bytes> = download.chunks.try_collect().await.unwrap();
    Some((download.offset_bytes, chunks.concat()))
}

#[tokio::test]
async fn connecting_asks_for_the_versions_and_prefers_v2() {
    let today = Lab::of(Profile::Today).await;
    assert_eq!(today.client.version(), ApiVersion::V2 { minor: 17 });
    assert_eq!(today.lines(), ["GET /versions"]);
    let legacy = Lab::of(Profile::Legacy).await;
    assert_eq!(legacy.client.version(), ApiVersion::V2 { minor: 5 });
    assert_eq!(legacy.lines(), ["GET /versions"]);
    let v1 = Lab::of(Profile::V1Only).await;
    assert_eq!(v1.client.version(), ApiVersion::V1);
}

#[tokio::test]
async fn every_request_has_the_token_and_asks_for_json() {
    for profile in [Profile::Today, Profile::V1Only] {
        let lab = Lab::of(profile).await;
        lab.with_images();
        let _: Vec<_> = lab.client.images().try_collect().await.unwrap();
        lab.client.find_image(&id(ONE)).await.unwrap();
        read(&lab.client, &id(ONE), 0).await;
        let upload = Upload::from_bytes(&b"0123456789"[..]);
        let mut image = image();
        image.id = id("33333333-3333-4333-8333-333333333333");
        lab.client.create_image(&image, upload).await.unwrap();
        let sent = lab.sent();
        assert!(sent.len() >= 5, "{sent:?}");
        for request in sent {
            let name = &request.target;
            assert_eq!(
                request.header("x-auth-token").as_deref(),
                Some("a-token"),
                "{name}"
            );
            assert_eq!(
                request.header("accept").as_deref(),
                Some("application/json"),
                "{name}"
            );
            assert_eq!(request.header("accept-encoding"), None, "{name}");
            assert_eq!(request.header("transfer-encoding"), None, "{name}");
        }
    }
}

#[tokio::test]
async fn v2_lists_what_is_not_hidden_and_what_is() {
    let lab = Lab::of(Profile::Today).await;
    lab.with_images();
    lab.glance
        .add_image(ImageSpec::new("00000000-1111-4111-8111-111111111111").hidden());
    lab.glance.clear_requests();
    let images: Vec<_> = lab.client.images().try_collect().await.unwrap();
    assert_eq!(images.len(), 3);
    // The two listings are read side by side.
    let mut lines = lab.lines();
    lines.sort();
    assert_eq!(
        lines,
        [
            "GET /v2/images?limit=1000&sort_key=id&sort_dir=asc&visibility=all",
            "GET /v2/images?limit=1000&sort_key=id&sort_dir=asc&visibility=all\
             &marker=22222222-2222-4222-8222-222222222222",
            "GET /v2/images?limit=1000&sort_key=id&sort_dir=asc&visibility=all&os_hidden=true",
        ]
    );
}

#[tokio::test]
async fn v2_of_2017_is_asked_for_community_images_and_never_for_hidden_ones() {
    let lab = Lab::of(Profile::Legacy).await;
    lab.glance
        .add_image(ImageSpec::new(ONE).visibility("community"));
    lab.glance.clear_requests();
    let images: Vec<_> = lab.client.images().try_collect().await.unwrap();
    assert_eq!(images.len(), 1);
    let base = "GET /v2/images?limit=1000&sort_key=id&sort_dir=asc";
    let refused = format!("{base}&visibility=all");
    let asked = [base.to_owned(), format!("{base}&visibility=community")];
    let mut lines = lab.lines();
    assert_eq!(lines.remove(0), refused);
    // Both at the same time.
    lines.sort();
    assert_eq!(lines, asked);
    let _: Vec<_> = lab.client.images().try_collect().await.unwrap();
    let mut lines = lab.lines();
    lines.sort();
    assert_eq!(lines, asked, "it is asked for all only once");
}

#[tokio::test]
async fn v1_lists_everything_until_an_empty_page() {
    let lab = Lab::of(Profile::V1Only).await;
    lab.with_images();
    let images: Vec<_> = lab.client.images().try_collect().await.unwrap();
    assert_eq!(images.len(), 2);
    let base = "GET /v1/images/detail?limit=1000&sort_key=id&sort_dir=asc&is_public=None";
    assert_eq!(
        lab.lines(),
        [base.to_owned(), format!("{base}&marker={TWO}")]
    );
}

#[tokio::test]
async fn v2_finds_by_get_and_v1_by_head() {
    for (profile, line) in [
        (Profile::Today, format!("GET /v2/images/{ONE}")),
        (Profile::V1Only, format!("HEAD /v1/images/{ONE}")),
    ] {
        let lab = Lab::of(profile).await;
        lab.with_images();
        let found = lab.client.find_image(&id(ONE)).await.unwrap().unwrap();
        assert_eq!(found.status, ImageStatus::Active);
        assert_eq!(found.size, Some(10));
        assert!(found.other.is_empty(), "{:?}", found.other);
        assert_eq!(lab.lines(), [line]);
        let unknown = id("44444444-4444-4444-8444-444444444444");
        assert_eq!(lab.client.find_image(&unknown).await.unwrap(), None);
    }
}

#[tokio::test]
async fn v2_reads_from_an_offset_by_range() {
    let lab = Lab::of(Profile::Today).await;
    lab.with_images();
    let one = id(ONE);
    assert_eq!(
        read(&lab.client, &one, 0).await,
        Some((0, b"0123456789".to_vec()))
    );
    assert_eq!(read(&lab.client, &one, 7).await, Some((7, b"789".to_vec())));
    let sent = lab.sent();
    assert_eq!(sent[0].target, format!("/v2/images/{ONE}/file"));
    assert_eq!(sent[0].header("range"), None);
    assert_eq!(sent[1].header("range").as_deref(), Some("bytes=7-"));
    // Behind the end: 416, and then everything.
    assert_eq!(
        read(&lab.client, &one, 10).await,
        Some((0, b"0123456789".to_vec()))
    );
    assert_eq!(lab.sent().len(), 2);
    assert_eq!(read(&lab.client, &id(TWO), 0).await, None, "no data");
}

#[tokio::test]
async fn v1_reads_from_the_start_always() {
    let lab = Lab::of(Profile::V1Only).await;
    lab.with_images();
    assert_eq!(
        read(&lab.client, &id(ONE), 7).await,
        Some((0, b"0123456789".to_vec()))
    );
    assert_eq!(lab.lines(), [format!("GET /v1/images/{ONE}")]);
    assert_eq!(read(&lab.client, &id(TWO), 0).await, None, "no data");
}

#[tokio::test]
async fn v2_creates_a_record_and_puts_the_data_with_its_length() {
    let lab = Lab::of(Profile::Today).await;
    lab.glance.clear_requests();
    let upload = Upload::from_bytes(&b"0123456789"[..]);
    let written = lab.client.create_image(&image(), upload).await.unwrap();
    assert_eq!(written.status, ImageStatus::Active);
    assert_eq!(written.size, Some(10));
    let [create, put, show] = &lab.sent()[..] else {
        panic!("three requests");
    };
    assert_eq!((&*create.method, &*create.target), ("POST", "/v2/images"));
    let body: serde_json::Value = serde_json::from_slice(&create.body).unwrap();
    assert_eq!(
        body,
        json!({
            "id": ONE, "name": "gr\u{fc}n \u{65e5}\u{672c}", "disk_format": "raw",
            "container_format": "bare", "visibility": "public", "min_ram": 64, "os_type": "linux",
        })
    );
    assert_eq!(
        create.header("content-type").as_deref(),
        Some("application/json")
    );
    assert_eq!(
        (&*put.method, &*put.target),
        ("PUT", &*format!("/v2/images/{ONE}/file"))
    );
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-length", "10"),
        ("x-openstack-image-size", "10"),
    ] {
        assert_eq!(put.header(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(put.headers.get_all("content-length").iter().count(), 1);
    assert_eq!(put.body_bytes, 10);
    assert_eq!(
        (&*show.method, &*show.target),
        ("GET", &*format!("/v2/images/{ONE}"))
    );
}

#[tokio::test]
async fn data_of_unknown_length_is_sent_chunked() {
    let lab = Lab::of(Profile::Today).await;
    let chunks =
        stream::iter(["01234", "56789"].map(|chunk| Ok::<_, std::io::Error>(chunk.into())));
    let upload = Upload::new(None, chunks);
    let written = lab.client.create_image(&image(), upload).await.unwrap();
    assert_eq!(written.size, Some(10));
    let put = &lab.sent()[2];
    assert_eq!(put.header("transfer-encoding").as_deref(), Some("chunked"));
    assert_eq!(put.header("content-length"), None);
    assert_eq!(put.header("x-openstack-image-size"), None);
}

#[tokio::test]
async fn an_image_of_no_bytes_is_sent_with_length_0() {
    for profile in [Profile::Today, Profile::V1Only] {
        let lab = Lab::of(profile).await;
        lab.glance.clear_requests();
        let mut image = image();
        image.size = Some(0);
        image.checksum = Some("d41d8cd98f00b204e9800998ecf8427e".into());
        let written = lab
            .client
            .create_image(&image, Upload::from_bytes(Bytes::new()))
            .await;
        let written = written.unwrap();
        assert_eq!(
            (written.status, written.size),
            (ImageStatus::Active, Some(0))
        );
        let sent = lab.sent();
        let upload = sent
            .iter()
            .find(|r| r.header("content-type").as_deref() == Some("application/octet-stream"));
        let upload = upload.unwrap();
        assert_eq!(upload.header("content-length").as_deref(), Some("0"));
        assert_eq!(upload.headers.get_all("content-length").iter().count(), 1);
        assert_eq!(upload.header("transfer-encoding"), None);
    }
}

#[tokio::test]
async fn v1_creates_an_image_by_one_post() {
    let lab = Lab::of(Profile::V1Only).await;
    lab.glance.clear_requests();
    let upload = Upload::from_bytes(&b"0123456789"[..]);
    let written = lab.client.create_image(&image(), upload).await.unwrap();
    assert_eq!(written.status, ImageStatus::Active);
    assert_eq!(written.name, image().name);
    let [post] = &lab.sent()[..] else {
        panic!("one request");
    };
    assert_eq!((&*post.method, &*post.target), ("POST", "/v1/images"));
    let mut headers: Vec<(String, String)> = Vec::new();
    for name in post.headers.keys() {
        let is_ours =
            name.as_str().starts_with("x-image-meta") || name.as_str().starts_with("content");
        if is_ours {
            headers.push((name.to_string(), post.header(name.as_str()).unwrap()));
        }
    }
    headers.sort();
    assert_eq!(
        headers,
        [
            ("content-length", "10"),
            ("content-type", "application/octet-stream"),
            ("x-image-meta-checksum", "781e5e245d69b566979b86e28d23f2c7"),
            ("x-image-meta-container_format", "bare"),
            ("x-image-meta-deleted", "False"),
            ("x-image-meta-disk_format", "raw"),
            ("x-image-meta-id", ONE),
            ("x-image-meta-is_public", "True"),
            ("x-image-meta-min_ram", "64"),
            ("x-image-meta-name", "gr\u{fc}n \u{65e5}\u{672c}"),
            ("x-image-meta-property-os_type", "linux"),
            ("x-image-meta-size", "10"),
            ("x-image-meta-status", "active"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[tokio::test]
async fn v1_reserves_without_data_and_fills_it_later() {
    let lab = Lab::of(Profile::V1Only).await;
    lab.glance.clear_requests();
    let record = lab.client.create_record(&image()).await.unwrap();
    assert_eq!(record.status, ImageStatus::Queued);
    let [post] = &lab.sent()[..] else {
        panic!("one request");
    };
    assert_eq!((&*post.method, &*post.target), ("POST", "/v1/images"));
    assert_eq!(post.header("content-length").as_deref(), Some("0"));
    assert_eq!(post.header("transfer-encoding"), None);
    assert_eq!(post.header("x-image-meta-size"), None);
    assert_eq!(post.header("x-image-meta-checksum"), None);

    let upload = Upload::from_bytes(&b"0123456789"[..]);
    let written = lab.client.upload(&image(), upload).await.unwrap();
    assert_eq!(
        (written.status, written.size),
        (ImageStatus::Active, Some(10))
    );
    assert_eq!(
        written.properties.get("os_type").map(String::as_str),
        Some("linux")
    );
    let [put] = &lab.sent()[..] else {
        panic!("one request");
    };
    assert_eq!(
        (&*put.method, &*put.target),
        ("PUT", &*format!("/v1/images/{ONE}"))
    );
    assert_eq!(put.header("x-image-meta-checksum"), image().checksum);
    assert_eq!(put.header("x-image-meta-id"), None);
    assert_eq!(put.header("x-image-meta-status"), None);
}

fn change(current: &ImageMetadata) -> MetadataDiff {
    let mut wanted = current.clone();
    wanted.min_ram = Some(128);
    wanted.properties.insert("a".into(), "\u{65e5}".into());
    MetadataDiff::between(&wanted, current, &Omit::default())
}

/// Makes a record and changes it; returns the one request of the change.
async fn update(lab: &Lab) -> RequestRecord {
    lab.client.create_record(&image()).await.unwrap();
    lab.glance.clear_requests();
    let updated = lab.client.update(&id(ONE), &change(&image())).await;
    let updated = updated.unwrap();
    assert_eq!(updated.min_ram, Some(128));
    assert_eq!(updated.properties.len(), 2, "{:?}", updated.properties);
    let mut sent = lab.sent();
    assert_eq!(sent.len(), 1);
    sent.remove(0)
}

#[tokio::test]
async fn v2_updates_by_patch() {
    let lab = Lab::of(Profile::Today).await;
    let patch = update(&lab).await;
    assert_eq!(
        (&*patch.method, &*patch.target),
        ("PATCH", &*format!("/v2/images/{ONE}"))
    );
    assert_eq!(
        patch.header("content-type").as_deref(),
        Some("application/openstack-images-v2.1-json-patch")
    );
    let body: serde_json::Value = serde_json::from_slice(&patch.body).unwrap();
    assert_eq!(
        body,
        json!([
            {"op": "add", "path": "/min_ram", "value": 128},
            {"op": "add", "path": "/a", "value": "\u{65e5}"},
        ])
    );
}

#[tokio::test]
async fn v1_updates_by_put_and_keeps_the_other_properties() {
    let lab = Lab::of(Profile::V1Only).await;
    let put = update(&lab).await;
    assert_eq!(
        (&*put.method, &*put.target),
        ("PUT", &*format!("/v1/images/{ONE}"))
    );
    for (name, value) in [
        ("x-glance-registry-purge-props", Some("False")),
        ("content-length", Some("0")),
        ("transfer-encoding", None),
        ("x-image-meta-min_ram", Some("128")),
        ("x-image-meta-property-a", Some("\u{65e5}")),
        ("x-image-meta-size", None),
        ("x-image-meta-checksum", None),
        ("x-image-meta-status", None),
    ] {
        assert_eq!(put.header(name).as_deref(), value, "{name}");
    }
}
