//! Image data in v2: uploads and their ends, downloads and ranges.

use serde_json::Value;

use super::super::call::{Broken, Call};
use super::super::content::{Stored, inspect};
use super::super::reply::{FAILED, Reply, Stop, refuse, refuse_in_detail};
use super::super::settings::RangeSupport;
use super::super::state::StoredImage;

/// Formats whose data has to show them, in a bare container.
const INSPECTED: [&str; 6] = ["qcow2", "vhd", "vhdx", "vmdk", "vdi", "iso"];

pub(super) async fn upload(call: &mut Call, id: &str) -> Result<Reply, Stop> {
    let content_type = call.header("content-type").unwrap_or_default();
    if content_type.split(';').next() != Some("application/octet-stream") {
        return refuse_in_detail(415, "Invalid content type");
    }
    let declared = declared_size(call)?;
    call.check_changeable(id, "upload_image")?;
    let before = begin(call, id, declared)?;
    let most = call.shared.settings.size_cap.min(room(call, &before));
    let arrived = call.receive(most).await;
    let outcome = match arrived {
        Ok(stored) => finish(call, before.clone(), stored, declared),
        Err(Broken::TooLarge) if most < call.shared.settings.size_cap && declared.is_none() => {
            // Over quota without a declared size: the real server leaves it in `saving`.
            return refuse(
                413,
                "Image exceeds the storage quota: The size of the data will exceed the limit.",
            );
        }
        Err(Broken::TooLarge) => refuse(
            413,
            format!("The incoming image is too large: image exceeds {most} bytes"),
        ),
        Err(Broken::Cut) => refuse(500, FAILED),
        Err(Broken::Store(error)) => refuse(500, format!("Failed to upload image data: {error}")),
    };
    if outcome.is_err() {
        let mut state = call.state();
        if let Some(image) = state
            .images
            .get_mut(id)
            .filter(|image| image.status == "saving")
        {
            image.status = "queued";
        }
    }
    outcome
}

/// The size that the client declares, by header or by `Content-Length`.
fn declared_size(call: &Call) -> Result<Option<u64>, Stop> {
    if call.is_today()
        && let Some(size) = call.header("x-openstack-image-size")
    {
        return match size.parse::<u64>() {
            Ok(0) => Ok(call.content_length()),
            Ok(size) => Ok(Some(size)),
            Err(_) => refuse(400, "Invalid or missing image size in request headers."),
        };
    }
    Ok(call.content_length())
}

/// The store that the data goes to.
fn store_of(call: &Call) -> String {
    let named = call.header("x-image-meta-store");
    let default = call.shared.settings.stores.first();
    named.or(default.cloned()).unwrap_or_default()
}

/// Begins to copy an image to more stores; each look at it moves that on.
pub(super) async fn import(call: &mut Call, id: &str) -> Result<Reply, Stop> {
    let body = call.read_json().await?;
    if body.pointer("/method/name").and_then(Value::as_str) != Some("copy-image") {
        return refuse(400, "Unknown import method name");
    }
    let names = body.get("stores").and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    let to: Vec<String> = names.map(str::to_owned).collect();
    call.with_visible(id, |_| Ok(()))?;
    if !call.caller.admin {
        return refuse(403, "You are not authorized to complete copy_image action.");
    }
    let known = &call.shared.settings.stores;
    if let Some(store) = to.iter().find(|store| !known.contains(store)) {
        return refuse(409, format!("Unknown store {store}"));
    }
    let mut state = call.state();
    let Some(image) = state.images.get_mut(id) else {
        return refuse(404, format!("No image found with ID {id}"));
    };
    if image.status != "active" {
        return refuse(
            409,
            "Only images with status active can be targeted for copying",
        );
    }
    if image.import.as_ref().is_some_and(|(to, _)| !to.is_empty()) {
        return refuse(409, "Image has active task");
    }
    if image.stores.is_empty() {
        image.stores.extend(known.first().cloned());
    }
    if to.iter().any(|store| image.stores.contains(store)) {
        return refuse(400, "Image is already present at one of the stores");
    }
    // What has failed before is shown until its copy has come.
    let failed = image.import.take().map(|(_, failed)| failed);
    image.import = Some((to, failed.unwrap_or_default()));
    Ok(Reply::empty(202))
}

/// Moves an import on by one store.
pub(super) fn move_on(call: &Call, id: &str) {
    let broken = &call.shared.settings.broken_stores;
    let mut state = call.state();
    let Some(image) = state.images.get_mut(id) else {
        return;
    };
    if let Some((to, failed)) = &mut image.import
        && let Some(store) = to.pop()
    {
        if broken.contains(&store) && !failed.contains(&store) {
            failed.push(store);
        } else {
            failed.retain(|name| *name != store);
            image.stores.push(store);
        }
    }
}

/// Moves the image to `saving`; returns it as it was.
fn begin(call: &Call, id: &str, declared: Option<u64>) -> Result<StoredImage, Stop> {
    if let Some(store) = call
        .header("x-image-meta-store")
        .filter(|_| call.is_today())
        && !call.shared.settings.stores.is_empty()
        && !call.shared.settings.stores.contains(&store)
    {
        return refuse(400, format!("Store for identifier {store} not found"));
    }
    let before = call.with_visible(id, |image| {
        if image.status != "queued" {
            return refuse(
                409,
                format!(
                    "Image status transition from {} to saving is not allowed",
                    image.status
                ),
            );
        }
        let unset: Vec<_> = [
            ("disk_format", image.disk_format),
            ("container_format", image.container_format),
        ]
        .into_iter()
        .filter_map(|(name, format)| format.is_none().then_some(name))
        .collect();
        if !unset.is_empty() {
            return refuse(
                400,
                format!(
                    "Properties {} must be set prior to saving data.",
                    unset.join(", ")
                ),
            );
        }
        if image.leftovers_in.contains(&store_of(call)) {
            return refuse(500, FAILED);
        }
        Ok(image.clone())
    })?;
    let declared = declared.unwrap_or_default();
    if declared > call.shared.settings.size_cap {
        return refuse(
            413,
            "The incoming image is too large: it exceeds the maximum allowed size.",
        );
    }
    let room = room(call, &before);
    if declared > room {
        return refuse(
            413,
            format!(
                "Image exceeds the storage quota: The size of the data {declared} will exceed the limit. {room} bytes remaining."
            ),
        );
    }
    let mut state = call.state();
    let now = state.now();
    match state.images.get_mut(id) {
        // Two uploads may have come this far at once.
        Some(image) if image.status == "queued" => {
            image.status = "saving";
            image.updated_at = now;
            Ok(before)
        }
        // The words of the real server, which finds it changed and thinks it gone.
        _ => refuse(
            410,
            format!(
                "Image {id} could not be found after upload. The image may have been deleted during the upload, cleaning up the chunks uploaded."
            ),
        ),
    }
}

/// The rest of the owner's quota.
fn room(call: &Call, image: &StoredImage) -> u64 {
    match call.shared.settings.quota {
        Some(quota) => quota.saturating_sub(call.state().bytes_of(image.owner.as_deref())),
        None => u64::MAX,
    }
}

fn finish(
    call: &Call,
    mut image: StoredImage,
    stored: Stored,
    declared: Option<u64>,
) -> Result<Reply, Stop> {
    let size = stored.content.len_bytes();
    if let Some(expected) = declared.filter(|expected| *expected != size) {
        return refuse(
            400,
            format!("Size mismatch: expected {expected} bytes, got {size} bytes"),
        );
    }
    let mut state = call.state();
    let now = state.now();
    let id = image.id.clone();
    let Some(current) = state.images.get_mut(&id).filter(|image| !image.deleted) else {
        return refuse(
            410,
            format!(
                "Image {id} could not be found after upload. The image may have been deleted during the upload."
            ),
        );
    };
    let format = image.disk_format.unwrap_or_default();
    let found = inspect(&stored.head);
    let inspected =
        call.is_today() && image.container_format == Some("bare") && INSPECTED.contains(&format);
    let had_digests = !image.leftovers_in.is_empty();
    let recorded = image.checksum.clone();
    image.updated_at = now;
    image.content = Some(stored.content);
    image.set_digests(stored.digests);
    if had_digests && image.checksum != recorded {
        return refuse(500, FAILED);
    }
    if had_digests || inspected && found != format {
        image.leftovers_in.push(store_of(call));
    }
    if inspected && found != format {
        *current = image;
        return refuse_in_detail(
            415,
            format!("Image disk_format {format} does not match stream data {found}"),
        );
    }
    image.status = "active";
    image.stores = call
        .shared
        .settings
        .stores
        .first()
        .map(|_| store_of(call))
        .into_iter()
        .collect();
    image.size = Some(size);
    if format == "raw" && size > 0 {
        image.virtual_size = Some(size).filter(|_| call.is_today());
    }
    // The real server also writes back all other fields, as they were at the beginning.
    *current = image;
    Ok(Reply::empty(204))
}

pub(super) fn download(call: &Call, id: &str) -> Result<Reply, Stop> {
    let range = call.header("range");
    call.with_visible(id, |image| {
        if call.caller.reader {
            return refuse(
                403,
                "You are not authorized to complete download_image action.",
            );
        }
        match image.status {
            "deactivated" if !call.caller.admin => {
                return refuse(
                    403,
                    "The requested image has been deactivated. Image data download is forbidden.",
                );
            }
            "queued" if range.is_some() && image.content.is_none() => {
                return if call.is_today() {
                    Err(Stop::HangUp)
                } else {
                    refuse(500, FAILED)
                };
            }
            _ => {}
        }
        let (Some(content), Some(size)) = (&image.content, image.size) else {
            return Ok(Reply::empty(204));
        };
        let with_md5 = |reply: Reply| match &image.checksum {
            Some(md5) => reply.header("content-md5", md5),
            None => reply,
        };
        let whole = Reply::data(content.clone(), size);
        let (Some(range), RangeSupport::Honoured | RangeSupport::Refused) =
            (&range, call.shared.settings.range)
        else {
            return Ok(with_md5(whole));
        };
        if call.shared.settings.range == RangeSupport::Refused {
            return refuse(
                400,
                format!(
                    "Error while reading image {id}: random access is not supported by the store"
                ),
            );
        }
        let (start, end) = parse_range(range, size)?;
        let part = Reply {
            status: 206,
            start,
            len: end - start,
            ..whole
        };
        Ok(with_md5(part).header("content-range", format!("bytes {start}-{}/{size}", end - 1)))
    })
}

/// Reads a range as first byte and the one after the last.
fn parse_range(range: &str, size: u64) -> Result<(u64, u64), Stop> {
    let invalid = || Stop::Detailed(416, "Invalid Range header.".to_owned());
    let spec = range.strip_prefix("bytes=").ok_or_else(invalid)?;
    if spec.contains(',') {
        return refuse(
            400,
            "Requests with multiple ranges are not supported in Glance. You may make multiple single-range requests instead.",
        );
    }
    let (first, last) = spec.split_once('-').ok_or_else(invalid)?;
    if size == 0 {
        return Err(invalid());
    }
    if first.is_empty() {
        let count: u64 = last.parse().map_err(|_| invalid())?;
        let start = if count == 0 {
            0
        } else {
            size.saturating_sub(count)
        };
        return Ok((start, size));
    }
    let start: u64 = first.parse().map_err(|_| invalid())?;
    let end = match last {
        "" => size,
        last => last
            .parse::<u64>()
            .map_err(|_| invalid())?
            .saturating_add(1)
            .min(size),
    };
    if start >= size {
        return refuse_in_detail(
            416,
            format!(
                "Invalid start position in Range header. Start position MUST be in the inclusive range [0, {}].",
                size - 1
            ),
        );
    }
    if end <= start {
        return Err(invalid());
    }
    Ok((start, end))
}
