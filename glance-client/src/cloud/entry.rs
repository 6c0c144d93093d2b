//! The entry of a cloud, and how its layers become one, by the rules of openstacksdk's
//! `config/loader.py`.

use std::fmt::Write as _;

use super::document::{Content, Node};
use super::secret::Secret;

/// Settings by their names, in the order in which they were written. Any may be a secret.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings(Vec<(String, Value)>);

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Text(Secret),
    List(Vec<Self>),
    Map(Settings),
}

impl Settings {
    /// Takes texts, as they are in the environment.
    pub(super) fn of_texts(texts: impl Iterator<Item = (String, Secret)>) -> Self {
        Self(
            texts
                .map(|(name, text)| (name, Value::Text(text)))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let mut all = self.0.iter();
        all.find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// Sets a value; one that is replaced keeps its place in the order.
    fn set(&mut self, name: String, value: Value) {
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((name, value)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.remove(at).1)
    }

    fn take_map(&mut self, name: &str) -> Self {
        match self.take(name) {
            Some(Value::Map(settings)) => settings,
            _ => Self::default(),
        }
    }

    /// Lays another file's word over this one's, maps within maps, as secure.yaml is laid over
    /// clouds.yaml.
    pub(super) fn merge(&mut self, over: Self) {
        for (name, value) in over.0 {
            match (self.0.iter_mut().find(|(other, _)| *other == name), value) {
                (Some((_, Value::Map(under))), Value::Map(over)) => under.merge(over),
                (_, value) => self.set(name, value),
            }
        }
    }

    /// Lays settings over these; of maps, `auth` alone is merged.
    fn lay(&mut self, over: Self) {
        for (name, value) in over.0 {
            match (name.as_str(), value) {
                ("auth", Value::Map(over)) => {
                    let mut auth = self.take_map("auth");
                    over.0
                        .into_iter()
                        .for_each(|(name, value)| auth.set(name, value));
                    self.set(name, Value::Map(auth));
                }
                ("auth", _) => {}
                (_, value) => self.set(name, value),
            }
        }
    }

    /// Gives settings their names of today.
    fn renamed(self, rename: impl Fn(String) -> String) -> Self {
        let mut renamed = Self::default();
        for (name, value) in self.0 {
            renamed.set(rename(name), value);
        }
        renamed
    }

    /// A text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&Secret> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            Value::List(list) => match list.first()? {
                Value::Text(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
        .filter(|text| !text.expose().is_empty())
    }

    /// Texts that are not empty: those of a list, or of a text with commas.
    fn texts(&self, name: &str) -> Vec<String> {
        let texts: Vec<&str> = match self.get(name) {
            Some(Value::Text(text)) => text.expose().split(',').map(str::trim).collect(),
            Some(Value::List(list)) => list.iter().filter_map(Value::as_text).collect(),
            _ => Vec::new(),
        };
        let given = texts.into_iter().filter(|text| !text.is_empty());
        given.map(str::to_owned).collect()
    }
}

impl Value {
    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.expose()),
            _ => None,
        }
    }
}

impl From<Node> for Value {
    fn from(node: Node) -> Self {
        match node.content {
            Content::Null => Self::Null,
            Content::Text(text) => Self::Text(text),
            Content::List(list) => Self::List(list.into_iter().map(Self::from).collect()),
            Content::Map(map) => {
                let values = map.into_iter().map(|(name, node)| (name, node.into()));
                Self::Map(Settings(values.collect()))
            }
        }
    }
}

impl From<Node> for Settings {
    /// A value that is no map has no settings.
    fn from(node: Node) -> Self {
        match node.into() {
            Value::Map(settings) => settings,
            _ => Self::default(),
        }
    }
}

/// A region that an entry or its profile lists, with what differs there.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) name: String,
    values: Settings,
}

/// An entry before it is known which of its regions is meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    /// Under it: the entry of its vendor.
    pub(super) profile: Settings,
    pub(super) entry: Settings,
}

/// The regions that are known before anybody is asked.
#[derive(Clone, Debug)]
pub(super) enum Regions {
    /// There is a list of them, each with its own settings, and no other one.
    Listed(Vec<Region>),
    /// `region_name` names them; by itself it means the first.
    Named(Vec<String>),
}

impl Layers {
    /// Finds the regions: of the entry, else of its profile.
    pub(super) fn regions(&self) -> Regions {
        let spelt = |settings: &Settings| settings.clone().renamed(|name| spelt(&name));
        let mut fallback = Vec::new();
        for settings in [&self.entry, &self.profile] {
            let settings = spelt(settings);
            let listed: Vec<_> = match settings.get("regions") {
                Some(Value::List(list)) => list.iter().filter_map(region).collect(),
                Some(one @ Value::Text(_)) => region(one).into_iter().collect(),
                _ => Vec::new(),
            };
            if !listed.is_empty() {
                return Regions::Listed(listed);
            }
            fallback = settings.texts("region_name");
            if !fallback.is_empty() {
                break;
            }
        }
        Regions::Named(fallback)
    }

    /// Lays the layers one over the other, those of the region last.
    pub(super) fn in_region(self, region: Option<Region>) -> Entry {
        let mut all = Settings::default();
        // Where it stands in the order decides: `endpoint_type` comes after it.
        all.set(
            "interface".to_owned(),
            Value::Text("public".to_owned().into()),
        );
        all.lay(self.profile);
        all.lay(self.entry);
        for name in ["regions", "cloud"] {
            all.take(name);
        }
        if let Some(Region { name, mut values }) = region {
            values.0.retain(|(_, value)| !matches!(value, Value::Null));
            all.lay(values);
            all.take("region-name");
            all.set("region_name".to_owned(), Value::Text(name.into()));
        }
        Entry::of(all)
    }
}

impl Region {
    /// A region of which no more is known than its name.
    pub(super) fn named(name: String) -> Self {
        Self {
            name,
            values: Settings::default(),
        }
    }
}

fn region(value: &Value) -> Option<Region> {
    match value {
        Value::Text(name) => Some(Region::named(name.expose().to_owned())),
        Value::Map(region) => {
            let name = region.text("name")?.expose().to_owned();
            let values = region.clone().take_map("values");
            Some(Region { name, values })
        }
        _ => None,
    }
}

/// The settings of a cloud, all layers in one.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    settings: Settings,
    auth: Settings,
}

/// Names that stand in `auth`, and those they had before, or have beside it. The last one that
/// is there counts.
const MOVED: [(&str, &[&str]); 10] = [
    ("domain_id", &["domain_id", "domain-id"]),
    ("domain_name", &["domain_name", "domain-name"]),
    ("user_domain_id", &["user_domain_id", "user-domain-id"]),
    (
        "user_domain_name",
        &["user_domain_name", "user-domain-name"],
    ),
    (
        "project_domain_id",
        &["project_domain_id", "project-domain-id"],
    ),
    (
        "project_domain_name",
        &["project_domain_name", "project-domain-name"],
    ),
    ("token", &["auth-token", "auth_token", "token"]),
    ("passcode", &["passcode"]),
    (
        "project_id",
        &["tenant_id", "tenant-id", "project_id", "project-id"],
    ),
    (
        "project_name",
        &["tenant_name", "tenant-name", "project_name", "project-name"],
    ),
];

impl Entry {
    /// Takes settings that are all on one level, as in the environment.
    pub(super) fn of(mut settings: Settings) -> Self {
        let mut auth = settings.take_map("auth");
        for (name, spellings) in MOVED {
            let mut wanted = None;
            for spelling in spellings {
                // A value beside `auth` is a region's or an operator's word over it.
                for value in [auth.take(spelling), settings.take(spelling)] {
                    match value {
                        None | Some(Value::Null) => {}
                        Some(value) => wanted = Some(value),
                    }
                }
            }
            if let Some(value) = wanted {
                auth.set(name.to_owned(), value);
            }
        }
        let is_in = |auth: &Settings, name: &str| auth.text(name).is_some();
        let of_project = is_in(&auth, "project_id") || is_in(&auth, "project_name");
        // One domain for the user and for the project, else what the token is for.
        for what in ["id", "name"].into_iter().filter(|_| of_project) {
            let Some(domain) = auth.take(&format!("domain_{what}")) else {
                continue;
            };
            for whose in ["user", "project"] {
                let own = format!("{whose}_domain_{what}");
                if !is_in(&auth, &own) {
                    auth.set(own, domain.clone());
                }
            }
        }
        let interface = |name: String| match name.strip_suffix("endpoint_type") {
            Some(whose) => format!("{whose}interface"),
            None => name,
        };
        Self {
            settings: settings.renamed(interface).renamed(|name| spelt(&name)),
            auth: auth.renamed(|name| spelt(&name)),
        }
    }

    /// A setting that is no secret.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.settings.text(name).map(Secret::expose)
    }

    /// A setting with others in it, such as `https://{region_name}.example`.
    ///
    /// # Errors
    ///
    /// The setting that cannot be filled in.
    pub(super) fn filled(&self, name: &str) -> Result<Option<String>, String> {
        self.text(name)
            .map(|text| self.fill(name, text))
            .transpose()
    }

    /// The URL of Keystone, with settings filled in.
    ///
    /// # Errors
    ///
    /// The setting that cannot be filled in.
    pub(super) fn auth_url(&self) -> Result<Option<String>, String> {
        let url = self.auth(&["auth_url"]);
        url.map(|url| self.fill("auth_url", url.expose()))
            .transpose()
    }

    fn fill(&self, name: &str, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, brace, after)) = next_brace(rest) {
            filled.push_str(before);
            if let Some(after) = after.strip_prefix(brace) {
                filled.push(brace);
                rest = after;
                continue;
            }
            let inner = after.split_once('}').filter(|_| brace == '{');
            let (setting, after) =
                inner.ok_or_else(|| format!("{name} has a brace in it that has no counterpart"))?;
            let value = self.settings.get(setting).and_then(Value::as_text);
            let value = value.ok_or_else(|| {
                format!("{name} names a setting in braces that this cloud has not")
            })?;
            // A text never fails to be written to.
            let _ = filled.write_str(value);
            rest = after;
        }
        Ok(filled + rest)
    }

    /// A setting that has one value or several.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.settings.texts(name)
    }

    /// The same, if it stands under `auth`.
    pub(super) fn auth_list(&self, name: &str) -> Vec<String> {
        self.auth.texts(name)
    }

    /// A switch; what is neither yes nor no is not set.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
            "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
            _ => None,
        }
    }

    /// The value under `auth`, else beside it.
    pub(super) fn auth(&self, names: &[&str]) -> Option<Secret> {
        [&self.auth, &self.settings]
            .into_iter()
            .find_map(|place| names.iter().find_map(|name| place.text(name)))
            .cloned()
    }

    /// The names of settings that begin so.
    pub(super) fn beginning_with(&self, prefix: &str) -> impl Iterator<Item = &str> {
        let names = self.settings.0.iter().map(|(name, _)| name.as_str());
        names.filter(move |name| name.starts_with(prefix))
    }
}

fn next_brace(text: &str) -> Option<(&str, char, &str)> {
    let (at, brace) = text.char_indices().find(|(_, c)| matches!(c, '{' | '}'))?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, brace, rest.get(1..)?))
}

/// `auth-url` is `auth_url`, too.
pub(super) fn spelt(name: &str) -> String {
    name.replace('-', "_")
}
