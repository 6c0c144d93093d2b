//! Words for things that many messages name: images, amounts, times, causes.

use std::error::Error;
use std::time::Duration;

use replicator_core::{ImageError, ImageRef, Operation, PortError};

/// The characters of a digest that are shown: enough to tell two of them apart.
const DIGEST_SHOWN: usize = 12;
/// The shortest text of hexadecimal digits that is taken for a digest: that of MD5.
const SHORTEST_DIGEST: usize = 32;

/// An image as all messages name it: its name, quoted, and its id, of which there may be none.
pub(crate) fn named(image: &ImageRef) -> String {
    let id = if image.id.is_empty() {
        "without an id"
    } else {
        &image.id
    };
    match &image.name {
        Some(name) => format!("{name:?} ({id})"),
        None => format!("unnamed ({id})"),
    }
}

/// A number of things.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    if count == 1 {
        format!("1 {thing}")
    } else {
        format!("{count} {thing}s")
    }
}

/// Numbers with their words, a part each, without those that are 0.
pub(crate) fn counts<'a>(parts: impl IntoIterator<Item = (u64, &'a str)>) -> String {
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts = parts.map(|(count, words)| format!("{count} {words}"));
    parts.collect::<Vec<_>>().join(", ")
}

/// A number of bytes as people read it, as `_human_readable_size` in
/// `glance/cmd/replicator.py` has it.
pub(crate) fn human_size(bytes: u64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "one digit behind the point is shown"
    )]
    let mut number = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] {
        if number < 1024.0 {
            return format!("{number:.1} {unit}");
        }
        number /= 1024.0;
    }
    format!("{number:.1} EiB")
}

/// A number of bytes in a message: the same, but whole bytes are whole.
pub(crate) fn amount(bytes: u64) -> String {
    if bytes < 1024 {
        format!("{bytes} B")
    } else {
        human_size(bytes)
    }
}

/// Bytes a second.
pub(super) fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    bytes.saturating_mul(1000) / millis.max(1)
}

/// A time in seconds that may be many days.
pub(crate) fn duration(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24) {
        (0, _) => time(seconds),
        (days, hours) => format!("{days} d {hours} h"),
    }
}

/// A time in seconds, in two units at most.
pub(super) fn time(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// What failed, and why: the text of an error, and one cause of it, if it has any.
pub(super) fn reason(error: &dyn Error) -> (String, Option<String>) {
    (error.to_string(), cause(error))
}

/// What failed of an image, and why. The image is named by whoever shows it.
pub(super) fn reason_of_image(error: &ImageError) -> (String, Option<String>) {
    let (place, port) = match error {
        ImageError::Source(port) => ("the source", port),
        ImageError::Target(port) => ("the target", port),
        ImageError::Stage(port) => ("the stage", port),
        ImageError::IdMap(port) => ("the id map", port),
        error => {
            let (mut what, why) = reason(error);
            if error.is_of_content() {
                what = with_short_digests(&what);
            }
            return (what, why);
        }
    };
    let what = match port {
        PortError::NotFound { .. } => format!("{place} does not have it"),
        PortError::AlreadyExists { .. } => format!("its id is taken at {place}"),
        PortError::Damaged { .. } => format!("it is damaged at {place}"),
        PortError::BadRecord(_) => format!("its record at {place} cannot be used"),
        PortError::Busy { .. } => format!("another run is writing it to {place}"),
        PortError::Adapter { operation, .. } => format!("{place} failed to {}", done(operation)),
        port => port.to_string(),
    };
    (what, cause(port))
}

/// An operation on an image that is named already.
fn done(operation: &Operation) -> String {
    let text = match operation {
        Operation::ListImages => "list images",
        Operation::FindImage(_) => "find it",
        Operation::ReadData(_) => "read its data",
        Operation::CreateImage(_) => "create it",
        Operation::WriteData(_) => "write its data",
        Operation::UpdateMetadata(_) => "update its metadata",
        Operation::RemoveImage(_) => "remove it",
        Operation::DeleteImage(_) => "delete it",
        Operation::AssignId(_) => "keep another id for it",
        Operation::CopyToStores(_) => "copy it to more stores",
        operation => return operation.to_string(),
    };
    text.to_owned()
}

/// Layers of the HTTP library that say no more than that a request failed.
const LAYERS: [&str; 5] = [
    "error sending request",
    "client error (",
    "connection error",
    "tcp connect error",
    "dns error",
];

/// The cause of an error: the nearest one, with what it comes from.
fn cause(error: &dyn Error) -> Option<String> {
    let mut known = error.to_string();
    let mut told = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        next = cause.source();
        let text = cause.to_string();
        let is_layer = LAYERS.iter().any(|layer| text.starts_with(layer))
            || matches!(cause.downcast_ref(), Some(PortError::Adapter { .. }));
        if !is_layer && !known.contains(&text) {
            known.push_str(&text);
            told.push(text);
        }
    }
    told.truncate(2);
    (!told.is_empty()).then(|| told.join(": "))
}

/// Cuts each digest in a text.
pub(crate) fn with_short_digests(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_hexdigit());
        let (digits, after) = from.split_at(end.unwrap_or(from.len()));
        short.push_str(before);
        match digits.get(..DIGEST_SHOWN) {
            Some(shown) if digits.len() >= SHORTEST_DIGEST => {
                short.push_str(shown);
                short.push('…');
            }
            _ => short.push_str(digits),
        }
        rest = after;
    }
    short.push_str(rest);
    short
}

#[cfg(test)]
mod tests {
    use replicator_core::FailureKind;

    use super::*;

    #[test]
    fn sizes_are_those_of_the_python_tool() {
        for (bytes, text) in [
            (0, "0.0 B"),
            (1023, "1023.0 B"),
            (1024, "1.0 KiB"),
            (1_073_741_824, "1.0 GiB"),
            (5_368_709_120, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
        assert_eq!(
            (amount(1023), amount(1024)),
            ("1023 B".into(), "1.0 KiB".into())
        );
    }

    #[test]
    fn an_image_is_named_first_and_what_is_odd_in_its_name_is_escaped() {
        let image = |id: &str, name: Option<&str>| {
            named(&ImageRef {
                id: id.to_owned(),
                name: name.map(str::to_owned),
                size: None,
            })
        };
        assert_eq!(image("1", Some("日本 \"x\"\n")), r#""日本 \"x\"\n" (1)"#);
        assert_eq!(image("1", None), "unnamed (1)");
        assert_eq!(image("", Some("")), "\"\" (without an id)");
    }

    #[test]
    fn of_a_chain_of_causes_two_are_told_and_no_layer() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Text(&'static str, #[source] Option<Box<Self>>);
        let text = |text, source: Option<Text>| Text(text, source.map(Box::new));
        let error = text("4", Some(text("5", None)));
        let error = text("2", Some(text("tcp connect error", Some(error))));
        let error = text("1", Some(error));
        assert_eq!(reason(&error), ("1".to_owned(), Some("2: 4".to_owned())));
        let error = PortError::adapter(Operation::ListImages, FailureKind::Unusable, error);
        let error = ImageError::Target(error);
        let what = "the target failed to list images".to_owned();
        assert_eq!(reason_of_image(&error), (what, Some("1: 2".to_owned())));
        assert_eq!(reason(&text("1: 2", Some(text("2", None)))).1, None);
    }

    #[test]
    fn digests_are_cut_and_other_numbers_are_not() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        assert_eq!(
            with_short_digests(&format!(
                "the md5 {md5}, 12345678901234567890 bytes é {md5}"
            )),
            "the md5 d41d8cd98f00…, 12345678901234567890 bytes é d41d8cd98f00…"
        );
    }

    #[test]
    fn times_are_said_in_two_units() {
        for (seconds, text) in [(59, "59 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")] {
            assert_eq!(
                (time(seconds), duration(seconds)),
                (text.into(), text.into())
            );
        }
        assert_eq!(duration(90_000), "1 d 1 h");
    }

    #[test]
    fn one_thing_is_not_many() {
        assert_eq!(counted(1, "image"), "1 image");
        assert_eq!(
            (counted(0, "image"), counted(2, "hour")),
            ("0 images".into(), "2 hours".into())
        );
    }

    #[test]
    fn what_there_is_none_of_is_not_counted() {
        assert_eq!(counts([(0, "a"), (2, "b"), (0, "c"), (1, "d")]), "2 b, 1 d");
        assert_eq!(counts([(0, "a")]), "");
    }
}
