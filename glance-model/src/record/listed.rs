//! Records as listings hold them: one that cannot be used takes nothing from the
//! others.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{ImageId, ImageMetadata, ImageStatus};

/// A record of a listing that describes no image which could be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
#[non_exhaustive]
pub struct BadRecord {
    /// Its id as it is written, cut to 100 characters, and empty if it has none.
    /// It may be anything: whatever is no [`ImageId`] belongs in no path.
    pub id: String,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The fault.
    pub problem: String,
    /// Whether it is of an image that is gone, of which only the id is left.
    pub is_burnt: bool,
}

impl BadRecord {
    /// Returns the fault of the record of an image that can be read as such.
    #[must_use]
    pub fn of(image: &ImageMetadata, problem: impl Into<String>) -> Self {
        Self {
            id: image.id.to_string(),
            name: image.name.clone(),
            problem: problem.into(),
            is_burnt: image.status.is_burnt(),
        }
    }

    /// Its id, where that is one.
    #[must_use]
    pub fn image_id(&self) -> Option<ImageId> {
        ImageId::parse(&self.id).ok()
    }
}

/// Reads the record of one image, a [`V1Record`](crate::v1::Record) or a
/// [`V2Record`](crate::v2::Record).
///
/// Of an image that is gone, the id and the status are enough.
///
/// # Errors
///
/// [`BadRecord`], with as much as tells which image it is of.
pub fn read_record<R>(json: &str) -> Result<ImageMetadata, BadRecord>
where
    R: DeserializeOwned + Into<ImageMetadata>,
{
    let error = match serde_json::from_str::<R>(json) {
        Ok(record) => return Ok(record.into()),
        Err(error) => error,
    };
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap_or_default();
    let text = |name: &str| match serde_json::from_str(fields.get(name)?.get()) {
        Ok(Value::Null) => None,
        Ok(Value::String(text)) => Some(text),
        _ => Some(fields.get(name)?.get().to_owned()),
    };
    let id = text("id").unwrap_or_default();
    let status = text("status").map(|status| ImageStatus::parse(&status));
    let burnt = status.filter(ImageStatus::is_burnt);
    if let (Ok(id), Some(status)) = (ImageId::parse(&id), &burnt) {
        return Ok(ImageMetadata::new(id, status.clone()));
    }
    // Where in the record it is says nothing to anybody.
    let problem = error.to_string();
    let problem = problem
        .rsplit_once(" at line ")
        .map_or(&*problem, |(problem, _)| problem);
    Err(BadRecord {
        id: id.chars().take(100).collect(),
        name: text("name").map(|name| name.chars().take(255).collect()),
        problem: problem.to_owned(),
        is_burnt: burnt.is_some(),
    })
}

/// Puts U+FFFD in place of what is no Unicode in a JSON text: bytes that are not
/// UTF-8, and escapes of half a character (`\ud83d`).
///
/// Glance on Python 2 keeps and sends both.
#[must_use]
pub fn valid_unicode(json: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(json);
    let lone = lone_surrogates(&text);
    if lone.is_empty() {
        return text;
    }
    let mut repaired = text.into_owned();
    for at in lone {
        repaired.replace_range(at..at + 4, "fffd");
    }
    repaired.into()
}

/// Finds the four digits of escapes that are half a character.
fn lone_surrogates(json: &str) -> Vec<usize> {
    let unit = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut lone = Vec::new();
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        at += match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                lone.push(at + 2);
                6
            }
            // A backslash, and what it escapes.
            _ => {
                1 + json
                    .get(at + 1..)
                    .map_or(0, |rest| rest.chars().next().map_or(0, char::len_utf8))
            }
        };
    }
    lone
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{v1, v2};

    const ID: &str = "6d55dd55-053a-4765-b7bc-b30df0ea3861";

    #[test]
    fn a_bad_record_tells_which_image_it_is_of_and_what_is_wrong() {
        let long = "9".repeat(400);
        for (record, id, name, problem) in [
            (
                json!({"id": "829dda38", "name": "x", "status": "active"}).to_string(),
                "829dda38",
                Some("x"),
                "829dda38",
            ),
            (
                json!({"id": 5, "name": [1], "status": "active"}).to_string(),
                "5",
                Some("[1]"),
                "name",
            ),
            (
                json!({"id": ID, "name": "x"}).to_string(),
                ID,
                Some("x"),
                "status",
            ),
            (
                json!({"id": ID, "status": "weird"}).to_string(),
                ID,
                None,
                "\"weird\"",
            ),
            (
                json!({"id": ID, "status": "active", "size": -5}).to_string(),
                ID,
                None,
                "size of \"-5\"",
            ),
            (
                json!({"id": ID, "status": "active", "min_disk": 1.5}).to_string(),
                ID,
                None,
                "min_disk of \"1.5\"",
            ),
            (
                json!({"id": ID, "status": "active", "protected": 7}).to_string(),
                ID,
                None,
                "protected of \"7\"",
            ),
            (
                format!(r#"{{"id": "{ID}", "status": "active", "size": 1e999}}"#),
                ID,
                None,
                "out of range",
            ),
            (
                format!(r#"{{"id": "{ID}", "status": "active", "size": {long}}}"#),
                ID,
                None,
                "",
            ),
            (
                format!(
                    r#"{{"id": "{ID}", "status": "active", "x": {}{}}}"#,
                    "[".repeat(200),
                    "]".repeat(200)
                ),
                ID,
                None,
                "recursion",
            ),
            ("null".to_owned(), "", None, "null"),
            ("[1, 2]".to_owned(), "", None, "sequence"),
            ("{}".to_owned(), "", None, "without a valid id"),
        ] {
            for read in [read_record::<v1::Record>, read_record::<v2::Record>] {
                let bad = read(&record).unwrap_err();
                assert_eq!((&*bad.id, bad.name.as_deref()), (id, name), "{record}");
                assert!(bad.problem.contains(problem), "{record}: {bad}");
                assert!(!bad.problem.contains("line"), "{record}: {bad}");
            }
        }
        // v1 has no field of that name.
        let record = json!({"id": ID, "status": "active", "visibility": "odd"}).to_string();
        let bad = read_record::<v2::Record>(&record).unwrap_err();
        assert!(bad.problem.contains("visibility of \"odd\""), "{bad}");
        assert!(read_record::<v1::Record>(&record).is_ok());
    }

    #[test]
    fn of_an_image_that_is_gone_the_id_is_enough() {
        let record = json!({"id": ID, "status": "deleted", "size": -5}).to_string();
        let image = read_record::<v1::Record>(&record).unwrap();
        assert_eq!(image.status, ImageStatus::Deleted);
        let record = json!({"id": "829dda38", "status": "killed"}).to_string();
        assert!(read_record::<v1::Record>(&record).unwrap_err().is_burnt);
    }

    #[test]
    fn what_is_no_unicode_becomes_replacement_characters() {
        for (json, text) in [
            (&br#""bug-\ud83d""#[..], "bug-\u{fffd}"),
            (
                br#""\udc00\ud83d\ude00\ud83d\ud83d\ude00""#,
                "\u{fffd}\u{1f600}\u{fffd}\u{1f600}",
            ),
            (br#""\\ud83d\\\ud83d""#, "\\ud83d\\\u{fffd}"),
            (br#""\uD83D\u0041\n""#, "\u{fffd}A\n"),
            (b"\"bug-\xed\xa0\xbd\"", "bug-\u{fffd}\u{fffd}\u{fffd}"),
            (b"\"\xff\\ud83d\"", "\u{fffd}\u{fffd}"),
            ("\"\\\u{e9}\"".as_bytes(), ""),
        ] {
            let repaired = valid_unicode(json);
            let read = serde_json::from_str::<String>(&repaired).unwrap_or_default();
            assert_eq!(read, text, "{repaired}");
        }
    }
}
