//! One request and its answer: who asks, which fault befalls it, what is read of it.

use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::mpsc;

use super::caller::Caller;
use super::connection::{Ending, EndingSlot};
use super::content::{ImageContent, Stored, mix, store, take_head};
use super::fault::{FaultAction, Struck};
use super::listing::Query;
use super::log::{RequestKind, RequestRecord};
use super::reply::{Reply, Stop, refuse};
use super::sending::{DataBody, Sending};
use super::server::Shared;
use super::settings::Profile;
use super::state::{State, uuid_from};
use super::{v1, v2};

/// The most that is read of a body that is not image data.
const MAX_JSON_BYTES: usize = 8 * 1024 * 1024;

/// One request on its way through the server.
pub(super) struct Call {
    pub(super) shared: Arc<Shared>,
    pub(super) method: Method,
    pub(super) segments: Vec<String>,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) caller: Caller,
    body: Option<Incoming>,
    number: u64,
    received: u64,
    fault: Option<FaultAction>,
}

/// Why an upload did not arrive.
#[derive(Debug)]
pub(super) enum Broken {
    Cut,
    TooLarge,
    Store(io::Error),
}

/// Answers one request; an error closes the connection in the way that `ending` says.
pub(super) async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    ending: EndingSlot,
) -> io::Result<Response<DataBody>> {
    if !shared.settings.latency.is_zero() {
        tokio::time::sleep(shared.settings.latency).await;
    }
    let (head, body) = request.into_parts();
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    let path = head.uri.path().trim_start_matches('/');
    let segments: Vec<String> = path
        .split('/')
        .map(|part| {
            percent_encoding::percent_decode_str(part)
                .decode_utf8_lossy()
                .into_owned()
        })
        .collect();
    let (kind, image) = classify(&head.method, &segments, &head.headers);
    let number = shared.log.open(RequestRecord {
        kind,
        method: head.method.to_string(),
        target: target.clone(),
        headers: head.headers.clone(),
        body_bytes: 0,
        body: Bytes::new(),
        status: None,
    });
    let struck = Struck {
        kind,
        method: head.method.as_str(),
        target: &target,
        image: image.as_deref(),
    };
    let fault = shared.faults.strike(&struck);
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let mut call = Call {
        caller: Caller::admin(),
        method: head.method,
        segments,
        query,
        headers: head.headers,
        body: Some(body),
        number,
        received: 0,
        fault,
        shared,
    };

    let hang_up = |how: Option<Ending>| {
        *ending.lock().unwrap_or_else(PoisonError::into_inner) = how;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    };
    let mut outcome = match call.fault.clone() {
        Some(FaultAction::Close) => return hang_up(None),
        Some(FaultAction::Reset) => return hang_up(Some(Ending::Reset)),
        Some(FaultAction::Raw(bytes)) => return hang_up(Some(Ending::Raw(bytes))),
        Some(FaultAction::RawForever { start, repeated }) => {
            return hang_up(Some(Ending::RawForever(start, repeated)));
        }
        Some(FaultAction::Answer {
            status,
            headers,
            body,
        }) => {
            let content = ImageContent::bytes(body);
            let len = content.len_bytes();
            let headers = headers
                .into_iter()
                .map(|(name, value)| (name, value.into_bytes()))
                .collect();
            Ok(Reply {
                headers,
                content,
                len,
                ..Reply::empty(status)
            })
        }
        _ => call.route().await,
    };
    match call.fault {
        Some(FaultAction::LoseAnswer) => return hang_up(Some(Ending::Reset)),
        Some(FaultAction::FailAfterwards(status)) => outcome = refuse(status, "a fault on demand"),
        Some(FaultAction::ResetResponse(_)) => {
            *ending.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ending::Reset);
        }
        Some(FaultAction::CutRequest(count)) if call.received >= count => {
            return hang_up(Some(Ending::Reset));
        }
        _ => {}
    }
    let accept = call.header("accept").unwrap_or_default();
    let reply = match outcome {
        Ok(reply) => reply,
        Err(Stop::HangUp) => return hang_up(None),
        Err(Stop::Refuse(status, text)) => Reply::error(status, &text, &accept),
        Err(Stop::Detailed(status, text)) => Reply::detailed_error(status, &text, &accept),
        Err(Stop::RefuseWith(status, text, name, value)) => {
            Reply::error(status, &text, &accept).header(name, value)
        }
    };
    if reply.has_broken_head() {
        call.log_status(reply.status);
        let head = reply.broken_head();
        let is_head = call.method == Method::HEAD;
        let content = if is_head {
            ImageContent::zeros(0)
        } else {
            reply.content
        };
        return hang_up(Some(Ending::BrokenHead(head, content)));
    }
    Ok(call.respond(reply))
}

impl Call {
    async fn route(&mut self) -> Result<Reply, Stop> {
        let profile = self.shared.settings.profile;
        let first = self.segment(0).to_owned();
        match first.as_str() {
            "versions" => {
                return Ok(Reply::json(200, &profile.versions(&self.shared.url)));
            }
            "healthcheck" if profile == Profile::Today => {
                return Ok(Reply::text(200, "text/plain", "OK"));
            }
            _ if !profile.serves(&first) => {
                return Ok(Reply::json(300, &profile.versions(&self.shared.url)));
            }
            _ => {}
        }
        if first == "v1" && self.segments.len() == 1 {
            return Ok(Reply::empty(302).header("location", format!("{}/v1/", self.shared.url)));
        }
        self.authenticate()?;
        if first.starts_with("v1") {
            v1::route(self).await
        } else {
            v2::route(self).await
        }
    }

    fn authenticate(&mut self) -> Result<(), Stop> {
        let tokens = self
            .shared
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(tokens) = &*tokens else {
            return Ok(());
        };
        let token = self
            .headers
            .get("x-auth-token")
            .and_then(|token| token.to_str().ok());
        let Some(caller) = token.and_then(|token| tokens.get(token)) else {
            let keystone = "Keystone uri=\"http://127.0.0.1:5000\"".to_owned();
            let text = "This server could not verify that you are authorized to access the document you requested.";
            return Err(Stop::RefuseWith(
                401,
                text.to_owned(),
                "www-authenticate",
                keystone,
            ));
        };
        self.caller = caller.clone();
        Ok(())
    }

    /// Locks the images; never held across an await.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    pub(super) fn segment(&self, index: usize) -> &str {
        self.segments
            .get(index)
            .map(String::as_str)
            .unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// Whether a body comes, be it an empty chunked one.
    pub(super) fn has_body(&self) -> bool {
        self.headers.contains_key("transfer-encoding")
            || self.content_length().is_some_and(|length| length > 0)
    }

    pub(super) fn content_length(&self) -> Option<u64> {
        self.header("content-length")
            .and_then(|length| length.parse().ok())
    }

    /// Reads a body that is not image data.
    pub(super) async fn read_json(&mut self) -> Result<Value, Stop> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next_chunk().await.map_err(|_| Stop::HangUp)? {
            all.extend_from_slice(&chunk);
            if all.len() > MAX_JSON_BYTES {
                return refuse(413, "The request body is too large.");
            }
        }
        let body = Bytes::from(all);
        self.shared
            .log
            .update(self.number, |record| record.body = body.clone());
        serde_json::from_slice(&body).or_else(|_| refuse(400, "Malformed JSON in request body."))
    }

    /// Takes in image data, hashed and kept off the runtime's threads.
    pub(super) async fn receive(&mut self, most: u64) -> Result<Stored, Broken> {
        let settings = &self.shared.settings;
        if !settings.keeps_data {
            return self.receive_and_forget(most).await;
        }
        let (chunks, receiver) = mpsc::channel(16);
        let algorithm = settings.algorithm;
        let storing = tokio::task::spawn_blocking(move || store(receiver, algorithm));
        while let Some(chunk) = self.next_chunk().await? {
            if self.received > most {
                return Err(Broken::TooLarge);
            }
            // A store that failed says why when it is joined.
            if chunks.send(chunk).await.is_err() {
                break;
            }
        }
        drop(chunks);
        let stored = storing
            .await
            .map_err(|_| Broken::Store(io::Error::other("the store panicked")))?;
        stored.map_err(Broken::Store)
    }

    /// Takes in image data and counts it, as cheaply as can be.
    async fn receive_and_forget(&mut self, most: u64) -> Result<Stored, Broken> {
        let mut head = Vec::new();
        while let Some(chunk) = self.next_chunk().await? {
            if self.received > most {
                return Err(Broken::TooLarge);
            }
            take_head(&mut head, &chunk);
        }
        let len = self.received;
        let stated = self.shared.settings.stated.get(&len).cloned();
        Ok(Stored::forgotten(head, len, stated))
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Broken> {
        if let Some(FaultAction::StallRequest(after, pause)) = self.fault
            && self.received >= after
        {
            self.fault = None;
            rest(pause).await;
        }
        loop {
            let Some(body) = &mut self.body else {
                return Ok(None);
            };
            let Some(frame) = body.frame().await else {
                self.body = None;
                return Ok(None);
            };
            let Ok(chunk) = frame.map_err(|_| Broken::Cut)?.into_data() else {
                continue;
            };
            self.received += chunk.len() as u64;
            let received = self.received;
            self.shared
                .log
                .update(self.number, |record| record.body_bytes = received);
            if let Some(FaultAction::CutRequest(after)) = self.fault
                && received >= after
            {
                return Err(Broken::Cut);
            }
            if let Some(rate) = self.shared.settings.throttle {
                tokio::time::sleep(time_for(chunk.len(), rate)).await;
            }
            return Ok(Some(chunk));
        }
    }

    fn log_status(&self, status: u16) {
        self.shared
            .log
            .update(self.number, |record| record.status = Some(status));
    }

    fn respond(mut self, reply: Reply) -> Response<DataBody> {
        let status =
            StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.log_status(status.as_u16());
        let mut sending = Sending::new(
            reply.content,
            reply.start,
            reply.len,
            self.shared.settings.throttle,
        );
        if let Some(fault) = &self.fault {
            sending.befall(fault);
        }
        let declared = sending.declared();
        let no_content = status == StatusCode::NO_CONTENT;
        let bodiless = no_content || self.method == Method::HEAD;
        let body = if bodiless {
            DataBody::empty()
        } else {
            sending.into_body()
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in reply.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::from_bytes(&value))
            {
                headers.append(name, value);
            }
        }
        if !no_content && !headers.contains_key("content-length") {
            headers.insert("content-length", declared.into());
        }
        if let Some(FaultAction::ResetResponse(_)) = self.fault {
            headers.insert("connection", HeaderValue::from_static("close"));
        }
        let request_id = format!("req-{}", uuid_from(mix(self.number), mix(!self.number)));
        if let Ok(value) = HeaderValue::try_from(request_id) {
            headers.entry("x-openstack-request-id").or_insert(value);
        }
        if let Some(mut unread) = self.body.take().filter(|body| !body.is_end_stream()) {
            if self.segment(0).starts_with("v1") && !self.headers.contains_key("expect") {
                // The server of 2017 answers at once, then reads on and keeps the connection.
                tokio::spawn(async move { while let Some(Ok(_)) = unread.frame().await {} });
            } else {
                headers.insert("connection", HeaderValue::from_static("close"));
            }
        }
        response
    }
}

/// Waits, for ever without a duration.
pub(super) async fn rest(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// The time that `count` bytes take at `rate` bytes a second.
pub(super) fn time_for(count: usize, rate: u64) -> Duration {
    let nanos = (count as u64).saturating_mul(1_000_000_000) / rate.max(1);
    Duration::from_nanos(nanos)
}

fn classify(
    method: &Method,
    segments: &[String],
    headers: &HeaderMap,
) -> (RequestKind, Option<String>) {
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let with_data =
        header("content-type").is_some_and(|kind| kind.starts_with("application/octet-stream"));
    let write = |plain| {
        if with_data {
            RequestKind::Upload
        } else {
            plain
        }
    };
    let v1 = parts.first().is_some_and(|first| first.starts_with("v1"));
    let v2 = parts.first().is_some_and(|first| first.starts_with("v2"));
    match (method.as_str(), parts.get(1..).unwrap_or_default()) {
        _ if !v1 && !v2 => (RequestKind::Versions, None),
        (_, [""] | []) => (RequestKind::Versions, None),
        ("GET", ["images"]) => (RequestKind::Listing, None),
        ("GET", ["images", "detail"]) if v1 => (RequestKind::Listing, None),
        ("POST", ["images"]) if v1 => (write(RequestKind::Create), header("x-image-meta-id")),
        ("POST", ["images"]) => (RequestKind::Create, None),
        ("HEAD", ["images", id]) if v1 => (RequestKind::Show, Some((*id).to_owned())),
        ("GET", ["images", id]) if v1 => (RequestKind::Download, Some((*id).to_owned())),
        ("PUT", ["images", id]) if v1 => (write(RequestKind::Update), Some((*id).to_owned())),
        ("GET", ["images", id]) => (RequestKind::Show, Some((*id).to_owned())),
        ("PATCH", ["images", id]) => (RequestKind::Update, Some((*id).to_owned())),
        ("DELETE", ["images", id]) => (RequestKind::Delete, Some((*id).to_owned())),
        ("GET", ["images", id, "file"]) => (RequestKind::Download, Some((*id).to_owned())),
        ("PUT", ["images", id, "file"]) => (RequestKind::Upload, Some((*id).to_owned())),
        (_, ["images", id, ..]) => (RequestKind::Other, Some((*id).to_owned())),
        _ => (RequestKind::Other, None),
    }
}
