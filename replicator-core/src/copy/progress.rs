//! A target of a run, as far as its work has come.

use std::sync::Arc;

use glance_model::ImageId;
use tokio::time::Instant;

use super::fan_out::Member;
use super::one_image::WriteError;
use crate::plan::PlannedImage;
use crate::run::error::ImageError;
use crate::run::event::Event;
use crate::run::report::Report;
use crate::run::result::{ImageRef, ImageResult, NotDone, Outcome};
use crate::run::target_end::TargetEnd;

/// A target, as far as its work has come.
pub(crate) struct Progress {
    pub(crate) end: Arc<TargetEnd>,
    pub(crate) report: Report,
    /// The least number of bytes that is too many for the target.
    too_many: u64,
    is_unusable: bool,
}

/// An image at a target.
pub(crate) struct Place {
    pub(crate) index: usize,
    pub(crate) target_id: Option<ImageId>,
    image: Arc<ImageRef>,
    bytes: u64,
    /// The moment at which the work on it began.
    begun: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(end: TargetEnd, report: Report) -> Self {
        Self {
            end: Arc::new(end),
            report,
            too_many: u64::MAX,
            is_unusable: false,
        }
    }

    /// Returns whether the target may take an image still.
    pub(crate) fn can_take(&self, planned: &PlannedImage) -> bool {
        planned.bytes_to_copy() < self.too_many
    }

    pub(crate) fn finish(&mut self, place: Place, outcome: Outcome) {
        let mut result = ImageResult::new(place.image, outcome);
        result.target_id = place.target_id;
        result.took = place.begun.map(|begun| begun.elapsed());
        self.end.ctx.emit(Event::Finished(result.clone()));
        self.report.results.push(result);
    }

    /// Takes the failure of an image. One that was broken off has not failed.
    pub(crate) fn fail(&mut self, place: Place, failed: WriteError) {
        if failed.error.is_of_the_end() {
            (self.too_many, self.is_unusable) = (0, true);
        } else if failed.error.is_of_room() {
            self.too_many = place.bytes.min(self.too_many);
        }
        let is_put_off = matches!(
            failed.error,
            ImageError::LeftToAnother { .. } | ImageError::StillSaving
        );
        if failed.error.is_cancelled() || (is_put_off && self.end.ctx.is_cancelled()) {
            return self.not_done(place);
        }
        let outcome = Outcome::Failed {
            error: Arc::new(failed.error),
            left_behind: failed.left_behind,
        };
        self.finish(place, outcome);
    }

    pub(crate) fn not_done(&mut self, place: Place) {
        let why = if self.end.ctx.is_cancelled() {
            NotDone::Cancelled
        } else if self.is_unusable {
            NotDone::TargetUnusable
        } else if place.bytes >= self.too_many {
            NotDone::NoRoom
        } else {
            NotDone::LimitReached
        };
        self.finish(place, Outcome::NotDone(why));
    }
}

impl Place {
    pub(crate) fn of(index: usize, planned: &PlannedImage) -> Self {
        Self {
            index,
            image: planned.image_ref(),
            target_id: planned.other_id(),
            bytes: planned.bytes_to_copy(),
            begun: None,
        }
    }

    /// The place of an image on which the work begins now.
    pub(crate) fn of_member(member: &Member) -> Self {
        Self::of(member.index, &member.planned).begun()
    }

    /// The same, if the work on it begins now.
    pub(crate) fn begun(self) -> Self {
        let begun = Some(Instant::now());
        Self { begun, ..self }
    }
}
