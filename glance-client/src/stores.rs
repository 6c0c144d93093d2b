//! The stores in which a server puts image data.

use std::time::{Duration, Instant};

use glance_model::ImageId;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::http::Request;
use crate::session::Session;
use crate::{Error, ErrorKind};

/// The time between two looks at an image that is being copied to other stores.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A store has this much time for each of these bytes, beside the time that an answer may take.
const SLOW_COPY_BYTES_PER_SECOND: u64 = 10 << 20;

/// A store of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Store {
    /// Its name.
    pub id: String,
    /// Whether it takes data that is sent to no store by name.
    pub is_default: bool,
    /// Whether nothing can be written to it.
    pub is_read_only: bool,
}

/// The stores that image data goes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreChoice {
    /// The store that uploads go to; without one, the server chooses its default.
    pub upload: Option<String>,
    /// The stores that proven images are copied to, by the server.
    pub copies: Vec<String>,
}

#[derive(Deserialize)]
struct Stores {
    stores: Vec<StoreEntry>,
}

/// Flags are texts here: `"default": "true"`.
#[derive(Deserialize)]
struct StoreEntry {
    id: String,
    default: Option<String>,
    #[serde(rename = "read-only")]
    read_only: Option<String>,
}

/// The stores of an image: lists of names, separated by commas.
#[derive(Deserialize)]
struct StoresOfImage {
    /// Those that have data of it.
    stores: Option<String>,
    /// Those that have not taken a copy.
    os_glance_failed_import: Option<String>,
    /// The task that copies it.
    os_glance_import_task: Option<String>,
}

impl StoresOfImage {
    fn lacking(&self, wanted: &[String]) -> Vec<String> {
        let has = self.stores.as_deref().unwrap_or_default();
        let lacks = |store: &&String| has.split(',').all(|name| name != **store);
        wanted.iter().filter(lacks).cloned().collect()
    }
}

#[derive(Deserialize)]
struct Import {
    #[serde(rename = "import-methods")]
    methods: ImportMethods,
}

#[derive(Deserialize)]
struct ImportMethods {
    value: Vec<String>,
}

impl Session {
    /// Asks for the stores that the server has names for; `None` if it has none, or does not say.
    pub(crate) async fn stores(&self) -> Result<Option<Vec<Store>>, Error> {
        let Some(Stores { stores }) = self.info("stores").await? else {
            return Ok(None);
        };
        let is = |flag: Option<String>| flag.is_some_and(|f| f.eq_ignore_ascii_case("true"));
        let own = |store: &StoreEntry| !store.id.starts_with("os_glance_");
        let store = |store: StoreEntry| Store {
            id: store.id,
            is_default: is(store.default),
            is_read_only: is(store.read_only),
        };
        Ok(Some(stores.into_iter().filter(own).map(store).collect()))
    }

    /// Returns whether the server names a store that has data of the image. A server whose stores
    /// have no names is not asked: it does not say.
    pub(crate) async fn is_in_named_store(&self, id: &ImageId) -> Result<bool, Error> {
        let has_names = match self.names_stores.get() {
            Some(known) => *known,
            None => {
                let stores = self.stores().await?.unwrap_or_default();
                *self.names_stores.get_or_init(|| !stores.is_empty())
            }
        };
        if !has_names {
            return Ok(false);
        }
        let stores = self.stores_of(id).await?.stores;
        Ok(stores.is_some_and(|stores| !stores.is_empty()))
    }

    /// Finds a store that can be written to and has no data of the image.
    pub(crate) async fn store_without(&self, id: &ImageId) -> Result<Option<String>, Error> {
        let stores = self.stores().await?.unwrap_or_default();
        let writable = stores.into_iter().filter(|store| !store.is_read_only);
        let names: Vec<String> = writable.map(|store| store.id).collect();
        let lacking = self.stores_of(id).await?.lacking(&names);
        Ok(lacking.into_iter().next())
    }

    /// Asks for the ways in which the server imports images.
    pub(crate) async fn import_methods(&self) -> Result<Option<Vec<String>>, Error> {
        let import: Option<Import> = self.info("import").await?;
        Ok(import.map(|import| import.methods.value))
    }

    /// Has an active image copied to those of some stores that lack it, and waits until they have
    /// it, for as long as copies of its size may take. Returns whether any lacked it.
    pub(crate) async fn copy_to_stores(
        &self,
        id: &ImageId,
        size: Option<u64>,
        wanted: &[String],
    ) -> Result<bool, Error> {
        let before = self.stores_of(id).await?;
        let lacking = before.lacking(wanted);
        if lacking.is_empty() {
            return Ok(false);
        }
        // They stay there until the next copy has come.
        let failed_before = before.os_glance_failed_import.unwrap_or_default();
        // What one store has taken is kept if another one fails.
        let body = json!({
            "method": { "name": "copy-image" },
            "stores": lacking,
            "all_stores_must_succeed": false,
        });
        let path = format!("{}/import", self.dialect.show(id).path);
        let request = Request::new(Method::POST, path).json("application/json", &body);
        self.http.send(&request).await?;
        let by_size = size.unwrap_or(0) / SLOW_COPY_BYTES_PER_SECOND * lacking.len() as u64;
        let bound = self.http.answer_timeout() + Duration::from_secs(by_size);
        let begun = Instant::now();
        loop {
            let found = self.stores_of(id).await?;
            let left = found.lacking(&lacking);
            let is_over = found
                .os_glance_import_task
                .is_none_or(|task| task.is_empty());
            if left.is_empty() && is_over {
                return Ok(true);
            }
            // A task that has failed may hold on to the image for an hour.
            let failed = found.os_glance_failed_import.unwrap_or_default();
            let has = |names: &str, store: &str| names.split(',').any(|name| name == store);
            let has_failed = |store: &String| has(&failed, store) && !has(&failed_before, store);
            let have_failed = !left.is_empty() && left.iter().all(has_failed);
            if is_over || have_failed || begun.elapsed() >= bound {
                let why = match is_over || have_failed {
                    true => ": see the log of the server".to_owned(),
                    false => format!(" within {} s", bound.as_secs()),
                };
                let what = format!("no copy came to {}{why}", left.join(", "));
                let error = self.http.error(ErrorKind::Rejected, &request);
                return Err(error.with_message(what));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn stores_of(&self, id: &ImageId) -> Result<StoresOfImage, Error> {
        let record = self.http.send(&self.dialect.show(id)).await?;
        record.json().await
    }
}
