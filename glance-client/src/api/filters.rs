//! A selection as filters of a listing, as far as servers filter rightly.
//!
//! A server's filter is a hint: each image that comes is tested again. So a test that servers
//! do not apply as it is meant, such as a range of times or a property of several values, is
//! left out here, and not asked for.

use std::collections::BTreeSet;

use glance_model::{ImageId, Key, Selection, Test};
use jiff::Timestamp;

use super::page::encoded;

/// The most ids in one query.
const IDS: usize = 200;
/// The bytes of an id in a query, with the comma behind it.
const ID_BYTES: usize = 37;
/// The most bytes of the filters without the ids.
const BYTES: usize = 2048;
/// The most bytes of the filters with the ids. nginx 1.22 and Apache 2.4 answer 414 to a request line
/// of more than 8,190 bytes, and path, order and marker are in it as well.
const BYTES_WITH_IDS: usize = 7800;
/// The largest size that a database takes.
const LARGEST: u64 = i64::MAX as u64;

/// Names that mean something else in a query of v2 than a property.
const NO_PROPERTIES: [&str; 37] = [
    "changes-since",
    "checksum",
    "container_format",
    "copy_from",
    "created_at",
    "deleted",
    "deleted_at",
    "direct_url",
    "disk_format",
    "file",
    "id",
    "is_public",
    "limit",
    "locations",
    "marker",
    "member_status",
    "min_disk",
    "min_ram",
    "name",
    "os_hash_algo",
    "os_hash_value",
    "os_hidden",
    "owner",
    "protected",
    "schema",
    "self",
    "size",
    "size_max",
    "size_min",
    "sort",
    "sort_dir",
    "sort_key",
    "status",
    "stores",
    "tag",
    "tags",
    "updated_at",
];

/// The filters of one query.
#[derive(Default)]
struct Filters {
    text: String,
    keys: BTreeSet<String>,
}

impl Filters {
    /// Adds a filter. Of a name that is given twice, servers apply one value alone.
    fn add(&mut self, key: &str, value: &str) {
        let filter = format!("&{}={}", encoded(key), encoded(value));
        if self.text.len() + filter.len() <= BYTES && self.keys.insert(key.to_owned()) {
            self.text.push_str(&filter);
        }
    }

    /// Asks for one of several values, each in quotes, which protect commas.
    fn add_any(&mut self, key: &str, values: Option<Vec<&str>>) {
        let values = values.unwrap_or_default();
        let is_quotable = |value: &&str| is_plain(value) && !value.contains(['"', '\\']);
        if !values.is_empty() && values.iter().all(is_quotable) {
            let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
            self.add(key, &format!("in:{}", quoted.join(",")));
        }
    }

    fn add_sizes(&mut self, test: &Test) {
        let Some(range) = test.range_bytes() else {
            return;
        };
        for (key, bytes, every) in [
            ("size_min", *range.start(), 0),
            ("size_max", *range.end(), u64::MAX),
        ] {
            if bytes != every && bytes <= LARGEST {
                self.add(key, &bytes.to_string());
            }
        }
    }

    /// Asks for one end of a range of times: of two, servers apply the last one alone. They
    /// apply `gte` and `lt` rightly, the others by fractions of a second that nobody sees.
    fn add_time(&mut self, key: &str, test: &Test) {
        let whole = |time: Timestamp, up: i64| Timestamp::from_second(time.as_second() + up).ok();
        let filter = match test.between() {
            (Some(since), _) => whole(since, 0).map(|since| format!("gte:{since}")),
            (None, Some(before)) => {
                let up = i64::from(before.subsec_nanosecond() > 0);
                whole(before, up).map(|before| format!("lt:{before}"))
            }
            (None, None) => None,
        };
        if let Some(filter) = filter {
            self.add(key, &filter);
        }
    }
}

/// Returns the ends of the queries of v2 that list a selection: one for each 200 ids or
/// fewer, in order.
pub(super) fn of_v2(wanted: &Selection) -> Vec<String> {
    let mut filters = Filters::default();
    for test in wanted.tests() {
        let exact = test.exact();
        let one = exact
            .as_deref()
            .and_then(only)
            .filter(|text| is_plain(text));
        match (test.key(), one) {
            (Key::Name, _) => filters.add_any("name", exact),
            (Key::Status, _) => filters.add_any("status", exact),
            (Key::DiskFormat, _) => filters.add_any("disk_format", exact),
            (Key::ContainerFormat, _) => filters.add_any("container_format", exact),
            (Key::Owner, Some(owner)) => filters.add("owner", owner),
            (Key::Tag, Some(tag)) => {
                // Of several tags, an image has to have all.
                filters.keys.remove("tag");
                filters.add("tag", tag);
            }
            (Key::Property(name), Some(value)) if is_property(name) => filters.add(name, value),
            (Key::Protected, _) => {
                if let Some(flag) = test.flag() {
                    filters.add("protected", &flag.to_string());
                }
            }
            (Key::Size, _) => filters.add_sizes(test),
            (Key::Created, _) => filters.add_time("created_at", test),
            (Key::Updated, _) => filters.add_time("updated_at", test),
            _ => {}
        }
    }
    let Some(ids) = wanted.ids() else {
        return vec![filters.text];
    };
    let ids: Vec<&str> = ids.iter().map(ImageId::as_str).collect();
    let room = (BYTES_WITH_IDS - filters.text.len()) / ID_BYTES;
    let ids = ids.chunks(IDS.min(room));
    ids.map(|ids| format!("&id=in:{}{}", ids.join(","), filters.text))
        .collect()
}

/// Returns the end of the query of v1 that lists a selection.
pub(super) fn of_v1(wanted: &Selection) -> Vec<String> {
    let mut filters = Filters::default();
    for test in wanted.tests() {
        let key = match test.key() {
            Key::Name => "name",
            Key::Status => "status",
            Key::DiskFormat => "disk_format",
            Key::ContainerFormat => "container_format",
            Key::Size => {
                filters.add_sizes(test);
                continue;
            }
            _ => continue,
        };
        // A colon may end the name of an operator.
        let value = test.exact().as_deref().and_then(only);
        if let Some(value) = value.filter(|value| is_plain(value) && !value.contains(':')) {
            filters.add(key, value);
        }
    }
    vec![filters.text]
}

fn only<'a>(values: &[&'a str]) -> Option<&'a str> {
    match values {
        [value] => Some(value),
        _ => None,
    }
}

/// Returns whether every database compares a text as it is: MySQL's `utf8` refuses some letters,
/// and blanks at an end may be cut.
fn is_plain(text: &str) -> bool {
    let is_plain = |c: char| c <= '\u{ffff}' && !c.is_control();
    !text.is_empty() && text.trim() == text && text.chars().all(is_plain)
}

fn is_property(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    let lower = name.to_ascii_lowercase();
    !name.is_empty()
        && name.chars().all(is_plain)
        && lower != "visibility"
        && !NO_PROPERTIES.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> ImageId {
        ImageId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap()
    }

    #[test]
    fn what_is_asked_for_is_what_each_version_filters_rightly() {
        for (tests, v2, v1) in [
            (&[][..], "", ""),
            (&["name=a"], "&name=in%3A%22a%22", "&name=a"),
            (
                &[r#"name="a,b",c d"#],
                "&name=in%3A%22a%2Cb%22%2C%22c%20d%22",
                "",
            ),
            (&[r#"name="say \"hi\"""#], "", "&name=say%20%22hi%22"),
            (&["name=\u{1f600}"], "", ""),
            (&["name=a*", "name!=b"], "", ""),
            (
                &["status=active,queued"],
                "&status=in%3A%22active%22%2C%22queued%22",
                "",
            ),
            (&["tag=a", "tag=b"], "&tag=a&tag=b", ""),
            (&["tag=a,b"], "", ""),
            (&["owner=p", "owner=q"], "&owner=p", ""),
            (&["property:os=v", "property:arch=v"], "&os=v&arch=v", ""),
            (&["property:Limit=v", "property:is_public=v"], "", ""),
            (&["property:os"], "", ""),
            (
                &["size>0", "size<10"],
                "&size_min=1&size_max=9",
                "&size_min=1&size_max=9",
            ),
            (&["size>=0", "size!=5", "size=1,2"], "", ""),
            (&["min_disk=5", "visibility=public", "hidden"], "", ""),
            (&["protected"], "&protected=true", ""),
            (&["protected!=true"], "&protected=false", ""),
            (
                &[
                    "created>=2026-11-01",
                    "created<2026-12-01",
                    "updated<=2026-11-30",
                ],
                "&created_at=gte%3A2026-11-01T00%3A00%3A00Z&updated_at=lt%3A2026-12-01T00%3A00%3A00Z",
                "",
            ),
            (
                &[
                    "created<2026-11-01T12:00:00.5Z",
                    "updated>2026-11-01T12:00:00.5Z",
                ],
                "&created_at=lt%3A2026-11-01T12%3A00%3A01Z&updated_at=gte%3A2026-11-01T12%3A00%3A01Z",
                "",
            ),
        ] {
            let tests = tests.iter().map(|test| test.parse().unwrap());
            let wanted = tests.fold(Selection::default(), Selection::with);
            assert_eq!(of_v2(&wanted), [v2], "{wanted:?}");
            assert_eq!(of_v1(&wanted), [v1], "{wanted:?}");
        }
    }

    #[test]
    fn ids_are_asked_for_by_200() {
        let wanted = Selection::of_ids((0..401).map(id));
        let queries = of_v2(&wanted.clone().with(Test::is(Key::Tag, "a")));
        let ids = |query: &str| query.matches("-4000-").count();
        let counts: Vec<usize> = queries.iter().map(|query| ids(query)).collect();
        assert_eq!(counts, [200, 200, 1]);
        assert!(queries.iter().all(|query| query.ends_with("&tag=a")));
        assert!(queries.is_sorted());
        assert_eq!(of_v2(&Selection::of_ids([])), [""; 0]);
        assert_eq!(of_v1(&wanted), [""], "v1 has no such filter");
        // The longest filters.
        let tag = Test::is(Key::Tag, "x".repeat(1500));
        let queries = of_v2(&wanted.with(tag).with(Test::is(Key::Owner, "x".repeat(400))));
        let counts: Vec<usize> = queries.iter().map(|query| ids(query)).collect();
        assert_eq!(counts, [159, 159, 83]);
        assert!(queries.iter().all(|query| query.len() < 7900));
    }
}
