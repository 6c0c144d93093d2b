//! The Images v2 API: today's (2.17), and 2.5 as it was in 2017.

mod data;
mod fields;

use http::Method;
use serde_json::{Value, json};

use super::exchange::{Call, Reply, Stop, refuse};
use super::listing::{Order, Query, parse_limit};
use super::server::Profile;
use super::state::{StoredImage, VISIBILITIES, known};

/// The content types of JSON patches; the second is the one of the API reference.
const PATCH_TYPE: &str = "application/openstack-images-v2.1-json-patch";

pub(super) async fn route(call: &mut Call) -> Result<Reply, Stop> {
    let segments = call.segments.clone();
    let parts: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    let today = call.shared.profile == Profile::Today;
    match (call.method.as_str(), parts.as_slice()) {
        ("GET", ["images"]) => list(call),
        ("POST", ["images"]) => create(call).await,
        ("GET", ["images", id]) => show(call, id),
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
        ("GET", ["images", id, "members"]) => list_members(call, id),
        ("POST", ["images", id, "members"]) => add_member(call, id).await,
        ("GET", ["info", "stores"]) if today && !call.shared.stores.is_empty() => Ok(stores(call)),
        ("GET", ["info", "import"]) if today => {
            let methods = json!({ "type": "array", "value": ["glance-direct", "web-download"] });
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
        self.shared.profile == Profile::Today
    }

    fn record(&self, image: &StoredImage) -> Value {
        image.record_v2(self.is_today().then_some(self.shared.stores.as_slice()))
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

fn stores(call: &Call) -> Reply {
    let entry = |(index, id): (usize, &String)| match index {
        0 => json!({ "id": id, "default": "true" }),
        _ => json!({ "id": id }),
    };
    let stores: Vec<_> = call.shared.stores.iter().enumerate().map(entry).collect();
    Reply::json(200, &json!({ "stores": stores }))
}

fn list(call: &Call) -> Result<Reply, Stop> {
    let query = &call.query;
    let bad = |text| Stop::Refuse(400, text);
    let limit = parse_limit(query, call.shared.page_size).map_err(bad)?;
    let order = Order::from_query(query).map_err(bad)?;
    let filter = Filter::from_query(call)?;
    let state = call.state();
    let marker = match query.get("marker") {
        None => None,
        Some(id) => match state.alive(id) {
            None => return refuse(400, format!("No image found with ID {id}")),
            Some(image) if !call.caller.sees(image) => {
                return refuse(403, "You are not authorized to complete get_image action.");
            }
            Some(image) => Some(image),
        },
    };
    let page = order.page(&state, marker, limit, |image| filter.keeps(image));
    let records: Vec<_> = page.iter().map(|image| call.record(image)).collect();
    let mut body =
        json!({ "images": records, "schema": "/v2/schemas/images", "first": link(query, None) });
    if let (Some(last), true) = (page.last(), page.len() == limit)
        && let Some(body) = body.as_object_mut()
    {
        body.insert("next".to_owned(), json!(link(query, Some(&last.id))));
    }
    Ok(Reply::json(200, &body))
}

/// A link to a page; of parameters given twice it keeps the last, as Glance does.
fn link(query: &Query, marker: Option<&str>) -> String {
    let mut kept: Vec<(&str, &str)> = Vec::new();
    for (name, value) in query.0.iter().filter(|(name, _)| name != "marker") {
        kept.retain(|(other, _)| other != name);
        kept.push((name, value));
    }
    kept.extend(marker.map(|marker| ("marker", marker)));
    let encode =
        |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
    let pairs: Vec<_> = kept
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    match pairs.is_empty() {
        true => "/v2/images".to_owned(),
        false => format!("/v2/images?{}", pairs.join("&")),
    }
}

/// Which images a listing shows.
struct Filter<'a> {
    call: &'a Call,
    visibility: Option<&'a str>,
    /// `None` where there are no hidden images yet.
    hidden: Option<bool>,
    member_status: &'a str,
    fields: Vec<(&'a str, Vec<&'a str>)>,
}

impl<'a> Filter<'a> {
    fn from_query(call: &'a Call) -> Result<Self, Stop> {
        let today = call.is_today();
        let mut filter = Self {
            call,
            visibility: None,
            hidden: today.then_some(false),
            member_status: "accepted",
            fields: Vec::new(),
        };
        for (name, value) in &call.query.0 {
            match (name.as_str(), value.as_str()) {
                ("limit" | "marker" | "sort" | "sort_key" | "sort_dir", _) => {}
                ("visibility", "all") if today => filter.visibility = Some("all"),
                ("visibility", value) if known(&VISIBILITIES, value).is_some() => {
                    filter.visibility = Some(value);
                }
                ("visibility", value) => {
                    return refuse(400, format!("Invalid visibility value: {value}"));
                }
                ("os_hidden", value) if today => match value.to_ascii_lowercase().as_str() {
                    "true" => filter.hidden = Some(true),
                    "false" => filter.hidden = Some(false),
                    _ => return refuse(400, format!("Invalid value '{value}' for 'os_hidden'")),
                },
                ("member_status", value @ ("accepted" | "pending" | "rejected" | "all")) => {
                    filter.member_status = value;
                }
                ("member_status", value) => return refuse(400, format!("Invalid status: {value}")),
                ("changes-since", _) => {
                    return refuse(400, "Parameter changes-since is no longer available on v2");
                }
                ("created_at" | "updated_at" | "size_min" | "size_max", _) => {
                    return refuse(
                        400,
                        format!("the embedded Glance does not filter by {name}"),
                    );
                }
                ("id" | "name" | "status" | "disk_format" | "container_format", value) => {
                    let set = value
                        .strip_prefix("in:")
                        .map(|list| list.split(',').collect());
                    filter
                        .fields
                        .push((name, set.unwrap_or_else(|| vec![value])));
                }
                (name, value) => filter.fields.push((name, vec![value])),
            }
        }
        Ok(filter)
    }

    fn keeps(&self, image: &StoredImage) -> bool {
        !image.deleted
            && self.hidden.is_none_or(|hidden| hidden == image.hidden)
            && self.lists(image)
            && self
                .fields
                .iter()
                .all(|(name, accepted)| has(image, name, accepted))
    }

    fn lists(&self, image: &StoredImage) -> bool {
        let caller = &self.call.caller;
        let own = caller.owns(image);
        let shared_with = |image| {
            caller.membership(image).is_some_and(|status| {
                matches!(self.member_status, "all") || status == self.member_status
            })
        };
        match (self.visibility, image.visibility) {
            (Some("all"), _) if caller.admin => true,
            (Some("all"), "community") => true,
            (Some(wanted), visibility) if wanted != "all" && wanted != visibility => false,
            (Some("community"), _) | (_, "public") => true,
            (_, "community") => own,
            _ if caller.admin || own => true,
            (_, "shared") => shared_with(image),
            _ => false,
        }
    }
}

/// Whether a field of an image has one of these values; unknown fields are properties.
fn has(image: &StoredImage, field: &str, accepted: &[&str]) -> bool {
    let any = |value: Option<&str>| value.is_some_and(|value| accepted.contains(&value));
    match field {
        "id" => any(Some(&image.id)),
        "name" => any(image.name.as_deref()),
        "status" => any(Some(image.status)),
        "disk_format" => any(image.disk_format),
        "container_format" => any(image.container_format),
        "owner" => any(image.owner.as_deref()),
        "checksum" => any(image.checksum.as_deref()),
        "protected" => any(Some(if image.protected { "true" } else { "false" })),
        "tag" => accepted
            .iter()
            .all(|tag| image.tags.iter().any(|other| other == tag)),
        property => any(image.properties.get(property).and_then(Option::as_deref)),
    }
}

async fn create(call: &mut Call) -> Result<Reply, Stop> {
    let Value::Object(body) = call.read_json().await? else {
        // The real server stumbles over it, too.
        return refuse(
            500,
            "The server has either erred or is incapable of performing the requested operation.",
        );
    };
    let mut image = StoredImage::new("");
    image.owner = call.caller.project.clone();
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
    let record = state
        .images
        .get(&id)
        .map(|image| call.record(image))
        .unwrap_or_default();
    let mut reply =
        Reply::json(201, &record).header("location", format!("{}/v2/images/{id}", call.shared.url));
    if call.is_today() {
        reply = reply.header(
            "openstack-image-import-methods",
            "glance-direct,web-download",
        );
        if !call.shared.stores.is_empty() {
            reply = reply.header("openstack-image-store-ids", call.shared.stores.join(","));
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

fn check_shared(image: &StoredImage) -> Result<(), Stop> {
    match image.visibility {
        "shared" => Ok(()),
        _ => refuse(
            403,
            format!(
                "Not allowed to list members for image {}: Only shared images have members.",
                image.id
            ),
        ),
    }
}

fn list_members(call: &Call, id: &str) -> Result<Reply, Stop> {
    call.with_visible(id, |image| {
        check_shared(image)?;
        let visible = image.members.iter().filter(|(project, _)| {
            call.caller.may_change(image) || call.caller.project.as_ref() == Some(*project)
        });
        let members: Vec<_> = visible
            .map(|(project, status)| member(image, project, status))
            .collect();
        Ok(Reply::json(
            200,
            &json!({ "members": members, "schema": "/v2/schemas/members" }),
        ))
    })
}

async fn add_member(call: &mut Call, id: &str) -> Result<Reply, Stop> {
    let body = call.read_json().await?;
    let Some(project) = body.get("member").and_then(Value::as_str) else {
        return refuse(400, "Expected a 'member' attribute in request body.");
    };
    call.check_changeable(id, "add_member")?;
    call.with_visible(id, check_shared)?;
    let mut state = call.state();
    let Some(image) = state.images.get_mut(id) else {
        return refuse(404, format!("No image found with ID {id}"));
    };
    if image.members.contains_key(project) {
        return refuse(
            409,
            format!("Member {project} is duplicated for image {id}"),
        );
    }
    image
        .members
        .insert(project.to_owned(), "pending".to_owned());
    Ok(Reply::json(200, &member(image, project, "pending")))
}

fn member(image: &StoredImage, project: &str, status: &str) -> Value {
    let time = super::state::show_seconds(image.created_at);
    json!({
        "member_id": project, "image_id": image.id, "status": status, "schema": "/v2/schemas/member",
        "created_at": time, "updated_at": time,
    })
}

/// Whether this is a method with a body of data.
fn is_octet_stream(call: &Call) -> bool {
    debug_assert_eq!(call.method, Method::PUT);
    call.header("content-type")
        .is_some_and(|kind| kind.split(';').next() == Some("application/octet-stream"))
}
