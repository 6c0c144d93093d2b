//! The assertions of the tests of the Python tool's client, under their names. See
//! `docs/parity.md`.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use glance_client::{ErrorKind, GlanceClient, Upload};
use glance_model::{ImageId, ImageMetadata, MetadataDiff, Omit, v1};
use serde_json::json;

use crate::kit::start;

const ID: &str = "5dcddce0-cba5-4f18-9cf4-9853c7b207a6";
const OTHER: &str = "37ff82db-afca-48c7-ae0b-ddc7cf83e3db";

async fn v1_alone() -> (EmbeddedGlance, GlanceClient) {
    start(EmbeddedGlance::builder().profile(Profile::V1Only)).await
}

fn id() -> ImageId {
    ImageId::parse(ID).unwrap()
}

/// `IMG_RESPONSE_ACTIVE` of the Python tests, in the form that v1 lists.
fn img_response_active(body: &[u8], checksum: &str) -> ImageMetadata {
    let record = json!({
        "id": ID, "status": "active", "deleted": false, "protected": false, "is_public": false,
        "name": "ubuntu-bucket/oneiric-server-cloudimg-amd64-vmlinuz-generic",
        "disk_format": "aki", "container_format": "aki", "min_ram": "0", "min_disk": "0",
        "owner": "8aef75b5c0074a59aa99188fdb4b9e90", "size": body.len(), "checksum": checksum,
        "updated_at": "2012-06-25T02:10:36", "created_at": "2012-06-25T02:10:32",
        "properties": {
            "image_state": "available", "architecture": "x86_64",
            "image_location": "ubuntu-bucket/oneiric-server-cloudimg-amd64-vmlinuz-generic.manifest.xml",
        },
    });
    serde_json::from_value::<v1::Record>(record).unwrap().into()
}

#[tokio::test]
async fn test_rest_errors() {
    let (glance, client) = v1_alone().await;
    for (status, kind) in [
        (400, ErrorKind::Rejected),
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Forbidden),
        (409, ErrorKind::Conflict),
        (500, ErrorKind::Server),
    ] {
        glance.clear_faults();
        glance.fault(FaultOn::any(), FaultAction::status(status));
        let error = client.download(&id(), 0).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.status().map(|s| s.as_u16()), Some(status));
    }
}

#[tokio::test]
async fn test_rest_get_images() {
    let (glance, client) = v1_alone().await;
    glance.add_image(ImageSpec::new(ID).data(ImageContent::bytes("data")));
    glance.add_image(ImageSpec::new(OTHER));
    let images: Vec<ImageMetadata> = client.images().try_collect().await.unwrap();
    assert_eq!(images.len(), 2);
    // A page, and an empty one that says that it was the last.
    assert_eq!(glance.total_requests(), 2);
}

#[tokio::test]
async fn test_rest_get_image() {
    let (glance, client) = v1_alone().await;
    let content = ImageContent::bytes("THISISTHEIMAGEBODY");
    glance.add_image(ImageSpec::new(ID).data(content));
    let data = client.download(&id(), 0).await.unwrap().unwrap();
    let chunks: Vec<Bytes> = data.chunks.try_collect().await.unwrap();
    assert_eq!(chunks.concat(), b"THISISTHEIMAGEBODY");
}

#[tokio::test]
async fn test_rest_get_image_meta() {
    let (glance, client) = v1_alone().await;
    glance.add_image(ImageSpec::new(ID).data(ImageContent::bytes("data")));
    let found = client.find_image(&id()).await.unwrap().unwrap();
    assert_eq!(found.id, id());
}

/// One POST with the metadata in its headers, less what a real server refuses:
/// times are a 500, `date`, `etag` and the content's own headers a 400.
#[tokio::test]
async fn test_rest_add_image() {
    let body = b"THISISANIMAGEBODYFORSURE!";
    let (glance, client) = v1_alone().await;
    let checksum = "5152e7d43b98ecb48d6c7546041fd76a";
    let image = img_response_active(body, checksum);
    let upload = Upload::from_bytes(&body[..]);
    let created = client.create_image(&image, upload).await.unwrap();
    assert!(created.is_active());
    let requests = glance.requests();
    let [post] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert_eq!((&*post.method, &*post.target), ("POST", "/v1/images"));
    assert_eq!(post.body_bytes, body.len() as u64);
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-length", "25"),
        ("x-image-meta-id", ID),
        ("x-image-meta-status", "active"),
        ("x-image-meta-deleted", "False"),
        ("x-image-meta-protected", "False"),
        ("x-image-meta-is_public", "False"),
        ("x-image-meta-name", image.name.as_deref().unwrap()),
        ("x-image-meta-disk_format", "aki"),
        ("x-image-meta-container_format", "aki"),
        ("x-image-meta-min_ram", "0"),
        ("x-image-meta-min_disk", "0"),
        ("x-image-meta-owner", "8aef75b5c0074a59aa99188fdb4b9e90"),
        ("x-image-meta-size", "25"),
        ("x-image-meta-checksum", checksum),
        ("x-image-meta-property-image_state", "available"),
        ("x-image-meta-property-architecture", "x86_64"),
        (
            "x-image-meta-property-image_location",
            "ubuntu-bucket/oneiric-server-cloudimg-amd64-vmlinuz-generic.manifest.xml",
        ),
    ] {
        assert_eq!(post.header(name).as_deref(), Some(value), "{name}");
    }
    for name in ["updated_at", "created_at", "date", "etag", "location"] {
        assert_eq!(post.header(&format!("x-image-meta-{name}")), None, "{name}");
    }
}

#[tokio::test]
async fn test_rest_add_image_meta() {
    let (glance, client) = v1_alone().await;
    let content = ImageContent::bytes("data");
    glance.add_image(ImageSpec::new(ID).data(content));
    let current = client.find_image(&id()).await.unwrap().unwrap();
    glance.clear_requests();
    let mut wanted = current.clone();
    wanted.properties.insert("frog".into(), "1".into());
    let diff = MetadataDiff::between(&wanted, &current, &Omit::default());
    client.update(&id(), &diff).await.unwrap();
    let requests = glance.requests();
    let puts: Vec<_> = requests.iter().filter(|r| r.method == "PUT").collect();
    assert_eq!(puts.len(), 1);
    assert_eq!(puts[0].target, format!("/v1/images/{ID}"));
    let frog = puts[0].header("x-image-meta-property-frog");
    assert_eq!(frog.as_deref(), Some("1"));
}

/// An upload whose answer does not say `active` has failed.
#[cfg(feature = "replicator")]
#[tokio::test]
async fn test_check_upload_response_headers() {
    use glance_client::GlanceEnd;
    use replicator_core::{ImageData, ImageTarget as _};

    let record = |status: &str| json!({"image": {"id": ID, "status": status, "size": 4}});
    for (answer, is_good) in [
        (record("active"), true),
        (record("queued"), false),
        (json!({}), false),
    ] {
        let (glance, client) = v1_alone().await;
        glance.fault(
            FaultOn::kind(RequestKind::Upload),
            FaultAction::json(&answer),
        );
        let image = img_response_active(b"data", "8d777f385d3dfec8815d20f7496026dc");
        let data = ImageData::from_bytes("data");
        let written = GlanceEnd::new(client).write_image(&image, None, data).await;
        assert_eq!(written.is_ok(), is_good, "{answer}: {written:?}");
    }
}

#[tokio::test]
async fn test_image_present() {
    let (glance, client) = v1_alone().await;
    glance.add_image(ImageSpec::new(ID).data(ImageContent::bytes("data")));
    assert!(client.find_image(&id()).await.unwrap().is_some());
    let other = ImageId::parse(OTHER).unwrap();
    assert!(client.find_image(&other).await.unwrap().is_none());
}
