//! One server, and what is known of it by now.

use std::sync::{Arc, OnceLock};

use glance_model::BadRecord;
use serde::de::DeserializeOwned;

use crate::api::{self, Dialect};
use crate::http::{Http, Request};
use crate::{ClientConfig, Endpoint, Error, ErrorKind};

/// One server, and what is known of it by now.
pub(crate) struct Session {
    pub(crate) http: Arc<Http>,
    pub(crate) dialect: Arc<dyn Dialect>,
    pub(crate) endpoint: Endpoint,
    pub(crate) page_limit: u32,
    /// Whether the server knows the queries that are tried first; the first listing finds out.
    pub(crate) knows_best_views: OnceLock<bool>,
    /// Whether the stores of the server have names; found out when it first matters.
    pub(crate) names_stores: OnceLock<bool>,
}

impl Session {
    pub(crate) async fn begin(config: &ClientConfig) -> Result<Self, Error> {
        let http = Arc::new(Http::new(config)?);
        api::list_ahead(&http, config);
        let dialect = api::discover(&http, &config.endpoint, config.api).await;
        let is_of_today = |dialect: &Arc<dyn Dialect>| dialect.version().has_hidden();
        if !dialect.as_ref().is_ok_and(is_of_today) {
            http.forget_ahead();
        }
        let dialect = dialect?;
        Ok(Self {
            http,
            dialect,
            endpoint: config.endpoint.clone(),
            page_limit: config.page_limit,
            knows_best_views: OnceLock::new(),
            names_stores: OnceLock::new(),
        })
    }

    pub(crate) fn bad_record(&self, bad: BadRecord) -> Error {
        let request = Request::get(self.dialect.listing());
        let error = self.http.error(ErrorKind::BadRecord, &request);
        error.with_source(bad)
    }

    /// Asks the server about itself; `None` if it does not say this, or not to us.
    pub(crate) async fn info<T>(&self, what: &str) -> Result<Option<T>, Error>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let Some(request) = self.dialect.info(what) else {
            return Ok(None);
        };
        match self.http.send(&request).await {
            Ok(answer) => Ok(answer.json().await.ok()),
            Err(error) if error.kind() == ErrorKind::Unauthorized => Err(error),
            Err(_) => Ok(None),
        }
    }
}
