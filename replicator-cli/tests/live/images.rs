//! The images that operators have: one of each kind.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::server::Server;

/// The data of the images that have any, by id.
pub(crate) type Data = BTreeMap<String, Vec<u8>>;

const MIB: usize = 1024 * 1024;

/// Bytes that look random, and are the same for the same seed.
pub(crate) fn bytes(seed: u32, len: usize) -> Vec<u8> {
    let mut state = u64::from(seed) << 32 | 0x9E37_79B9;
    let mut data = Vec::with_capacity(len + 8);
    while data.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend(state.to_le_bytes());
    }
    data.truncate(len);
    data
}

pub(crate) fn id(n: u32) -> String {
    // Spread over the whole range, so that the order is not that of creation.
    format!(
        "{:08x}-0000-4000-8000-{n:012x}",
        n.wrapping_mul(2_654_435_761)
    )
}

/// Fills a server that has v2 with 25 images.
pub(crate) fn seed_v2(server: &Server) -> Data {
    let forty: Value = (0..40)
        .map(|n| (format!("prop_{n:02}"), json!(format!("value {n}"))))
        .collect();
    let long = "長".repeat(200);
    let mut kinds: Vec<(Value, Option<usize>)> = vec![
        (json!({"name": "no bytes"}), Some(0)),
        (json!({"name": "one byte"}), Some(1)),
        (json!({"name": "small"}), Some(5 * MIB)),
        (json!({"name": "large"}), Some(300 * MIB)),
        (
            json!({"name": "日本語の名前", "label": "größe"}),
            Some(1000),
        ),
        (json!({"name": "with \"quotes\" and 'more' \\"}), Some(1000)),
        (
            json!({"name": "two lines", "lines": "one\ntwo\r\nthree", "quoted": "a \"b\" c"}),
            Some(1000),
        ),
        (json!({"name": long, "long": "w".repeat(2000)}), Some(1000)),
        (
            json!({"name": "tags", "tags": ["a", "b c", "日本"]}),
            Some(1000),
        ),
        (forty, Some(1000)),
        (
            json!({"name": "empty property", "empty": "", "full": "yes"}),
            Some(1000),
        ),
        (
            json!({"name": "needs", "min_disk": 3, "min_ram": 512}),
            Some(1000),
        ),
        (json!({"name": "protected", "protected": true}), Some(1000)),
        (
            json!({"name": "community", "visibility": "community"}),
            Some(1000),
        ),
        (
            json!({"name": "public", "visibility": "public"}),
            Some(1000),
        ),
        (
            json!({"name": "private", "visibility": "private"}),
            Some(1000),
        ),
        (
            json!({"name": "shared", "visibility": "shared"}),
            Some(1000),
        ),
        (
            json!({"name": "of others", "visibility": "private", "owner": "0123456789abcdef"}),
            Some(1000),
        ),
        (json!({"name": "queued"}), None),
        (
            json!({"name": "kernel", "disk_format": "aki", "container_format": "aki"}),
            Some(2000),
        ),
        (
            json!({"name": "ramdisk", "disk_format": "ari", "container_format": "ari"}),
            Some(3000),
        ),
        (
            json!({"name": "machine", "disk_format": "ami", "container_format": "ami",
            "kernel_id": id(20), "ramdisk_id": id(21)}),
            Some(4000),
        ),
        (
            json!({"With-Dash": "1", "UPPER": "2", "with.dot": "3"}),
            Some(1000),
        ),
        (
            json!({"name": "None", "owner": "acme", "all zeros": "with a blank in its name"}),
            Some(70_000),
        ),
    ];
    let hidden = if server.knows_hidden {
        json!({"name": "hidden", "os_hidden": true, "visibility": "public"})
    } else {
        json!({"name": "no hidden ones here"})
    };
    kinds.push((hidden, Some(1000)));
    assert_eq!(kinds.len(), 25);
    let mut data = Data::new();
    for (n, (mut record, len)) in (1..).zip(kinds) {
        let fields = record.as_object_mut().unwrap();
        fields.insert("id".into(), json!(id(n)));
        fields.entry("disk_format").or_insert(json!("raw"));
        fields.entry("container_format").or_insert(json!("bare"));
        let bytes = len.map(|len| bytes(n, len));
        server.create_v2(&record, bytes.clone());
        data.extend(bytes.map(|bytes| (id(n), bytes)));
    }
    data
}

/// Fills a server that has v1 alone: what v1 can say.
pub(crate) fn seed_v1(server: &Server) -> Data {
    let long = "長".repeat(80);
    let forty: Vec<(String, String)> = (0..40)
        .map(|n| (format!("property-prop_{n:02}"), format!("value {n}")))
        .collect();
    let forty: Vec<(&str, &str)> = forty
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let (kernel, ramdisk) = (id(20), id(21));
    type Kind<'a> = (Vec<(&'a str, &'a str)>, Option<usize>);
    let kinds: Vec<Kind<'_>> = vec![
        (vec![("name", "no bytes"), ("size", "0")], Some(0)),
        (vec![("name", "one byte")], Some(1)),
        (vec![("name", "small")], Some(5 * MIB)),
        (vec![("name", "large")], Some(300 * MIB)),
        (
            vec![("name", "日本語の名前"), ("property-label", "größe")],
            Some(1000),
        ),
        (vec![("name", "with \"quotes\" and 'more' \\")], Some(1000)),
        (vec![("name", &long)], Some(1000)),
        (forty, Some(1000)),
        (
            vec![
                ("name", ""),
                ("property-null", ""),
                ("property-full", "yes"),
            ],
            Some(1000),
        ),
        (
            vec![
                ("name", "needs"),
                ("min_disk", "3"),
                ("min_ram", "512"),
                ("virtual_size", "4096"),
            ],
            Some(1000),
        ),
        (
            vec![("name", "protected"), ("protected", "True")],
            Some(1000),
        ),
        (vec![("name", "public"), ("is_public", "True")], Some(1000)),
        (vec![("name", "of others"), ("owner", "acme")], Some(1000)),
        (vec![("name", "queued")], None),
        (
            vec![
                ("name", "kernel"),
                ("disk_format", "aki"),
                ("container_format", "aki"),
                ("id", &kernel),
            ],
            Some(2000),
        ),
        (
            vec![
                ("name", "ramdisk"),
                ("disk_format", "ari"),
                ("container_format", "ari"),
                ("id", &ramdisk),
            ],
            Some(3000),
        ),
        (
            vec![
                ("name", "machine"),
                ("disk_format", "ami"),
                ("container_format", "ami"),
                ("property-kernel_id", &kernel),
                ("property-ramdisk_id", &ramdisk),
            ],
            Some(4000),
        ),
    ];
    let mut data = Data::new();
    for (n, (mut fields, len)) in (1..).zip(kinds) {
        let own = id(n);
        let mut default = |name, value| {
            if !fields.iter().any(|(field, _)| *field == name) {
                fields.push((name, value));
            }
        };
        default("id", &own);
        default("disk_format", "raw");
        default("container_format", "bare");
        let (_, id) = fields.iter().find(|(field, _)| *field == "id").unwrap();
        let id = (*id).to_owned();
        let bytes = len.map(|len| bytes(n, len));
        server.create_v1(&fields, bytes.clone().filter(|bytes| !bytes.is_empty()));
        data.extend(bytes.map(|bytes| (id, bytes)));
    }
    data
}
