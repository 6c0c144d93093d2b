//! Metadata definitions, which Images v2 has.

use glance_model::{Namespace, NamespaceChange, Part};
use http::Method;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use crate::http::Request;
use crate::session::Session;
use crate::{ApiVersion, Error, ErrorKind, GlanceClient};

/// The path of the namespaces.
const NAMESPACES: &str = "/v2/metadefs/namespaces";
/// The most namespaces of a page of a listing.
const PAGE: u32 = 1000;

#[derive(Deserialize)]
struct Page {
    namespaces: Vec<Listed>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    namespace: String,
}

impl GlanceClient {
    /// Lists the names of the namespaces of metadata definitions that the token may see, in order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotGlance`] if the server speaks v1 alone, which has none.
    pub async fn metadef_namespaces(&self) -> Result<Vec<String>, Error> {
        let session = with_v2(self)?;
        let mut names: Vec<String> = Vec::new();
        loop {
            let marker = names
                .last()
                .map(|last| format!("&marker={}", encoded(last)));
            let marker = marker.unwrap_or_default();
            let request = Request::get(format!("{NAMESPACES}?limit={PAGE}{marker}"));
            let page: Page = session.http.send(&request).await?.json().await?;
            let is_last = page.next.is_none() || page.namespaces.is_empty();
            names.extend(page.namespaces.into_iter().map(|listed| listed.namespace));
            if is_last {
                names.sort_unstable();
                names.dedup();
                return Ok(names);
            }
        }
    }

    /// Reads a namespace with all that it defines; `None` if there is none, or the token does
    /// not see it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidAnswer`] if what is there is no namespace.
    pub async fn metadef_namespace(&self, name: &str) -> Result<Option<Namespace>, Error> {
        let request = Request::get(path(&[name]));
        match with_v2(self)?.http.send(&request).await {
            Ok(answer) => Ok(Some(answer.json().await?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a namespace with all that it defines, in one request. One that fails may leave a
    /// part of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if there is one of that name.
    pub async fn create_metadef_namespace(&self, namespace: &Namespace) -> Result<(), Error> {
        let body = Value::from(namespace.clone());
        send(self, Method::POST, NAMESPACES.to_owned(), Some(&body)).await
    }

    /// Makes a change of a namespace that is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] if the token may not: it takes an administrator's.
    pub async fn change_metadef_namespace(
        &self,
        name: &str,
        change: &NamespaceChange,
    ) -> Result<(), Error> {
        let put = async |kind, part: &Part| {
            let (method, path) = match part.is_new {
                true => (Method::POST, path(&[name, kind])),
                false => (Method::PUT, path(&[name, kind, &part.name])),
            };
            send(self, method, path, Some(&part.body)).await
        };
        match change {
            NamespaceChange::Fields { body, .. } => {
                let body = Value::Object(body.clone());
                send(self, Method::PUT, path(&[name]), Some(&body)).await
            }
            NamespaceChange::Property(part) => put("properties", part).await,
            NamespaceChange::Object(part) => put("objects", part).await,
            NamespaceChange::Tags { body, .. } => {
                send(self, Method::POST, path(&[name, "tags"]), Some(body)).await
            }
            NamespaceChange::ResourceType(part) => {
                // It can only be made anew.
                if !part.is_new {
                    let path = path(&[name, "resource_types", &part.name]);
                    send(self, Method::DELETE, path, None).await?;
                }
                let path = path(&[name, "resource_types"]);
                send(self, Method::POST, path, Some(&part.body)).await
            }
            _ => Ok(()),
        }
    }
}

fn with_v2(client: &GlanceClient) -> Result<&Session, Error> {
    if client.version() == ApiVersion::V1 {
        let error = Error::new(
            ErrorKind::NotGlance,
            &Method::GET,
            client.endpoint().as_str(),
        );
        return Err(error.with_message("Images v1 has no metadata definitions"));
    }
    Ok(client.session())
}

async fn send(
    client: &GlanceClient,
    method: Method,
    path: String,
    body: Option<&Value>,
) -> Result<(), Error> {
    let mut request = Request::new(method, path);
    if let Some(body) = body {
        request = request.json("application/json", body);
    }
    with_v2(client)?.http.send(&request).await?;
    Ok(())
}

/// Returns the path of a namespace, or of a part of it.
fn path(parts: &[&str]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| encoded(part)).collect();
    format!("{NAMESPACES}/{}", parts.join("/"))
}

/// Writes a name as a segment of a path, or as a value of a query.
fn encoded(name: &str) -> String {
    let mut url = Url::parse("http://host").ok();
    if let Some(Ok(mut segments)) = url.as_mut().map(Url::path_segments_mut) {
        segments.clear().push(name);
    }
    let path = url.map(|url| url.path().to_owned()).unwrap_or_default();
    let path = path.strip_prefix('/').unwrap_or(&path);
    // A query has more signs of its own.
    path.replace('&', "%26").replace('+', "%2B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment_of_a_path() {
        assert_eq!(
            path(&["OS::Compute"]),
            "/v2/metadefs/namespaces/OS::Compute"
        );
        assert_eq!(
            path(&["a b/c", "tags"]),
            "/v2/metadefs/namespaces/a%20b%2Fc/tags"
        );
        assert_eq!(encoded("a&b+c#d?e%f"), "a%26b%2Bc%23d%3Fe%25f");
    }
}
