//! A Keystone of few words, for tests.

use std::collections::VecDeque;
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

/// Takes every credential whose secret is `right`, and gives tokens `token-1`,
/// `token-2`, ...
pub(super) struct FakeKeystone {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(super) struct State {
    /// The bodies of all that came, in order.
    pub(super) seen: Vec<Value>,
    /// What is answered before all is well: a status, and how long to wait.
    pub(super) faults: VecDeque<(u16, Option<u64>)>,
    pub(super) life: Duration,
    /// How far its clock is behind ours.
    pub(super) behind: Duration,
    pub(super) issued: usize,
    pub(super) catalog: Value,
}

impl FakeKeystone {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            life: Duration::from_secs(3600),
            catalog: catalog(),
            ..State::default()
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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
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
    state: Arc<Mutex<State>>,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut state = state.lock().unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    state.seen.push(body.clone());
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
            "project": {"id": "p1", "name": "alpha"}, "roles": [{"id": "r1", "name": "member"}],
            "catalog": state.catalog,
        }}),
    );
    response
        .headers_mut()
        .insert("x-subject-token", token.parse().unwrap());
    Ok(response)
}
