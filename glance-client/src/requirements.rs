//! What a server requires of the metadata of images, and what it refuses in it.

use glance_model::Requirements;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::Error;
use crate::api::PATCH_TYPE;
use crate::http::Request;
use crate::session::Session;

/// The properties, the tags and the members that an image may have where nothing else is set
/// (`image_property_quota` and so on in `glance/common/config.py`). No server says it.
const USUAL_MOST: usize = 128;

/// An image that there is not, and a change of a property that it does not have.
const NO_IMAGE: &str = "/v2/images/00000000-0000-0000-0000-000000000000";
const NO_PROPERTY: &str = "/glance_replicator_asks";

impl Session {
    /// Asks for the schema of images, through v2. A server that does not answer is not known to
    /// require anything.
    pub(crate) async fn requirements(&self) -> Requirements {
        let mut requirements = match self.dialect.schema() {
            Some(schema) => match self.ask(&schema).await {
                Ok(schema) => Requirements::of_schema(&schema),
                Err(error) => {
                    tracing::info!(%error, "what the server requires of images is not known");
                    Requirements::default()
                }
            },
            None => Requirements::default(),
        };
        requirements.refuses_4_byte_characters = true;
        requirements.usual_most = Some(USUAL_MOST);
        if requirements.requires_any() {
            requirements.requires_in_updates = self.requires_in_updates().await;
        }
        requirements
    }

    async fn ask(&self, request: &Request) -> Result<Value, Error> {
        let mut failed = 0;
        loop {
            match self.http.send(request).await {
                Ok(answer) => return answer.json().await,
                Err(error) => {
                    failed += 1;
                    self.http.before_retry(failed, error).await?;
                }
            }
        }
    }

    /// Returns whether the server looks for required properties in each change: Glance 33 looks
    /// for them before it looks for the image, so that an image which is not there tells.
    async fn requires_in_updates(&self) -> bool {
        let change = json!([{ "op": "replace", "path": NO_PROPERTY, "value": "" }]);
        let request = Request::new(Method::PATCH, NO_IMAGE).json(PATCH_TYPE, &change);
        let answer = self.http.send(&request).await;
        answer.is_err_and(|error| error.status() == Some(StatusCode::BAD_REQUEST))
    }
}
