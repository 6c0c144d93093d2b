//! Copies from a source of one's own: an end is whatever lists images in order and opens their data.
//! Here it makes them up; a build farm, a tape or a bucket would do as well.

use std::error::Error;
use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use glance_model::{ImageId, ImageMetadata, ImageStatus, Selection};
use replicator_core::testing::MemoryImages;
use replicator_core::{
    DigestAlgorithm, ImageData, ImageSource, ImageStream, Outcome, PortError, RunContext,
    RunOptions, TargetEnd, TargetRun, plan, replicate,
};

/// Three images, each of which says its number.
#[derive(Debug)]
struct Numbers;

impl Numbers {
    fn data(id: &ImageId) -> Vec<u8> {
        format!("this is {id}\n").repeat(1000).into_bytes()
    }

    fn image(number: u32) -> Result<ImageMetadata, PortError> {
        let id = ImageId::parse(&format!("00000000-0000-4000-8000-{number:012}"));
        let id = id.map_err(|_| PortError::Cancelled)?;
        let data = Self::data(&id);
        let mut image = ImageMetadata::new(id, ImageStatus::Active);
        image.name = Some(format!("number {number}"));
        image.disk_format = Some("raw".to_owned());
        image.container_format = Some("bare".to_owned());
        image.size = Some(data.len() as u64);
        // What the copy is held against, on its way and at the target.
        if let Some(algorithm) = DigestAlgorithm::from_name("sha256") {
            let mut digester = algorithm.digester();
            digester.update(&data);
            image.hash_algo = Some(algorithm.name().to_owned());
            image.hash_value = Some(digester.finish().as_hex().to_owned());
        }
        Ok(image)
    }
}

/// The name for people.
impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers")
    }
}

#[async_trait]
impl ImageSource for Numbers {
    fn images(&self, _: &Selection) -> ImageStream {
        stream::iter((1..=3).map(Self::image)).boxed()
    }

    async fn image_data(
        &self,
        id: &ImageId,
        _offset_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        // From the beginning, wherever it is asked to begin.
        Ok(Some(ImageData::from_bytes(Self::data(id))))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (ctx, options) = (RunContext::silent(), RunOptions::default());
    let targets = vec![TargetEnd::new(&ctx, Arc::new(MemoryImages::default()))];
    let plans = plan(&Numbers, &Selection::default(), &targets, &options).await;
    let mut runs = Vec::new();
    for (end, plan) in targets.into_iter().zip(plans) {
        runs.push(TargetRun::new(end, plan?));
    }
    let mut stdout = io::stdout();
    for report in replicate(&ctx, Arc::new(Numbers), runs, &options).await {
        for result in &report.results {
            let name = result.image.name.as_deref().unwrap_or_default();
            match &result.outcome {
                Outcome::Copied { total_bytes, proof } => {
                    writeln!(stdout, "{name}: {total_bytes} bytes, {proof:?}")?;
                }
                outcome => writeln!(stdout, "{name}: {outcome:?}")?,
            }
        }
    }
    Ok(())
}
