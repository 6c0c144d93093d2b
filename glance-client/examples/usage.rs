//! Prints how much each project of a cloud keeps in images: `usage CLOUD`, an entry of clouds.yaml.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write as _};

use futures_util::TryStreamExt as _;
use glance_client::GlanceClient;
use glance_client::cloud::{Cloud, CloudOptions, Environment};
use glance_model::Selection;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args()
        .nth(1)
        .ok_or("which cloud of clouds.yaml?")?;
    let env: Environment = std::env::vars().collect();
    let cloud = Cloud::named(&name, None, &CloudOptions::default(), &env)?;
    let glance = GlanceClient::connect(&cloud.sign_in().await?.config()).await?;

    let active = Selection::default().with("status=active".parse()?);
    let mut projects = BTreeMap::<String, (u64, u64)>::new();
    let mut images = glance.selected_images(&active);
    while let Some(image) = images.try_next().await? {
        let (count, bytes) = projects.entry(image.owner.unwrap_or_default()).or_default();
        *count += 1;
        *bytes += image.size.unwrap_or_default();
    }
    let mut stdout = io::stdout();
    for (project, (count, bytes)) in projects {
        writeln!(stdout, "{project:32}  {count:>6} images  {bytes:>16} bytes")?;
    }
    Ok(())
}
