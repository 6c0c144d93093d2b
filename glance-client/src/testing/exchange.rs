//! One request and its answer: who asks, which fault befalls it, who answers it.

use std::io;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Method, Request, Response};
use hyper::body::Incoming;

use super::call::Call;
use super::caller::Caller;
use super::content::ImageContent;
use super::ending::{Ending, EndingSlot};
use super::fault::{FaultAction, Struck};
use super::listing::Query;
use super::log::{RequestKind, RequestRecord};
use super::reply::{Reply, Stop, refuse};
use super::sending::DataBody;
use super::settings::Profile;
use super::shared::Shared;
use super::{v1, v2};

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
        _ => route(&mut call).await,
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

async fn route(call: &mut Call) -> Result<Reply, Stop> {
    let profile = call.shared.settings.profile;
    let first = call.segment(0).to_owned();
    match first.as_str() {
        "versions" => {
            return Ok(Reply::json(200, &profile.versions(&call.shared.url)));
        }
        "healthcheck" if profile == Profile::Today => {
            return Ok(Reply::text(200, "text/plain", "OK"));
        }
        _ if !profile.serves(&first) => {
            return Ok(Reply::json(300, &profile.versions(&call.shared.url)));
        }
        _ => {}
    }
    if first == "v1" && call.segments.len() == 1 {
        return Ok(Reply::empty(302).header("location", format!("{}/v1/", call.shared.url)));
    }
    authenticate(call)?;
    if first.starts_with("v1") {
        v1::route(call).await
    } else {
        v2::route(call).await
    }
}

fn authenticate(call: &mut Call) -> Result<(), Stop> {
    let tokens = call
        .shared
        .tokens
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let Some(tokens) = &*tokens else {
        return Ok(());
    };
    let token = call
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
    call.caller = caller.clone();
    // Older servers know no such role.
    call.caller.reader &= call.shared.settings.profile == Profile::Today;
    Ok(())
}

/// Returns the kind of a request, and the image that it is about.
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
