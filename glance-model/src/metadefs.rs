//! Namespaces of metadata definitions: which properties, objects and tags there are, and what
//! they may say.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// The key of a namespace's name.
const NAME: &str = "namespace";
/// The parts of a namespace that are changed by themselves.
const PROPERTIES: &str = "properties";
const OBJECTS: &str = "objects";
const TAGS: &str = "tags";
const RESOURCE_TYPES: &str = "resource_type_associations";

/// A namespace with all that it defines, without what servers set themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Namespace {
    name: String,
    /// Title, description, visibility and the like.
    fields: Object,
    /// By their names, as all that follows.
    properties: Object,
    objects: BTreeMap<String, Object>,
    tags: BTreeMap<String, Object>,
    resource_types: BTreeMap<String, Object>,
}

/// A document that describes no namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadNamespace {
    /// It is no object of JSON.
    #[error("it is no object")]
    NoObject,
    /// It has no name.
    #[error("it has no name, which its key `namespace` would hold")]
    NoName,
    /// A part of it is not what it is in a namespace.
    #[error("its {0} are not those of a namespace")]
    BadPart(&'static str),
}

/// A part of a namespace that the target lacks, or has differently.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NamespaceChange {
    /// Fields of the namespace itself, which an update states all at once: the names of those that
    /// differ, and all of them as they are to be.
    Fields {
        /// The names of the fields that differ.
        names: Vec<String>,
        /// The body of the update.
        body: Object,
    },
    /// The definition of a property.
    Property(Part),
    /// An object: a group of properties.
    Object(Part),
    /// The tags, which an update states all at once, those that only the target has as well.
    Tags {
        /// The names of those that the target lacks.
        names: Vec<String>,
        /// The body of the update.
        body: Value,
    },
    /// The type of resource that the namespace is for.
    ResourceType(Part),
}

/// One named part of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its definition, with its name.
    pub body: Value,
    /// Whether the target lacks it altogether.
    pub is_new: bool,
}

impl fmt::Display for NamespaceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields { names, .. } => f.write_str(&names.join(", ")),
            Self::Property(part) => write!(f, "property {}", part.name),
            Self::Object(part) => write!(f, "object {}", part.name),
            Self::Tags { names, .. } => write!(f, "tags {}", names.join(", ")),
            Self::ResourceType(part) => write!(f, "resource type {}", part.name),
        }
    }
}

impl TryFrom<Value> for Namespace {
    type Error = BadNamespace;

    fn try_from(document: Value) -> Result<Self, BadNamespace> {
        let Value::Object(mut fields) = document else {
            return Err(BadNamespace::NoObject);
        };
        strip(&mut fields);
        let name = match fields.remove(NAME) {
            Some(Value::String(name)) if !name.is_empty() => name,
            _ => return Err(BadNamespace::NoName),
        };
        let properties = match fields.remove(PROPERTIES) {
            None | Some(Value::Null) => Object::new(),
            Some(Value::Object(mut properties)) => {
                // The name again, as servers show it of a property that was made by itself.
                for property in properties.values_mut().filter_map(Value::as_object_mut) {
                    property.remove("name");
                }
                properties
            }
            Some(_) => return Err(BadNamespace::BadPart(PROPERTIES)),
        };
        Ok(Self {
            name,
            properties,
            objects: by_name(&mut fields, OBJECTS)?,
            tags: by_name(&mut fields, TAGS)?,
            resource_types: by_name(&mut fields, RESOURCE_TYPES)?,
            fields,
        })
    }
}

/// The document that a server takes as a whole, and that `glance-manage db_load_metadefs` reads.
impl From<Namespace> for Value {
    fn from(namespace: Namespace) -> Self {
        let mut document = Object::new();
        document.insert(NAME.to_owned(), namespace.name.into());
        document.extend(namespace.fields);
        if !namespace.properties.is_empty() {
            document.insert(PROPERTIES.to_owned(), namespace.properties.into());
        }
        for (key, parts) in [
            (OBJECTS, namespace.objects),
            (TAGS, namespace.tags),
            (RESOURCE_TYPES, namespace.resource_types),
        ] {
            if !parts.is_empty() {
                let parts = parts.into_values().map(Value::Object);
                document.insert(key.to_owned(), parts.collect());
            }
        }
        document.into()
    }
}

impl Namespace {
    /// The name, which is its key at a server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what a target that has the namespace as `found` lacks of it, or has differently.
    /// What only the target has does not matter.
    #[must_use]
    pub fn lacking(&self, found: &Self) -> Vec<NamespaceChange> {
        let mut changes = Vec::new();
        let differing = self
            .fields
            .iter()
            .filter(|(name, wanted)| !is_said(found.fields.get(*name), wanted));
        let names: Vec<String> = differing.map(|(name, _)| name.clone()).collect();
        if !names.is_empty() {
            // Fields that an update does not state become null.
            let mut body = found.fields.clone();
            let stated = self.fields.iter().filter(|(_, value)| !value.is_null());
            body.extend(stated.map(|(name, value)| (name.clone(), value.clone())));
            body.insert(NAME.to_owned(), self.name.clone().into());
            changes.push(NamespaceChange::Fields { names, body });
        }
        // Objects may be of properties, and resource types need nothing.
        for (name, wanted) in &self.properties {
            let found = found.properties.get(name);
            if found.is_none_or(|found| !has_all_of(found, wanted)) {
                let mut body = wanted.clone();
                if let Value::Object(body) = &mut body {
                    body.insert("name".to_owned(), name.clone().into());
                }
                let is_new = found.is_none();
                let name = name.clone();
                changes.push(NamespaceChange::Property(Part { name, body, is_new }));
            }
        }
        changes.extend(parts(&self.objects, &found.objects).map(NamespaceChange::Object));
        let lacks = |name: &&String| !found.tags.contains_key(*name);
        let names: Vec<String> = self.tags.keys().filter(lacks).cloned().collect();
        if !names.is_empty() {
            let all = found.tags.keys().chain(&names);
            let all: Vec<Value> = all
                .map(|name| serde_json::json!({ "name": name }))
                .collect();
            let body = serde_json::json!({ TAGS: all });
            changes.push(NamespaceChange::Tags { names, body });
        }
        let resource_types = parts(&self.resource_types, &found.resource_types);
        changes.extend(resource_types.map(NamespaceChange::ResourceType));
        changes
    }
}

/// Returns the parts that differ.
fn parts(
    wanted: &BTreeMap<String, Object>,
    found: &BTreeMap<String, Object>,
) -> impl Iterator<Item = Part> {
    wanted.iter().filter_map(|(name, wanted)| {
        let found = found.get(name);
        let wanted = Value::Object(wanted.clone());
        let is_there =
            found.is_some_and(|found| has_all_of(&Value::Object(found.clone()), &wanted));
        (!is_there).then(|| Part {
            name: name.clone(),
            body: wanted,
            is_new: found.is_none(),
        })
    })
}

/// Returns whether a definition says what another one says. Servers add what is implied, and turn
/// numbers into texts (`default`).
fn has_all_of(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| is_said(found.get(key), wanted)),
        (Value::Array(found), Value::Array(wanted)) => {
            let mut pairs = found.iter().zip(wanted);
            found.len() == wanted.len() && pairs.all(|(f, w)| has_all_of(f, w))
        }
        (Value::String(text), Value::Number(number))
        | (Value::Number(number), Value::String(text)) => *text == number.to_string(),
        (found, wanted) => found == wanted,
    }
}

/// Returns whether a value is said. What says nothing, servers leave out.
fn is_said(found: Option<&Value>, wanted: &Value) -> bool {
    match found {
        Some(found) => wanted.is_null() || has_all_of(found, wanted),
        None => match wanted {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(values) => values.is_empty(),
            Value::Object(values) => values.is_empty(),
            Value::Bool(true) | Value::Number(_) => false,
        },
    }
}

/// Takes a list of named parts out of a namespace.
fn by_name(
    fields: &mut Object,
    key: &'static str,
) -> Result<BTreeMap<String, Object>, BadNamespace> {
    let bad = || BadNamespace::BadPart(key);
    let parts = match fields.remove(key) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Array(parts)) => parts,
        Some(_) => return Err(bad()),
    };
    let named = parts.into_iter().map(|part| {
        let Value::Object(mut part) = part else {
            return Err(bad());
        };
        strip(&mut part);
        let name = part.get("name").and_then(Value::as_str).ok_or_else(bad)?;
        Ok((name.to_owned(), part))
    });
    named.collect()
}

/// Leaves out what servers set themselves, and refuse or stumble over.
fn strip(object: &mut Object) {
    for key in ["self", "schema", "created_at", "updated_at"] {
        object.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn namespace(document: Value) -> Namespace {
        Namespace::try_from(document).unwrap()
    }

    fn whole() -> Value {
        json!({
            "namespace": "OS::Example",
            "display_name": "Example",
            "visibility": "public",
            "protected": true,
            "properties": {
                // The name of a property, and not a time.
                "created_at": { "type": "string", "title": "Created" },
                "speed": { "type": "integer", "title": "Speed", "minimum": 1 },
            },
            "objects": [{
                "name": "disk",
                "required": [],
                "properties": { "self": { "type": "string", "title": "Self" } },
            }],
            "tags": [{ "name": "gold" }, { "name": "silver" }],
            "resource_type_associations": [{ "name": "OS::Glance::Image", "prefix": "hw_" }],
        })
    }

    /// As a server shows it.
    fn shown() -> Value {
        let mut shown = whole();
        shown["self"] = "/v2/metadefs/namespaces/OS::Example".into();
        shown["schema"] = "/v2/schemas/metadefs/namespace".into();
        shown["created_at"] = "2026-11-26T00:00:00Z".into();
        shown["owner"] = "admin".into();
        shown["tags"] = json!([{ "name": "silver" }, { "name": "gold" }]);
        for list in ["objects", "tags", "resource_type_associations"] {
            for part in shown[list].as_array_mut().unwrap() {
                part["created_at"] = "2026-11-26T00:00:00Z".into();
                part["updated_at"] = "2026-11-26T00:00:00Z".into();
            }
        }
        shown["objects"][0]["self"] = "/v2/metadefs/namespaces/OS::Example/objects/disk".into();
        shown
    }

    fn said(changes: &[NamespaceChange]) -> Vec<String> {
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_servers_set_is_stripped_at_every_level_and_names_are_kept() {
        let mut expected = whole();
        expected["owner"] = "admin".into();
        let read = namespace(shown());
        assert_eq!(Value::from(read.clone()), expected);
        assert_eq!(read, namespace(expected));
    }

    #[test]
    fn a_namespace_lacks_nothing_of_itself_and_what_only_the_target_has_does_not_matter() {
        let mut wanted = whole();
        wanted["properties"]["speed"]["readonly"] = false.into();
        wanted["properties"]["speed"]["default"] = 8.into();
        let (wanted, mut found) = (namespace(wanted), shown());
        found["properties"]["more"] = json!({ "type": "string" });
        found["properties"]["speed"]["name"] = "speed".into();
        found["properties"]["speed"]["default"] = "8".into();
        found["tags"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "name": "only here" }));
        assert_eq!(wanted.lacking(&namespace(found)), []);
    }

    #[test]
    fn of_half_a_namespace_what_is_missing_is_named() {
        let found = namespace(json!({
            "namespace": "OS::Example",
            "display_name": "Other",
            "description": "only here",
            "tags": [{ "name": "only here" }],
            "properties": { "speed": { "type": "integer", "title": "Speed", "minimum": 2 } },
        }));
        let changes = namespace(whole()).lacking(&found);
        assert_eq!(
            said(&changes),
            [
                "display_name, protected, visibility",
                "property created_at",
                "property speed",
                "object disk",
                "tags gold, silver",
                "resource type OS::Glance::Image",
            ]
        );
        let NamespaceChange::Fields { body, .. } = &changes[0] else {
            unreachable!()
        };
        assert_eq!(body["description"], "only here");
        assert_eq!(body["namespace"], "OS::Example");
        let NamespaceChange::Property(property) = &changes[2] else {
            unreachable!()
        };
        assert!(!property.is_new);
        assert_eq!(property.body["name"], "speed");
        let NamespaceChange::Tags { body, .. } = &changes[4] else {
            unreachable!()
        };
        assert_eq!(body["tags"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn what_is_no_namespace_is_told() {
        for (document, said) in [
            (json!([]), "it is no object"),
            (json!({}), "it has no name"),
            (json!({ "namespace": "a", "objects": {} }), "its objects"),
            (json!({ "namespace": "a", "tags": ["b"] }), "its tags"),
            (
                json!({ "namespace": "a", "properties": 5 }),
                "its properties",
            ),
        ] {
            let error = Namespace::try_from(document).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
