//! The settings of the embedded Glance.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::content::{Digests, HashAlgorithm};

/// The kind of the embedded Glance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// v2 up to 2.17; v1 answers 300 with the list of versions.
    #[default]
    Today,
    /// The Glance of 2017: v1 beside v2.5.
    Legacy,
    /// The Glance of 2017 with v1 alone.
    V1Only,
}

impl Profile {
    fn version_ids(self) -> Vec<(String, &'static str)> {
        let listed = |major: u8, minors: &[u8], current: u8, rest| {
            let status = move |minor| if minor == current { "CURRENT" } else { rest };
            minors
                .iter()
                .rev()
                .map(|&minor| (format!("v{major}.{minor}"), status(minor)))
                .collect::<Vec<_>>()
        };
        let v1 = listed(1, &[0, 1], u8::MAX, "DEPRECATED");
        match self {
            Self::Today => {
                let minors: Vec<u8> = (0..=17).filter(|minor| !matches!(minor, 14 | 16)).collect();
                listed(2, &minors, 17, "SUPPORTED")
            }
            Self::Legacy => [listed(2, &[0, 1, 2, 3, 4, 5], 5, "SUPPORTED"), v1].concat(),
            Self::V1Only => v1,
        }
    }

    /// The body of `/versions`.
    pub(super) fn versions(self, url: &str) -> Value {
        let entry = |(id, status): (String, &str)| {
            let major: String = id.chars().take(2).collect();
            let links = json!([{ "rel": "self", "href": format!("{url}/{major}/") }]);
            json!({ "id": id, "status": status, "links": links })
        };
        json!({ "versions": self.version_ids().into_iter().map(entry).collect::<Vec<_>>() })
    }

    /// Returns whether a path that begins with this segment leads to an API.
    pub(super) fn serves(self, segment: &str) -> bool {
        let known = self.version_ids();
        known
            .iter()
            .any(|(id, _)| id == segment || (id.starts_with(segment) && segment.len() == 2))
    }
}

/// The use that the server makes of `Range`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeSupport {
    /// Honours it, as the file store does (v1 never does).
    #[default]
    Honoured,
    /// Answers 400, as stores without random access do.
    Refused,
    /// Answers 200 with everything.
    Ignored,
}

/// The settings of an [`EmbeddedGlance`](super::EmbeddedGlance).
#[derive(Clone, Debug)]
pub struct EmbeddedGlanceBuilder {
    pub(super) profile: Profile,
    pub(super) port: u16,
    pub(super) page_size: usize,
    pub(super) tokens: Option<BTreeMap<String, Caller>>,
    pub(super) size_cap: u64,
    pub(super) quota: Option<u64>,
    /// In MiB.
    pub(super) project_limit: Option<u64>,
    pub(super) algorithm: HashAlgorithm,
    pub(super) keeps_data: bool,
    /// Of data that is not kept, by its length.
    pub(super) stated: BTreeMap<u64, Digests>,
    pub(super) range: RangeSupport,
    pub(super) stores: Vec<String>,
    pub(super) broken_stores: Vec<String>,
    /// The schemas of additional properties, and the names of those that are required.
    pub(super) schema: Map<String, Value>,
    pub(super) required: Vec<String>,
    pub(super) throttle: Option<u64>,
    pub(super) latency: Duration,
    pub(super) round_trip: Duration,
    pub(super) keep_alive: bool,
}

impl Default for EmbeddedGlanceBuilder {
    fn default() -> Self {
        Self {
            profile: Profile::Today,
            port: 0,
            page_size: 2,
            tokens: None,
            size_cap: 1 << 40,
            quota: None,
            project_limit: None,
            algorithm: HashAlgorithm::Sha512,
            keeps_data: true,
            stated: BTreeMap::new(),
            range: RangeSupport::Honoured,
            stores: vec!["main".to_owned(), "spare".to_owned()],
            broken_stores: Vec::new(),
            schema: Map::new(),
            required: Vec::new(),
            throttle: None,
            latency: Duration::ZERO,
            round_trip: Duration::ZERO,
            keep_alive: true,
        }
    }
}

impl EmbeddedGlanceBuilder {
    /// Sets which Glance this is; today's by default.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets the port; any free one by default.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the most images on a page, whatever is asked for; 2 by default, 1000 on real servers.
    #[must_use]
    pub fn page_size(mut self, images: usize) -> Self {
        self.page_size = images;
        self
    }

    /// Asks for a token, and lets this one in. Without any, everybody is an admin.
    #[must_use]
    pub fn token(mut self, token: &str, caller: Caller) -> Self {
        self.tokens
            .get_or_insert_default()
            .insert(token.to_owned(), caller);
        self
    }

    /// Sets `image_size_cap`; 1 TiB by default.
    #[must_use]
    pub fn size_cap(mut self, bytes: u64) -> Self {
        self.size_cap = bytes;
        self
    }

    /// Sets `user_storage_quota`, the bytes of each owner; off by default.
    #[must_use]
    pub fn quota(mut self, bytes: u64) -> Self {
        self.quota = Some(bytes);
        self
    }

    /// Sets the limit of `image_size_total` of every project in Keystone, in MiB; off by default. It
    /// is told, and not kept to.
    #[must_use]
    pub fn project_limit(mut self, mib: u64) -> Self {
        self.project_limit = Some(mib);
        self
    }

    /// Sets `hashing_algorithm`; SHA-512 by default.
    #[must_use]
    pub fn hashing_algorithm(mut self, algorithm: HashAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Counts uploaded bytes and forgets them: no hashes are stated, downloads are zeros.
    #[must_use]
    pub fn without_digests(mut self) -> Self {
        self.keeps_data = false;
        self
    }

    /// Forgets uploads as [`without_digests`](Self::without_digests) does, but states these
    /// digests for each that has `len` bytes: so the server does not have to hash.
    #[must_use]
    pub fn stated_digests(mut self, len: u64, md5: &str, algorithm: &str, value: &str) -> Self {
        self.keeps_data = false;
        self.stated.insert(
            len,
            Digests {
                md5: md5.to_owned(),
                algorithm: algorithm.to_owned(),
                value: value.to_owned(),
            },
        );
        self
    }

    /// Sets what becomes of `Range`.
    #[must_use]
    pub fn range(mut self, range: RangeSupport) -> Self {
        self.range = range;
        self
    }

    /// Has these stores fail to take the first copy of each image.
    #[must_use]
    pub fn broken_stores(mut self, names: &[&str]) -> Self {
        self.broken_stores = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Names the stores, the default one first; `main` and `spare` by default.
    #[must_use]
    pub fn stores(mut self, names: &[&str]) -> Self {
        self.stores = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Gives additional properties schemas, by their names, as a `schema-image.json` does; of a
    /// schema, `enum` and `pattern` are held. It requires some fields, too, which no such file can do,
    /// and the code of Glance 33 does if its schema lists them under `required`.
    #[must_use]
    pub fn schema(mut self, properties: &Value, required: &[&str]) -> Self {
        self.schema = properties.as_object().cloned().unwrap_or_default();
        self.required = required.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Limits each transfer to so many bytes a second.
    #[must_use]
    pub fn throttle(mut self, bytes_per_second: u64) -> Self {
        self.throttle = Some(bytes_per_second);
        self
    }

    /// Delays each answer.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Puts the server at the end of a long line: each byte arrives half of this time later, and
    /// connecting takes all of it.
    #[must_use]
    pub fn round_trip(mut self, time: Duration) -> Self {
        self.round_trip = time;
        self
    }

    /// Closes the connection after each answer.
    #[must_use]
    pub fn without_keep_alive(mut self) -> Self {
        self.keep_alive = false;
        self
    }
}
