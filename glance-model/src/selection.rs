//! The images that somebody means, as a value.

mod expression;
mod sample;
mod shard;
mod test;
mod written;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::expression::{ExpressionError, Surroundings};
pub use self::sample::{Sample, SampleError};
pub use self::shard::{Shard, ShardError};
pub use self::test::{Key, Test};
use crate::{ImageId, ImageMetadata};

/// The images that somebody means. The default is every image.
///
/// A server may be asked for fewer images by it. That is a hint: [`matches`](Self::matches) is what
/// counts, and is asked again of every image that comes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<BTreeSet<ImageId>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tests: Vec<Test>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded: Vec<Test>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<Shard>,
}

impl Selection {
    /// Selects images by their ids.
    pub fn of_ids(ids: impl IntoIterator<Item = ImageId>) -> Self {
        Self {
            ids: Some(ids.into_iter().collect()),
            ..Self::default()
        }
    }

    /// Selects these ids, too, or these alone if images of any id were selected.
    #[must_use]
    pub fn with_ids(mut self, ids: impl IntoIterator<Item = ImageId>) -> Self {
        self.ids.get_or_insert_default().extend(ids);
        self
    }

    /// Selects of these images those that pass a test, too.
    #[must_use]
    pub fn with(mut self, test: Test) -> Self {
        self.tests.push(test);
        self
    }

    /// Selects of these images those that do not pass a test.
    #[must_use]
    pub fn without(mut self, test: Test) -> Self {
        self.excluded.push(test);
        self
    }

    /// Selects of these images those of a share.
    #[must_use]
    pub fn of_shard(mut self, shard: Option<Shard>) -> Self {
        self.shard = shard;
        self
    }

    /// Returns whether every image is selected.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the ids that images are selected by, in order; `None` for images of any id.
    #[must_use]
    pub fn ids(&self) -> Option<&BTreeSet<ImageId>> {
        self.ids.as_ref()
    }

    /// Returns the share that images are selected of.
    #[must_use]
    pub fn shard(&self) -> Option<Shard> {
        self.shard
    }

    /// Returns the tests that an image has to pass, all of them.
    #[must_use]
    pub fn tests(&self) -> &[Test] {
        &self.tests
    }

    /// Returns the tests that an image must not pass, none of them.
    #[must_use]
    pub fn excluded(&self) -> &[Test] {
        &self.excluded
    }

    /// Returns the same ids without the tests: an image may pass them at one end and not, before
    /// it is brought up to date, at the other.
    #[must_use]
    pub fn ids_only(&self) -> Self {
        Self {
            ids: self.ids.clone(),
            shard: self.shard,
            ..Self::default()
        }
    }

    /// Returns whether an image of this id may be selected.
    #[must_use]
    pub fn matches_id(&self, id: &ImageId) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(id))
            && self.shard.is_none_or(|shard| shard.has(id))
    }

    /// Returns whether an image is selected.
    #[must_use]
    pub fn matches(&self, image: &ImageMetadata) -> bool {
        self.matches_id(&image.id)
            && self.tests.iter().all(|test| test.passes(image))
            && !self.excluded.iter().any(|test| test.passes(image))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageStatus, Visibility};

    fn surroundings() -> Surroundings {
        let now = "2026-11-27T00:00:00Z".parse().unwrap();
        Surroundings::at(now).of_project(Some("alpha".to_owned()))
    }

    fn image(last: char) -> ImageMetadata {
        let id = format!("00000000-0000-4000-8000-00000000000{last}");
        let mut image = ImageMetadata::new(ImageId::parse(&id).unwrap(), ImageStatus::Active);
        image.name = Some("debian-13".to_owned());
        image.size = Some(10);
        image.min_disk = Some(20);
        image.min_ram = Some(0);
        image.disk_format = Some("qcow2".to_owned());
        image.owner = Some("alpha".to_owned());
        image.visibility = Some(Visibility::NotPublic);
        image.tags.insert("gold".to_owned());
        image.tags.insert("a, b".to_owned());
        image.created_at = Some("2026-11-22T23:34:26Z".to_owned());
        image.updated_at = Some("some day".to_owned());
        image.null_properties.insert("null".to_owned());
        image.properties.insert("os".to_owned(), "linux".to_owned());
        image.properties.insert("a=b".to_owned(), String::new());
        image
    }

    #[test]
    fn every_image_is_selected_until_something_is_asked() {
        assert!(Selection::default().matches(&image('1')));
        assert!(Selection::default().is_all());
        assert!(!Selection::of_ids([]).is_all());
    }

    /// Each key with each operator that it has; `created` and the others with values at both sides
    /// of the image's own.
    #[test]
    fn ids_and_tests_all_count() {
        let one = Selection::of_ids([image('1').id]);
        assert!(one.matches(&image('1')));
        assert!(!one.matches(&image('2')));
        for (expression, passes) in [
            ("name=debian-13", true),
            ("name = x, debian-13", true),
            ("name=Debian-13", false),
            ("name=debian-*", true),
            ("name=Debian-*", false),
            ("name=\"debian-*\"", false),
            ("name={debian,ubuntu}-13", true),
            ("name=[a-c,e]ebian-13", false),
            ("name!=debian-*", false),
            ("name!=ubuntu-*,x", true),
            ("id=00000000-0000-4000-8000-000000000001", true),
            ("id=0000*", true),
            ("id!=0000*", false),
            ("status=active", true),
            ("status=queued,active", true),
            ("status=queued", false),
            ("status!=queued", true),
            ("owner=alpha", true),
            ("owner=mine", true),
            ("owner!=mine", false),
            ("owner=\"mine\"", false),
            ("owner=beta", false),
            ("visibility=private", true),
            ("visibility=shared", true),
            ("visibility=public", false),
            ("visibility!=public", true),
            ("visibility!=community", false),
            ("tag=gold", true),
            ("tag=silver,gold", true),
            ("tag=\"a, b\"", true),
            ("tag=silver", false),
            ("tag!=gold", false),
            ("tag!=silver", true),
            ("property:os=linux", true),
            ("property:os = l*x", true),
            ("property:os=bsd", false),
            ("property:os!=bsd", true),
            ("property:none!=bsd", true),
            ("property:os", true),
            ("property:null", true),
            ("property:none", false),
            ("property:null=*", false),
            ("property:\"a=b\"", true),
            ("property:\"a=b\"=\"\"", true),
            ("disk_format=raw", false),
            ("disk_format!=raw", true),
            ("container_format=bare", false),
            ("container_format!=bare", true),
            ("hidden", false),
            ("hidden=false", true),
            ("hidden!=false", false),
            ("protected", false),
            ("protected!=true", true),
            ("size=10", true),
            ("size=9,10B", true),
            ("size!=10", false),
            ("size<10", false),
            ("size<=10", true),
            ("size>10", false),
            ("size>=10", true),
            ("size<0.5K", true),
            ("min_disk=20", true),
            ("min_disk>=20G", true),
            ("min_disk>20G", false),
            ("min_ram=0", true),
            ("min_ram<512", true),
            ("created>=2026-11-22T23:34:26Z", true),
            ("created>=2026-11-23T00:34:27+01:00", false),
            ("created>2026-11-22T23:34:26Z", false),
            ("created<2026-11-22T23:34:26Z", false),
            ("created<=2026-11-22T23:34:26Z", true),
            ("created<2027-01-01", true),
            ("created=2026-11-22", true),
            ("created=2026-11-23", false),
            ("created!=2026-11-22", false),
            ("created<=2026-11-22", true),
            ("created>2026-11-22", false),
            ("created>=2026-11-22", true),
            ("created<2026-11-22", false),
            ("created>=5d", true),
            ("created>=4d", false),
            ("created<96h", true),
            ("created<1w", false),
            ("updated>=1970-01-01", false),
            ("updated<2027-01-01", false),
            ("updated!=2027-01-01", true),
        ] {
            let test = Test::parse(expression, &surroundings()).unwrap();
            let excluded = one.clone().without(test.clone());
            assert_eq!(excluded.matches(&image('1')), !passes, "{excluded:?}");
            assert!(excluded.ids_only().matches(&image('1')));
            let selection = one.clone().with(test);
            let json = serde_json::to_string(&selection).unwrap();
            assert_eq!(
                serde_json::from_str::<Selection>(&json).unwrap(),
                selection,
                "{json}"
            );
            assert_eq!(selection.matches(&image('1')), passes, "{expression}");
            assert!(!selection.matches(&image('2')), "{expression}");
            assert!(selection.ids_only().matches(&image('1')));
        }
    }

    #[test]
    fn what_cannot_be_read_is_shown_with_its_place_and_what_is_expected() {
        let mut shown = String::new();
        for expression in [
            "nam = x",
            "name",
            "name ~ x",
            "name=",
            "name==x",
            "name<x",
            "name=a,,b",
            "name=[a",
            "name=\"a",
            "name=\"a\"b",
            "name=\"a\\b\"",
            "status=activ",
            "visibility=open",
            "id=5",
            "property:",
            "property:os>3",
            "hidden=yes",
            "hidden=true,false",
            "size=10GB",
            "size>=",
            "size>1,2",
            "size=1.5.5G",
            "min_disk=99999999999T",
            "created>yesterday",
            "created>2026-11-01T12:00:00",
            "created>-3d",
            "créé=é",
        ] {
            let error = Test::parse(expression, &surroundings()).unwrap_err();
            shown += &format!("{error}\n");
        }
        insta::assert_snapshot!(shown, @r#"
        expected one of the keys id, name, status, visibility, owner, tag, hidden, protected, disk_format, container_format, size, min_disk, min_ram, created, updated, property:NAME
          nam = x
          ^
        expected = or !=
          name
              ^
        expected one of the keys id, name, status, visibility, owner, tag, hidden, protected, disk_format, container_format, size, min_disk, min_ram, created, updated, property:NAME
          name ~ x
          ^
        expected a value
          name=
               ^
        expected a value, in quotes if it begins with =
          name==x
               ^
        expected = or !=, since this key has no order
          name<x
              ^
        expected a value
          name=a,,b
                 ^
        expected a pattern, or a text in quotes if * ? [ { are meant as such
          name=[a
               ^
        expected a second quote after this one
          name="a
               ^
        expected a comma or the end
          name="a"b
                  ^
        expected \" or \\, since a backslash in quotes is doubled
          name="a\b"
                 ^
        expected one of queued, saving, uploading, importing, active, deactivated, killed, deleted, pending_delete
          status=activ
                 ^
        expected one of public, community, shared, private
          visibility=open
                     ^
        expected the id of an image, or a pattern of ids
          id=5
             ^
        expected the name of a property
          property:
                   ^
        expected = or !=, since this key has no order
          property:os>3
                     ^
        expected true or false
          hidden=yes
                 ^
        expected one value alone
          hidden=true,false
                     ^
        expected a number of bytes, or one with B, K, M, G or T
          size=10GB
               ^
        expected a value
          size>=
                ^
        expected one value alone
          size>1,2
                ^
        expected a number of bytes, or one with B, K, M, G or T
          size=1.5.5G
               ^
        expected a number of GiB, or one with B, K, M, G or T
          min_disk=99999999999T
                   ^
        expected a time with its offset such as 2026-11-01T12:00:00Z, a date such as 2026-11-01, or an age such as 30d, 12h or 2w
          created>yesterday
                  ^
        expected a time with its offset such as 2026-11-01T12:00:00Z, a date such as 2026-11-01, or an age such as 30d, 12h or 2w
          created>2026-11-01T12:00:00
                  ^
        expected a time with its offset such as 2026-11-01T12:00:00Z, a date such as 2026-11-01, or an age such as 30d, 12h or 2w
          created>-3d
                  ^
        expected one of the keys id, name, status, visibility, owner, tag, hidden, protected, disk_format, container_format, size, min_disk, min_ram, created, updated, property:NAME
          créé=é
          ^
        "#);
        let alone: Result<Test, _> = "owner=mine".parse();
        assert!(alone.unwrap_err().to_string().contains("which one is mine"));
        assert!("created>30d".parse::<Test>().is_err());
    }
}
