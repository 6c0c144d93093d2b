//! The embedded Glance behaves as the real servers were seen to behave.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

mod faults;
mod lifecycle;
mod listings;
mod members;
mod v1;
mod v2;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use glance_client::testing::{
    EmbeddedGlance, EmbeddedGlanceBuilder, ImageContent, ImageSpec, Profile,
};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde_json::Value;

const PATCH_TYPE: &str = "application/openstack-images-v2.1-json-patch";

/// A server and a client without any comfort.
struct Lab {
    glance: EmbeddedGlance,
    http: Client,
}

impl Lab {
    fn new(builder: EmbeddedGlanceBuilder) -> Self {
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            glance: builder.start_blocking().unwrap(),
            http,
        }
    }

    fn today() -> Self {
        Self::new(EmbeddedGlance::builder())
    }

    fn legacy() -> Self {
        Self::new(EmbeddedGlance::builder().profile(Profile::Legacy))
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = Url::parse(&format!("{}{path}", self.glance.url())).unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http
            .request(method, url)
            .header("accept", "application/json")
    }

    async fn send(&self, method: &str, path: &str) -> Response {
        self.request(method, path).send().await.unwrap()
    }

    async fn status(&self, method: &str, path: &str) -> u16 {
        self.send(method, path).await.status().as_u16()
    }

    /// The status that the owner of a token gets.
    async fn status_as(&self, token: &str, method: &str, path: &str) -> u16 {
        let request = self.request(method, path).header("x-auth-token", token);
        request.send().await.unwrap().status().as_u16()
    }

    async fn get_json(&self, path: &str) -> Value {
        let response = self.send("GET", path).await;
        assert_eq!(response.status(), 200, "{path}");
        json_of(response).await
    }

    async fn create(&self, body: &Value) -> Response {
        self.request("POST", "/v2/images")
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }

    async fn patch(&self, id: &str, body: &Value) -> u16 {
        let request = self.request("PATCH", &format!("/v2/images/{id}"));
        let request = request
            .header("content-type", PATCH_TYPE)
            .body(body.to_string());
        request.send().await.unwrap().status().as_u16()
    }

    fn upload(&self, id: &str, data: impl Into<reqwest::Body>) -> RequestBuilder {
        let request = self.request("PUT", &format!("/v2/images/{id}/file"));
        request
            .header("content-type", "application/octet-stream")
            .body(data)
    }

    async fn upload_status(&self, id: &str, data: &'static [u8]) -> u16 {
        self.upload(id, data)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    fn field(&self, id: &str, name: &str) -> Value {
        self.glance
            .image(id)
            .unwrap()
            .field(name)
            .cloned()
            .unwrap_or_default()
    }

    fn status_of(&self, id: &str) -> String {
        self.glance.image(id).unwrap().status
    }

    /// Waits for what happens after a connection broke.
    async fn wait_for_status(&self, id: &str, status: &str) {
        let begin = Instant::now();
        while self.status_of(id) != status {
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "{id} is {}",
                self.status_of(id)
            );
            tokio::task::yield_now().await;
        }
    }

    fn v1_post(&self, headers: &[(&str, &str)]) -> RequestBuilder {
        headers.iter().fold(
            self.request("POST", "/v1/images"),
            |request, (name, value)| {
                request.header(format!("x-image-meta-{name}"), value.as_bytes())
            },
        )
    }

    async fn ids(&self, path: &str) -> Vec<String> {
        let page = self.get_json(path).await;
        page["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|image| image["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Sends these bytes, closes the sending side, and returns what comes back.
    fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.glance.host_port()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

fn active(id: &str) -> ImageSpec {
    ImageSpec::new(id)
        .name("active")
        .data(ImageContent::pattern(1, 100_000))
}

fn bytes_of(id: &str, lab: &Lab) -> Vec<u8> {
    lab.glance
        .image(id)
        .unwrap()
        .content
        .unwrap()
        .to_vec()
        .unwrap()
}
