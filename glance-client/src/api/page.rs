//! Pages of listings.

use std::fmt::Write as _;

use glance_model::{BadRecord, ImageMetadata, read_record, valid_unicode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// An image of a listing, or a record that cannot be used as one.
pub(crate) type Listed = Result<ImageMetadata, BadRecord>;

/// One page of a listing.
pub(crate) struct Page {
    pub(crate) images: Vec<Listed>,
    pub(crate) next: Next,
}

/// The link of a page to the one behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is none.
    Nothing,
    /// Nothing: v1 has no such link, and a short page proves nothing.
    Unsaid,
    /// There is one, which begins behind this id if the link says it. The id is encoded as in a
    /// query.
    Behind(Option<String>),
}

#[derive(Deserialize)]
struct Listing<R> {
    images: Vec<R>,
    next: Option<Value>,
}

impl Page {
    /// Reads a page; if a record of it cannot be read, each record by itself.
    pub(crate) fn read<R>(body: &[u8]) -> Result<Self, serde_json::Error>
    where
        R: DeserializeOwned + Into<ImageMetadata>,
    {
        let (images, next) = match serde_json::from_slice::<Listing<R>>(body) {
            Ok(page) => {
                let images = page.images.into_iter().map(|record| Ok(record.into()));
                (images.collect(), page.next)
            }
            Err(_) => {
                let body = valid_unicode(body);
                let page: Listing<Box<RawValue>> = serde_json::from_str(&body)?;
                let images = page.images.iter();
                let images = images.map(|record| read_record::<R>(record.get()));
                (images.collect(), page.next)
            }
        };
        let next = match next {
            None => Next::Nothing,
            Some(link) => Next::Behind(link.as_str().and_then(marker).map(str::to_owned)),
        };
        Ok(Self { images, next })
    }
}

/// Returns the marker of a link to the next page, if it has no character that could end a query.
fn marker(link: &str) -> Option<&str> {
    let (_, query) = link.split_once('?')?;
    let marker = query
        .split('&')
        .find_map(|part| part.strip_prefix("marker="))?;
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    (!marker.is_empty() && marker.bytes().all(is_harmless)).then_some(marker)
}

/// Encodes a text for a query, such as the id of an image, which may be any text.
pub(crate) fn encoded(text: &str) -> String {
    let as_written = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut marker = String::with_capacity(text.len());
    for byte in text.bytes() {
        if as_written(byte) {
            marker.push(char::from(byte));
        } else {
            let _ = write!(marker, "%{byte:02X}");
        }
    }
    marker
}
