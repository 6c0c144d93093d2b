//! Which differences count.

use super::*;
use crate::{ImageId, ImageStatus};

fn image() -> ImageMetadata {
    let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
    ImageMetadata::new(id, ImageStatus::Active)
}

fn with(properties: &[(&str, &str)]) -> ImageMetadata {
    let mut image = image();
    for (name, value) in properties {
        image.properties.insert((*name).into(), (*value).into());
    }
    image
}

fn diff(source: &ImageMetadata, target: &ImageMetadata) -> MetadataDiff {
    MetadataDiff::between(source, target, &Omit::default())
}

/// As in the Python tool: only what the source has and the target lacks matters.
#[test]
fn test_dict_diff() {
    let a = with(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let b = with(&[("a", "1"), ("b", "2")]);
    let c = with(&[("a", "1"), ("b", "1"), ("c", "3")]);
    let d = with(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
    assert!(diff(&a, &a).is_empty());
    assert!(!diff(&a, &b).is_empty());
    assert!(!diff(&a, &c).is_empty());
    assert!(diff(&a, &d).is_empty());
}

#[test]
fn a_change_names_the_field_and_both_values() {
    let mut source = with(&[("frog", "11")]);
    source.min_disk = Some(3);
    let mut target = image();
    target.min_disk = Some(4);
    let found = diff(&source, &target);
    let [disk, frog] = found.changes() else {
        panic!("{found:?}")
    };
    assert_eq!(disk.field.to_string(), "min_disk");
    assert_eq!(disk.target, Some(FieldValue::Number(4)));
    assert_eq!(frog.field, Field::Property("frog".into()));
    assert_eq!(
        (frog.source.to_string(), &frog.target),
        ("11".into(), &None)
    );
}

#[test]
fn not_public_equals_every_visibility_but_public() {
    use Visibility as V;
    let see = |visibility| {
        let mut image = image();
        image.visibility = Some(visibility);
        image
    };
    for other in [V::Private, V::Shared, V::Community, V::NotPublic] {
        assert!(
            diff(&see(V::NotPublic), &see(other)).is_empty(),
            "{other:?}"
        );
        assert!(
            diff(&see(other), &see(V::NotPublic)).is_empty(),
            "{other:?}"
        );
    }
    assert!(!diff(&see(V::NotPublic), &see(V::Public)).is_empty());
    assert!(!diff(&see(V::Public), &see(V::NotPublic)).is_empty());
    assert!(!diff(&see(V::Private), &see(V::Shared)).is_empty());
}

#[test]
fn what_servers_set_themselves_is_not_compared() {
    let mut source = image();
    source.updated_at = Some("2012-06-25T02:10:36Z".into());
    source.virtual_size = Some(9);
    source.hash_value = Some("ab".into());
    source.checksum = Some("ab".into());
    assert!(diff(&source, &image()).is_empty());
}

#[test]
fn content_is_compared_where_both_state_it_and_never_written() {
    let mut source = image();
    (source.size, source.checksum) = (Some(5), Some("AB".into()));
    let mut target = source.clone();
    target.checksum = Some("ab".into());
    assert!(diff(&source, &target).is_empty());
    target.checksum = Some("cd".into());
    assert!(diff(&source, &target).is_of_content());
    assert!(diff(&source, &target).writable().is_empty());
}

#[test]
fn tags_of_the_target_stay() {
    let (mut source, mut target) = (image(), image());
    source.tags = ["a", "b"].map(String::from).into();
    target.tags = ["b", "c"].map(String::from).into();
    let applied = diff(&source, &target).apply_to(target);
    assert_eq!(applied.tags, ["a", "b", "c"].map(String::from).into());
    assert!(diff(&source, &applied).is_empty());
}

#[test]
fn an_unknown_field_equals_the_property_it_became() {
    let mut source = image();
    source.other.insert("extra".into(), "some".into());
    assert!(!diff(&source, &image()).is_empty());
    assert!(diff(&source, &with(&[("extra", "some")])).is_empty());
    source.other.insert("extra".into(), serde_json::Value::Null);
    assert!(diff(&source, &with(&[("extra", "")])).is_empty());
}

#[test]
fn what_is_filtered_is_no_difference() {
    let mut source = with(&[("frog", "1")]);
    source.owner = Some("acme".into());
    source.status = ImageStatus::Queued;
    let filter = Omit::parse("owner,properties,status").unwrap();
    assert!(MetadataDiff::between(&source, &image(), &filter).is_empty());
}
