//! Pages of images become one stream, ascending by id, each image once.

mod order;
mod query;

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future;
use glance_model::ImageId;
use http::StatusCode;

pub(crate) use self::query::first_page;
use self::query::{Head, Query};
use crate::api::Listed;
use crate::session::Session;
use crate::{ApiVersion, Error};

/// Whether v1 lists the images whose ids are used up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UsedIds {
    LeftOut,
    Listed,
}

/// All images that the token may see.
pub(crate) struct Listing {
    queries: Vec<Query>,
    given_with_capitals: HashSet<ImageId>,
}

impl Listing {
    /// No single query of v2 shows everything: all that is not hidden, and all
    /// that is. Servers before 2019 refuse `visibility=all`, and no version
    /// number tells: there, community images are asked for by themselves.
    pub(crate) async fn begin(session: &Arc<Session>, used_ids: UsedIds) -> Result<Self, Error> {
        Ok(Self {
            queries: Self::queries(session, used_ids).await?,
            given_with_capitals: HashSet::new(),
        })
    }

    async fn queries(session: &Arc<Session>, used_ids: UsedIds) -> Result<Vec<Query>, Error> {
        let query = |filter| Query::new(Arc::clone(session), filter);
        let ApiVersion::V2 { .. } = session.version else {
            let filter = match used_ids {
                UsedIds::LeftOut => "&is_public=None",
                // The only query that shows them.
                UsedIds::Listed => "&is_public=None&changes-since=1970-01-01T00:00:00Z",
            };
            return Ok(vec![query(filter)]);
        };
        let mut all = query("&visibility=all");
        let knows_all = match session.knows_visibility_all.get() {
            Some(knows) => *knows,
            None => {
                let knows = match all.fill().await {
                    Ok(()) => true,
                    Err(error) if error.status() == Some(StatusCode::BAD_REQUEST) => false,
                    Err(error) => return Err(error),
                };
                *session.knows_visibility_all.get_or_init(|| knows)
            }
        };
        let mut queries = if knows_all {
            vec![all]
        } else {
            vec![query(""), query("&visibility=community")]
        };
        if session.version.has_hidden() {
            if knows_all {
                queries.push(query("&visibility=all&os_hidden=true"));
            } else {
                queries.push(query("&os_hidden=true"));
                queries.push(query("&visibility=community&os_hidden=true"));
            }
        }
        Ok(queries)
    }

    /// The image with the lowest id of those that are left. What has no place in
    /// that order comes as soon as it is met: bad records, and ids with capitals,
    /// which servers sort in two ways.
    pub(crate) async fn next(&mut self) -> Result<Option<Listed>, Error> {
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
                if has_capitals && !self.given_with_capitals.insert(image.id.clone()) {
                    continue;
                }
            }
            return Ok(Some(found));
        }
    }
}
