//! The stores in which a server puts image data.

use glance_model::ImageId;
use serde::Deserialize;

use crate::Error;
use crate::session::Session;

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

/// The names of the stores that have data of an image, separated by commas.
#[derive(Deserialize)]
struct StoresOfImage {
    stores: Option<String>,
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
        Ok(has_names && !self.stores_of(id).await?.is_empty())
    }

    /// Finds a store that can be written to and has no data of the image.
    pub(crate) async fn store_without(&self, id: &ImageId) -> Result<Option<String>, Error> {
        let has = self.stores_of(id).await?;
        let stores = self.stores().await?.unwrap_or_default();
        let free = stores
            .into_iter()
            .find(|store| !store.is_read_only && has.split(',').all(|name| name != store.id));
        Ok(free.map(|store| store.id))
    }

    async fn stores_of(&self, id: &ImageId) -> Result<String, Error> {
        let record = self.http.send(&self.dialect.show(id)).await?;
        let has: StoresOfImage = record.json().await?;
        Ok(has.stores.unwrap_or_default())
    }
}
