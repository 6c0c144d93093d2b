//! The listing of v2, and which images it shows to whom.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::super::call::Call;
use super::super::listing::{Order, Query, parse_limit};
use super::super::record::RecordV2;
use super::super::reply::{Reply, Stop, refuse};
use super::super::state::{StoredImage, VISIBILITIES, known, show_micros};

/// The characters that Python's `urlencode` leaves as they are.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub(super) fn list(call: &Call) -> Result<Reply, Stop> {
    let query = &call.query;
    let bad = |text| Stop::Refuse(400, text);
    let limit = parse_limit(query, call.shared.settings.page_size).map_err(bad)?;
    let order = Order::from_query(query).map_err(bad)?;
    let filter = Filter::from_query(call)?;
    let state = call.state();
    let marker = match query.get("marker") {
        None => None,
        // To an admin, an image that was deleted meanwhile is as good as any.
        Some(id) => match state
            .images
            .get(id)
            .filter(|image| call.caller.admin || !image.deleted)
        {
            None => return refuse(400, format!("No image found with ID {id}")),
            Some(image) if !call.caller.sees(image) => {
                return refuse(403, "You are not authorized to complete get_image action.");
            }
            Some(image) => Some(image),
        },
    };
    let page = order.page(&state, marker, limit, |image| filter.keeps(image));
    let records: Vec<_> = page.iter().map(|image| call.record(image)).collect();
    let last = page.last().filter(|_| page.len() == limit);
    let body = Page {
        images: records,
        schema: "/v2/schemas/images",
        first: link(query, None),
        next: last.map(|last| link(query, Some(&last.id))),
    };
    Ok(Reply::json(200, &body))
}

#[derive(Serialize)]
struct Page<'a> {
    images: Vec<RecordV2<'a>>,
    schema: &'static str,
    first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A link to a page; of parameters given twice it keeps the last, as Glance does.
fn link(query: &Query, marker: Option<&str>) -> String {
    let mut kept: Vec<(&str, &str)> = Vec::new();
    for (name, value) in query.0.iter().filter(|(name, _)| name != "marker") {
        kept.retain(|(other, _)| other != name);
        kept.push((name, value));
    }
    kept.extend(marker.map(|marker| ("marker", marker)));
    let encode = |text| utf8_percent_encode(text, UNRESERVED);
    let pairs: Vec<_> = kept
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    match pairs.is_empty() {
        true => "/v2/images".to_owned(),
        false => format!("/v2/images?{}", pairs.join("&")),
    }
}

/// The choice of the images that a listing shows.
struct Filter<'a> {
    call: &'a Call,
    visibility: Option<&'a str>,
    /// `None` where there are no hidden images yet.
    hidden: Option<bool>,
    member_status: &'a str,
    fields: Vec<(&'a str, Vec<String>)>,
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
                ("size_min" | "size_max", value) if value.parse::<u64>().is_err() => {
                    return refuse(
                        400,
                        format!("Cannot convert image size '{value}' to an integer."),
                    );
                }
                ("id" | "name" | "status" | "disk_format" | "container_format", value) => {
                    let set = value.strip_prefix("in:").map(elements);
                    filter.add(name, set.unwrap_or_else(|| vec![value.to_owned()]));
                }
                (name, value) => filter.add(name, vec![value.to_owned()]),
            }
        }
        Ok(filter)
    }

    /// Of a parameter that is given twice the last counts, but for tags.
    fn add(&mut self, name: &'a str, accepted: Vec<String>) {
        self.fields
            .retain(|(other, _)| *other != name || name == "tag");
        self.fields.push((name, accepted));
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

/// Returns whether a field of an image has one of these values; unknown fields are properties.
fn has(image: &StoredImage, field: &str, accepted: &[String]) -> bool {
    let any = |value: Option<&str>| value.is_some_and(|value| accepted.iter().any(|a| a == value));
    let all = |test: &dyn Fn(&str) -> bool| accepted.iter().all(|value| test(value));
    let number = |value: &str| value.parse().unwrap_or(u64::MAX);
    match field {
        "size_min" => all(&|value| image.size.is_some_and(|size| size >= number(value))),
        "size_max" => all(&|value| image.size.is_some_and(|size| size <= number(value))),
        "created_at" => all(&|value| is_in_time(image.created_at, value)),
        "updated_at" => all(&|value| is_in_time(image.updated_at, value)),
        "id" => any(Some(&image.id)),
        "name" => any(image.name.as_deref()),
        "status" => any(Some(image.status)),
        "disk_format" => any(image.disk_format),
        "container_format" => any(image.container_format),
        "owner" => any(image.owner.as_deref()),
        "checksum" => any(image.checksum.as_deref()),
        "protected" => any(Some(if image.protected { "true" } else { "false" })),
        "tag" => all(&|tag| image.tags.iter().any(|other| other == tag)),
        property => any(image.properties.get(property).and_then(Option::as_deref)),
    }
}

/// The elements of a list behind `in:`, of which some may be in quotes.
fn elements(list: &str) -> Vec<String> {
    let mut elements = vec![String::new()];
    let mut is_quoted = false;
    for c in list.chars() {
        match (c, elements.last_mut()) {
            ('"', _) => is_quoted = !is_quoted,
            (',', _) if !is_quoted => elements.push(String::new()),
            (c, Some(last)) => last.push(c),
            (_, None) => {}
        }
    }
    elements
}

/// Returns whether a time, of which the database keeps the microseconds, passes `gte:TIME` and such.
fn is_in_time(micros: u64, filter: &str) -> bool {
    let (operator, time) = match filter.split_once(':') {
        Some((operator @ ("gt" | "gte" | "lt" | "lte" | "eq" | "neq"), time)) => (operator, time),
        _ => ("eq", filter),
    };
    let mut time = time.trim_end_matches('Z').to_owned();
    for (len, rest) in [(10, "T00:00:00"), (19, ".000000")] {
        if time.len() == len {
            time.push_str(rest);
        }
    }
    let order = show_micros(micros).cmp(&time);
    match operator {
        "gt" => order.is_gt(),
        "gte" => order.is_ge(),
        "lt" => order.is_lt(),
        "lte" => order.is_le(),
        "neq" => order.is_ne(),
        _ => order.is_eq(),
    }
}
