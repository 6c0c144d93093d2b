//! The log of the requests of a server, by their kinds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderMap;

/// Requests kept in the log; older ones are dropped, but stay counted.
const KEPT_REQUESTS: usize = 20_000;

/// The kind of a request, whatever the API version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RequestKind {
    /// The list of API versions, and every path that belongs to none.
    Versions,
    /// A page of images.
    Listing,
    /// A new image without data.
    Create,
    /// The metadata of one image.
    Show,
    /// A change of metadata.
    Update,
    /// Image data to the caller.
    Download,
    /// Image data to the server; in v1 that is any POST or PUT with data.
    Upload,
    /// The end of an image.
    Delete,
    /// Anything else: members, actions, stores.
    Other,
}

/// One request as the server saw it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The kind of it.
    pub kind: RequestKind,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The bytes of the body that were read so far.
    pub body_bytes: u64,
    /// The body, if it is not image data.
    pub body: Bytes,
    /// The status of the answer; `None` as long as, or if, there is none.
    pub status: Option<u16>,
}

impl RequestRecord {
    /// Returns one header as text, bytes beyond UTF-8 replaced.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }
}

#[derive(Debug, Default)]
pub(super) struct RequestLog(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    first: u64,
    kept: VecDeque<RequestRecord>,
    counts: BTreeMap<RequestKind, u64>,
}

impl RequestLog {
    pub(super) fn open(&self, record: RequestRecord) -> u64 {
        self.locked(|entries| {
            *entries.counts.entry(record.kind).or_default() += 1;
            entries.kept.push_back(record);
            if entries.kept.len() > KEPT_REQUESTS {
                entries.kept.pop_front();
                entries.first += 1;
            }
            entries.first + entries.kept.len() as u64 - 1
        })
    }

    pub(super) fn update(&self, number: u64, change: impl FnOnce(&mut RequestRecord)) {
        self.locked(|entries| {
            let index = number
                .checked_sub(entries.first)
                .and_then(|index| usize::try_from(index).ok());
            if let Some(record) = index.and_then(|index| entries.kept.get_mut(index)) {
                change(record);
            }
        });
    }

    pub(super) fn all(&self) -> Vec<RequestRecord> {
        self.locked(|entries| entries.kept.iter().cloned().collect())
    }

    pub(super) fn count(&self, kind: RequestKind) -> u64 {
        self.locked(|entries| entries.counts.get(&kind).copied().unwrap_or_default())
    }

    pub(super) fn total(&self) -> u64 {
        self.locked(|entries| entries.counts.values().sum())
    }

    pub(super) fn clear(&self) {
        self.locked(|entries| {
            entries.first += entries.kept.len() as u64;
            entries.kept.clear();
            entries.counts.clear();
        });
    }

    fn locked<R>(&self, use_entries: impl FnOnce(&mut Entries) -> R) -> R {
        use_entries(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
