//! One server, and what is known of it by now.

use std::sync::OnceLock;

use glance_model::BadRecord;

use crate::http::{Http, Request};
use crate::{ApiVersion, Endpoint, Error, ErrorKind};

/// One server, and what is known of it by now.
pub(crate) struct Session {
    pub(crate) http: Http,
    pub(crate) version: ApiVersion,
    pub(crate) page_limit: u32,
    /// Whether `visibility=all` is known there; found out by the first listing.
    pub(crate) knows_visibility_all: OnceLock<bool>,
    /// Whether its stores have names; found out when it first matters.
    pub(crate) names_stores: OnceLock<bool>,
    pub(crate) endpoint: Endpoint,
}

impl Session {
    pub(crate) fn bad_record(&self, bad: BadRecord) -> Error {
        let path = match self.version {
            ApiVersion::V1 => "/v1/images/detail",
            ApiVersion::V2 { .. } => "/v2/images",
        };
        let error = self.http.error(ErrorKind::BadRecord, &Request::get(path));
        error.with_source(bad)
    }
}
