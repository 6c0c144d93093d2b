//! Fakes, and the contract that every adapter keeps; for tests only.

pub mod contract;
mod faulty;
mod memory;
mod mock;

pub use faulty::{Faults, Faulty};
pub use memory::MemoryImages;
pub use mock::MockEnd;

use std::sync::Arc;

use glance_model::{ImageId, ImageMetadata, ImageStatus, Selection, Visibility};

use crate::copy::target::TargetRun;
use crate::list::pairs::ListingError;
use crate::plan::Plan;
use crate::plan::planner::plan;
use crate::port::{IdMap, ImageSource, ImageTarget, Stage};
use crate::replicate::replicate;
use crate::run::context::RunContext;
use crate::run::options::{RunOptions, TargetPolicy};
use crate::run::report::Report;
use crate::run::target_end::TargetEnd;

/// A fresh id.
#[must_use]
pub fn random_id() -> ImageId {
    let mut hex = format!("{:032x}", fastrand::u128(..));
    for at in [8, 13, 18, 23] {
        hex.insert(at, '-');
    }
    match ImageId::parse(&hex) {
        Ok(id) => id,
        Err(_) => unreachable!("32 digits and 4 dashes are an id"),
    }
}

/// An active image with a fresh id, of formats that take any data, whose owner
/// alone sees it.
#[must_use]
pub fn active_image(data: &[u8]) -> ImageMetadata {
    let mut image = ImageMetadata::new(random_id(), ImageStatus::Active);
    let mut md5 = crate::DigestAlgorithm::Md5.digester();
    md5.update(data);
    image.name = Some("an image".to_owned());
    image.disk_format = Some("raw".to_owned());
    image.container_format = Some("bare".to_owned());
    image.visibility = Some(Visibility::NotPublic);
    image.protected = Some(false);
    image.min_disk = Some(1);
    image.min_ram = Some(2);
    image.size = Some(data.len() as u64);
    image.checksum = Some(md5.finish().as_hex().to_owned());
    image
}

/// A run between two ends, which is planned and worked off in one go.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Setup {
    /// The images of the source that are replicated.
    pub selection: Selection,
    /// The options of the run.
    pub run: RunOptions,
    /// The policy of the target.
    pub policy: TargetPolicy,
    /// The stage of the target.
    pub stage: Option<Arc<dyn Stage>>,
    /// The id map of the target.
    pub id_map: Option<Arc<dyn IdMap>>,
}

impl Setup {
    /// A target that is written to as this setup says.
    #[must_use]
    pub fn end(&self, ctx: &RunContext, target: Arc<dyn ImageTarget>) -> TargetEnd {
        let mut end = TargetEnd::new(ctx, target);
        end.policy = self.policy.clone();
        end.stage = self.stage.clone();
        end.id_map = self.id_map.clone();
        end
    }

    /// Plans a run.
    ///
    /// # Errors
    ///
    /// [`ListingError`] if one of the ends cannot be listed.
    pub async fn plan(
        &self,
        ctx: &RunContext,
        source: &dyn ImageSource,
        target: Arc<dyn ImageTarget>,
    ) -> Result<Plan, ListingError> {
        let mut plans = plan(source, &self.selection, &[self.end(ctx, target)], &self.run).await;
        plans.pop().unwrap_or_else(|| Ok(Plan::default()))
    }

    /// Plans a run, and works it off.
    ///
    /// # Errors
    ///
    /// [`ListingError`] if one of the ends cannot be listed.
    pub async fn replicate(
        &self,
        ctx: &RunContext,
        source: Arc<dyn ImageSource>,
        target: Arc<dyn ImageTarget>,
    ) -> Result<Report, ListingError> {
        let plan = self.plan(ctx, &*source, Arc::clone(&target)).await?;
        Ok(self.run_plan(ctx, source, target, plan).await)
    }

    /// Works a plan off.
    pub async fn run_plan(
        &self,
        ctx: &RunContext,
        source: Arc<dyn ImageSource>,
        target: Arc<dyn ImageTarget>,
        plan: Plan,
    ) -> Report {
        let run = TargetRun::new(self.end(ctx, target), plan);
        let mut reports = replicate(ctx, source, vec![run], &self.run).await;
        reports.pop().unwrap_or_default()
    }
}
