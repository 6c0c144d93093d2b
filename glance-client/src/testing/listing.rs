//! The parts that the listings of both API versions share: order, marker, limit, query strings.

use std::cmp::Ordering;
use std::ops::Bound;

use percent_encoding::percent_decode_str;

use super::state::{State, StoredImage};

/// The parameters of a query string, in order and decoded.
#[derive(Debug)]
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let decode = |part: &str| {
            percent_decode_str(&part.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// The value of a parameter, of one that is repeated the last.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Name,
    Status,
    ContainerFormat,
    DiskFormat,
    Size,
    Id,
    CreatedAt,
    UpdatedAt,
}

/// Sort keys with whether each descends.
#[derive(Debug)]
pub(super) struct Order(Vec<(Key, bool)>);

impl Order {
    /// Reads `sort`, or `sort_key` and `sort_dir`; the newest first by default.
    pub(super) fn from_query(query: &Query) -> Result<Self, String> {
        let all = |name| {
            query
                .0
                .iter()
                .filter(move |(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let mut keys = Vec::new();
        if let Some(sort) = query.get("sort") {
            if all("sort_key").chain(all("sort_dir")).next().is_some() {
                return Err("Old and new sorting syntax cannot be combined".to_owned());
            }
            for part in sort.split(',') {
                let (key, direction) = part.split_once(':').unwrap_or((part, "desc"));
                keys.push((parse_key(key.trim())?, parse_direction(direction.trim())?));
            }
        } else {
            let mut directions = all("sort_dir");
            let mut direction = true;
            for key in all("sort_key") {
                if let Some(given) = directions.next() {
                    direction = parse_direction(given)?;
                }
                keys.push((parse_key(key)?, direction));
            }
            if keys.is_empty() {
                let direction = directions.next().map_or(Ok(true), parse_direction)?;
                keys.push((Key::CreatedAt, direction));
            }
        }
        let last = keys.last().is_none_or(|(_, descending)| *descending);
        keys.push((Key::CreatedAt, last));
        keys.push((Key::Id, last));
        Ok(Self(keys))
    }

    fn compare(&self, left: &StoredImage, right: &StoredImage) -> Ordering {
        self.0
            .iter()
            .fold(Ordering::Equal, |so_far, (key, descending)| {
                so_far.then_with(|| {
                    let ascending = match key {
                        Key::Name => left.name.cmp(&right.name),
                        Key::Status => left.status.cmp(right.status),
                        Key::ContainerFormat => left.container_format.cmp(&right.container_format),
                        Key::DiskFormat => left.disk_format.cmp(&right.disk_format),
                        Key::Size => left.size.cmp(&right.size),
                        Key::Id => left.id.cmp(&right.id),
                        Key::CreatedAt => left.created_at.cmp(&right.created_at),
                        Key::UpdatedAt => left.updated_at.cmp(&right.updated_at),
                    };
                    if *descending {
                        ascending.reverse()
                    } else {
                        ascending
                    }
                })
            })
    }

    /// Picks the page after `marker`, which need not be listed itself.
    pub(super) fn page<'a>(
        &self,
        state: &'a State,
        marker: Option<&StoredImage>,
        limit: usize,
        keep: impl Fn(&StoredImage) -> bool,
    ) -> Vec<&'a StoredImage> {
        // By id a page costs what it shows; any other order costs a sort of everything.
        if let Some((Key::Id, false)) = self.0.first() {
            let start = marker.map_or(Bound::Unbounded, |marker| {
                Bound::Excluded(marker.id.as_str())
            });
            let range = state.images.range::<str, _>((start, Bound::Unbounded));
            return range
                .map(|(_, image)| image)
                .filter(|image| keep(image))
                .take(limit)
                .collect();
        }
        let after = |image: &&StoredImage| {
            marker.is_none_or(|marker| self.compare(marker, image) == Ordering::Less)
        };
        let mut all: Vec<_> = state
            .images
            .values()
            .filter(|image| keep(image))
            .filter(after)
            .collect();
        all.sort_by(|left, right| self.compare(left, right));
        all.truncate(limit);
        all
    }
}

fn parse_key(key: &str) -> Result<Key, String> {
    Ok(match key {
        "name" => Key::Name,
        "status" => Key::Status,
        "container_format" => Key::ContainerFormat,
        "disk_format" => Key::DiskFormat,
        "size" => Key::Size,
        "id" => Key::Id,
        "created_at" => Key::CreatedAt,
        "updated_at" => Key::UpdatedAt,
        _ => return Err(format!("Invalid sort key: {key}")),
    })
}

fn parse_direction(direction: &str) -> Result<bool, String> {
    match direction {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err(format!("Invalid sort direction: {direction}")),
    }
}

/// Reads `limit` as Glance does: 25 if absent, never more than the server's most.
pub(super) fn parse_limit(query: &Query, most: usize) -> Result<usize, String> {
    let Some(limit) = query.get("limit") else {
        return Ok(most.min(25));
    };
    match limit.trim().parse::<i64>() {
        Ok(limit) if limit >= 0 => Ok(usize::try_from(limit).unwrap_or(most).min(most)),
        Ok(_) => Err("limit param must be positive".to_owned()),
        Err(_) => Err("limit param must be an integer".to_owned()),
    }
}
