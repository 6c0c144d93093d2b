//! Two clouds whose Keystones know nothing of each other: owners and members arrive by name.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};

use super::clouds::bytes;
use crate::keystone::{Shell, SignedIn, sign_in, sign_in_at, variable};
use crate::server::Server;

/// A cloud: its Glance and its Keystone, as an administrator sees them.
pub(crate) struct Cloud {
    pub(crate) glance: String,
    pub(crate) keystone: String,
    admin: SignedIn,
}

impl Cloud {
    pub(crate) fn new(glance: &str, keystone: &str) -> Self {
        Self {
            glance: variable(glance),
            keystone: variable(keystone),
            admin: sign_in_at(keystone, "admin", "admin"),
        }
    }

    fn send(&self, method: Method, url: &str, body: &Value) -> Value {
        let request = Client::new().request(method, url);
        let request = request
            .header("Content-Type", "application/json")
            .header("X-Auth-Token", &self.admin.token);
        let request = match body {
            Value::Null => request,
            body => request.body(body.to_string()),
        };
        let answer = request.send().unwrap();
        let (status, text) = (answer.status(), answer.text().unwrap());
        assert!(status.is_success(), "{url}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The ids of projects by `domain/name`.
    pub(crate) fn projects(&self) -> BTreeMap<String, String> {
        let list = |what: &str| {
            let url = format!("{}/v3/{what}", self.keystone);
            let list = self.send(Method::GET, &url, &Value::Null);
            list[what].as_array().unwrap().clone()
        };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let domains = list("domains");
        let name = |id: &Value| {
            let domain = domains.iter().find(|domain| domain["id"] == *id);
            text(&domain.unwrap()["name"])
        };
        let projects = list("projects").into_iter();
        let key =
            |project: &Value| format!("{}/{}", name(&project["domain_id"]), text(&project["name"]));
        projects
            .map(|project| (key(&project), text(&project["id"])))
            .collect()
    }

    /// Makes a project of the default domain, if there is none of that name.
    pub(crate) fn ensure_project(&self, name: &str) {
        if !self.projects().contains_key(&format!("Default/{name}")) {
            let project = json!({"project": {"name": name, "domain_id": "default"}});
            self.send(
                Method::POST,
                &format!("{}/v3/projects", self.keystone),
                &project,
            );
        }
    }

    pub(crate) fn share(&self, id: &str, project: &str, status: &str) {
        let url = format!("{}/v2/images/{id}/members", self.glance);
        self.send(Method::POST, &url, &json!({ "member": project }));
        let url = format!("{url}/{project}");
        self.send(Method::PUT, &url, &json!({ "status": status }));
    }

    fn be(&self, id: &str, visibility: &str) {
        let patch = json!([{"op": "replace", "path": "/visibility", "value": visibility}]);
        let request = Client::new().patch(format!("{}/v2/images/{id}", self.glance));
        let request = request
            .header(
                "Content-Type",
                "application/openstack-images-v2.1-json-patch",
            )
            .header("X-Auth-Token", &self.admin.token);
        assert_eq!(
            request.body(patch.to_string()).send().unwrap().status(),
            200
        );
    }

    pub(crate) fn owner(&self, id: &str) -> String {
        let url = format!("{}/v2/images/{id}", self.glance);
        let image = self.send(Method::GET, &url, &Value::Null);
        image["owner"].as_str().unwrap().to_owned()
    }

    pub(crate) fn members(&self, id: &str) -> BTreeMap<String, String> {
        let url = format!("{}/v2/images/{id}/members", self.glance);
        let list = self.send(Method::GET, &url, &Value::Null);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let members = list["members"].as_array().unwrap().iter();
        members
            .map(|member| (text(&member["member_id"]), text(&member["status"])))
            .collect()
    }
}

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Images of three owners with five members of three statuses: two shared, and a private one
/// whose members sleep; and one of a project that the other Keystone does not have.
fn fill(one: &Server, cloud: &Cloud) {
    let of = cloud.projects();
    for (number, owner, visibility) in [
        (1, "Default/alpha", "shared"),
        (2, "Default/beta", "shared"),
        (3, "other/beta", "shared"),
        (4, "Default/gone", "private"),
    ] {
        let record = json!({
            "id": id(number), "name": format!("image {number}"), "owner": of[owner],
            "disk_format": "raw", "container_format": "bare", "visibility": visibility,
        });
        one.create_v2(&record, Some(bytes(number)));
    }
    for (number, member, status) in [
        (1, "Default/beta", "accepted"),
        (1, "other/beta", "pending"),
        (1, "Default/admin", "rejected"),
        (2, "Default/alpha", "accepted"),
        (2, "Default/admin", "pending"),
        (3, "Default/alpha", "accepted"),
    ] {
        // The bootstrap names the domain so, and the project.
        let project = of.get(member).unwrap_or(&cloud.admin.project_id);
        cloud.share(&id(number), project, status);
    }
    cloud.be(&id(3), "private");
}

#[track_caller]
fn are_mapped(cloud: &Cloud) {
    let of = cloud.projects();
    for (number, owner) in [(1, "Default/alpha"), (2, "Default/beta"), (3, "other/beta")] {
        assert_eq!(cloud.owner(&id(number)), of[owner], "image {number}");
    }
    let members = |of_image: &[(&str, &str)]| {
        let members = of_image.iter();
        let members = members.map(|(name, status)| (of[*name].clone(), (*status).to_owned()));
        members.collect::<BTreeMap<_, _>>()
    };
    let first = [
        ("Default/beta", "accepted"),
        ("other/beta", "pending"),
        ("Default/admin", "rejected"),
    ];
    assert_eq!(cloud.members(&id(1)), members(&first));
    let second = [("Default/alpha", "accepted"), ("Default/admin", "pending")];
    assert_eq!(cloud.members(&id(2)), members(&second));
    cloud.be(&id(3), "shared");
    assert_eq!(cloud.members(&id(3)), members(&[]), "none sleeps");
    cloud.be(&id(3), "private");
}

#[test]
fn owners_and_members_arrive_by_name_in_a_cloud_of_another_keystone() {
    let (one, other) = (Server::empty("region-one"), Server::empty("region-other"));
    let (from, to) = (
        Cloud::new("REGION_ONE", "KEYSTONE"),
        Cloud::new("REGION_OTHER", "KEYSTONE_OTHER"),
    );
    fill(&one, &from);
    assert_ne!(
        from.projects()["Default/alpha"],
        to.projects()["Default/alpha"]
    );
    let shell = Shell::of_lab();

    // As ids stand, the other cloud knows none of them.
    let ends = ["cloud:admin-one", "cloud:admin-other"];
    let ran = shell.run(0, &["livecopy", "--dry-run", ends[0], ends[1]]);
    assert!(ran.stderr.contains("does not know"), "{}", ran.stderr);
    let ran = shell.run(0, &["check", ends[0], ends[1]]);
    assert!(
        ran.stdout.contains("does not know 4 of the projects"),
        "{}",
        ran.stdout
    );

    // A project that is missing there fails its image alone, or is skipped, or is ours.
    let map = ["livecopy", "--owner", "map", ends[0], ends[1]];
    let ran = shell.run(3, &map);
    assert!(
        ran.stderr
            .contains("the target has no project Default/gone"),
        "{}",
        ran.stderr
    );
    are_mapped(&to);
    let skip = [&map[..], &["--on-missing-project", "skip"]].concat();
    let ran = shell.run(0, &skip);
    assert!(
        ran.stderr.contains("nothing to do, 3 unchanged, 1 skipped"),
        "{}",
        ran.stderr
    );
    let compare = [
        "compare",
        "--exit-code",
        "--owner",
        "map",
        "--on-missing-project",
        "skip",
    ];
    shell.run(0, &[&compare[..], &ends].concat());
    let mine = [&map[..], &["--on-missing-project", "mine"]].concat();
    shell.run(0, &mine);
    assert_eq!(to.owner(&id(4)), to.admin.project_id);
    let ran = shell.run(0, &mine);
    assert!(
        ran.stderr.contains("nothing to do, 4 unchanged"),
        "{}",
        ran.stderr
    );

    // Over an archive the same.
    other.wipe();
    shell.run(0, &["dump", ends[0], "archive"]);
    let load = [
        "load",
        "--owner",
        "map",
        "--on-missing-project",
        "skip",
        ends[1],
        "archive",
    ];
    shell.run(0, &load);
    are_mapped(&to);
    let ran = shell.run(0, &load);
    assert!(
        ran.stderr.contains("nothing to do, 3 unchanged, 1 skipped"),
        "{}",
        ran.stderr
    );

    // A name that two domains have is no project.
    std::fs::write(shell.path().with_file_name("map"), "Default/gone = beta\n").unwrap();
    let ambiguous = [&map[..], &["--project-map", "map"]].concat();
    shell.fail(
        2,
        &ambiguous,
        &["a project beta in each of the domains Default, other"],
    );
}

#[test]
fn members_that_sleep_at_a_real_target_do_not_wake() {
    let (one, two) = (Server::empty("region-one"), Server::empty("region-two"));
    let (from, to) = (
        Cloud::new("REGION_ONE", "KEYSTONE"),
        Cloud::new("REGION_TWO", "KEYSTONE"),
    );
    let (alice, bob) = (sign_in("alice", "alpha"), sign_in("bob", "beta"));
    let record = json!({
        "id": id(1), "name": "one", "owner": alice.project_id, "visibility": "shared",
        "disk_format": "raw", "container_format": "bare",
    });
    one.create_v2(&record, Some(bytes(1)));
    two.create_v2(&record, Some(bytes(1)));
    to.share(&id(1), &bob.project_id, "accepted");
    to.be(&id(1), "private");
    let shell = Shell::of_lab();
    let ran = shell.run(3, &["livecopy", "cloud:admin-one", "cloud:admin-two"]);
    assert!(ran.stderr.contains(&bob.project_id), "{}", ran.stderr);
    let record = two.record_v2(&id(1));
    assert_eq!(record["visibility"], "private");
    from.share(&id(1), &bob.project_id, "accepted");
    shell.run(0, &["livecopy", "cloud:admin-one", "cloud:admin-two"]);
    assert_eq!(
        to.members(&id(1)).get(&bob.project_id).map(String::as_str),
        Some("accepted")
    );

    // A member of the project may share the copy, and not accept for others.
    two.wipe();
    let ran = shell.run(0, &["livecopy", "cloud:alice-one", "cloud:alice-two"]);
    assert!(ran.stderr.contains("have to accept it"), "{}", ran.stderr);
    assert_eq!(
        to.members(&id(1)).get(&bob.project_id).map(String::as_str),
        Some("pending")
    );
    let ran = shell.run(0, &["livecopy", "cloud:alice-one", "cloud:alice-two"]);
    assert!(
        ran.stderr.contains("nothing to do, 1 unchanged"),
        "{}",
        ran.stderr
    );
}
