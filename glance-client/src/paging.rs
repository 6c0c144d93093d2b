//! Pages of images become one stream, ascending by id, each image once.

mod order;
mod query;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures_util::future;
use glance_model::ImageId;
use http::StatusCode;

pub(crate) use self::query::first_page;
use self::query::{Head, Query};
use crate::Error;
use crate::api::{Listed, UsedIds};
use crate::session::Session;

/// The images that the token may see, or those of them that are asked for.
pub(crate) struct Listing {
    session: Arc<Session>,
    used_ids: UsedIds,
    /// The parts that have yet to be listed, one after the other: each is the end of a query.
    parts: VecDeque<String>,
    queries: Vec<Query>,
    /// Whether the server is asked for a part alone.
    is_narrow: bool,
    /// Whether something was listed, so that the queries are ones that the server takes.
    has_begun: bool,
    given_with_capitals: HashSet<ImageId>,
}

impl Listing {
    /// Lists the images of each part, of which each has greater ids than the one before.
    pub(crate) fn new(session: Arc<Session>, used_ids: UsedIds, parts: Vec<String>) -> Self {
        Self {
            session,
            used_ids,
            parts: parts.into(),
            queries: Vec::new(),
            is_narrow: false,
            has_begun: false,
            given_with_capitals: HashSet::new(),
        }
    }

    /// Returns the next image. Where the parts are refused, all images are listed.
    pub(crate) async fn next(&mut self) -> Result<Option<Listed>, Error> {
        match self.next_of_parts().await {
            Err(error) if self.is_narrow && !self.has_begun && is_refused(&error) => {
                tracing::info!(%error, "the filters are refused; all images are listed");
                self.parts = [String::new()].into();
                self.queries.clear();
                self.next_of_parts().await
            }
            next => next,
        }
    }

    async fn next_of_parts(&mut self) -> Result<Option<Listed>, Error> {
        loop {
            if let Some(found) = self.next_of_part().await? {
                self.has_begun = true;
                return Ok(Some(found));
            }
            let Some(part) = self.parts.pop_front() else {
                return Ok(None);
            };
            self.is_narrow = !part.is_empty();
            self.queries = self.queries(&part).await?;
        }
    }

    async fn queries(&self, part: &str) -> Result<Vec<Query>, Error> {
        let session = &self.session;
        let views = session.dialect.views(self.used_ids);
        let query = |view: &&str| Query::new(Arc::clone(session), format!("{view}{part}"));
        let mut best: Vec<Query> = views.queries.iter().map(query).collect();
        if views.fallback.is_empty() {
            return Ok(best);
        }
        let knows_best = match session.knows_best_views.get() {
            Some(knows) => *knows,
            None => {
                // All at once, since a server that does not know the first one is rare.
                let filled = future::join_all(best.iter_mut().map(Query::fill)).await;
                let is_unknown = |error: &Error| error.status() == Some(StatusCode::BAD_REQUEST);
                let knows = match filled.into_iter().collect::<Result<(), Error>>() {
                    Ok(()) => true,
                    Err(error) if is_unknown(&error) => false,
                    Err(error) => return Err(error),
                };
                *session.knows_best_views.get_or_init(|| knows)
            }
        };
        Ok(if knows_best {
            best
        } else {
            views.fallback.iter().map(query).collect()
        })
    }

    /// Returns the image with the lowest id of those that are left. Bad records, and ids with
    /// capitals, which servers sort in two ways, have no place in that order, and come as soon as
    /// they are met.
    async fn next_of_part(&mut self) -> Result<Option<Listed>, Error> {
        loop {
            let empty = self.queries.iter_mut().filter(|query| query.is_empty());
            future::try_join_all(empty.map(Query::fill)).await?;
            let heads = self.queries.iter().enumerate();
            let heads = heads.filter_map(|(index, query)| Some((query.head()?, index)));
            let Some((_, first)) = heads.min() else {
                return Ok(None);
            };
            let Some(found) = self.queries.get_mut(first).and_then(Query::pop) else {
                return Ok(None);
            };
            if let Ok(image) = &found {
                // An image that was hidden meanwhile may be in two queries.
                let is_again =
                    |query: &Query| query.head() == Some(Head::InOrder(image.id.as_str()));
                for query in self.queries.iter_mut().filter(|query| is_again(query)) {
                    query.pop();
                }
                let has_capitals = image.id.has_capitals();
                if has_capitals && !self.given_with_capitals.insert(image.id) {
                    continue;
                }
            }
            return Ok(Some(found));
        }
    }
}

/// Returns whether a server, or a proxy before it, does not take a query.
fn is_refused(error: &Error) -> bool {
    let status = error.status().map(|status| status.as_u16());
    matches!(status, Some(400 | 414 | 431))
}
