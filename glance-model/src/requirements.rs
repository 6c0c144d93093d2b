//! What a target requires of the metadata of images, and what it refuses in it, as far as it says so.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

use crate::{BaseProperty, ImageMetadata, MetadataDiff, v2};

/// The characters of a value that are shown.
const SHOWN: usize = 60;

/// What a target requires of the metadata of images, and what it refuses in it, as far as it is
/// known. Nothing by default.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Requirements {
    /// Whether it refuses characters outside the Basic Multilingual Plane: Glance does, whatever
    /// its database is (`no_4byte_params` in `glance/common/utils.py`).
    pub refuses_4_byte_characters: bool,
    /// The number of properties, of tags and of members that images may have, unless the target is
    /// set to take more (`image_property_quota` and its like in Glance).
    pub usual_most: Option<usize>,
    /// Whether it looks for the required properties in each single change of an image, so that no
    /// other field can be changed: Glance 33 does, where its code was changed so that it requires
    /// any. Its `schema-image.json` cannot.
    pub requires_in_updates: bool,
    required: BTreeSet<String>,
    rules: BTreeMap<String, Rule>,
}

/// What a schema says of a field. A keyword that is not understood is left to the target.
#[derive(Clone, Debug, Default)]
struct Rule {
    types: Vec<String>,
    choices: Option<Vec<Value>>,
    pattern: Option<Regex>,
    longest: Option<u64>,
    items: Option<Box<Self>>,
}

/// The reason why a target would refuse the metadata of an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are what the errors say")]
pub enum MetadataProblem {
    /// It lacks a field.
    #[error("it requires {field}")]
    Lacking { field: String },
    /// A value does not match a pattern.
    #[error("{field} is {value:?}, which does not match {pattern}")]
    Pattern {
        field: String,
        value: String,
        pattern: String,
    },
    /// A value is none of those that there are.
    #[error("{field} is {value:?}, and has to be one of {}", .choices.join(", "))]
    Choice {
        field: String,
        value: String,
        choices: Vec<String>,
    },
    /// A value is of another type.
    #[error("{field} is {value:?}, and has to be of the type {expected}")]
    Type {
        field: String,
        value: String,
        expected: String,
    },
    /// A value is too long.
    #[error("{field} has {length} characters, and may have {longest}")]
    TooLong {
        field: String,
        length: u64,
        longest: u64,
    },
    /// A character takes 4 bytes in UTF-8.
    #[error("{field} has the character U+{:X}, which takes 4 bytes", u32::from(*.character))]
    Character { field: String, character: char },
    /// Nothing can be changed once there is a record.
    #[error(
        "{field} could not be set, since it refuses every change of an image in which the required \
         properties are not"
    )]
    NoUpdate { field: String },
}

impl MetadataProblem {
    /// The field that it is about.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Lacking { field }
            | Self::Pattern { field, .. }
            | Self::Choice { field, .. }
            | Self::Type { field, .. }
            | Self::TooLong { field, .. }
            | Self::Character { field, .. }
            | Self::NoUpdate { field } => field,
        }
    }
}

/// More of something than servers take, unless they are set to take more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Excess {
    /// The field: `properties`, `tags` or `members`.
    pub field: &'static str,
    /// The number that an image would have.
    pub count: usize,
    /// The number that servers take.
    pub usual_most: usize,
}

impl Requirements {
    /// The requirements that a schema of images states (`GET /v2/schemas/image`).
    #[must_use]
    pub fn of_schema(schema: &Value) -> Self {
        let properties = schema.get("properties").and_then(Value::as_object);
        let rules = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| (name.clone(), Rule::of_schema(schema)));
        let required = schema.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        Self {
            required: required.map(str::to_owned).collect(),
            rules: rules.collect(),
            ..Self::default()
        }
    }

    /// Returns whether there are fields without which it takes no image.
    #[must_use]
    pub fn requires_any(&self) -> bool {
        !self.required.is_empty()
    }

    /// Returns what it would refuse of a new image: each problem in order of fields.
    #[must_use]
    pub fn refusals_of_new(&self, image: &ImageMetadata) -> Vec<MetadataProblem> {
        let Value::Object(record) = v2::record(image) else {
            return Vec::new();
        };
        let lacking = self
            .required
            .iter()
            .filter(|name| !record.contains_key(*name));
        let mut problems: Vec<_> = lacking
            .map(|field| MetadataProblem::Lacking {
                field: field.clone(),
            })
            .collect();
        for (field, value) in &record {
            problems.extend(self.refusal(field, value));
        }
        problems
    }

    /// Returns what it would refuse of the changes that an update makes.
    #[must_use]
    pub fn refusals_of_update(&self, diff: &MetadataDiff) -> Vec<MetadataProblem> {
        let Value::Array(changes) = v2::patch(diff) else {
            return Vec::new();
        };
        let changes = changes.iter().filter_map(|change| {
            let pointer = change.get("path")?.as_str()?.strip_prefix('/')?;
            let field = pointer.replace("~1", "/").replace("~0", "~");
            Some((field, change.get("value")?.clone()))
        });
        let refusals = changes.filter_map(|(field, value)| {
            if self.requires_in_updates && self.required.iter().any(|name| *name != field) {
                return Some(MetadataProblem::NoUpdate { field });
            }
            self.refusal(&field, &value)
        });
        refusals.collect()
    }

    /// Returns what an image would have too much of that is to be as `wanted`, and is there as
    /// `found`: what is there stays.
    #[must_use]
    pub fn excesses(&self, wanted: &ImageMetadata, found: Option<&ImageMetadata>) -> Vec<Excess> {
        let Some(usual_most) = self.usual_most else {
            return Vec::new();
        };
        let counts = |image: &ImageMetadata| {
            let members = image.members.as_ref().map_or(0, BTreeMap::len);
            [image.properties.len(), image.tags.len(), members]
        };
        let mut both = wanted.clone();
        if let Some(found) = found.cloned() {
            both.properties.extend(found.properties);
            both.tags.extend(found.tags);
        }
        let found = found.map_or([0; 3], counts);
        let counted = counts(&both).into_iter().zip(found);
        let excesses = ["properties", "tags", "members"].into_iter().zip(counted);
        // A server that has more already takes more.
        let excesses =
            excesses.filter(|(_, (count, found))| *count > usual_most && *found <= usual_most);
        excesses
            .map(|(field, (count, _))| Excess {
                field,
                count,
                usual_most,
            })
            .collect()
    }

    fn refusal(&self, field: &str, value: &Value) -> Option<MetadataProblem> {
        let character = self
            .refuses_4_byte_characters
            .then(|| four_byte_character(field).or_else(|| four_byte_character_in(value)))
            .flatten();
        if let Some(character) = character {
            return Some(MetadataProblem::Character {
                field: field.to_owned(),
                character,
            });
        }
        self.rules.get(field)?.refusal(field, value)
    }
}

impl Rule {
    fn of_schema(schema: &Value) -> Self {
        let types = match schema.get("type") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => {
                let several = several.iter().filter_map(Value::as_str);
                several.map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        let pattern = schema.get("pattern").and_then(Value::as_str);
        Self {
            types,
            choices: schema.get("enum").and_then(Value::as_array).cloned(),
            // One that Python knows and we do not.
            pattern: pattern.and_then(|pattern| Regex::new(pattern).ok()),
            longest: schema.get("maxLength").and_then(Value::as_u64),
            items: schema
                .get("items")
                .map(|items| Box::new(Self::of_schema(items))),
        }
    }

    fn refusal(&self, field: &str, value: &Value) -> Option<MetadataProblem> {
        let field_name = || field.to_owned();
        if let (Some(rule), Value::Array(values)) = (&self.items, value) {
            return values.iter().find_map(|value| rule.refusal(field, value));
        }
        if !self.types.is_empty() && !self.types.iter().any(|kind| is_of_type(value, kind)) {
            return Some(MetadataProblem::Type {
                field: field_name(),
                value: shown(value),
                expected: self.types.join(" or "),
            });
        }
        let choices = self.choices.as_ref();
        if let Some(choices) = choices.filter(|choices| !choices.contains(value)) {
            let choices = choices.iter().filter(|choice| !choice.is_null());
            return Some(MetadataProblem::Choice {
                field: field_name(),
                value: shown(value),
                choices: choices.map(shown).collect(),
            });
        }
        let text = value.as_str()?;
        let length = text.chars().count() as u64;
        if let Some(longest) = self.longest.filter(|longest| length > *longest) {
            return Some(MetadataProblem::TooLong {
                field: field_name(),
                length,
                longest,
            });
        }
        // To Python, `$` is also before a line break at the end.
        let matches = |pattern: &Regex| {
            pattern.is_match(text) || text.strip_suffix('\n').is_some_and(|t| pattern.is_match(t))
        };
        let pattern = self.pattern.as_ref().filter(|pattern| !matches(pattern))?;
        Some(MetadataProblem::Pattern {
            field: field_name(),
            value: shown(value),
            pattern: pattern.to_string(),
        })
    }
}

/// The types of JSON schema.
fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn shown(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn four_byte_character(text: &str) -> Option<char> {
    text.chars().find(|character| character.len_utf8() == 4)
}

fn four_byte_character_in(value: &Value) -> Option<char> {
    match value {
        Value::String(text) => four_byte_character(text),
        Value::Array(values) => values.iter().find_map(four_byte_character_in),
        _ => None,
    }
}

/// Returns whether a field is an additional property, which a copy can leave out or be given.
#[must_use]
pub fn is_additional(field: &str) -> bool {
    field != "tags" && field != "id" && BaseProperty::from_name(field).is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{ImageId, ImageStatus, Omit};

    fn image() -> ImageMetadata {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        ImageMetadata::new(id, ImageStatus::Active)
    }

    fn requirements() -> Requirements {
        let mut requirements = Requirements::of_schema(&json!({
            "name": "image",
            "properties": {
                "name": {"type": ["null", "string"], "maxLength": 5},
                "disk_format": {"type": ["null", "string"], "enum": [null, "raw", "qcow2"]},
                "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}},
                "kernel_id": {"type": ["null", "string"], "pattern": "^([0-9a-f]){4}$"},
                "os_admin": {"type": "boolean", "is_base": false},
                "odd": {"type": "string", "pattern": "^(?=a)b"},
                "odder": 5,
            },
            "additionalProperties": {"type": "string"},
            "required": ["os_distro"],
        }));
        requirements.refuses_4_byte_characters = true;
        requirements
    }

    #[test]
    fn each_keyword_of_a_schema_refuses_what_the_server_would_refuse() {
        let says = |change: &dyn Fn(&mut ImageMetadata)| {
            let mut image = image();
            image.properties.insert("os_distro".into(), "x".into());
            change(&mut image);
            let problems = requirements().refusals_of_new(&image);
            let problems = problems.iter().map(ToString::to_string);
            problems.collect::<Vec<_>>().join("; ")
        };
        let property = |name: &'static str, value: &'static str| {
            move |image: &mut ImageMetadata| {
                image.properties.insert(name.into(), value.into());
            }
        };
        type Change<'a> = &'a dyn Fn(&mut ImageMetadata);
        let cases: [(Change<'_>, &str); 12] = [
            (&|_| {}, ""),
            (&|image| image.properties.clear(), "it requires os_distro"),
            (&|image| image.name = Some("ä2345".into()), ""),
            (
                &|image| image.name = Some("ä23456".into()),
                "name has 6 characters, and may have 5",
            ),
            (
                &|image| image.disk_format = Some("ploop".into()),
                "disk_format is \"ploop\", and has to be one of raw, qcow2",
            ),
            (
                &|image| image.tags = ["123456".to_owned()].into(),
                "tags has 6 characters, and may have 5",
            ),
            (&property("kernel_id", "12ab\n"), ""),
            (
                &property("kernel_id", "12abc"),
                "kernel_id is \"12abc\", which does not match ^([0-9a-f]){4}$",
            ),
            (
                &property("os_admin", "true"),
                "os_admin is \"true\", and has to be of the type boolean",
            ),
            (&property("odd", "what only Python can match"), ""),
            (&property("odder", "x"), ""),
            (
                &property("note", "an 😀"),
                "note has the character U+1F600, which takes 4 bytes",
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(says(change), expected);
        }
    }

    #[test]
    fn of_an_update_only_its_changes_count() {
        let (mut wanted, mut found) = (image(), image());
        wanted.properties.insert("kernel_id".into(), "no".into());
        wanted.properties.insert("a/b".into(), "x".into());
        found.name = Some("far too long".into());
        wanted.name.clone_from(&found.name);
        let diff = MetadataDiff::between(&wanted, &found, &Omit::nothing());
        let mut requirements = requirements();
        let fields = |requirements: &Requirements| {
            let problems = requirements.refusals_of_update(&diff);
            let fields = problems.iter().map(|problem| problem.field().to_owned());
            fields.collect::<Vec<_>>()
        };
        assert_eq!(fields(&requirements), ["kernel_id"]);
        requirements.requires_in_updates = true;
        assert_eq!(fields(&requirements), ["a/b", "kernel_id"]);
        assert!(Requirements::default().refusals_of_update(&diff).is_empty());
    }

    #[test]
    fn what_is_there_counts_and_a_server_that_takes_more_is_known_by_what_it_has() {
        let with = |numbers: std::ops::Range<u32>| {
            let mut image = image();
            image.tags = numbers.clone().map(|number| number.to_string()).collect();
            let properties = numbers.map(|number| (number.to_string(), String::new()));
            image.properties = properties.take(2).collect();
            image
        };
        let mut requirements = requirements();
        assert!(requirements.excesses(&with(0..9), None).is_empty());
        requirements.usual_most = Some(3);
        for (wanted, found, count) in [
            (with(0..3), None, None),
            (with(0..4), None, Some(4)),
            (with(0..2), Some(with(1..4)), Some(4)),
            (with(0..5), Some(with(0..4)), None),
        ] {
            let excesses = requirements.excesses(&wanted, found.as_ref());
            let tags = excesses.iter().find(|excess| excess.field == "tags");
            assert_eq!(tags.map(|excess| excess.count), count);
        }
    }
}
