//! The Images v1 API as Glance served it in 2017.

mod meta;
mod write;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use self::meta::boolean;
use super::call::Call;
use super::listing::{Order, parse_limit};
use super::record::RecordV1;
use super::reply::{Reply, Stop, refuse, refuse_in_detail};
use super::state::{StoredImage, is_dashed_uuid, show_micros, show_seconds};

/// The fields of the brief listing.
const BRIEF: [&str; 6] = [
    "id",
    "name",
    "size",
    "checksum",
    "disk_format",
    "container_format",
];

pub(super) async fn route(call: &mut Call) -> Result<Reply, Stop> {
    let segments = call.segments.clone();
    let parts: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    match (call.method.as_str(), parts.as_slice()) {
        ("GET", ["images"]) => list(call, Some(&BRIEF)),
        ("GET", ["images", "detail"]) => list(call, None),
        ("POST", ["images"]) => write::create(call).await,
        (_, ["images"] | ["images", "detail"]) => {
            refuse(405, "The method is not allowed for this resource.")
        }
        ("HEAD", ["images", id]) => head(call, id),
        ("GET", ["images", id]) => get(call, id),
        ("PUT", ["images", id]) => write::update(call, id).await,
        ("DELETE", ["images", id]) => delete(call, id),
        ("GET", ["images", id, "members"]) => members(call, id),
        ("PUT", ["images", id, "members"]) => replace_members(call, id).await,
        ("PUT", ["images", id, "members", project]) => {
            change_members(call, id, |members| add_member(members, project))
        }
        ("DELETE", ["images", id, "members", project]) => {
            change_members(call, id, |members| drop(members.remove(*project)))
        }
        ("GET", ["shared-images", project]) => Ok(shared_images(call, project)),
        _ => refuse(404, "The resource could not be found."),
    }
}

fn not_found<T>(id: &str) -> Result<T, Stop> {
    refuse_in_detail(404, format!("Image with identifier {id} not found"))
}

impl Call {
    /// Lets `look` see an image, deleted ones only if the caller is an admin.
    fn with_image<R>(
        &self,
        id: &str,
        look: impl FnOnce(&StoredImage) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        let state = self.state();
        let image = state.images.get(id).filter(|image| self.caller.sees(image));
        match image.filter(|image| self.caller.admin || !image.deleted) {
            Some(image) => look(image),
            None => not_found(id),
        }
    }
}

#[derive(Serialize)]
struct Page<'a> {
    images: Vec<RecordV1<'a>>,
}

fn list(call: &Call, fields: Option<&[&str]>) -> Result<Reply, Stop> {
    let query = &call.query;
    let bad = |text| Stop::Refuse(400, text);
    let limit = parse_limit(query, call.shared.settings.page_size).map_err(bad)?;
    let order = Order::from_query(query).map_err(bad)?;
    let filter = Filter::from_query(call)?;
    let state = call.state();
    let marker = match query.get("marker") {
        None => None,
        Some(id) if !is_dashed_uuid(id) => return refuse(400, "Invalid marker format"),
        Some(id) => match state.images.get(id) {
            // One that was deleted meanwhile is as good as any.
            Some(image) => Some(image),
            None => return refuse(400, "Invalid marker. Image could not be found."),
        },
    };
    let page = order.page(&state, marker, limit, |image| filter.keeps(image));
    let Some(fields) = fields else {
        let images = page.into_iter().map(RecordV1).collect();
        return Ok(Reply::json(200, &Page { images }));
    };
    let records: Vec<Value> = page
        .into_iter()
        .map(|image| {
            let mut record = json!(RecordV1(image));
            if let Some(record) = record.as_object_mut() {
                record.retain(|name, _| fields.contains(&name.as_str()));
            }
            record
        })
        .collect();
    Ok(Reply::json(200, &json!({ "images": records })))
}

/// The choice of the images that a listing shows.
struct Filter<'a> {
    call: &'a Call,
    /// The filter of an admin; others see their own, public and shared images.
    public: Option<bool>,
    changed_since: Option<&'a str>,
}

impl<'a> Filter<'a> {
    fn from_query(call: &'a Call) -> Result<Self, Stop> {
        let asked = call.query.get("is_public").map(str::to_ascii_lowercase);
        let public = match asked.as_deref() {
            _ if !call.caller.admin => None,
            None | Some("true" | "1") => Some(true),
            Some("false" | "0") => Some(false),
            Some("none") => None,
            Some(_) => {
                return refuse(
                    400,
                    "Invalid value for is_public: must be None, True or False",
                );
            }
        };
        let changed_since = call.query.get("changes-since");
        if changed_since
            .is_some_and(|since| !since.starts_with(|first: char| first.is_ascii_digit()))
        {
            return refuse(400, "Unrecognized changes-since value");
        }
        Ok(Self {
            call,
            public,
            changed_since,
        })
    }

    fn keeps(&self, image: &StoredImage) -> bool {
        let caller = &self.call.caller;
        let may_see = caller.admin
            || caller.owns(image)
            || image.visibility == "public"
            || caller.membership(image).is_some();
        let current = match self.changed_since {
            // Both are UTC: the first 19 characters compare as times do.
            Some(since) => show_seconds(image.updated_at).get(..19) >= since.get(..19),
            None => !image.deleted && !matches!(image.status, "killed" | "pending_delete"),
        };
        may_see
            && current
            && image.visibility != "community"
            && self
                .public
                .is_none_or(|public| public == (image.visibility == "public"))
            && self
                .call
                .query
                .0
                .iter()
                .all(|(name, value)| matches_filter(image, name, value))
    }
}

/// Returns whether one filter lets an image pass; unknown parameters are ignored.
fn matches_filter(image: &StoredImage, name: &str, value: &str) -> bool {
    let number = || value.parse::<u64>().unwrap_or_default();
    match name {
        "name" => image.name.as_deref() == Some(value),
        "status" => image.status == value,
        "disk_format" => image.disk_format == Some(value),
        "container_format" => image.container_format == Some(value),
        "size_min" => image.size.unwrap_or_default() >= number(),
        "size_max" => image.size.unwrap_or_default() <= number(),
        "protected" => image.protected == boolean(value),
        name => name.strip_prefix("property-").is_none_or(|property| {
            image.properties.get(property).and_then(Option::as_deref) == Some(value)
        }),
    }
}

fn head(call: &Call, id: &str) -> Result<Reply, Stop> {
    call.with_image(id, |image| {
        let reply = Reply::empty(200).header("content-type", "text/html; charset=UTF-8");
        Ok(with_metadata(reply, image, image.size))
    })
}

fn get(call: &Call, id: &str) -> Result<Reply, Stop> {
    call.with_image(id, |image| match image.status {
        "active" => {
            // An image of no bytes may have been made active without data.
            let none = (image.size == Some(0)).then(|| super::content::ImageContent::zeros(0));
            let Some(content) = image.content.clone().or(none) else {
                return refuse(404, format!("Image /var/lib/glance/images/{id} not found"));
            };
            // The length, and the size in the header, are the store's.
            let len = content.len_bytes();
            Ok(with_metadata(Reply::data(content, len), image, Some(len)))
        }
        "deactivated" => refuse(403, format!("Image {id} is deactivated")),
        "deleted" | "pending_delete" => not_found(id),
        _ => refuse_in_detail(404, format!("Image {id} is not active")),
    })
}

/// Adds the headers that show an image; a null has none.
fn with_metadata(mut reply: Reply, image: &StoredImage, size: Option<u64>) -> Reply {
    let python_bool = |flag: bool| Some(if flag { "True" } else { "False" }.to_owned());
    let fields = [
        ("id", Some(image.id.clone())),
        ("name", image.name.clone()),
        ("status", Some(image.status.to_owned())),
        ("size", size.map(|size| size.to_string())),
        (
            "virtual_size",
            image.virtual_size.map(|size| size.to_string()),
        ),
        ("checksum", image.checksum.clone()),
        ("disk_format", image.disk_format.map(str::to_owned)),
        (
            "container_format",
            image.container_format.map(str::to_owned),
        ),
        ("owner", image.owner.clone()),
        ("is_public", python_bool(image.visibility == "public")),
        ("protected", python_bool(image.protected)),
        ("deleted", python_bool(image.deleted)),
        ("min_ram", Some(image.min_ram.to_string())),
        ("min_disk", Some(image.min_disk.to_string())),
        ("created_at", Some(show_micros(image.created_at))),
        ("updated_at", Some(show_micros(image.updated_at))),
        (
            "deleted_at",
            image.deleted.then(|| show_micros(image.updated_at)),
        ),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            reply = reply.header(&format!("x-image-meta-{name}"), value);
        }
    }
    for (name, value) in &image.properties {
        if let Some(value) = value {
            reply = reply.header(&format!("x-image-meta-property-{name}"), value);
        }
    }
    match &image.checksum {
        Some(checksum) => reply.header("etag", checksum),
        None => reply,
    }
}

/// Checks that a visible image may be changed by the caller.
fn check_changeable(call: &Call, image: &StoredImage) -> Result<(), Stop> {
    match call.caller.may_change(image) {
        true => Ok(()),
        false => refuse(403, "You are not authorized to complete this action."),
    }
}

fn delete(call: &Call, id: &str) -> Result<Reply, Stop> {
    call.with_image(id, |image| {
        check_changeable(call, image)?;
        match image.status {
            _ if image.deleted => not_found(id),
            _ if image.protected => refuse(403, "Image is protected"),
            "pending_delete" => refuse(
                403,
                format!("Forbidden to delete a pending_delete image: {id}"),
            ),
            _ => Ok(()),
        }
    })?;
    call.state().delete(id);
    Ok(Reply::empty(200))
}

fn members(call: &Call, id: &str) -> Result<Reply, Stop> {
    call.with_image(id, |image| {
        if image.deleted {
            return not_found(id);
        }
        let entry = |project| json!({ "member_id": project, "can_share": false });
        let members: Vec<_> = image.members.keys().map(entry).collect();
        Ok(Reply::json(200, &json!({ "members": members })))
    })
}

/// Adds a member, whose status only v2 shows: `pending`. One that is there stays as it is.
fn add_member(members: &mut BTreeMap<String, String>, project: &str) {
    let pending = || "pending".to_owned();
    members.entry(project.to_owned()).or_insert_with(pending);
}

/// Changes the members of an image, of whatever visibility.
fn change_members(
    call: &Call,
    id: &str,
    change: impl FnOnce(&mut BTreeMap<String, String>),
) -> Result<Reply, Stop> {
    call.with_image(id, |image| match image.deleted {
        true => not_found(id),
        false => check_changeable(call, image),
    })?;
    if let Some(image) = call.state().images.get_mut(id) {
        change(&mut image.members);
    }
    Ok(Reply::empty(204))
}

/// Makes those that the body names the members of an image, and no others.
async fn replace_members(call: &mut Call, id: &str) -> Result<Reply, Stop> {
    let body = call.read_json().await?;
    let Some(named) = body.get("memberships").and_then(Value::as_array) else {
        return refuse(400, "Invalid message format: no memberships");
    };
    let named = named.iter().filter_map(|member| member.get("member_id"));
    let named: Vec<&str> = named.filter_map(Value::as_str).collect();
    change_members(call, id, |members| {
        members.retain(|project, _| named.contains(&&**project));
        for project in named {
            add_member(members, project);
        }
    })
}

/// Lists the images that a project is a member of.
fn shared_images(call: &Call, project: &str) -> Reply {
    let state = call.state();
    let images = state.images.values().filter(|image| !image.deleted);
    let shared =
        images.filter(|image| call.caller.sees(image) && image.members.contains_key(project));
    let shared: Vec<_> = shared
        .map(|image| json!({ "image_id": image.id, "can_share": false }))
        .collect();
    Reply::json(200, &json!({ "shared_images": shared }))
}
