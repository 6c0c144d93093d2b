//! Creating and changing images in v1, with and without data.

use serde_json::json;

use super::super::call::{Broken, Call};
use super::super::content::Stored;
use super::super::record::RecordV1;
use super::super::reply::{FAILED, Reply, Stop, refuse, refuse_in_detail};
use super::super::state::{StoredImage, is_dashed_uuid};
use super::meta::{Meta, boolean};
use super::{check_changeable, not_found};

const UNQUEUED: &str = "Cannot upload to an unqueued image";

pub(super) async fn create(call: &mut Call) -> Result<Reply, Stop> {
    let meta = Meta::from_headers(call)?;
    check_sources(call, &meta)?;
    let mut image = StoredImage::new("");
    image.owner = call.caller.project.clone();
    meta.fill(call, &mut image)?;
    image.properties = meta.properties.clone();
    let size = meta.number("size")?;
    image.size = Some(size.unwrap_or_default());
    image.checksum = meta.get("checksum").map(str::to_owned);
    // The text of a time reaches the database as it is, which is not having it.
    if ["created_at", "updated_at", "deleted_at"]
        .iter()
        .any(|time| meta.get(time).is_some())
    {
        return refuse(500, FAILED);
    }
    image.deleted = meta.get("deleted").is_some_and(boolean);
    if call
        .content_length()
        .is_some_and(|length| length > call.shared.settings.size_cap)
    {
        return refuse(
            400,
            format!(
                "Denying attempt to upload image larger than {} bytes.",
                call.shared.settings.size_cap
            ),
        );
    }
    let with_data = call.has_body();
    if !with_data && size == Some(0) {
        image.status = "active";
    }
    let id = reserve(call, &meta, image)?;
    if with_data {
        fill_with_data(call, &id, &meta, size).await?;
    }
    let location = format!("{}/v1/images/{id}", call.shared.url);
    let reply = show(call, &id, 201)?.header("location", location);
    let checksum = call
        .state()
        .images
        .get(&id)
        .and_then(|image| image.checksum.clone());
    Ok(match checksum {
        Some(checksum) => reply.header("etag", checksum),
        None => reply,
    })
}

/// Refuses data that is to come from elsewhere, which this server cannot fetch.
fn check_sources(call: &Call, meta: &Meta) -> Result<(), Stop> {
    match meta.get("location").is_some() || call.header("x-glance-api-copy-from").is_some() {
        true => refuse(
            400,
            "External sources are not supported by the embedded Glance",
        ),
        false => Ok(()),
    }
}

/// Puts a new record there; its id is used up from now on.
fn reserve(call: &Call, meta: &Meta, mut image: StoredImage) -> Result<String, Stop> {
    let mut state = call.state();
    let id = match meta.get("id") {
        None => state.invent_id(),
        Some(id) if is_uuid(id) => id.to_owned(),
        Some(_) => {
            let text = "Failed to reserve image. Got error: 400 Bad Request\n\nInvalid image id format\n\n   ";
            return refuse(400, text);
        }
    };
    if state.images.contains_key(&id) {
        return refuse(409, format!("An image with identifier {id} already exists"));
    }
    image.id.clone_from(&id);
    state.put(image);
    Ok(id)
}

/// Returns whether this is a UUID, which v1 also takes without dashes.
fn is_uuid(id: &str) -> bool {
    is_dashed_uuid(id) || (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Takes the data of a queued image in; a failure kills the image for good.
async fn fill_with_data(
    call: &mut Call,
    id: &str,
    meta: &Meta,
    size: Option<u64>,
) -> Result<(), Stop> {
    let mut owner = None;
    if let Some(image) = call.state().images.get_mut(id) {
        if image.disk_format.is_none() || image.container_format.is_none() {
            let missing = if image.disk_format.is_none() {
                "Disk"
            } else {
                "Container"
            };
            return refuse(400, format!("{missing} format is not specified."));
        }
        owner.clone_from(&image.owner);
        image.status = "saving";
    }
    let octets = call.header("content-type");
    let outcome = if octets.is_none_or(|kind| !kind.starts_with("application/octet-stream")) {
        refuse(400, "Content-Type must be application/octet-stream")
    } else {
        let room = call
            .shared
            .settings
            .quota
            .map(|quota| quota.saturating_sub(call.state().bytes_of(owner.as_deref())));
        let most = call.shared.settings.size_cap.min(room.unwrap_or(u64::MAX));
        if call.content_length().is_some_and(|length| length > most) {
            refuse(
                413,
                "Denying attempt to upload image because it exceeds the quota",
            )
        } else {
            match call.receive(most).await {
                Ok(stored) => check_stored(stored, meta, size),
                Err(Broken::TooLarge) => refuse(
                    413,
                    "Denying attempt to upload image because it exceeds the quota",
                ),
                Err(Broken::Cut | Broken::Store(_)) => refuse(
                    400,
                    "Client disconnected before sending all data to backend",
                ),
            }
        }
    };
    let mut state = call.state();
    let now = state.now();
    let Some(image) = state
        .images
        .get_mut(id)
        .filter(|image| image.status == "saving")
    else {
        return refuse(
            412,
            format!(
                "Image {id} could not be found after upload. The image may have been deleted during the upload."
            ),
        );
    };
    image.updated_at = now;
    match outcome {
        Ok(stored) => {
            image.status = "active";
            image.size = Some(stored.content.len_bytes());
            image.content = Some(stored.content);
            image.set_digests(stored.digests);
            Ok(())
        }
        Err(stop) => {
            image.status = "killed";
            Err(stop)
        }
    }
}

fn check_stored(stored: Stored, meta: &Meta, size: Option<u64>) -> Result<Stored, Stop> {
    let got = stored.content.len_bytes();
    if let Some(expected) = size.filter(|expected| *expected != got) {
        return refuse(
            400,
            format!(
                "Supplied size ({expected}) and size generated from uploaded image ({got}) did not match. Setting image status to 'killed'."
            ),
        );
    }
    let computed = stored.digests.as_ref().map(|digests| digests.md5.as_str());
    if let (Some(expected), Some(computed)) = (meta.get("checksum"), computed)
        && expected != computed
    {
        return refuse(
            400,
            format!(
                "Supplied checksum ({expected}) and checksum generated from uploaded image ({computed}) did not match. Setting image status to 'killed'."
            ),
        );
    }
    Ok(stored)
}

pub(super) async fn update(call: &mut Call, id: &str) -> Result<Reply, Stop> {
    let meta = Meta::from_headers(call)?;
    let with_data = call.has_body();
    let purge = call
        .header("x-glance-registry-purge-props")
        .is_none_or(|purge| boolean(&purge));
    let mut changed = call.with_image(id, |image| {
        if image.deleted {
            return refuse(403, "Forbidden to update deleted image.");
        }
        check_changeable(call, image)?;
        if with_data && image.status != "queued" {
            return refuse_in_detail(409, UNQUEUED);
        }
        check_unchangeable(call, &meta, image)?;
        Ok(image.clone())
    })?;
    let sent_size = meta.number::<u64>("size")?;
    // A size that was reserved is checked as one that is sent.
    let size = sent_size.or(changed.size.filter(|size| *size > 0));
    meta.fill(call, &mut changed)?;
    if purge && !with_data {
        changed.properties.clear();
    }
    changed.properties.extend(meta.properties.clone());
    if !with_data {
        changed.size = sent_size.or(changed.size);
        if meta.has("checksum") {
            changed.checksum = meta.get("checksum").map(str::to_owned);
        }
    }
    {
        let mut state = call.state();
        changed.updated_at = state.now();
        // Somebody else may have begun an upload, or deleted it, since.
        match state.images.get_mut(id) {
            Some(image) if image.status == changed.status => *image = changed,
            Some(_) => return refuse_in_detail(409, UNQUEUED),
            None => return not_found(id),
        }
    }
    if with_data {
        fill_with_data(call, id, &meta, size).await?;
    }
    show(call, id, 200)
}

/// Refuses fields that a change may name, but not change.
fn check_unchangeable(call: &Call, meta: &Meta, image: &StoredImage) -> Result<(), Stop> {
    for (field, current) in [("status", image.status), ("id", image.id.as_str())] {
        if meta.get(field).is_some_and(|value| value != current) {
            return refuse(403, format!("Forbidden to modify '{field}' of image."));
        }
    }
    if meta.has("location") {
        return refuse(
            400,
            "Attempted to update Location field for an image not in queued status.",
        );
    }
    if !call.caller.admin && image.status == "active" {
        let size = image.size.map(|size| size.to_string());
        for (field, current) in [
            ("size", size.as_deref()),
            ("checksum", image.checksum.as_deref()),
        ] {
            if meta.has(field) && meta.get(field) != current {
                return refuse(
                    403,
                    format!("Forbidden to modify '{field}' of active image."),
                );
            }
        }
    }
    Ok(())
}

fn show(call: &Call, id: &str, status: u16) -> Result<Reply, Stop> {
    match call.state().images.get(id) {
        Some(image) => Ok(Reply::json(status, &json!({ "image": RecordV1(image) }))),
        None => not_found(id),
    }
}
