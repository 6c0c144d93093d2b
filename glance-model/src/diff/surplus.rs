//! What the target alone says of an image: a part of the difference where the copy is to be a mirror.

use std::collections::BTreeSet;

use super::{Change, Field, FieldValue, MetadataDiff, of_other, property};
use crate::origin::{ORIGIN, RETIRED_AT, is_mark};
use crate::{BaseProperty, ImageMetadata, Members, Omit};

/// A change of the members of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MembersChange {
    /// Those that the image is to have, and their statuses.
    pub wanted: Members,
    /// Those that it has, as far as that is known.
    pub found: Option<Members>,
    /// Those of them that it is to lose.
    pub surplus: BTreeSet<String>,
}

impl MetadataDiff {
    /// Adds the additional properties, tags and members that only the target has. Members that were
    /// not looked at at the source are not taken for none.
    pub(crate) fn with_surplus(
        mut self,
        wanted: &ImageMetadata,
        found: &ImageMetadata,
        omit: &Omit,
    ) -> Self {
        if !omit.contains("tags") && !found.tags.is_subset(&wanted.tags) {
            let tags = |image: &ImageMetadata| FieldValue::Tags(image.tags.clone());
            self.exactly(Field::Tags, tags(wanted), tags(found));
        }
        if let (false, Some(members), Some(has)) =
            (omit.contains("members"), &wanted.members, &found.members)
            && has.keys().any(|project| !members.contains_key(project))
        {
            let members = FieldValue::Members(members.clone());
            self.exactly(Field::Members, members, FieldValue::Members(has.clone()));
        }
        if omit.contains("properties") {
            return self;
        }
        let texts = found.properties.iter();
        let texts = texts.map(|(name, text)| (name, FieldValue::Text(text.clone())));
        let others = found.other.iter().filter(|(name, _)| !omit.contains(name));
        let others = others.map(|(name, value)| (name, of_other(value)));
        for (name, value) in texts.chain(others) {
            // v1 cannot remove a property, and an empty one says nothing.
            let is_empty = match &value {
                FieldValue::Text(text) => text.is_empty(),
                _ => true,
            };
            let is_kept = is_mark(name) || omit.matches_property(name);
            if !is_empty && !is_kept && property(wanted, name).is_none() {
                self.exactly(Field::Property(name.clone()), FieldValue::Null, value);
            }
        }
        self
    }

    /// Lets an image that its origin has again be what it was before it was retired. The mark of
    /// the origin is never a difference: an image has it from its beginning, or it is not ours.
    pub(crate) fn with_marks(mut self, wanted: &ImageMetadata, found: &ImageMetadata) -> Self {
        let origin = Field::Property(ORIGIN.to_owned());
        self.changes.retain(|change| change.field != origin);
        let Some(since) = found.retired_at().filter(|_| wanted.retired_at().is_none()) else {
            return self;
        };
        let since = FieldValue::Text(since.to_owned());
        self.exactly(
            Field::Property(RETIRED_AT.to_owned()),
            FieldValue::Null,
            since,
        );
        if found.hidden == Some(true) && wanted.hidden != Some(true) {
            let hidden = Field::Base(BaseProperty::Hidden);
            self.exactly(hidden, FieldValue::Flag(false), FieldValue::Flag(true));
        }
        self
    }

    /// Makes a field at the target exactly what it is to be.
    fn exactly(&mut self, field: Field, wanted: FieldValue, found: FieldValue) {
        self.changes.retain(|change| change.field != field);
        self.changes.push(Change {
            field,
            source: wanted,
            target: Some(found),
            is_exact: true,
        });
    }

    /// Takes the change of the members out of it.
    pub fn take_members(&mut self) -> Option<MembersChange> {
        let mut changes = self.changes.iter();
        let place = changes.position(|change| change.field == Field::Members)?;
        let change = self.changes.remove(place);
        let FieldValue::Members(wanted) = change.source else {
            return None;
        };
        let found = match change.target {
            Some(FieldValue::Members(found)) => Some(found),
            _ => None,
        };
        let surplus = found.iter().flatten().map(|(project, _)| project);
        let surplus = surplus.filter(|project| change.is_exact && !wanted.contains_key(*project));
        let surplus = surplus.cloned().collect();
        Some(MembersChange {
            wanted,
            found,
            surplus,
        })
    }
}
