//! The records of a source and a target with v2, one a line: the patch between
//! them, made by an applier that shares no code with it.
#![no_main]

use glance_model::{ImageMetadata, MetadataDiff, Omit, TargetForm, Visibility, v2};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

/// As in `glance/api/v2/images.py`: a change of one of these is a 403.
const READ_ONLY: [&str; 17] = [
    "id",
    "status",
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
    "location",
    "direct_url",
    "self",
    "file",
    "schema",
    "stores",
];

const FORM: TargetForm = TargetForm::V2 { hidden: true };

fuzz_target!(|data: &[u8]| {
    let Some(split) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (source, target) = data.split_at(split);
    let (Some(source), Some(target)) = (held(source), held(target)) else {
        return;
    };
    let mut record = record_of(&target);
    let target = read(&record);

    let diff = between(&source, &target);
    let patch = v2::patch(&diff);
    apply(&mut record, &patch);
    let updated = read(&record);

    // A patch sets no status.
    let (left, _) = between(&source, &updated).writable().updatable(FORM);
    assert!(left.is_empty(), "{left:?}");
    let (diff, _) = diff.writable().updatable(FORM);
    let mut expected = diff.apply_to(target);
    if expected.visibility == Some(Visibility::NotPublic) {
        // The meaning of v1's word where there are four.
        expected.visibility = Some(Visibility::Shared);
    }
    assert_eq!(updated, expected, "{patch}");
});

/// An image in the form that v2 holds.
fn held(json: &[u8]) -> Option<ImageMetadata> {
    let v2::Record(image) = serde_json::from_slice(json).ok()?;
    Some(FORM.of(image))
}

/// The record that the server keeps of an image.
fn record_of(image: &ImageMetadata) -> Map<String, Value> {
    let Value::Object(mut record) = v2::record(image) else {
        unreachable!("a record is an object");
    };
    record.insert("status".into(), json!(image.status.as_str()));
    record.insert("size".into(), json!(image.size));
    record.insert("checksum".into(), json!(image.checksum));
    record.entry("tags").or_insert_with(|| json!([]));
    record
}

fn read(record: &Map<String, Value>) -> ImageMetadata {
    let json = Value::Object(record.clone()).to_string();
    let v2::Record(image) = serde_json::from_str(&json).expect("was written");
    image
}

fn between(source: &ImageMetadata, target: &ImageMetadata) -> MetadataDiff {
    MetadataDiff::between(source, target, &Omit::default())
}

/// RFC 6902 as far as Glance has it: `add` sets, `replace` sets what is there,
/// and every pointer (RFC 6901) leads to a field of the record.
fn apply(record: &mut Map<String, Value>, patch: &Value) {
    for operation in patch.as_array().expect("a patch is an array") {
        let [op, path, value] = ["op", "path", "value"].map(|key| &operation[key]);
        let name = path.as_str().and_then(|path| path.strip_prefix('/'));
        let name = unescaped(name.expect("a pointer begins with a slash"));
        // As `_decode_json_pointer` does: what a name is when it is cut must be what was meant.
        let name = name.trim().to_owned();
        assert!(!READ_ONLY.contains(&name.as_str()), "{patch}");
        match op.as_str() {
            Some("add") => {}
            Some("replace") => assert!(record.contains_key(&name), "{patch}"),
            _ => panic!("an unknown operation: {patch}"),
        }
        record.insert(name, value.clone());
    }
}

/// RFC 6901, 3 and 4.
fn unescaped(token: &str) -> String {
    let mut name = String::new();
    let mut letters = token.chars();
    while let Some(letter) = letters.next() {
        name.push(match letter {
            '~' => match letters.next() {
                Some('0') => '~',
                Some('1') => '/',
                other => panic!("an unknown escape, {other:?}, in {token:?}"),
            },
            '/' => panic!("a pointer of more than one step: {token:?}"),
            letter => letter,
        });
    }
    name
}
