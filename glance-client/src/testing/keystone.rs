//! A Keystone of few words.
#![expect(clippy::unwrap_used, reason = "a test can do nothing about it")]

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A Keystone at `URL/identity`, on the runtime of its caller. It takes every credential whose
/// secret is `right`, and gives the tokens `token-1`, `token-2`, ...
#[derive(Debug)]
pub struct EmbeddedKeystone {
    /// The server, such as `http://127.0.0.1:40124`.
    pub url: String,
    state: Arc<Mutex<KeystoneState>>,
}

/// The state of an embedded Keystone, to be read and changed by a test.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct KeystoneState {
    /// The bodies of all requests for tokens, in order.
    pub seen: Vec<Value>,
    /// The refusals before all is well: each a status, and the seconds of `Retry-After`.
    pub faults: VecDeque<(u16, Option<u64>)>,
    /// The life of a token.
    pub life: Duration,
    /// The time by which its clock is behind ours.
    pub behind: Duration,
    /// The number of tokens that were given.
    pub issued: usize,
    /// The catalog that comes with a token.
    pub catalog: Value,
    /// The project that its tokens are for: id and name, in the domain `Default`.
    pub project: (String, String),
    /// The roles of its users.
    pub roles: Vec<String>,
    /// The projects that it has: id, name and domain.
    pub projects: Vec<(String, String, String)>,
    /// The number of lists of projects that it has given out.
    pub listed: usize,
}

impl EmbeddedKeystone {
    /// Starts one, in whose catalog are images of two regions.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(KeystoneState {
            life: Duration::from_secs(3600),
            catalog: catalog(),
            project: ("p1".to_owned(), "alpha".to_owned()),
            roles: vec!["member".to_owned()],
            ..KeystoneState::default()
        }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self { url, state }
    }

    /// Starts one in whose catalog are the images at `url` alone.
    pub async fn start_for(url: &str) -> Self {
        let keystone = Self::start().await;
        keystone.state().catalog = json!([{"type": "image", "name": "glance", "endpoints": [
            {"id": "x", "interface": "public", "region_id": "RegionOne", "url": url},
        ]}]);
        keystone
    }

    /// Returns its state.
    ///
    /// # Panics
    ///
    /// If a test has panicked while it held the state.
    pub fn state(&self) -> MutexGuard<'_, KeystoneState> {
        self.state.lock().unwrap()
    }
}

fn catalog() -> Value {
    let endpoint = |interface: &str, region: &str, url: &str| json!({"id": "x", "interface": interface, "region_id": region, "region": region, "url": url});
    json!([
        {"type": "identity", "name": "keystone", "endpoints": [endpoint("public", "Elsewhere", "http://k")]},
        {"type": "image", "name": null, "id": "y", "endpoints": [
            endpoint("public", "RegionOne", "http://one.example:9292"),
            endpoint("internal", "RegionOne", "http://one.internal:9292/image/v2/"),
            endpoint("public", "RegionTwo", "https://two.example/image/v2"),
        ]},
    ])
}

async fn answer(
    state: Arc<Mutex<KeystoneState>>,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut state = state.lock().unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if head.uri.path().ends_with("/tokens") {
        state.seen.push(body.clone());
    }
    let json = |status: u16, body: Value| {
        Response::builder()
            .status(status)
            .header("x-openstack-request-id", "req-1")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap()
    };
    let refusal = |status: u16| {
        json(
            status,
            json!({"error": {"code": status, "message": "Keystone's words", "title": "x"}}),
        )
    };
    if let Some((status, retry_after)) = state.faults.pop_front() {
        let mut response = refusal(status);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert("retry-after", seconds.into());
        }
        return Ok(response);
    }
    let is_admin = state.roles.iter().any(|role| role == "admin");
    match head.uri.path() {
        "/identity/v3/projects" | "/identity/v3/domains" if !is_admin => return Ok(refusal(403)),
        "/identity/v3/projects" => {
            state.listed += 1;
            let projects = state.projects.iter();
            let projects = projects.map(|(id, name, domain)| {
                json!({"id": id, "name": name, "domain_id": format!("id-of-{domain}")})
            });
            let projects: Vec<_> = projects.collect();
            return Ok(json(
                200,
                json!({"projects": projects, "links": {"next": null}}),
            ));
        }
        "/identity/v3/auth/projects" => {
            let (id, name) = &state.project;
            let own = json!({"id": id, "name": name, "domain_id": "id-of-Default"});
            return Ok(json(200, json!({"projects": [own]})));
        }
        "/identity/v3/domains" => {
            let domains: BTreeSet<_> = state.projects.iter().map(|(.., domain)| domain).collect();
            let domain = |name: &String| json!({"id": format!("id-of-{name}"), "name": name});
            let domains: Vec<_> = domains.into_iter().map(domain).collect();
            return Ok(json(200, json!({"domains": domains})));
        }
        _ => {}
    }
    if head.uri.path() != "/identity/v3/auth/tokens" {
        return Ok(json(404, json!({})));
    }
    let text = body.to_string();
    let own = head
        .headers
        .get("x-subject-token")
        .map(|token| token.to_str().unwrap().to_owned());
    let is_right = text.contains("\"right\"") || own.as_deref() == Some("right");
    if !is_right {
        return Ok(refusal(if own.is_some() { 404 } else { 401 }));
    }
    state.issued += 1;
    let token = own.unwrap_or_else(|| format!("token-{}", state.issued));
    let issued_at = Timestamp::now() - state.behind;
    let expires_at = issued_at + state.life;
    let mut response = json(
        201,
        json!({"token": {
            "methods": ["password"], "issued_at": issued_at.to_string(), "expires_at": expires_at.to_string(),
            "user": {"id": "u1", "name": "alice", "domain": {"id": "default"}},
            "project": {
                "id": state.project.0, "name": state.project.1,
                "domain": {"id": "id-of-Default", "name": "Default"},
            },
            "roles": state.roles.iter().map(|name| json!({"id": "r1", "name": name})).collect::<Vec<_>>(),
            "catalog": state.catalog,
        }}),
    );
    response
        .headers_mut()
        .insert("x-subject-token", token.parse().unwrap());
    Ok(response)
}
