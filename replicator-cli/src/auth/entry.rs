//! The entry of one cloud, as it is written in a file or in the environment.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::secret::Secret;

/// The entry of a cloud, of a profile, or of a region. Any value may be a secret.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    settings: BTreeMap<String, Setting>,
    auth: BTreeMap<String, Secret>,
    regions: Vec<Region>,
}

/// A region that an entry lists, with what differs there.
#[derive(Clone, Debug, Default)]
pub(super) struct Region {
    pub(super) name: String,
    pub(super) values: Entry,
}

#[derive(Clone, Debug)]
enum Setting {
    Text(Secret),
    List(Vec<String>),
}

impl Entry {
    /// Takes settings that are all on one level, as in the environment.
    pub(super) fn flat(settings: impl Iterator<Item = (String, Secret)>) -> Self {
        Self {
            settings: settings
                .map(|(name, text)| (name, Setting::Text(text)))
                .collect(),
            ..Self::default()
        }
    }

    /// Lays this entry over another one.
    pub(super) fn over(self, mut under: Self) -> Self {
        under.settings.extend(self.settings);
        under.auth.extend(self.auth);
        if !self.regions.is_empty() {
            under.regions = self.regions;
        }
        under
    }

    /// A setting that is no secret.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.settings.get(name) {
            Some(Setting::Text(text)) => Some(text.expose()).filter(|text| !text.is_empty()),
            Some(Setting::List(list)) => list.first().map(String::as_str),
            None => None,
        }
    }

    /// A setting that has one value or several.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        match self.settings.get(name) {
            Some(Setting::List(list)) => list.clone(),
            Some(Setting::Text(text)) => {
                let parts = text.expose().split(',').map(str::trim);
                parts
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
            None => Vec::new(),
        }
    }

    /// A switch; what is neither yes nor no is not set.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
            "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
            _ => None,
        }
    }

    /// What stands under `auth`, or, as openstacksdk takes it, beside it.
    pub(super) fn auth(&self, names: &[&str]) -> Option<Secret> {
        names.iter().find_map(|name| {
            let beside = || match self.settings.get(*name)? {
                Setting::Text(text) => Some(text),
                Setting::List(_) => None,
            };
            let found = self.auth.get(*name).or_else(beside)?;
            Some(found.clone()).filter(|text| !text.expose().is_empty())
        })
    }

    /// The regions that the entry lists.
    pub(super) fn regions(&self) -> &[Region] {
        &self.regions
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings of a cloud")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut entry = Entry::default();
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "auth" => {
                    let auth: Option<BTreeMap<String, Option<String>>> = map.next_value()?;
                    let given = auth.into_iter().flatten();
                    entry.auth = given
                        .filter_map(|(name, text)| Some((spelt(&name), text?.into())))
                        .collect();
                }
                "regions" => {
                    let regions: Option<Vec<Region>> = map.next_value()?;
                    entry.regions = regions.unwrap_or_default();
                }
                _ => {
                    if let Some(Any(Some(setting))) = map.next_value()? {
                        entry.settings.insert(spelt(&name), setting);
                    }
                }
            }
        }
        Ok(entry)
    }
}

/// `auth-url` is `auth_url`, too.
fn spelt(name: &str) -> String {
    name.replace('-', "_")
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RegionVisitor;

        impl<'de> Visitor<'de> for RegionVisitor {
            type Value = Region;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a region, or its name and values")
            }

            fn visit_str<E>(self, name: &str) -> Result<Region, E> {
                let name = name.to_owned();
                let values = Entry::default();
                Ok(Region { name, values })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Region, A::Error> {
                let mut region = Region::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "name" => region.name = map.next_value()?,
                        "values" => {
                            region.values = map.next_value::<Option<_>>()?.unwrap_or_default();
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(region)
            }
        }

        deserializer.deserialize_any(RegionVisitor)
    }
}

/// A setting of any type; what is neither text nor a list of texts is left out.
struct Any(Option<Setting>);

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyVisitor;

        impl AnyVisitor {
            fn text(value: impl ToString) -> Any {
                Any(Some(Setting::Text(value.to_string().into())))
            }
        }

        impl<'de> Visitor<'de> for AnyVisitor {
            type Value = Any;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a setting")
            }

            fn visit_str<E>(self, value: &str) -> Result<Any, E> {
                Ok(Self::text(value))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Any, E> {
                Ok(Self::text(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Any, E> {
                Ok(Self::text(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Any, E> {
                Ok(Self::text(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Any, E> {
                Ok(Self::text(value))
            }

            fn visit_unit<E>(self) -> Result<Any, E> {
                Ok(Any(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Any, A::Error> {
                let mut list = Vec::new();
                while let Some(Any(setting)) = seq.next_element()? {
                    if let Some(Setting::Text(text)) = setting {
                        list.push(text.expose().to_owned());
                    }
                }
                Ok(Any(Some(Setting::List(list))))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Any(None))
            }
        }

        deserializer.deserialize_any(AnyVisitor)
    }
}
