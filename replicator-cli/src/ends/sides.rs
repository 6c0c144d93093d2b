//! The two sides of a command: ends, as they are named, and how they are opened together.

use std::path::Path;

use futures_util::FutureExt as _;
use futures_util::future::try_join;
use replicator_core::Side;

use super::connect::{Access, Opening, Reached, Source, Taken, Target, reach, source, target};
use super::location::End;
use super::named::missing;
use crate::args::{SelectionArgs, SideArgs, StoreArgs, WayArgs};
use crate::error::CliError;
use crate::run::Run;

/// The ends of both sides, as they are named, and how their servers are reached.
pub(crate) struct Sides {
    pub(crate) source: End,
    pub(crate) targets: Vec<End>,
    pub(crate) target_access: Access,
    source_access: Access,
    taken: Taken,
}

impl Sides {
    /// Takes ends with the options of their sides; a side that is always a directory has none.
    pub(crate) fn new(
        run: &Run<'_>,
        (source, source_args): (End, impl Into<SideArgs>),
        taken: Taken,
        (targets, target_args): (Vec<End>, impl Into<SideArgs>),
    ) -> Result<Self, CliError> {
        Ok(Self {
            source,
            targets,
            target_access: Access::new(run, Side::Target, target_args)?,
            source_access: Access::new(run, Side::Source, source_args)?,
            taken,
        })
    }

    /// Sets which images of the source are compared with those of the targets.
    pub(crate) fn comparing(mut self, selection: &SelectionArgs) -> Self {
        self.source_access = self.source_access.listing_all(selection.lists_all());
        // Of a target, all are listed unless images are named.
        self.target_access = self.target_access.listing_all(!selection.names_images());
        self
    }

    /// Sets how uploads are done.
    pub(crate) fn sending(mut self, way: &WayArgs) -> Self {
        self.target_access = self.target_access.sending(way);
        self
    }

    /// Sets the stores that data goes to.
    pub(crate) fn into_stores(mut self, stores: &StoreArgs) -> Self {
        self.target_access = self.target_access.into_stores(stores);
        self
    }

    /// Returns all ends.
    pub(crate) fn ends(&self) -> Vec<End> {
        [&self.source]
            .into_iter()
            .chain(&self.targets)
            .cloned()
            .collect()
    }

    /// Opens the source, and connects to the servers of targets meanwhile: no round trip of one waits
    /// for those of another. If the source fails, no target has been opened.
    pub(crate) async fn open(&self, run: &Run<'_>) -> Result<(Source, Vec<Reached>), CliError> {
        let source = source(run, &self.source_access, &self.source, self.taken);
        try_join(
            source,
            reach(run, &self.target_access, &self.targets).map(Ok),
        )
        .await
    }

    /// Opens the source, and the first target if there is one, to look at them.
    pub(crate) async fn open_to_read(
        &self,
        run: &Run<'_>,
        id_map: Option<&Path>,
    ) -> Result<(Source, Option<Target>), CliError> {
        let (source, reached) = self.open(run).await?;
        let Some((end, reached)) = self.targets.iter().zip(reached).next() else {
            return Ok((source, None));
        };
        let access = &self.target_access;
        let target = target(run, access, end, reached, Opening::Read, id_map).await?;
        source.is_another_than(&target)?;
        Ok((source, Some(target)))
    }

    /// The same, where there has to be a target.
    pub(crate) async fn open_pair(
        &self,
        run: &Run<'_>,
        id_map: Option<&Path>,
    ) -> Result<(Source, Target), CliError> {
        let (source, target) = self.open_to_read(run, id_map).await?;
        Ok((source, target.ok_or_else(|| missing("TARGET"))?))
    }
}
