//! Namespaces of metadata definitions.

use serde_json::{Map, Value, json};

use super::super::call::Call;
use super::super::reply::{FAILED, Reply, Stop, refuse};

/// The fields of a namespace itself, which an update states all at once.
const FIELDS: [&str; 5] = [
    "display_name",
    "description",
    "visibility",
    "protected",
    "owner",
];
const RESOURCE_TYPES: &str = "resource_type_associations";
const READ_ONLY: [&str; 4] = ["self", "schema", "created_at", "updated_at"];
const TIME: &str = "2026-11-26T00:00:00Z";

pub(super) async fn route(call: &mut Call, parts: &[&str]) -> Result<Reply, Stop> {
    let method = call.method.clone();
    if method != http::Method::GET && !call.caller.admin {
        return refuse(403, "You are not authorized to complete metadef action.");
    }
    match (method.as_str(), parts) {
        ("GET", []) => Ok(list(call)),
        ("POST", []) => create(call).await,
        ("GET", [name]) => with(call, name, |namespace| {
            Ok(Reply::json(200, &shown(namespace)))
        }),
        ("PUT", [name]) => {
            let body = call.read_json().await?;
            check_writable(&body)?;
            with(call, name, |namespace| {
                for field in FIELDS {
                    namespace.remove(field);
                    if let Some(value) = body.get(field) {
                        namespace.insert(field.to_owned(), value.clone());
                    }
                }
                Ok(Reply::json(200, &shown(namespace)))
            })
        }
        ("POST", [name, "tags"]) => {
            let body = call.read_json().await?;
            let tags = body.get("tags").cloned().unwrap_or_default();
            with(call, name, |namespace| {
                namespace.insert("tags".to_owned(), tags.clone());
                Ok(Reply::json(201, &json!({ "tags": tags })))
            })
        }
        ("POST", [name, "properties"]) => put_property(call, name, None).await,
        ("PUT", [name, "properties", part]) => put_property(call, name, Some(part)).await,
        ("POST", [name, "objects"]) => put_part(call, name, "objects", None).await,
        ("PUT", [name, "objects", part]) => put_part(call, name, "objects", Some(part)).await,
        ("POST", [name, "resource_types"]) => put_part(call, name, RESOURCE_TYPES, None).await,
        ("DELETE", [name, "resource_types", part]) => with(call, name, |namespace| {
            let mut parts = take(namespace, RESOURCE_TYPES);
            parts.retain(|found| found.get("name").is_none_or(|name| name != *part));
            namespace.insert(RESOURCE_TYPES.to_owned(), parts.into());
            Ok(Reply::empty(204))
        }),
        _ => refuse(404, "The resource could not be found."),
    }
}

fn with(
    call: &Call,
    name: &str,
    work: impl FnOnce(&mut Map<String, Value>) -> Result<Reply, Stop>,
) -> Result<Reply, Stop> {
    match call.state().metadefs.get_mut(name) {
        Some(namespace) => work(namespace),
        None => refuse(404, format!("Namespace {name} not found")),
    }
}

/// Names and resource types only, the newest first, by pages.
fn list(call: &Call) -> Reply {
    let limit: usize = call
        .query
        .get("limit")
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(25)
        .min(call.shared.settings.page_size);
    let state = call.state();
    let mut names: Vec<&String> = state.metadefs.keys().rev().collect();
    if let Some(marker) = call.query.get("marker") {
        names.retain(|name| name.as_str() < marker);
    }
    let is_last = names.len() <= limit;
    names.truncate(limit);
    let last = names.last().filter(|_| !is_last);
    let next = last.map(|last| format!("/v2/metadefs/namespaces?marker={last}"));
    let listed = names.iter().map(|name| json!({ "namespace": name }));
    let listed: Vec<Value> = listed.collect();
    Reply::json(200, &json!({ "namespaces": listed, "next": next }))
}

async fn create(call: &mut Call) -> Result<Reply, Stop> {
    let body = call.read_json().await?;
    check_writable(&body)?;
    let Value::Object(mut body) = body else {
        return refuse(500, FAILED);
    };
    let Some(name) = body.get("namespace").and_then(Value::as_str) else {
        return refuse(400, "'namespace' is a required property");
    };
    let name = name.to_owned();
    let mut state = call.state();
    if state.metadefs.contains_key(&name) {
        return refuse(
            409,
            format!("The metadata definition namespace={name} already exists."),
        );
    }
    let has_times = |part: &Value| READ_ONLY.iter().any(|key| part.get(key).is_some());
    let lists = ["objects", "tags", RESOURCE_TYPES];
    let parts = lists.iter().filter_map(|list| body.get(*list)?.as_array());
    if parts.flatten().any(has_times) {
        // As the real one stumbles, it leaves the first resource type.
        for list in ["properties", "objects", "tags"] {
            body.remove(list);
        }
        let mut kept = take(&mut body, RESOURCE_TYPES);
        kept.truncate(1);
        for part in kept.iter_mut().filter_map(Value::as_object_mut) {
            part.retain(|key, _| !READ_ONLY.contains(&&**key));
        }
        body.insert(RESOURCE_TYPES.to_owned(), kept.into());
        state.metadefs.insert(name, body);
        return refuse(500, FAILED);
    }
    let reply = Reply::json(201, &shown(&body));
    state.metadefs.insert(name, body);
    Ok(reply)
}

async fn put_property(call: &mut Call, name: &str, part: Option<&str>) -> Result<Reply, Stop> {
    let mut body = call.read_json().await?;
    for required in ["name", "title", "type"] {
        if body.get(required).is_none() {
            return refuse(400, format!("'{required}' is a required property"));
        }
    }
    let new = body.as_object_mut().and_then(|body| body.remove("name"));
    let new = new.as_ref().and_then(Value::as_str).unwrap_or_default();
    with(call, name, |namespace| {
        let mut all = match namespace.remove("properties") {
            Some(Value::Object(all)) => all,
            _ => Map::new(),
        };
        let is_there = all.contains_key(part.unwrap_or(new));
        if is_there == part.is_some() {
            all.insert(new.to_owned(), body);
        }
        namespace.insert("properties".to_owned(), all.into());
        match (part, is_there) {
            (None, true) => refuse(409, "Property already exists"),
            (Some(_), false) => refuse(404, "Property not found"),
            _ => Ok(Reply::empty(200)),
        }
    })
}

async fn put_part(
    call: &mut Call,
    name: &str,
    list: &str,
    part: Option<&str>,
) -> Result<Reply, Stop> {
    let body = call.read_json().await?;
    check_writable(&body)?;
    with(call, name, |namespace| {
        let mut parts = take(namespace, list);
        let found = parts
            .iter_mut()
            .find(|found| found.get("name") == body.get("name"));
        let status = match (found, part) {
            (Some(_), None) => 409,
            (None, Some(_)) => 404,
            (Some(found), Some(_)) => {
                *found = body.clone();
                200
            }
            (None, None) => {
                parts.push(body.clone());
                201
            }
        };
        namespace.insert(list.to_owned(), parts.into());
        match status {
            404 | 409 => refuse(status, "it is there, or it is not"),
            status => Ok(Reply::json(status, &body)),
        }
    })
}

fn check_writable(body: &Value) -> Result<(), Stop> {
    match READ_ONLY.iter().find(|key| body.get(key).is_some()) {
        Some(key) => refuse(403, format!("Attribute '{key}' is read-only.")),
        None => Ok(()),
    }
}

/// Takes a list out of a namespace.
fn take(namespace: &mut Map<String, Value>, list: &str) -> Vec<Value> {
    match namespace.remove(list) {
        Some(Value::Array(parts)) => parts,
        _ => Vec::new(),
    }
}

/// With times and links at every level.
fn shown(namespace: &Map<String, Value>) -> Value {
    let name = namespace.get("namespace").and_then(Value::as_str);
    let href = format!("/v2/metadefs/namespaces/{}", name.unwrap_or_default());
    let mut shown = namespace.clone();
    set_by_server(&mut shown, &href);
    for list in ["objects", RESOURCE_TYPES] {
        let parts = shown.get_mut(list).and_then(Value::as_array_mut);
        for part in parts.into_iter().flatten().filter_map(Value::as_object_mut) {
            set_by_server(part, &href);
        }
    }
    shown.into()
}

fn set_by_server(shown: &mut Map<String, Value>, href: &str) {
    for (key, value) in [
        ("self", href),
        ("schema", "/v2/schemas"),
        ("created_at", TIME),
    ] {
        shown.insert(key.to_owned(), value.into());
    }
}
