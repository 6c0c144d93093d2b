//! A selection as filters of a listing, as far as servers filter rightly.
//!
//! What a server filters is a hint: each image that comes is tested again. So a test that servers
//! do not apply as it is meant, such as a range of times or a property of several values, is
//! left out here, and not asked for.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use glance_model::{ImageId, ImageStatus, Selection, Test};

use super::page::encoded;

/// The most ids in one query; a page of so many takes 0.1 s.
const IDS: usize = 500;
/// The most bytes of the filters without the ids: servers and proxies limit the length of a URL.
const BYTES: usize = 2048;
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

    fn add_sizes(&mut self, range: &RangeInclusive<u64>) {
        for (key, bytes, every) in [
            ("size_min", *range.start(), 0),
            ("size_max", *range.end(), u64::MAX),
        ] {
            if bytes != every && bytes <= LARGEST {
                self.add(key, &bytes.to_string());
            }
        }
    }
}

/// Returns the ends of the queries of v2 that list a selection: one for each 500 ids, in order.
pub(super) fn of_v2(wanted: &Selection) -> Vec<String> {
    let mut filters = Filters::default();
    for test in wanted.tests() {
        match test {
            Test::Name(names) => add_any(&mut filters, "name", names.iter().map(String::as_str)),
            Test::Status(of) => add_any(&mut filters, "status", of.iter().map(ImageStatus::as_str)),
            Test::DiskFormat(of) => {
                add_any(&mut filters, "disk_format", of.iter().map(String::as_str));
            }
            Test::ContainerFormat(of) => {
                let of = of.iter().map(String::as_str);
                add_any(&mut filters, "container_format", of);
            }
            Test::Owner(owner) if is_plain(owner) => filters.add("owner", owner),
            Test::Tag(tag) if is_plain(tag) => {
                // Of several tags, an image has to have all.
                filters.keys.remove("tag");
                filters.add("tag", tag);
            }
            Test::Property(name, value) if is_property(name) && is_plain(value) => {
                filters.add(name, value);
            }
            Test::SizeBytes(range) => filters.add_sizes(range),
            _ => {}
        }
    }
    let Some(ids) = wanted.ids() else {
        return vec![filters.text];
    };
    let ids: Vec<&str> = ids.iter().map(ImageId::as_str).collect();
    let ids = ids.chunks(IDS);
    ids.map(|ids| format!("&id=in:{}{}", ids.join(","), filters.text))
        .collect()
}

/// Returns the end of the query of v1 that lists a selection.
pub(super) fn of_v1(wanted: &Selection) -> Vec<String> {
    let mut filters = Filters::default();
    for test in wanted.tests() {
        let (key, value) = match test {
            Test::Name(names) => ("name", only(names.iter().map(String::as_str))),
            Test::Status(of) => ("status", only(of.iter().map(ImageStatus::as_str))),
            Test::DiskFormat(of) => ("disk_format", only(of.iter().map(String::as_str))),
            Test::ContainerFormat(of) => ("container_format", only(of.iter().map(String::as_str))),
            Test::SizeBytes(range) => {
                filters.add_sizes(range);
                continue;
            }
            _ => continue,
        };
        // A colon may end the name of an operator.
        if let Some(value) = value.filter(|value| is_plain(value) && !value.contains(':')) {
            filters.add(key, value);
        }
    }
    vec![filters.text]
}

fn only<'a>(mut values: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    values.next().filter(|_| values.next().is_none())
}

/// Asks for one of several values, each in quotes, which protect commas.
fn add_any<'a>(filters: &mut Filters, key: &str, values: impl Iterator<Item = &'a str>) {
    let values: Vec<&str> = values.collect();
    let is_quotable = |value: &&str| is_plain(value) && !value.contains(['"', '\\']);
    if !values.is_empty() && values.iter().all(is_quotable) {
        let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
        filters.add(key, &format!("in:{}", quoted.join(",")));
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
    use glance_model::Visibility;

    use super::*;

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn id(number: usize) -> ImageId {
        ImageId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap()
    }

    #[test]
    fn what_is_asked_for_is_what_each_version_filters_rightly() {
        let property = |name: &str| Test::Property(name.to_owned(), "v".to_owned());
        for (tests, v2, v1) in [
            (vec![], "", ""),
            (
                vec![Test::Name(set(&["a"]))],
                "&name=in%3A%22a%22",
                "&name=a",
            ),
            (
                vec![Test::Name(set(&["a,b", "c d"]))],
                "&name=in%3A%22a%2Cb%22%2C%22c%20d%22",
                "",
            ),
            (
                vec![Test::Name(set(&["say \"hi\""]))],
                "",
                "&name=say%20%22hi%22",
            ),
            (vec![Test::Name(set(&["\u{1f600}"]))], "", ""),
            (
                vec![Test::Status(vec![ImageStatus::Active, ImageStatus::Queued])],
                "&status=in%3A%22active%22%2C%22queued%22",
                "",
            ),
            (
                vec![Test::Tag("a".to_owned()), Test::Tag("b".to_owned())],
                "&tag=a&tag=b",
                "",
            ),
            (
                vec![Test::Owner("p".to_owned()), Test::Owner("q".to_owned())],
                "&owner=p",
                "",
            ),
            (vec![property("os"), property("arch")], "&os=v&arch=v", ""),
            (vec![property("Limit"), property("is_public")], "", ""),
            (
                vec![Test::SizeBytes(1..=9)],
                "&size_min=1&size_max=9",
                "&size_min=1&size_max=9",
            ),
            (vec![Test::SizeBytes(0..=u64::MAX)], "", ""),
            (vec![Test::Visibility(Visibility::Public)], "", ""),
        ] {
            let wanted = tests
                .into_iter()
                .fold(Selection::default(), Selection::with);
            assert_eq!(of_v2(&wanted), [v2], "{wanted:?}");
            assert_eq!(of_v1(&wanted), [v1], "{wanted:?}");
        }
    }

    #[test]
    fn ids_are_asked_for_by_500() {
        let wanted = Selection::of_ids((0..1001).map(id));
        let queries = of_v2(&wanted.clone().with(Test::Tag("a".to_owned())));
        let ids = |query: &str| query.matches("-4000-").count();
        let counts: Vec<usize> = queries.iter().map(|query| ids(query)).collect();
        assert_eq!(counts, [500, 500, 1]);
        assert!(queries.iter().all(|query| query.ends_with("&tag=a")));
        assert!(queries.is_sorted());
        assert_eq!(of_v2(&Selection::of_ids([])), [""; 0]);
        assert_eq!(of_v1(&wanted), [""], "v1 has no such filter");
    }
}
