//! A real Glance of the lab, spoken to without any code of ours.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::thread;

use reqwest::blocking::{Client, Response};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::keystone;

/// An image in words that both API versions have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) status: String,
    pub(crate) fields: BTreeMap<&'static str, Value>,
    pub(crate) properties: BTreeMap<String, String>,
    /// Of v2 only: visibility, tags, `os_hidden`.
    pub(crate) of_v2: BTreeMap<&'static str, Value>,
}

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) is_v2: bool,
    pub(crate) knows_hidden: bool,
    name: &'static str,
    client: Client,
}

impl Server {
    /// Finds a server of the lab, and empties it. A region is spoken to as its admin.
    pub(crate) fn empty(name: &'static str) -> Self {
        let is_region = name.starts_with("region");
        let test = thread::current().name().unwrap_or_default().to_owned();
        assert_eq!(
            is_region,
            test.starts_with("regions::"),
            "{name} would be emptied by two tests at a time: see regions/mod.rs"
        );
        let variable = format!("GLANCE_LAB_{}", name.replace('-', "_").to_uppercase());
        let url = std::env::var(&variable)
            .unwrap_or_else(|_| panic!("{variable} is not set: run this by `cargo xtask live`"));
        let mut headers = HeaderMap::new();
        if is_region {
            let keystone = match name {
                "region-other" => "KEYSTONE_OTHER",
                _ => "KEYSTONE",
            };
            let token = keystone::sign_in_at(keystone, "admin", "admin").token;
            headers.insert("x-auth-token", token.parse().unwrap());
        }
        let client = Client::builder().timeout(None).default_headers(headers);
        let server = Self {
            url,
            is_v2: !name.starts_with("v1"),
            knows_hidden: ["today", "region"]
                .iter()
                .any(|kind| name.starts_with(kind)),
            name,
            client: client.build().unwrap(),
        };
        server.wipe();
        server
    }

    pub(crate) fn wipe(&self) {
        let fresh = std::env::var("GLANCE_LAB_FRESH").expect("set by `cargo xtask live`");
        let status = Command::new(fresh).arg(self.name).status().unwrap();
        assert!(status.success(), "{} could not be emptied", self.name);
    }

    fn get(&self, path: &str) -> Response {
        let answer = self
            .client
            .get(format!("{}{path}", self.url))
            .send()
            .unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer
    }

    pub(crate) fn create_v2(&self, record: &Value, data: Option<Vec<u8>>) {
        let id = record["id"].as_str().unwrap();
        let request = self.client.post(format!("{}/v2/images", self.url));
        let answer = request.body(record.to_string()).send().unwrap();
        let (status, text) = (answer.status(), answer.text().unwrap());
        assert_eq!(status, 201, "{record}: {text}");
        if let Some(data) = data {
            let url = format!("{}/v2/images/{id}/file", self.url);
            let request = self.client.put(url).body(data);
            let answer = request
                .header("Content-Type", "application/octet-stream")
                .send()
                .unwrap();
            assert_eq!(answer.status(), 204, "{id}");
        }
    }

    pub(crate) fn create_v1(&self, fields: &[(&str, &str)], data: Option<Vec<u8>>) {
        let mut request = self.client.post(format!("{}/v1/images", self.url));
        for (name, value) in fields {
            request = request.header(format!("x-image-meta-{name}"), value.as_bytes());
        }
        request = match data {
            Some(data) => request
                .header("Content-Type", "application/octet-stream")
                .body(data),
            None => request,
        };
        let answer = request.send().unwrap();
        let (status, text) = (answer.status(), answer.text().unwrap());
        assert_eq!(status, 201, "{fields:?}: {text}");
    }

    pub(crate) fn deactivate(&self, id: &str) {
        let url = format!("{}/v2/images/{id}/actions/deactivate", self.url);
        assert_eq!(self.client.post(url).send().unwrap().status(), 204);
    }

    /// The record of an image, as v2 shows it.
    pub(crate) fn record_v2(&self, id: &str) -> Value {
        serde_json::from_str(&self.get(&format!("/v2/images/{id}")).text().unwrap()).unwrap()
    }

    pub(crate) fn add_v2(&self, id: &str, name: &str, value: &str) {
        let patch = json!([{"op": "add", "path": format!("/{name}"), "value": value}]);
        let request = self.client.patch(format!("{}/v2/images/{id}", self.url));
        let request = request.header(
            "Content-Type",
            "application/openstack-images-v2.1-json-patch",
        );
        let answer = request.body(patch.to_string()).send().unwrap();
        assert_eq!(answer.status(), 200, "{name}");
    }

    pub(crate) fn update_v1(&self, id: &str, fields: &[(&str, &str)]) {
        let mut request = self.client.put(format!("{}/v1/images/{id}", self.url));
        request = request.header("x-glance-registry-purge-props", "False");
        for (name, value) in fields {
            request = request.header(format!("x-image-meta-{name}"), *value);
        }
        let answer = request.send().unwrap();
        let (status, text) = (answer.status(), answer.text().unwrap());
        assert_eq!(status, 200, "{fields:?}: {text}");
    }

    /// Leaves the record of an image as it is, and takes away where its data is.
    pub(crate) fn forget_locations(&self, id: &str) {
        const FORGET: &str = "import sqlite3, sys; base = sqlite3.connect(sys.argv[1]); \
            base.execute('delete from image_locations where image_id = ?', sys.argv[2:]); \
            base.commit()";
        let clouds = std::env::var("GLANCE_LAB_CLOUDS").expect("set by `cargo xtask live`");
        let lab = Path::new(&clouds).parent().unwrap();
        let database = lab.join(self.name).join("glance.sqlite");
        let mut python = Command::new("python3");
        let status = python.args(["-c", FORGET]).arg(database).arg(id).status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn delete_v1(&self, id: &str) {
        let request = self.client.delete(format!("{}/v1/images/{id}", self.url));
        assert_eq!(request.send().unwrap().status(), 200, "{id}");
    }

    /// The ids of all images, the oldest first.
    pub(crate) fn by_creation(&self) -> Vec<String> {
        let query = "/v2/images?limit=1000&sort_key=created_at&sort_dir=asc";
        let page: Value = serde_json::from_str(&self.get(query).text().unwrap()).unwrap();
        let records = page["images"].as_array().unwrap().iter();
        let id = |record: &Value| record["id"].as_str().unwrap().to_owned();
        records.map(id).collect()
    }

    /// All images, as the server lists them.
    fn records(&self) -> Vec<Value> {
        let queries: &[&str] = match (self.is_v2, self.knows_hidden) {
            (false, _) => &["/v1/images/detail?is_public=None&limit=1000"],
            (true, false) => &[
                "/v2/images?limit=1000",
                "/v2/images?limit=1000&visibility=community",
            ],
            (true, true) => &[
                "/v2/images?limit=1000&visibility=all",
                "/v2/images?limit=1000&visibility=all&os_hidden=true",
            ],
        };
        let mut records = BTreeMap::new();
        for query in queries {
            let page: Value = serde_json::from_str(&self.get(query).text().unwrap()).unwrap();
            for record in page["images"].as_array().unwrap() {
                records.insert(record["id"].to_string(), record.clone());
            }
        }
        records.into_values().collect()
    }

    pub(crate) fn facts(&self) -> BTreeMap<String, Facts> {
        let facts = |record: &Value| {
            let id = record["id"].as_str().unwrap().to_owned();
            (id, self.facts_of(record))
        };
        self.records().iter().map(facts).collect()
    }

    fn facts_of(&self, record: &Value) -> Facts {
        let mut fields: BTreeMap<&'static str, Value> = [
            "name",
            "size",
            "checksum",
            "disk_format",
            "container_format",
            "min_disk",
            "min_ram",
            "protected",
            "owner",
        ]
        .map(|field| (field, record[field].clone()))
        .into();
        let is_public = match &record["visibility"] {
            Value::Null => record["is_public"].clone(),
            visibility => json!(visibility == "public"),
        };
        fields.insert("is_public", is_public);
        let own = [
            "id",
            "status",
            "visibility",
            "tags",
            "os_hidden",
            "os_hash_algo",
            "os_hash_value",
            "created_at",
            "updated_at",
            "virtual_size",
            "self",
            "file",
            "schema",
            "stores",
        ];
        let properties = if self.is_v2 {
            record.as_object().unwrap().clone()
        } else {
            record["properties"].as_object().unwrap().clone()
        };
        let properties = properties
            .into_iter()
            // v2 shows null only for what its schema knows, and no property says as much.
            .filter(|(_, value)| !self.is_v2 || !value.is_null())
            .filter(|(name, _)| !self.is_v2 || !own.contains(&&**name))
            .filter(|(name, _)| !self.is_v2 || !fields.contains_key(&**name))
            // A value that is null here is empty there.
            .map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned()))
            .collect();
        let mut of_v2: BTreeMap<&'static str, Value> = BTreeMap::new();
        if self.is_v2 {
            let mut tags: Vec<String> = serde_json::from_value(record["tags"].clone()).unwrap();
            tags.sort();
            of_v2.insert("tags", json!(tags));
            of_v2.insert("visibility", record["visibility"].clone());
            of_v2.insert("os_hidden", record["os_hidden"].clone());
        }
        Facts {
            status: record["status"].as_str().unwrap().to_owned(),
            fields,
            properties,
            of_v2,
        }
    }

    /// When each image was changed last: any write moves it.
    pub(crate) fn updated_at(&self) -> BTreeMap<String, String> {
        let time = |record: &Value| (record["id"].to_string(), record["updated_at"].to_string());
        self.records().iter().map(time).collect()
    }

    pub(crate) fn data(&self, id: &str) -> Vec<u8> {
        let path = if self.is_v2 {
            format!("/v2/images/{id}/file")
        } else {
            format!("/v1/images/{id}")
        };
        self.get(&path).bytes().unwrap().to_vec()
    }
}
