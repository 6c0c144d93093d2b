//! The Images v2 API: today's (2.17), and 2.5 as it was in 2017.

mod data;
mod fields;
mod listing;
mod members;
mod metadefs;
mod schema;

use serde_json::{Value, json};

use super::call::Call;
use super::record::RecordV2;
use super::reply::{FAILED, Reply, Stop, refuse};
use super::settings::Profile;
use super::state::StoredImage;

/// The content types of JSON patches; the second is the one of the API reference.
const PATCH_TYPE: &str = "application/openstack-images-v2.1-json-patch";

pub(super) async fn route(call: &mut Call) -> Result<Reply, Stop> {
    let segments = call.segments.clone();
    let parts: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    let today = call.shared.settings.profile == Profile::Today;
    match (call.method.as_str(), parts.as_slice()) {
        ("GET", ["images"]) => listing::list(call),
        ("POST", ["images"]) => create(call).await,
        ("GET", ["images", id]) => {
            let reply = show(call, id);
            data::move_on(call, id);
            reply
        }
        ("POST", ["images", id, "import"]) if today => data::import(call, id).await,
        ("PATCH", ["images", id]) => patch(call, id).await,
        ("DELETE", ["images", id]) => delete(call, id),
        ("PUT", ["images", id, "file"]) => data::upload(call, id).await,
        ("GET", ["images", id, "file"]) => data::download(call, id),
        (
            "POST",
            [
                "images",
                id,
                "actions",
                action @ ("deactivate" | "reactivate"),
            ],
        ) => set_activation(call, id, action),
        ("GET", ["images", id, "members"]) => members::list(call, id),
        ("POST", ["images", id, "members"]) => members::add(call, id).await,
        (_, ["metadefs", "namespaces", rest @ ..]) => metadefs::route(call, rest).await,
        ("PUT", ["images", id, "members", project]) => members::set_status(call, id, project).await,
        ("DELETE", ["images", id, "members", project]) => members::remove(call, id, project),
        ("GET", ["info", "stores"]) if today && !call.shared.settings.stores.is_empty() => {
            Ok(stores(call))
        }
        ("GET", ["schemas", "image"]) => Ok(schema::show(call)),
        ("GET", ["info", "usage"]) if today => Ok(usage(call)),
        ("GET", ["info", "import"]) if today => {
            let mut methods = vec!["glance-direct", "web-download"];
            if !call.shared.settings.stores.is_empty() {
                methods.push("copy-image");
            }
            let methods = json!({ "type": "array", "value": methods });
            Ok(Reply::json(200, &json!({ "import-methods": methods })))
        }
        (_, ["images"] | ["images", _] | ["images", _, "file"]) => {
            refuse(405, "The method is not allowed for this resource.")
        }
        _ => refuse(404, "The resource could not be found."),
    }
}

impl Call {
    fn is_today(&self) -> bool {
        self.shared.settings.profile == Profile::Today
    }

    fn record<'a>(&'a self, image: &'a StoredImage) -> RecordV2<'a> {
        let stores = self.shared.settings.stores.as_slice();
        RecordV2 {
            image,
            stores: self.is_today().then_some(stores),
        }
    }

    /// Lets `look` see an image that exists and is visible to the caller.
    fn with_visible<R>(
        &self,
        id: &str,
        look: impl FnOnce(&StoredImage) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        let state = self.state();
        match state.alive(id).filter(|image| self.caller.sees(image)) {
            Some(image) => look(image),
            None => refuse(404, format!("No image found with ID {id}")),
        }
    }

    /// Checks that the caller may change an image.
    fn check_changeable(&self, id: &str, action: &str) -> Result<(), Stop> {
        self.with_visible(id, |image| match self.caller.may_change(image) {
            true => Ok(()),
            false => refuse(
                403,
                format!("You are not authorized to complete {action} action."),
            ),
        })
    }
}

fn show(call: &Call, id: &str) -> Result<Reply, Stop> {
    call.with_visible(id, |image| Ok(Reply::json(200, &call.record(image))))
}

/// What is in use of the limits, in MiB: whole ones that were begun.
fn usage(call: &Call) -> Reply {
    let Some(limit) = call.shared.settings.project_limit else {
        return Reply::json(200, &json!({ "usage": {} }));
    };
    let bytes: u64 = call
        .state()
        .images
        .values()
        .filter_map(|image| image.size)
        .sum();
    let total = json!({ "usage": bytes.div_ceil(1 << 20), "limit": limit });
    Reply::json(200, &json!({ "usage": { "image_size_total": total } }))
}

fn stores(call: &Call) -> Reply {
    let entry = |(index, id): (usize, &String)| match index {
        0 => json!({ "id": id, "default": "true" }),
        _ => json!({ "id": id }),
    };
    let stores: Vec<_> = call
        .shared
        .settings
        .stores
        .iter()
        .enumerate()
        .map(entry)
        .collect();
    Reply::json(200, &json!({ "stores": stores }))
}

async fn create(call: &mut Call) -> Result<Reply, Stop> {
    if call.caller.reader {
        return refuse(403, "You are not authorized to complete add_image action.");
    }
    let Value::Object(body) = call.read_json().await? else {
        // The real server stumbles over it, too.
        return refuse(500, FAILED);
    };
    let mut image = StoredImage::new("");
    image.owner = call.caller.project.clone();
    schema::check(call, &body)?;
    fields::fill(call, &mut image, body)?;
    let mut state = call.state();
    if image.id.is_empty() {
        image.id = state.invent_id();
    }
    if state.images.contains_key(&image.id) {
        return refuse(409, format!("Image ID {} already exists!", image.id));
    }
    let id = image.id.clone();
    state.put(image.clone());
    let record = state.images.get(&id).map(|image| call.record(image));
    let mut reply =
        Reply::json(201, &record).header("location", format!("{}/v2/images/{id}", call.shared.url));
    if call.is_today() {
        reply = reply.header(
            "openstack-image-import-methods",
            "glance-direct,web-download",
        );
        if !call.shared.settings.stores.is_empty() {
            reply = reply.header(
                "openstack-image-store-ids",
                call.shared.settings.stores.join(","),
            );
        }
    }
    Ok(reply)
}

async fn patch(call: &mut Call, id: &str) -> Result<Reply, Stop> {
    if call
        .header("content-type")
        .is_none_or(|kind| kind.split(';').next() != Some(PATCH_TYPE))
    {
        let text = "The request media type is not supported by this server.".to_owned();
        return Err(Stop::RefuseWith(
            415,
            text,
            "accept-patch",
            PATCH_TYPE.to_owned(),
        ));
    }
    let Value::Array(operations) = call.read_json().await? else {
        return refuse(
            400,
            "Request body must be a JSON array of operation objects.",
        );
    };
    schema::check_changes(call, &operations)?;
    call.check_changeable(id, "modify_image")?;
    let mut state = call.state();
    let now = state.now();
    let Some(image) = state.images.get_mut(id).filter(|image| !image.deleted) else {
        return refuse(404, format!("No image found with ID {id}"));
    };
    // All or nothing: the changes are made to a copy.
    let mut changed = image.clone();
    for operation in &operations {
        fields::apply(call, &mut changed, operation)?;
    }
    if !operations.is_empty() {
        fields::check_quotas(&changed)?;
        changed.updated_at = now;
        *image = changed;
    }
    Ok(Reply::json(200, &call.record(image)))
}

fn delete(call: &Call, id: &str) -> Result<Reply, Stop> {
    call.with_visible(id, |image| {
        if !call.caller.may_change(image) {
            return refuse(
                403,
                "You are not authorized to complete delete_image action.",
            );
        }
        if image.protected {
            return refuse(
                403,
                format!("Image {id} is protected and cannot be deleted."),
            );
        }
        Ok(())
    })
    .map_err(|stop| match stop {
        Stop::Refuse(404, _) => Stop::Refuse(404, format!("Failed to find image {id} to delete")),
        stop => stop,
    })?;
    call.state().delete(id);
    Ok(Reply::empty(204))
}

fn set_activation(call: &Call, id: &str, action: &str) -> Result<Reply, Stop> {
    call.check_changeable(id, &format!("{action}_image"))?;
    let mut state = call.state();
    let now = state.now();
    if let Some(image) = state.images.get_mut(id) {
        if !matches!(image.status, "active" | "deactivated") {
            return refuse(
                403,
                format!("Not allowed to {action} image in status '{}'", image.status),
            );
        }
        image.status = if action == "deactivate" {
            "deactivated"
        } else {
            "active"
        };
        image.updated_at = now;
    }
    Ok(Reply::empty(204))
}
