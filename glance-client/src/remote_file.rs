//! A file of a web server that holds the data of an image.

use std::fmt;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use glance_model::ImageId;
use http::{HeaderValue, Method, StatusCode, header};
use replicator_core::{ImageData, ImageFile, Operation, PortError};
use reqwest::Url;

use crate::failure::port_error;
use crate::http::{Answer, Http, Request};
use crate::{ClientConfig, Download, Endpoint, EndpointProblem, Error, ErrorKind, InvalidEndpoint};

/// The most redirects that are followed for one answer.
const MOST_REDIRECTS: usize = 10;

/// A file of a web server that holds the data of an image. No token is sent.
///
/// Redirects are followed, but not from HTTPS to plain HTTP. Where the server can, a file that
/// breaks off is read on in its middle.
#[derive(Clone)]
pub struct RemoteFile {
    url: Url,
    config: ClientConfig,
}

impl RemoteFile {
    /// Takes the URL of a file.
    ///
    /// # Errors
    ///
    /// [`InvalidEndpoint`] if the URL is none of HTTP, or has a user name in it.
    pub fn new(url: &str) -> Result<Self, InvalidEndpoint> {
        let (origin, _) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
        let endpoint = Endpoint::parse(origin)?;
        // What the endpoint is made of is a URL.
        let Ok(url) = Url::parse(url) else {
            return Err(Endpoint::invalid(origin, EndpointProblem::Host));
        };
        let config = ClientConfig::new(endpoint);
        Ok(Self { url, config })
    }

    /// The timeouts, limits and certificates by which it is read. Endpoint and tokens have no
    /// effect.
    pub fn config_mut(&mut self) -> &mut ClientConfig {
        &mut self.config
    }

    /// Returns the last part of the path: the name of the file.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let mut parts = self.url.path_segments()?;
        parts.next_back().filter(|name| !name.is_empty())
    }

    async fn download(&self, offset_bytes: u64) -> Result<Download, Error> {
        let range = HeaderValue::from_str(&format!("bytes={offset_bytes}-")).ok();
        let range = range.filter(|_| offset_bytes > 0);
        let (http, answer) = match self.answer(range.as_ref()).await {
            Err(error) if range.is_some() && error.status().is_some_and(is_of_range) => {
                self.answer(None).await?
            }
            answer => answer?,
        };
        let begins_at = match answer.response.status() {
            StatusCode::PARTIAL_CONTENT if answer.first_byte() != Some(offset_bytes) => {
                let what = "it begins at another byte than asked for";
                return Err(answer.error(ErrorKind::InvalidAnswer, what));
            }
            StatusCode::PARTIAL_CONTENT => offset_bytes,
            _ => 0,
        };
        Ok(Download::new(begins_at, answer, http.limits()))
    }

    async fn answer(&self, range: Option<&HeaderValue>) -> Result<(Http, Answer), Error> {
        let mut url = self.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let (http, request) = self.at(&url)?;
            let request = match range {
                Some(range) => request.header(header::RANGE, range.clone()),
                None => request,
            };
            let answer = http.send_for_any(&request).await?;
            if !answer.response.status().is_redirection() {
                return Ok((http, answer.successful().await?));
            }
            let next = answer.response.headers().get(header::LOCATION);
            let next = next.and_then(|next| url.join(next.to_str().ok()?).ok());
            url = match next {
                Some(next) if is_as_safe(&url, &next) => next,
                _ => {
                    let what = "it redirects to where it is not followed";
                    return Err(answer.error(ErrorKind::Rejected, what));
                }
            };
        }
        let what = format!("it redirects more than {MOST_REDIRECTS} times");
        let error = Error::new(ErrorKind::Rejected, &Method::GET, &shown(&self.url));
        Err(error.with_message(what))
    }

    /// Returns a client of the server of a URL, and the request for it.
    fn at(&self, url: &Url) -> Result<(Http, Request), Error> {
        let origin = url.origin().ascii_serialization();
        let invalid = |error: InvalidEndpoint| {
            Error::new(ErrorKind::InvalidRequest, &Method::GET, &shown(url)).with_source(error)
        };
        let mut config = self.config.clone();
        config.endpoint = Endpoint::parse(&origin).map_err(invalid)?;
        config.tokens = None;
        let mut path = url.path().to_owned();
        if let Some(query) = url.query() {
            path = format!("{path}?{query}");
        }
        Ok((Http::new(&config)?, Request::get(path)))
    }
}

/// The URL without its query, which may be a secret.
impl fmt::Display for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.url))
    }
}

impl fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteFile")
            .field(&shown(&self.url))
            .finish()
    }
}

#[async_trait]
impl ImageFile for RemoteFile {
    async fn open(&self, id: &ImageId, offset_bytes: u64) -> Result<ImageData, PortError> {
        let id = *id;
        let failed = move |error: Error| {
            // That there is no such file says nothing of an image.
            let error = match error.kind() {
                ErrorKind::NotFound => error.with_kind(ErrorKind::Rejected),
                _ => error,
            };
            port_error(error.without_query(), Operation::ReadData(id))
        };
        let download = self.download(offset_bytes).await.map_err(failed)?;
        let chunks = download.chunks.map_err(failed);
        Ok(ImageData::new(download.len_bytes, chunks).with_offset(download.offset_bytes))
    }
}

fn is_as_safe(from: &Url, to: &Url) -> bool {
    to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http")
}

fn is_of_range(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 416)
}

fn shown(url: &Url) -> String {
    let text = url.as_str();
    text.split(['?', '#']).next().unwrap_or(text).to_owned()
}
