//! One request on its way through the server: what is read of it, and how its answer is put together.

use std::io;
use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::mpsc;

use super::caller::Caller;
use super::content::{Stored, mix, store, take_head};
use super::fault::FaultAction;
use super::listing::Query;
use super::pace::{rest, time_for};
use super::reply::{Reply, Stop, refuse};
use super::sending::{DataBody, Sending};
use super::shared::Shared;
use super::state::{State, uuid_from};

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
    pub(super) body: Option<Incoming>,
    pub(super) number: u64,
    pub(super) received: u64,
    pub(super) fault: Option<FaultAction>,
}

/// The reason why an upload did not arrive.
#[derive(Debug)]
pub(super) enum Broken {
    Cut,
    TooLarge,
    Store(io::Error),
}

impl Call {
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

    pub(super) fn log_status(&self, status: u16) {
        self.shared
            .log
            .update(self.number, |record| record.status = Some(status));
    }

    pub(super) fn respond(mut self, reply: Reply) -> Response<DataBody> {
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
