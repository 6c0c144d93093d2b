//! Metadata definitions between the regions of a real cloud.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::keystone::{Shell, sign_in, variable};

/// The definitions that Glance is distributed with.
fn distribution() -> PathBuf {
    let python = PathBuf::from(variable("OPENSTACKSDK"));
    let env = python.parent().and_then(std::path::Path::parent).unwrap();
    env.join("etc/glance/metadefs")
}

fn post(region: &str, token: &str, body: &Value) -> u16 {
    let url = format!("{}/v2/metadefs/namespaces", variable(region));
    let request = Client::new().post(url).body(body.to_string());
    let request = request.header("x-auth-token", token);
    let answer = request.header("content-type", "application/json").send();
    answer.unwrap().status().as_u16()
}

#[test]
fn all_namespaces_of_the_distribution_come_whole_and_half_a_one_is_repaired() {
    let shell = Shell::of_lab();
    let distribution = distribution();
    let count = std::fs::read_dir(&distribution).unwrap();
    let is_json = |path: PathBuf| path.extension().is_some_and(|end| end == "json");
    let count = count.filter(|file| is_json(file.as_ref().unwrap().path()));
    let count = count.count();
    assert!(count >= 32);
    let load = ["metadefs", "load", "cloud:admin-one"];
    let load = [&load[..], &[distribution.to_str().unwrap()]].concat();
    shell.run(0, &load);
    let again = shell.run(0, &load).stderr;
    let unchanged = format!("metadefs: {count} unchanged");
    assert!(again.contains(&unchanged), "{again}");

    // As a creation leaves it that broke off.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let name = format!("Live::{}", now.as_nanos());
    let whole = json!({
        "namespace": name, "visibility": "public", "display_name": "Live",
        "properties": { "speed x": { "type": "integer", "title": "Speed" } },
        "objects": [{ "name": "disk/x", "properties": { "a": { "type": "string", "title": "A" } } }],
        "tags": [{ "name": "gold" }],
        "resource_type_associations": [
            { "name": "OS::Glance::Image", "prefix": "hw_" }, { "name": "OS::Nova::Flavor" },
        ],
    });
    let token = sign_in("admin", "admin").token;
    assert_eq!(post("REGION_ONE", &token, &whole), 201);
    let half = json!({
        "namespace": name, "visibility": "public",
        "resource_type_associations": [{ "name": "OS::Glance::Image", "prefix": "cpu_" }],
    });
    assert_eq!(post("REGION_TWO", &token, &half), 201);

    let copy = ["metadefs", "copy", "cloud:admin-one", "cloud:admin-two"];
    let ran = shell.run(0, &copy);
    assert!(
        ran.stdout.contains(&format!("{name}: updated: ")),
        "{}",
        ran.stdout
    );
    let ran = shell.run(0, &copy);
    let changes = [" created", " updated", " failed"];
    assert!(
        ran.stdout.is_empty() && !changes.iter().any(|change| ran.stderr.contains(change)),
        "{}",
        ran.stderr
    );

    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join("dump");
    let directory = directory.to_str().unwrap();
    shell.run(0, &["metadefs", "dump", "cloud:admin-two", directory]);
    let ran = shell.run(0, &["metadefs", "load", "cloud:admin-one", directory]);
    assert!(
        ran.stdout.is_empty() && !changes.iter().any(|change| ran.stderr.contains(change)),
        "{}",
        ran.stderr
    );
    let ran = shell.run(
        3,
        &[
            "metadefs",
            "load",
            "cloud:bob-two",
            distribution.to_str().unwrap(),
        ],
    );
    assert!(ran.stderr.contains("403"), "{}", ran.stderr);
}
