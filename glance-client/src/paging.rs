//! Pages of images become one stream, ascending by id, each image once.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future;
use glance_model::{ImageId, ImageMetadata};
use http::StatusCode;
use tokio::task::JoinHandle;

use crate::api::{v1, v2};
use crate::client::Shared;
use crate::{ApiVersion, Error, ErrorKind};

/// How many markers in a row may be refused before the listing fails. Each one
/// goes twice as far back as the one before: past a page of any size.
const REFUSED_MARKERS: u32 = 16;

/// One page of a listing.
pub(crate) struct Page {
    pub(crate) images: Vec<ImageMetadata>,
    pub(crate) is_last: bool,
}

/// Whether v1 lists the images whose ids are used up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UsedIds {
    LeftOut,
    Listed,
}

/// All images that the token may see.
pub(crate) struct Listing {
    queries: Vec<Query>,
}

impl Listing {
    /// No single query of v2 shows everything: all that is not hidden, and all
    /// that is. Servers before 2019 refuse `visibility=all`, and no version
    /// number tells: there, community images are asked for by themselves.
    pub(crate) async fn begin(shared: &Arc<Shared>, used_ids: UsedIds) -> Result<Self, Error> {
        let query = |filter| Query::new(Arc::clone(shared), filter);
        let ApiVersion::V2 { .. } = shared.version else {
            let filter = match used_ids {
                UsedIds::LeftOut => "&is_public=None",
                // The only query that shows them.
                UsedIds::Listed => "&is_public=None&changes-since=1970-01-01T00:00:00Z",
            };
            return Ok(Self {
                queries: vec![query(filter)],
            });
        };
        let mut all = query("&visibility=all");
        let knows_all = match shared.knows_visibility_all.get() {
            Some(knows) => *knows,
            None => {
                let knows = match all.fill().await {
                    Ok(()) => true,
                    Err(error) if error.status() == Some(StatusCode::BAD_REQUEST) => false,
                    Err(error) => return Err(error),
                };
                *shared.knows_visibility_all.get_or_init(|| knows)
            }
        };
        let mut queries = if knows_all {
            vec![all]
        } else {
            vec![query(""), query("&visibility=community")]
        };
        if shared.version.has_hidden() {
            if knows_all {
                queries.push(query("&visibility=all&os_hidden=true"));
            } else {
                queries.push(query("&os_hidden=true"));
                queries.push(query("&visibility=community&os_hidden=true"));
            }
        }
        Ok(Self { queries })
    }

    /// The image with the lowest id of those that are left.
    pub(crate) async fn next(&mut self) -> Result<Option<ImageMetadata>, Error> {
        let empty = self.queries.iter_mut().filter(|query| query.is_empty());
        future::try_join_all(empty.map(Query::fill)).await?;
        let first = self.queries.iter().filter_map(Query::first_id).min();
        let Some(first) = first.cloned() else {
            return Ok(None);
        };
        // An image that was hidden meanwhile may be in two queries.
        let mut found = None;
        for query in &mut self.queries {
            if query.first_id() == Some(&first) {
                found = query.images.pop_front();
            }
        }
        Ok(found)
    }
}

/// One query, page by page: while one is read, the next is on its way.
struct Query {
    shared: Arc<Shared>,
    filter: &'static str,
    images: VecDeque<ImageMetadata>,
    next: Option<JoinHandle<Result<Page, Error>>>,
    is_finished: bool,
    /// The last image that this query has given out.
    given: Option<ImageId>,
    /// After which image the next page begins: the last id of `page_ids`.
    page_ids: Vec<ImageId>,
    refused_markers: u32,
}

impl Query {
    fn new(shared: Arc<Shared>, filter: &'static str) -> Self {
        Self {
            shared,
            filter,
            images: VecDeque::new(),
            next: None,
            is_finished: false,
            given: None,
            page_ids: Vec::new(),
            refused_markers: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    fn first_id(&self) -> Option<&ImageId> {
        self.images.front().map(|image| &image.id)
    }

    /// Fetches pages until there is an image, or there are no more pages.
    async fn fill(&mut self) -> Result<(), Error> {
        let mut failed = 0;
        while self.images.is_empty() && !self.is_finished {
            let page = match self.next.take() {
                // What panicked there does so here.
                Some(page) => match page.await {
                    Ok(page) => page,
                    Err(_) => self.fetch().await,
                },
                None => self.fetch().await,
            };
            match page {
                Ok(page) => {
                    failed = 0;
                    self.take(page);
                }
                Err(error) if self.can_step_back(&error) => self.step_back(),
                Err(error) => {
                    failed += 1;
                    self.shared.http.before_retry(failed, error).await?;
                }
            }
        }
        Ok(())
    }

    fn fetch(&self) -> impl Future<Output = Result<Page, Error>> + Send + use<> {
        let marker = self.page_ids.last().cloned();
        fetch(Arc::clone(&self.shared), self.filter, marker)
    }

    fn take(&mut self, page: Page) {
        self.is_finished = page.is_last || page.images.is_empty();
        self.page_ids = page.images.iter().map(|image| image.id.clone()).collect();
        let given = self.given.take();
        self.images = page
            .images
            .into_iter()
            .filter(|image| given.as_ref().is_none_or(|given| *given < image.id))
            .collect();
        if !self.images.is_empty() {
            self.refused_markers = 0;
        }
        self.given = self.images.back().map(|image| image.id.clone()).or(given);
        if !self.is_finished {
            self.next = Some(tokio::spawn(self.fetch()));
        }
    }

    /// The image that the next page would follow may have been deleted, or
    /// hidden from us, meanwhile.
    fn can_step_back(&self, error: &Error) -> bool {
        let refused = matches!(
            error.kind(),
            ErrorKind::Rejected | ErrorKind::Forbidden | ErrorKind::NotFound
        );
        refused && !self.page_ids.is_empty() && self.refused_markers < REFUSED_MARKERS
    }

    /// Goes on from an earlier image, or from the first one; those that were
    /// given out already are passed over.
    fn step_back(&mut self) {
        let back = 1_usize << self.refused_markers;
        let kept = self.page_ids.len().saturating_sub(back);
        self.page_ids.truncate(kept);
        self.refused_markers += 1;
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        if let Some(next) = &self.next {
            next.abort();
        }
    }
}

/// Fetches the page that follows an image, or the first one.
async fn fetch(
    shared: Arc<Shared>,
    filter: &'static str,
    marker: Option<ImageId>,
) -> Result<Page, Error> {
    let marker = marker.as_ref();
    let (request, page) = match shared.version {
        ApiVersion::V1 => {
            let request = v1::list(shared.page_limit, filter, marker);
            let page: v1::Listing = shared.http.send(&request).await?.json().await?;
            (request, Page::from(page))
        }
        ApiVersion::V2 { .. } => {
            let request = v2::list(shared.page_limit, filter, marker);
            let page: v2::Listing = shared.http.send(&request).await?.json().await?;
            (request, Page::from(page))
        }
    };
    // A page that repeats, or is out of order, would make a wrong plan.
    let mut last = marker;
    for image in &page.images {
        if let Some(last) = last.filter(|last| **last >= image.id) {
            let message = format!(
                "the listing is not in order of ids: {} after {last}",
                image.id
            );
            let error = shared.http.error(ErrorKind::InvalidAnswer, &request);
            return Err(error.with_message(message));
        }
        last = Some(&image.id);
    }
    Ok(page)
}
