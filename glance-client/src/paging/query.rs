//! One query of a listing, page by page.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use glance_model::{BadRecord, ImageId};
use tokio::task::JoinHandle;

use super::order::Order;
use crate::api::{Listed, Next, Page, encoded};
use crate::http::{ANSWER_BYTES, PAGE_BYTES};
use crate::session::Session;
use crate::{Error, ErrorKind};

/// The most markers in a row that a server may refuse before the listing fails. Each one goes twice
/// as far back as the one before, so 16 go past a page of any size.
const REFUSED_MARKERS: u32 = 16;

/// The most pages in a row that bring nothing new and promise more; after that the listing fails,
/// since it would not end.
const IDLE_PAGES: u32 = 1000;

/// The place of the first image that a query holds: a smaller one comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Head<'a> {
    /// A place before all others, for an image that is in no order.
    Anywhere,
    InOrder(&'a str),
}

/// One query, page by page: while one is read, the next is on its way.
pub(super) struct Query {
    session: Arc<Session>,
    filter: String,
    images: VecDeque<Listed>,
    next: Option<JoinHandle<Result<Fetched, Error>>>,
    is_finished: bool,
    order: Order,
    /// The last image that this query has given out.
    given: Option<ImageId>,
    /// The ids of the bad records that it has given out.
    given_bad: HashSet<String>,
    ended_at_an_id: bool,
    /// The ids after which pages begin; the next page begins after the last.
    markers: Vec<Marker>,
    refused_markers: u32,
    idle_pages: u32,
    page_limit: u32,
}

/// An id after which a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Marker {
    Image(ImageId),
    /// Any other text, encoded as in a query.
    Encoded(String),
}

impl Marker {
    /// The marker of a text that is encoded already.
    fn of(encoded: String) -> Self {
        ImageId::parse(&encoded).map_or(Self::Encoded(encoded), Self::Image)
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Image(id) => id.as_str(),
            Self::Encoded(text) => text,
        }
    }
}

/// A page, and the most images that it was asked for.
struct Fetched {
    page: Page,
    page_limit: u32,
}

impl Query {
    pub(super) fn new(session: Arc<Session>, filter: String) -> Self {
        Self {
            page_limit: session.page_limit,
            session,
            filter,
            images: VecDeque::new(),
            next: None,
            is_finished: false,
            order: Order::unknown(),
            given: None,
            given_bad: HashSet::new(),
            ended_at_an_id: true,
            markers: Vec::new(),
            refused_markers: 0,
            idle_pages: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    pub(super) fn head(&self) -> Option<Head<'_>> {
        self.images.front().map(|listed| match listed {
            Ok(image) if !image.id.has_capitals() => Head::InOrder(image.id.as_str()),
            Err(bad) if bad.image_id().is_some_and(|id| !id.has_capitals()) => {
                Head::InOrder(&bad.id)
            }
            _ => Head::Anywhere,
        })
    }

    pub(super) fn pop(&mut self) -> Option<Listed> {
        self.images.pop_front()
    }

    /// Fetches pages until there is an image, or there are no more pages.
    pub(super) async fn fill(&mut self) -> Result<(), Error> {
        let mut failed = 0;
        while self.images.is_empty() && !self.is_finished {
            // Always a task: a request that nobody polls, since whoever reads does something else
            // between two images, would keep its turn at a limit or at a sign-in from all others.
            let page = match self.next.take() {
                Some(page) => page,
                None => tokio::spawn(self.fetch()),
            };
            let page = match page.await {
                Ok(page) => page,
                // If the task panicked, the panic is repeated here.
                Err(_) => self.fetch().await,
            };
            match page {
                Ok(fetched) => {
                    failed = 0;
                    self.page_limit = fetched.page_limit;
                    self.take(fetched.page)?;
                }
                Err(error) if self.can_step_back(&error) => self.step_back(),
                Err(error) => {
                    failed += 1;
                    self.session.http.before_retry(failed, error).await?;
                }
            }
        }
        Ok(())
    }

    fn fetch(&self) -> impl Future<Output = Result<Fetched, Error>> + Send + use<> {
        let (session, filter) = (Arc::clone(&self.session), self.filter.clone());
        let (page_limit, marker) = (self.page_limit, self.markers.last().cloned());
        async move {
            let marker = marker.as_ref().map(Marker::as_str);
            fetch(&session, &filter, page_limit, marker).await
        }
    }

    fn take(&mut self, page: Page) -> Result<(), Error> {
        let asked = self.markers.last().cloned();
        let images = page.images;
        let marker = |listed: &Listed| match listed {
            Ok(image) => Some(Marker::Image(image.id)),
            Err(bad) if bad.id.is_empty() => None,
            Err(bad) => Some(Marker::of(encoded(&bad.id))),
        };
        let is_at_an_id = images.last().is_some_and(|last| marker(last).is_some());
        let mut markers: Vec<Marker> = images.iter().filter_map(marker).collect();
        if let Next::Behind(Some(marker)) = &page.next
            && !is_at_an_id
        {
            markers.push(Marker::of(marker.clone()));
        }

        self.check_order(asked.as_ref(), &images)?;
        let (order, given) = (self.order, self.given.take());
        let given_bad = &mut self.given_bad;
        let is_new = |listed: &Listed| match (listed, image_id(listed)) {
            (_, Some(id)) => given
                .as_ref()
                .is_none_or(|given| order.is_behind(given, &id)),
            // One without an id cannot be told from the next one.
            (Err(bad), None) => bad.id.is_empty() || given_bad.insert(bad.id.clone()),
            (Ok(_), None) => true,
        };
        self.images = images.into_iter().filter(is_new).collect();
        let last = self.images.iter().rev().find_map(image_id);
        self.given = last.or(given);
        // Burnt records: their ids are used up, and no image wants them.
        self.images
            .retain(|listed| !matches!(listed, Err(bad) if bad.is_burnt));
        let is_at_same_id = markers.is_empty() && !self.ended_at_an_id;
        if page.next == Next::Unsaid && is_at_same_id {
            // These are the records that the page before had behind its last id.
            self.images.clear();
        }
        self.ended_at_an_id = is_at_an_id;

        self.is_finished = match page.next {
            Next::Nothing => true,
            Next::Unsaid => markers.is_empty(),
            Next::Behind(_) => false,
        };
        if self.is_finished {
            return Ok(());
        }
        if markers.last().is_none() || markers.last() == asked.as_ref() {
            return Err(self.wrong("the listing does not go on: a page has nothing new"));
        }
        self.markers = markers;
        if self.images.is_empty() {
            self.idle_pages += 1;
            if self.idle_pages > IDLE_PAGES {
                return Err(self.wrong("the listing does not end: its pages have nothing new"));
            }
        } else {
            (self.refused_markers, self.idle_pages) = (0, 0);
        }
        self.next = Some(tokio::spawn(self.fetch()));
        Ok(())
    }

    /// A page that repeats, or is out of order, would make a wrong plan.
    fn check_order(&mut self, asked: Option<&Marker>, images: &[Listed]) -> Result<(), Error> {
        let mut last = match asked {
            Some(Marker::Image(id)) => Some(*id),
            Some(Marker::Encoded(_)) | None => None,
        };
        for id in images.iter().filter_map(image_id) {
            if let Some(last) = &last
                && !self.order.follows(last, &id)
            {
                let what = format!("the listing is not in order of ids: {id} after {last}");
                return Err(self.wrong(&what));
            }
            last = Some(id);
        }
        Ok(())
    }

    fn wrong(&self, what: &str) -> Error {
        let marker = self.markers.last().map(Marker::as_str);
        let dialect = &self.session.dialect;
        let request = dialect.list(self.page_limit, &self.filter, marker);
        let error = self.session.http.error(ErrorKind::InvalidAnswer, &request);
        error.with_message(what)
    }

    /// The image that the next page would follow may have been deleted, or
    /// hidden from us, meanwhile.
    fn can_step_back(&self, error: &Error) -> bool {
        let refused = matches!(
            error.kind(),
            ErrorKind::Rejected | ErrorKind::Forbidden | ErrorKind::NotFound
        );
        refused && !self.markers.is_empty() && self.refused_markers < REFUSED_MARKERS
    }

    /// Goes on from an earlier image, or from the first one; those that were
    /// given out already are passed over.
    fn step_back(&mut self) {
        let back = 1_usize << self.refused_markers;
        let kept = self.markers.len().saturating_sub(back);
        self.markers.truncate(kept);
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

fn image_id(listed: &Listed) -> Option<ImageId> {
    match listed {
        Ok(image) => Some(image.id),
        Err(bad) => bad.image_id(),
    }
}

/// Puts one bad record in place of all that are of the same image.
fn without_doubles(images: Vec<Listed>) -> Vec<Listed> {
    let is_ascending = |pair: &[Listed]| matches!(pair, [Ok(a), Ok(b)] if a.id < b.id);
    if images.windows(2).all(is_ascending) {
        return images;
    }
    let mut counts: HashMap<ImageId, u32> = HashMap::new();
    for image in images.iter().flatten() {
        *counts.entry(image.id).or_default() += 1;
    }
    counts.retain(|_, count| *count > 1);
    if counts.is_empty() {
        return images;
    }
    let single = |listed: Listed| match listed {
        Ok(image) => match counts.get_mut(&image.id) {
            None => Some(Ok(image)),
            Some(0) => None,
            Some(count) => {
                let problem = format!("the listing has it {count} times");
                *count = 0;
                Some(Err(BadRecord::of(&image, problem)))
            }
        },
        bad => Some(bad),
    };
    images.into_iter().filter_map(single).collect()
}

/// Fetches the first page of a query.
pub(crate) async fn first_page(session: &Session, filter: &str) -> Result<Page, Error> {
    let fetched = fetch(session, filter, session.page_limit, None).await?;
    Ok(fetched.page)
}

/// Fetches the page that follows an image, or the first one. Of one that is too
/// long, half is asked for.
async fn fetch(
    session: &Session,
    filter: &str,
    mut page_limit: u32,
    marker: Option<&str>,
) -> Result<Fetched, Error> {
    loop {
        let request = session.dialect.list(page_limit, filter, marker);
        let answer = session.http.send(&request).await?;
        let dialect = Arc::clone(&session.dialect);
        let most_bytes = if page_limit > 1 {
            PAGE_BYTES
        } else {
            ANSWER_BYTES
        };
        let page = answer.decoded(most_bytes, move |body| dialect.page(body));
        match page.await {
            Err(error) if error.kind() == ErrorKind::TooLong && page_limit > 1 => page_limit /= 2,
            page => {
                let mut page = page?;
                page.images = without_doubles(page.images);
                return Ok(Fetched { page, page_limit });
            }
        }
    }
}
