//! Metadata as JSON: what the records of v1's listing and those of v2 share.

mod json;
mod listed;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::{Value, json};

pub(crate) use self::json::{Json, property_text};
pub use self::listed::{BadRecord, read_record, valid_unicode};
use crate::metadata::{WrongType, read_flag};
use crate::property::Names;
use crate::{BaseProperty, ImageId, ImageMetadata, ImageStatus, Scalar, Visibility};

/// A record that describes no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The id is missing, or is no UUID.
    #[error("image record without a valid id: {found:?}")]
    Id {
        /// The value that stands in its place.
        found: String,
    },
    /// The status is missing.
    #[error("record of image {id} has no status")]
    Status {
        /// The image.
        id: ImageId,
    },
    /// The status is none that an image has.
    #[error("record of image {id} has a status of {found:?}")]
    UnknownStatus {
        /// The image.
        id: ImageId,
        /// The value that stands in its place.
        found: String,
    },
    /// A base property has a value of another type.
    #[error("image record has a {field} of {value:?}")]
    Field {
        /// The name of the property.
        field: &'static str,
        /// The value that stands in its place.
        value: String,
    },
}

pub(crate) fn scalar_to_json(value: Scalar<'_>) -> Value {
    match value {
        Scalar::Text(text) => json!(text),
        Scalar::Number(number) => json!(number),
        Scalar::Flag(flag) => json!(flag),
    }
}

/// Collects the fields of a record, in whatever order and form they come.
pub(crate) struct Builder {
    names: Names,
    id: Option<ImageId>,
    found_id: String,
    status: Option<ImageStatus>,
    image: ImageMetadata,
}

impl Builder {
    /// `names` are those of the version of the API that the record is of.
    pub(crate) fn new(names: Names) -> Self {
        Self {
            names,
            id: None,
            found_id: String::new(),
            status: None,
            image: ImageMetadata::new(ImageId::nil(), ImageStatus::Queued),
        }
    }

    pub(crate) fn field(&mut self, name: &str, value: Json<'_>) -> Result<(), RecordError> {
        if let Some(property) = self.names.base(name) {
            return self.base(property, &value);
        }
        let is_v1 = self.names == Names::V1;
        match (name, value) {
            ("id", value) => {
                let text = value.text();
                self.id = ImageId::parse(&text).ok();
                if self.id.is_none() {
                    self.found_id = text.chars().take(100).collect();
                }
            }
            ("status", value) => {
                if let Json::Text(status) = value {
                    self.status = Some(ImageStatus::parse(&status));
                }
            }
            ("is_public", value) if is_v1 => {
                if let Some(scalar) = value.scalar() {
                    let is_public = read_flag(scalar).map_err(|WrongType| RecordError::Field {
                        field: "is_public",
                        value: value.text().chars().take(100).collect(),
                    })?;
                    self.image.visibility = is_public.map(Visibility::from_is_public);
                }
            }
            ("tags", value) if !is_v1 => {
                if let Json::Other(Value::Array(tags)) = value {
                    self.image.tags = tags
                        .into_iter()
                        .filter_map(|tag| match tag {
                            Value::String(tag) => Some(tag),
                            _ => None,
                        })
                        .collect();
                }
            }
            ("properties", Json::Other(Value::Object(properties))) if is_v1 => {
                for (name, value) in properties {
                    self.property(&name, value.into());
                }
            }
            ("properties", Json::Null) if is_v1 => {}
            (name, _) if self.names.is_of_the_server(name) => {}
            (name, value) if !is_v1 => self.additional(name, value),
            (name, Json::Other(value)) if is_deeper(&value, MAX_LEVELS) => {
                let property = self.image.properties.entry(name.to_owned());
                property.or_insert_with(|| property_text(&value));
            }
            (name, value) => {
                self.image.other.insert(name.to_owned(), value.into());
            }
        }
        Ok(())
    }

    fn base(&mut self, property: BaseProperty, value: &Json<'_>) -> Result<(), RecordError> {
        let set = match value {
            Json::Null => self.image.set(property, None),
            // `5.0`, as tools write it that know no whole numbers.
            Json::Other(Value::Number(number)) => {
                let number = number.to_string();
                self.image.set(property, Some(Scalar::Text(&number)))
            }
            value => value
                .scalar()
                .ok_or(WrongType)
                .and_then(|scalar| self.image.set(property, Some(scalar))),
        };
        set.map_err(|WrongType| RecordError::Field {
            field: property.name(),
            value: value.text().chars().take(100).collect(),
        })
    }

    /// Takes an additional property of v2. Of a name that comes twice the last value counts,
    /// as for Python's `json`.
    fn additional(&mut self, name: &str, value: Json<'_>) {
        self.image.properties.remove(name);
        self.image.null_properties.remove(name);
        self.image.other.remove(name);
        match value {
            Json::Other(value) if is_deeper(&value, MAX_LEVELS) => {
                let text = property_text(&value);
                self.image.properties.insert(name.to_owned(), text);
            }
            Json::Other(value) => {
                self.image.other.insert(name.to_owned(), value);
            }
            value => self.property(name, value),
        }
    }

    pub(crate) fn property(&mut self, name: &str, value: Json<'_>) {
        let text = match value {
            Json::Null => {
                self.image.null_properties.insert(name.to_owned());
                return;
            }
            Json::Text(text) => text.into_owned(),
            value => value.text().into_owned(),
        };
        self.image.properties.insert(name.to_owned(), text);
    }

    pub(crate) fn build(mut self) -> Result<ImageMetadata, RecordError> {
        let id = self.id.ok_or(RecordError::Id {
            found: self.found_id,
        })?;
        let Some(status) = self.status else {
            return Err(RecordError::Status { id });
        };
        if let ImageStatus::Other(word) = &status {
            let found = word.chars().take(100).collect();
            return Err(RecordError::UnknownStatus { id, found });
        }
        self.image.id = id;
        self.image.status = status;
        self.image.level();
        Ok(self.image)
    }
}

/// Arrays and objects in one another, in a field that no API version knows. One
/// with more is kept as the text that it has as a property: JSON is read up to
/// 127 levels, and whoever writes the field may put some more around it.
const MAX_LEVELS: usize = 64;

fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, below)),
        Value::Object(fields) => fields.values().any(|field| is_deeper(field, below)),
        _ => false,
    }
}

/// The name of a field, that of the document where it stands there as it is.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads the record of an image, a JSON object.
pub(crate) struct RecordVisitor(Builder);

impl RecordVisitor {
    /// `names` are those of the version of the API that the record is of.
    pub(crate) fn new(names: Names) -> Self {
        Self(Builder::new(names))
    }
}

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = ImageMetadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an image record (a JSON object)")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<ImageMetadata, A::Error> {
        while let Some((name, value)) = map.next_entry::<Name<'_>, Json<'_>>()? {
            self.0.field(&name.0, value).map_err(A::Error::custom)?;
        }
        self.0.build().map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests;
