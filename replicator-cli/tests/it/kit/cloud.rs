//! A cloud: an embedded Keystone, and embedded Glances in two regions.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;

use glance_client::testing::{Caller, EmbeddedGlance, EmbeddedKeystone, ImageContent, ImageSpec};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::kit::program::{Ran, program};

/// The id of the image in region `One`.
pub(crate) const ID: &str = "00000000-0000-4000-8000-000000000001";
/// Credentials that the Keystone takes.
pub(crate) const AUTH: &str = "username: alice, password: right, project_name: alpha";

/// A cloud `c` with the regions `One` and `Two`; the first has an image.
pub(crate) struct Lab {
    pub(crate) keystone: EmbeddedKeystone,
    pub(crate) one: EmbeddedGlance,
    pub(crate) two: EmbeddedGlance,
    pub(crate) home: TempDir,
    _runtime: Runtime,
}

impl Lab {
    /// Starts it, with these credentials in its clouds.yaml.
    pub(crate) fn new(auth: &str) -> Self {
        Self::as_one(auth, "admin", &Caller::admin())
    }

    /// Starts it for a member of the project `p1`, whose is the image.
    pub(crate) fn of_member() -> Self {
        Self::as_one(AUTH, "member", &Caller::member("p1"))
    }

    /// Starts it for a reader of that project.
    pub(crate) fn of_reader() -> Self {
        Self::as_one(AUTH, "reader", &Caller::reader("p1"))
    }

    fn as_one(auth: &str, role: &str, caller: &Caller) -> Self {
        let runtime = Runtime::new().unwrap();
        let keystone = runtime.block_on(EmbeddedKeystone::start());
        let glance = || {
            let right = EmbeddedGlance::builder().token("right", caller.clone());
            let glance = (1..100).fold(right, |glance, number| {
                glance.token(&format!("token-{number}"), caller.clone())
            });
            glance.start_blocking().unwrap()
        };
        let (one, two) = (glance(), glance());
        let image = ImageSpec::new(ID).data(ImageContent::pattern(1, 2000));
        one.add_image(match &caller.project {
            Some(project) => image.owner(project),
            None => image,
        });
        let endpoint = |region: &str, glance: &EmbeddedGlance| {
            let url = format!("http://{}", glance.host_port());
            json!({"interface": "public", "region_id": region, "region": region, "url": url})
        };
        keystone.state().roles = vec![role.to_owned()];
        keystone.state().catalog = json!([{"type": "image", "name": "glance", "endpoints": [
            endpoint("One", &one),
            endpoint("Two", &two),
        ]}]);
        let home = TempDir::new().unwrap();
        let url = &keystone.url;
        let clouds = format!("clouds: {{c: {{auth: {{auth_url: '{url}/identity/v3', {auth}}}}}}}");
        fs::write(home.path().join("clouds.yaml"), clouds).unwrap();
        Self {
            keystone,
            one,
            two,
            home,
            _runtime: runtime,
        }
    }

    /// Runs the program where the clouds.yaml is.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    /// Runs it with variables.
    pub(crate) fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let ran = program()
            .current_dir(self.home.path())
            .envs(variables.iter().copied())
            .args(args)
            .output()
            .unwrap();
        let ran = Ran::from(ran);
        assert!(!ran.stderr.contains("panicked"), "{args:?}: {ran:?}");
        ran
    }

    /// Copies from region `One` to region `Two`.
    pub(crate) fn livecopy(&self) -> Ran {
        self.run(&["-d", "livecopy", "cloud:c/One", "cloud:c/Two"])
    }
}
