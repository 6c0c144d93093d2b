//! The facts that a server tells about itself.

use std::sync::Arc;

use glance_model::BadRecord;
use http::header;
use serde::Deserialize;

use crate::api::{Listed, Next, UsedIds, Versions};
use crate::http::Request;
use crate::paging::first_page;
use crate::session::Session;
use crate::{Error, ErrorKind, Store};

/// The facts that a server tells this token about itself. A fact that it does not tell is `None`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Survey {
    /// The versions of the Image API that it offers, as it writes them, in order.
    pub versions: Vec<String>,
    /// Its stores, if they have names.
    pub stores: Option<Vec<Store>>,
    /// The ways in which it imports images.
    pub import_methods: Option<Vec<String>>,
    /// The limits of the project, where it keeps such (Keystone's unified limits).
    pub quotas: Vec<Quota>,
    /// The time of its clock, as in the header `Date` (RFC 9110).
    pub date: Option<String>,
    /// The records of the first page of a listing that cannot be used.
    pub bad_records: Vec<BadRecord>,
    /// The number of images in the first page of a listing, and whether it is the last page. If it
    /// is not, the number is the page size of the server.
    pub first_page: (usize, bool),
    /// Whether image data can be read from its middle; `None` if there is no
    /// image to try it on.
    pub has_range: Option<bool>,
}

/// A limit of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// The resource, such as `image_size_total` (in MiB).
    pub resource: String,
    /// The amount in use.
    pub usage: u64,
    /// The most that may be in use; `None` if there is no limit.
    pub limit: Option<u64>,
}

#[derive(Deserialize)]
struct Usage {
    usage: std::collections::BTreeMap<String, UsageEntry>,
}

#[derive(Deserialize)]
struct UsageEntry {
    usage: u64,
    limit: i64,
}

/// Asks the server about itself. Nothing is changed.
///
/// # Errors
///
/// [`Error`] if images cannot be listed. What else it does not answer is left out.
pub(crate) async fn survey(session: &Arc<Session>) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    let answer = session
        .http
        .send_for_any(&Request::get("/versions"))
        .await?;
    let date = answer.response.headers().get(header::DATE);
    survey.date = date.and_then(|date| date.to_str().ok()).map(str::to_owned);
    survey.versions = match answer.json::<Versions>().await {
        Ok(versions) => versions.versions.into_iter().map(|v| v.id).collect(),
        // The list may be closed to us, or elsewhere.
        Err(error) if error.status().is_some() => vec![session.dialect.version().to_string()],
        Err(error) => return Err(error),
    };
    survey.versions.sort_by_key(|id| {
        let numbers = id.trim_start_matches('v').split('.');
        numbers
            .map(|n| n.parse().unwrap_or(0))
            .collect::<Vec<u32>>()
    });

    let views = session.dialect.views(UsedIds::LeftOut);
    let every_server_knows = views.fallback.first().or(views.queries.first());
    let page = first_page(session, every_server_knows.copied().unwrap_or_default()).await?;
    // v1 does not say; a short page proves nothing, a full one does.
    let limit = usize::try_from(session.page_limit).unwrap_or(usize::MAX);
    let is_last = match page.next {
        Next::Nothing => true,
        Next::Behind(_) => false,
        Next::Unsaid => page.images.len() < limit,
    };
    survey.first_page = (page.images.len(), is_last);
    survey.has_range = tries_range(session, &page.images).await?;
    survey.bad_records = page.images.into_iter().filter_map(Result::err).collect();
    survey.stores = session.stores().await?;
    survey.import_methods = session.import_methods().await?;
    survey.quotas = quotas(session).await?;
    Ok(survey)
}

/// Asks for the limits of the project, and what is in use of them.
pub(crate) async fn quotas(session: &Session) -> Result<Vec<Quota>, Error> {
    let Some(Usage { usage }) = session.info("usage").await? else {
        return Ok(Vec::new());
    };
    let quota = |(resource, entry): (String, UsageEntry)| Quota {
        resource,
        usage: entry.usage,
        limit: u64::try_from(entry.limit).ok(),
    };
    Ok(usage.into_iter().map(quota).collect())
}

async fn tries_range(session: &Session, images: &[Listed]) -> Result<Option<bool>, Error> {
    let readable = images
        .iter()
        .flatten()
        .filter(|image| image.is_active() && image.size.unwrap_or(0) > 1)
        .min_by_key(|image| image.size);
    let Some(image) = readable else {
        return Ok(None);
    };
    match session
        .dialect
        .download(&session.http, &image.id, 1, None)
        .await
    {
        Ok(Some((offset_bytes, _))) => Ok(Some(offset_bytes == 1)),
        Ok(None) => Ok(None),
        Err(error) if error.kind() == ErrorKind::Unauthorized => Err(error),
        Err(_) => Ok(None),
    }
}
