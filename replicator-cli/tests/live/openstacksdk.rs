//! Clouds as openstacksdk has them: it and the binary list the images of the same clouds, at a
//! Keystone and a Glance that keep a record of who signed in how, and where images were listed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::keystone::variable;
use crate::text;

/// No fewer are compared, or something is wrong with the comparison.
const LEAST_DEFINITIONS: usize = 250;
const LEAST_EQUAL: usize = 170;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    name: String,
    entry: Option<String>,
    clouds: Option<String>,
    secure: Option<String>,
    public: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    end: Option<String>,
    differs: Option<String>,
}

/// The deeds of one of the two: the last sign-in, and where images were listed. An endpoint without
/// a version is the same as one with it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    sign_in: Option<(String, Value)>,
    images: Option<String>,
}

/// The deeds of the two, by the number of the definition and whether it was openstacksdk.
type Record = Arc<Mutex<BTreeMap<(usize, bool), Seen>>>;

#[test]
fn clouds_are_what_openstacksdk_takes_them_for() {
    let file = include_str!("openstacksdk/definitions.yaml");
    let definitions: Vec<Definition> = serde_saphyr::from_str(file).unwrap();
    let runtime = Runtime::new().unwrap();
    let record = Record::default();
    let address = runtime.block_on(serve(Arc::clone(&record)));
    let directory = TempDir::new().unwrap();
    let places: Vec<Place> = (0..definitions.len())
        .map(|number| Place::new(number, &definitions[number], &address, directory.path()))
        .collect();
    let theirs = ask_openstacksdk(&places);
    let mut wrong = Vec::new();
    let mut equal = 0;
    for (number, definition) in definitions.iter().enumerate() {
        let place = &places[number];
        let (code, said) = place.ask_ours();
        let seen = |is_theirs| record.lock().unwrap().get(&(number, is_theirs)).cloned();
        let (they_saw, we_saw) = (
            seen(true).unwrap_or_default(),
            seen(false).unwrap_or_default(),
        );
        let they_took_it = theirs[number].is_none();
        let found = match (they_took_it, code == Some(0)) {
            (true, true) if they_saw == we_saw => "",
            (true, true) => "other",
            (true, false) => "refused",
            (false, true) => "wider",
            (false, false) => "",
        };
        let expected = definition.differs.as_deref().unwrap_or_default();
        let (expected, reason) = expected.split_once(": ").unwrap_or((expected, ""));
        let errors = said.lines().filter(|line| line.starts_with("error: "));
        let is_told = code == Some(0) || (errors.count() == 1 && matches!(code, Some(1 | 2 | 4)));
        if found != expected || reason.is_empty() != expected.is_empty() || !is_told {
            wrong.push(format!(
                "{}: {found:?} instead of {expected:?}\n  openstacksdk: {:?}\n    {they_saw:?}\n  \
                 ours: {code:?} {said}\n    {we_saw:?}",
                definition.name, theirs[number]
            ));
        }
        equal += usize::from(they_took_it && found.is_empty());
    }
    let count = definitions.len();
    eprintln!("{count} definitions, {equal} of them the same sign-in and endpoint");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count >= LEAST_DEFINITIONS && equal >= LEAST_EQUAL);
}

/// Where a definition is in force.
struct Place {
    directory: PathBuf,
    env: BTreeMap<String, String>,
    end: String,
}

impl Place {
    fn new(number: usize, definition: &Definition, address: &str, below: &Path) -> Self {
        let directory = below.join(number.to_string());
        let root = format!("http://{address}/{number}");
        let expand = |text: &str| {
            text.replace("$U$", "auth_url: $K3$, user_id: u, password: p")
                .replace("$P$", "project_id: q")
                .replace("$K3$", "$R$/identity/v3")
                .replace("$K$", "$R$/identity")
                .replace("$G$", "$R$/image")
                .replace("$R$", &root)
                .replace("$DIR$", directory.to_str().unwrap())
        };
        let entry = definition.entry.as_ref();
        let entry = entry.map(|entry| format!("clouds: {{a: {entry}}}"));
        let own = [
            ("clouds.yaml", entry.as_ref().or(definition.clouds.as_ref())),
            ("secure.yaml", definition.secure.as_ref()),
            ("clouds-public.yaml", definition.public.as_ref()),
        ];
        let own = own
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)));
        let files = definition.files.iter();
        fs::create_dir_all(directory.join("home")).unwrap();
        for (name, text) in own.chain(files.map(|(name, text)| (name.as_str(), text))) {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, expand(text)).unwrap();
        }
        // No test looks at the files of the machine.
        let home = directory.join("home").to_str().unwrap().to_owned();
        let mut env = BTreeMap::from([
            ("HOME".to_owned(), home),
            ("XDG_CONFIG_DIRS".to_owned(), "/nonexistent".to_owned()),
        ]);
        let variables = definition.env.iter();
        env.extend(variables.map(|(name, value)| (name.clone(), expand(value))));
        Self {
            directory,
            env,
            end: definition
                .end
                .clone()
                .unwrap_or_else(|| "cloud:a".to_owned()),
        }
    }

    fn ask_ours(&self) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_glance-replicator"))
            .env_clear()
            .env("GLANCE_REPLICATOR_LOG_FORMAT", "plain")
            .envs(&self.env)
            .current_dir(&self.directory)
            .args(["--progress", "none", "size", &self.end])
            .output()
            .unwrap();
        (output.status.code(), text(&output.stderr))
    }
}

/// The words of openstacksdk about each: none if all is well.
fn ask_openstacksdk(places: &[Place]) -> Vec<Option<String>> {
    let mut python = Command::new(variable("OPENSTACKSDK"))
        .arg("tests/live/openstacksdk/run.py")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = String::new();
    for place in places {
        let (cloud, region) = match place.end.strip_prefix("cloud:") {
            Some(cloud) => match cloud.split_once('/') {
                Some((cloud, region)) => (Some(cloud), Some(region)),
                None => (Some(cloud), None),
            },
            None => (None, None),
        };
        let line = json!({
            "directory": place.directory, "env": place.env, "cloud": cloud, "region": region,
        });
        lines += &format!("{line}\n");
    }
    let mut stdin = python.stdin.take().unwrap();
    let written = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = python.wait_with_output().unwrap();
    written.join().unwrap().unwrap();
    assert!(output.status.success());
    let answers = text(&output.stdout);
    let answers: Vec<Option<String>> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), places.len());
    answers
}

async fn serve(record: Record) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let authority = address.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (record, authority) = (Arc::clone(&record), authority.clone());
            let service =
                service_fn(move |request| answer(Arc::clone(&record), authority.clone(), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn answer(
    record: Record,
    authority: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let agent = head.headers.get("user-agent");
    let is_theirs = !agent.is_some_and(|agent| agent.to_str().unwrap().starts_with("glance-"));
    let path = head.uri.path().trim_end_matches('/');
    let mut parts = path.splitn(3, '/').skip(1);
    let number = parts
        .next()
        .unwrap_or_default()
        .parse()
        .unwrap_or(usize::MAX);
    let path = parts.next().unwrap_or_default();
    let root = format!("http://{authority}/{number}");
    let mut record = record.lock().unwrap();
    let seen = record.entry((number, is_theirs)).or_default();
    // Below any name but `other` there is a Keystone.
    let keystone = path.split_once('/').map_or(path, |(first, _)| first);
    let rest = path.strip_prefix(keystone).unwrap_or_default();
    let is_keystone = !["image", "other", ""].contains(&keystone);
    let version = |id: &str, url: &str| json!({"id": id, "status": "CURRENT", "links": [{"rel": "self", "href": url}]});
    let (status, body) = match (&head.method, rest) {
        (&Method::GET, "") if is_keystone => {
            let v3 = version("v3.14", &format!("{root}/{keystone}/v3/"));
            (300, json!({"versions": {"values": [v3]}}))
        }
        (&Method::GET, "/v3") if is_keystone => {
            let v3 = version("v3.14", &format!("{root}/{keystone}/v3/"));
            (200, json!({"version": v3}))
        }
        (&Method::POST, "/v3/auth/tokens") if is_keystone => {
            seen.sign_in = Some((path.to_owned(), body.clone()));
            token(&body, &root)
        }
        (&Method::GET, "/v3/auth/tokens") if is_keystone => {
            seen.sign_in = Some((path.to_owned(), Value::Null));
            token(&json!({"auth": {"scope": {}}}), &root)
        }
        (&Method::GET, rest) if keystone == "image" => {
            let (base, below) = match rest.split_once("/v2") {
                Some((base, below)) => (base, below),
                None => (rest.trim_end_matches("/versions"), ""),
            };
            if below == "/images" {
                seen.images = Some(base.to_owned());
            }
            let v2 = version("v2.9", &format!("{root}/image{base}/v2/"));
            match below {
                "/images" => (200, json!({"images": []})),
                "" => (300, json!({"versions": [v2]})),
                _ => (404, json!({})),
            }
        }
        _ => (
            404,
            json!({"error": {"code": 404, "message": "not here", "title": "x"}}),
        ),
    };
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("x-subject-token", "a-token");
    Ok(response.body(body.to_string().into()).unwrap())
}

/// Keystone's answer to a sign-in. It wants an id, or a name with its domain.
fn token(request: &Value, root: &str) -> (u16, Value) {
    let named = |of: &Value| {
        of.get("id").is_none() && (of.get("name").is_none() || of.get("domain").is_none())
    };
    let auth = &request["auth"];
    let users = auth["identity"].as_object().into_iter().flatten();
    let mut users = users.filter_map(|(_, method)| method.get("user"));
    if users.any(named) || auth.pointer("/scope/project").is_some_and(named) {
        return (
            400,
            json!({"error": {"code": 400, "message": "Expecting to find domain", "title": "x"}}),
        );
    }
    let endpoint = |region: &str, interface: &str, url: String| json!({"id": "e", "region": region, "region_id": region, "interface": interface, "url": url});
    let of_region = |region: &str, end: &str| {
        ["public", "internal", "admin"].map(|interface| {
            endpoint(
                region,
                interface,
                format!("{root}/image/{region}/{interface}{end}"),
            )
        })
    };
    let mut endpoints = [of_region("R1", ""), of_region("R2", "/v2")].concat();
    endpoints.push(endpoint("R3", "public", format!("{root}/image/R3/public")));
    let other = |name: &str| vec![endpoint("R1", "public", format!("{root}/image/{name}/v2"))];
    let catalog = json!([
        {"type": "identity", "id": "i", "name": "keystone", "endpoints": []},
        {"type": "image", "id": "g", "name": "glance", "endpoints": endpoints},
        {"type": "image", "id": "h", "name": "glance-two", "endpoints": other("two")},
        {"type": "picture", "id": "p", "name": "pictures", "endpoints": other("picture")},
    ]);
    let is_credential = auth.pointer("/identity/application_credential").is_some();
    let mut token = json!({
        "methods": ["password"], "user": {"id": "u", "name": "u", "domain": {"id": "d", "name": "d"}},
        "issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": "2099-01-01T00:00:00.000000Z",
    });
    // Without a scope there is no catalog.
    if is_credential || auth.get("scope").is_some() {
        token["catalog"] = catalog;
    }
    (201, json!({ "token": token }))
}
