//! The difference between an image and its copy.

mod surplus;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Not as _;

use serde::{Deserialize, Deserializer, Serialize};

pub use self::surplus::MembersChange;

use crate::member::{are_among, joined};
use crate::record::property_text;
use crate::{
    BaseProperty, ImageMetadata, ImageStatus, Members, Omit, ProjectName, Scalar, TargetForm,
    Visibility,
};

/// A part of an image's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Field {
    /// The status.
    Status,
    /// A base property.
    Base(BaseProperty),
    /// The tags, all of them.
    Tags,
    /// The projects that the image is shared with.
    Members,
    /// The names of owner and members, which archives keep.
    Projects,
    /// One additional property.
    Property(String),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Base(property) => f.write_str(property.name()),
            Self::Tags => f.write_str("tags"),
            Self::Members => f.write_str("members"),
            Self::Projects => f.write_str("projects"),
            Self::Property(name) => f.write_str(name),
        }
    }
}

/// The value of a [`Field`], in its own type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the names of the types say it")]
pub enum FieldValue {
    Null,
    Text(String),
    Number(u64),
    Flag(bool),
    Tags(BTreeSet<String>),
    Members(Members),
    Projects(BTreeMap<String, ProjectName>),
}

impl From<Scalar<'_>> for FieldValue {
    fn from(value: Scalar<'_>) -> Self {
        match value {
            Scalar::Text(text) => Self::Text(text.to_owned()),
            Scalar::Number(number) => Self::Number(number),
            Scalar::Flag(flag) => Self::Flag(flag),
        }
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Text(text) => Scalar::Text(text).fmt(f),
            Self::Number(number) => Scalar::Number(*number).fmt(f),
            Self::Flag(flag) => Scalar::Flag(*flag).fmt(f),
            Self::Tags(tags) => {
                let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
                f.write_str(&tags.join(", "))
            }
            Self::Members(members) => list(f, members),
            Self::Projects(projects) => list(f, projects),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, map: &BTreeMap<String, impl fmt::Display>) -> fmt::Result {
    let entries = map.iter().map(|(id, value)| format!("{id}: {value}"));
    f.write_str(&entries.collect::<Vec<_>>().join(", "))
}

/// One field that the target lacks, or has differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// The field.
    pub field: Field,
    /// The value at the source.
    pub source: FieldValue,
    /// The value at the target; `None` if it says nothing.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "said"
    )]
    pub target: Option<FieldValue>,
    /// Whether the target is to have exactly that: the tags and members that it alone has go.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_exact: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    flag.not()
}

/// Reads a value that is there: null is one, and not nothing.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FieldValue>, D::Error> {
    FieldValue::deserialize(deserializer).map(Some)
}

impl Change {
    /// The value that the target is to have. Tags and members are joined: those that only
    /// the target has stay, as its additional properties do, unless it is to be exact.
    #[must_use]
    pub fn wanted(&self) -> FieldValue {
        match (&self.source, &self.target) {
            (FieldValue::Tags(source), Some(FieldValue::Tags(target))) if !self.is_exact => {
                FieldValue::Tags(source | target)
            }
            (FieldValue::Members(source), Some(FieldValue::Members(target))) => {
                let mut members = joined(source, target);
                members.retain(|project, _| !self.is_exact || source.contains_key(project));
                FieldValue::Members(members)
            }
            (source, _) => source.clone(),
        }
    }

    /// The statuses of the target and the source, if these are what differs.
    fn statuses(&self) -> Option<(ImageStatus, ImageStatus)> {
        match (&self.field, &self.target, &self.source) {
            (Field::Status, Some(FieldValue::Text(from)), FieldValue::Text(to)) => {
                Some((ImageStatus::parse(from), ImageStatus::parse(to)))
            }
            _ => None,
        }
    }

    /// Returns whether a client can set the field.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        match &self.field {
            Field::Status => false,
            Field::Base(property) => property.is_writable(),
            Field::Tags | Field::Members | Field::Projects | Field::Property(_) => true,
        }
    }
}

/// The part of an image's metadata that the source has, and the target lacks or has
/// differently; as `_dict_diff` in `glance/cmd/replicator.py`, what only the
/// target has does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetadataDiff {
    changes: Vec<Change>,
}

impl MetadataDiff {
    /// Compares an image with its copy, both in the form of the target
    /// ([`TargetForm::of`](crate::TargetForm::of)).
    ///
    /// The fields that servers set themselves (times, `virtual_size`, `os_hash_*`) are not
    /// compared, and size and checksum only where both sides state them.
    #[must_use]
    pub fn between(source: &ImageMetadata, target: &ImageMetadata, omit: &Omit) -> Self {
        let mut diff = Self::default();
        if source.status != target.status && !omit.contains("status") {
            diff.push(
                Field::Status,
                FieldValue::Text(source.status.to_string()),
                Some(FieldValue::Text(target.status.to_string())),
            );
        }
        for &property in BaseProperty::ALL {
            let (Some(wanted), found) = (source.get(property), target.get(property)) else {
                continue;
            };
            let compared = property.is_writable() || (property.is_content() && found.is_some());
            if compared
                && !same(property, source, target, wanted, found)
                && !omit.contains(property.name())
            {
                diff.push(
                    Field::Base(property),
                    wanted.into(),
                    found.map(FieldValue::from),
                );
            }
        }
        if !source.tags.is_subset(&target.tags) && !omit.contains("tags") {
            diff.push(
                Field::Tags,
                FieldValue::Tags(source.tags.clone()),
                Some(FieldValue::Tags(target.tags.clone())),
            );
        }
        diff.of_projects(source, target, omit);
        if !omit.contains("properties") {
            diff.properties(source, target, omit);
        }
        diff
    }

    /// Compares the members, if those of the source were looked at, and the names of projects.
    fn of_projects(&mut self, source: &ImageMetadata, target: &ImageMetadata, omit: &Omit) {
        let none = Members::new();
        let wanted = source.members.as_ref().unwrap_or(&none);
        let found = target.members.as_ref();
        if !are_among(wanted, found.unwrap_or(&none)) && !omit.contains("members") {
            self.push(
                Field::Members,
                FieldValue::Members(wanted.clone()),
                found.cloned().map(FieldValue::Members),
            );
        }
        if !source.projects.is_empty() && source.projects != target.projects {
            self.push(
                Field::Projects,
                FieldValue::Projects(source.projects.clone()),
                (!target.projects.is_empty())
                    .then(|| FieldValue::Projects(target.projects.clone())),
            );
        }
    }

    fn properties(&mut self, source: &ImageMetadata, target: &ImageMetadata, omit: &Omit) {
        let of_users = source.other.iter();
        let of_users = of_users.filter(|(name, _)| !omit.contains(name));
        let texts = source.properties.iter();
        let wanted = texts
            .map(|(name, text)| (name, FieldValue::Text(text.clone())))
            .chain(
                source
                    .null_properties
                    .iter()
                    .map(|name| (name, FieldValue::Null)),
            )
            .chain(of_users.map(|(name, value)| (name, of_other(value))));
        for (name, wanted) in wanted {
            if omit.matches_property(name) {
                continue;
            }
            let found = property(target, name);
            if !found
                .as_ref()
                .is_some_and(|found| is_same_property(&wanted, found))
            {
                self.push(Field::Property(name.clone()), wanted, found);
            }
        }
    }

    fn push(&mut self, field: Field, source: FieldValue, target: Option<FieldValue>) {
        self.changes.push(Change {
            field,
            source,
            target,
            is_exact: false,
        });
    }

    /// The differences: status, base properties, tags, additional properties.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Returns whether the target has all that the source has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The part of it that a client can write.
    #[must_use]
    pub fn writable(mut self) -> Self {
        self.changes.retain(Change::is_writable);
        self
    }

    /// The part of it that a client can write to a target, with the status as far as
    /// [`TargetForm::can_change_status`] says, and the additional
    /// properties that can only come with the creation of a record there
    /// ([`TargetForm::can_update`]).
    #[must_use]
    pub fn updatable(mut self, form: TargetForm) -> (Self, BTreeSet<String>) {
        let mut left_out = BTreeSet::new();
        self.changes.retain(|change| match &change.field {
            Field::Status => change
                .statuses()
                .is_some_and(|(from, to)| form.can_change_status(&from, &to)),
            Field::Property(name) if !form.can_update(name) => {
                left_out.insert(name.clone());
                false
            }
            _ => change.is_writable(),
        });
        (self, left_out)
    }

    /// Returns whether it deactivates an image.
    #[must_use]
    pub fn deactivates(&self) -> bool {
        let mut statuses = self.changes.iter().filter_map(Change::statuses);
        statuses.any(|(_, to)| to == ImageStatus::Deactivated)
    }

    /// Returns the changes that give `found` the additional properties and the tags that are
    /// wanted, and no others.
    ///
    /// A property that is not wanted is set to null, which removes it on v2.
    #[must_use]
    pub fn to_make_equal(wanted: &ImageMetadata, found: &ImageMetadata) -> Self {
        let mut wanted = wanted.clone();
        let surplus = found.properties.iter();
        let surplus =
            surplus.filter(|(name, text)| !text.is_empty() && property(&wanted, name).is_none());
        let surplus: Vec<String> = surplus.map(|(name, _)| name.clone()).collect();
        wanted.null_properties.extend(surplus);
        let mut diff = Self::between(&wanted, found, &Omit::nothing());
        diff.changes.retain(|change| change.field != Field::Tags);
        if wanted.tags != found.tags {
            // Without those of the target, which would be joined with them.
            diff.push(Field::Tags, FieldValue::Tags(wanted.tags), None);
        }
        diff
    }

    /// Returns the changes that bring an image that should be as `meant` back to it: those of
    /// [`to_make_equal`](Self::to_make_equal), and one for each base property that it should
    /// not have.
    #[must_use]
    pub fn to_restore(meant: &ImageMetadata, found: &ImageMetadata) -> Self {
        let mut diff = Self::to_make_equal(meant, found).writable();
        for &property in BaseProperty::ALL {
            if let (true, None, Some(value)) = (
                property.is_writable(),
                meant.get(property),
                found.get(property),
            ) {
                diff.push(Field::Base(property), FieldValue::Null, Some(value.into()));
            }
        }
        diff
    }

    /// The part of it that another one says nothing of.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        let named = |field: &Field| other.changes.iter().any(|change| change.field == *field);
        self.changes.retain(|change| !named(&change.field));
        self
    }

    /// Returns whether size or checksum differ: of two active images, that they
    /// are not the same image.
    #[must_use]
    pub fn is_of_content(&self) -> bool {
        self.changes
            .iter()
            .any(|change| matches!(change.field, Field::Base(property) if property.is_content()))
    }

    /// Makes the changes in the target's metadata, as the target would.
    #[must_use]
    pub fn apply_to(&self, mut metadata: ImageMetadata) -> ImageMetadata {
        for change in &self.changes {
            match (&change.field, change.wanted()) {
                (Field::Status, FieldValue::Text(text)) => {
                    metadata.status = ImageStatus::parse(&text);
                }
                (Field::Tags, FieldValue::Tags(tags)) => metadata.tags = tags,
                (Field::Members, FieldValue::Members(members)) => metadata.members = Some(members),
                (Field::Projects, FieldValue::Projects(projects)) => metadata.projects = projects,
                (Field::Property(name), FieldValue::Text(text)) => {
                    metadata.other.remove(name);
                    metadata.null_properties.remove(name);
                    metadata.properties.insert(name.clone(), text);
                }
                (Field::Property(name), FieldValue::Null) => {
                    metadata.other.remove(name);
                    metadata.properties.remove(name);
                    metadata.null_properties.remove(name);
                    if !change.is_exact {
                        metadata.null_properties.insert(name.clone());
                    }
                }
                (Field::Base(property), value) => {
                    let value = match &value {
                        FieldValue::Null => {
                            metadata.clear(*property);
                            continue;
                        }
                        FieldValue::Text(text) => Scalar::Text(text),
                        FieldValue::Number(number) => Scalar::Number(*number),
                        FieldValue::Flag(flag) => Scalar::Flag(*flag),
                        FieldValue::Tags(_) | FieldValue::Members(_) | FieldValue::Projects(_) => {
                            continue;
                        }
                    };
                    // A value of another type is none that a target could have taken.
                    let _: Result<_, crate::WrongType> = metadata.set(*property, Some(value));
                }
                _ => {}
            }
        }
        metadata
    }
}

/// The value of an additional property, where the image has it.
fn property(metadata: &ImageMetadata, name: &String) -> Option<FieldValue> {
    if let Some(text) = metadata.properties.get(name) {
        return Some(FieldValue::Text(text.clone()));
    }
    if metadata.null_properties.contains(name) {
        return Some(FieldValue::Null);
    }
    metadata.other.get(name).map(of_other)
}

fn of_other(value: &serde_json::Value) -> FieldValue {
    match value {
        serde_json::Value::Null => FieldValue::Null,
        value => FieldValue::Text(property_text(value)),
    }
}

/// Null says no more than an empty text, and v2 shows it so.
fn is_same_property(a: &FieldValue, b: &FieldValue) -> bool {
    let is_empty = |value: &FieldValue| match value {
        FieldValue::Null => true,
        FieldValue::Text(text) => text.is_empty(),
        _ => false,
    };
    a == b || (is_empty(a) && is_empty(b))
}

fn same(
    property: BaseProperty,
    source: &ImageMetadata,
    target: &ImageMetadata,
    wanted: Scalar<'_>,
    found: Option<Scalar<'_>>,
) -> bool {
    if property == BaseProperty::Visibility {
        let is_public = |of: Option<Visibility>| of.map(Visibility::is_public);
        let vague = Some(Visibility::NotPublic);
        if source.visibility == vague || target.visibility == vague {
            return is_public(source.visibility) == is_public(target.visibility);
        }
    }
    match (wanted, found) {
        // Digests are compared as digits, whatever their case.
        (Scalar::Text(a), Some(Scalar::Text(b))) if property.is_content() => {
            a.eq_ignore_ascii_case(b)
        }
        _ => Some(wanted) == found,
    }
}

#[cfg(test)]
mod tests;
