//! The progress of a run: bars on a terminal, a line now and then elsewhere.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use replicator_core::{Event, ImageRef};

use super::escape::escaped;
use super::stderr::LineStyle;
use super::words::{amount, counted, named, rate, time};
use crate::args::ProgressMode;

/// The time between two lines.
const PERIOD: Duration = Duration::from_secs(10);
/// The longest wait for an event when no line is due.
const LONG: Duration = Duration::from_secs(3600);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Bars,
    Lines,
    Nothing,
}

impl Look {
    /// Returns the look that is asked for, as far as stderr is up to it.
    pub(super) fn of(progress: ProgressMode, style: LineStyle) -> Self {
        match progress {
            _ if style == LineStyle::Json && progress != ProgressMode::None => Self::Lines,
            ProgressMode::None => Self::Nothing,
            ProgressMode::Line => Self::Lines,
            ProgressMode::Auto | ProgressMode::Bar => {
                if io::stderr().is_terminal() {
                    Self::Bars
                } else {
                    Self::Lines
                }
            }
        }
    }
}

/// The progress of a run.
pub(super) struct Progress {
    look: Look,
    started: Instant,
    next_line: Option<Instant>,
    images: u64,
    images_ended: u64,
    total_bytes: u64,
    /// Of the images that have ended.
    ended_bytes: u64,
    running: HashMap<String, Transfer>,
    bars: Option<Bars>,
}

struct Transfer {
    total_bytes: u64,
    bytes: u64,
    bar: Option<ProgressBar>,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
}

impl Progress {
    pub(super) fn new(look: Look) -> Self {
        Self {
            look,
            started: Instant::now(),
            next_line: None,
            images: 0,
            images_ended: 0,
            total_bytes: 0,
            ended_bytes: 0,
            running: HashMap::new(),
            bars: None,
        }
    }

    /// Takes note of an event.
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Planned {
                images,
                total_bytes,
            } => self.begin(*images, *total_bytes),
            Event::TransferStarted { image, total_bytes } => self.start(image, *total_bytes),
            Event::Transferred { image, delta_bytes } => {
                if let Some(transfer) = self.running.get_mut(&image.id) {
                    // Data that is read again is not counted again.
                    transfer.bytes = (transfer.bytes + delta_bytes).min(transfer.total_bytes);
                }
            }
            Event::Retrying { image, .. } => {
                if let Some(transfer) = self.running.get_mut(&image.id) {
                    transfer.bytes = 0;
                }
            }
            Event::Finished(result) if self.images > 0 => self.ended(&result.image.id),
            _ => return,
        }
        self.draw();
    }

    fn begin(&mut self, images: u64, total_bytes: u64) {
        self.started = Instant::now();
        (self.images, self.total_bytes) = (images, total_bytes);
        if images == 0 {
            return;
        }
        match self.look {
            Look::Bars => self.bars = Some(Bars::new(total_bytes)),
            Look::Lines => self.next_line = Some(self.started + PERIOD),
            Look::Nothing => {}
        }
    }

    fn start(&mut self, image: &ImageRef, total_bytes: u64) {
        let bar = self.bars.as_ref().map(|bars| bars.add(image, total_bytes));
        let transfer = Transfer {
            total_bytes,
            bytes: 0,
            bar,
        };
        self.running.insert(image.id.clone(), transfer);
    }

    fn ended(&mut self, id: &str) {
        self.images_ended += 1;
        let Some(transfer) = self.running.remove(id) else {
            return;
        };
        self.ended_bytes += transfer.total_bytes;
        if let (Some(bars), Some(bar)) = (&self.bars, &transfer.bar) {
            bar.finish_and_clear();
            bars.all.remove(bar);
        }
    }

    fn bytes(&self) -> u64 {
        let running: u64 = self.running.values().map(|transfer| transfer.bytes).sum();
        self.ended_bytes + running
    }

    fn draw(&self) {
        let Some(bars) = &self.bars else { return };
        for transfer in self.running.values() {
            if let Some(bar) = &transfer.bar {
                bar.set_position(transfer.bytes);
            }
        }
        bars.total.set_position(self.bytes());
        let images = format!("{} of {}", self.images_ended, counted(self.images, "image"));
        bars.total.set_message(images);
    }

    /// Returns the time until the next line.
    pub(super) fn until_next_line(&self) -> Duration {
        let next = self.next_line;
        next.map_or(LONG, |next| next.saturating_duration_since(Instant::now()))
    }

    /// The line that is due, if one is.
    pub(super) fn line(&mut self) -> Option<String> {
        let now = Instant::now();
        let due = self.next_line.filter(|next| *next <= now)?;
        self.next_line = Some((due + PERIOD).max(now));
        Some(self.text(now.duration_since(self.started)))
    }

    fn text(&self, elapsed: Duration) -> String {
        let (bytes, total) = (self.bytes(), self.total_bytes);
        let rate = rate(bytes, elapsed);
        let mut text = format!(
            "{} of {}, {} of {}",
            self.images_ended,
            counted(self.images, "image"),
            amount(bytes),
            amount(total),
        );
        if let Some(percent) = (bytes.saturating_mul(100)).checked_div(total) {
            text += &format!(" ({percent} %)");
        }
        text += &format!(", {}/s", amount(rate));
        if let Some(left) = total.saturating_sub(bytes).checked_div(rate) {
            text += &format!(", {} left", time(left));
        }
        text
    }

    /// Shows nothing any more.
    pub(super) fn end(&mut self) {
        self.next_line = None;
        if let Some(bars) = self.bars.take() {
            bars.total.finish_and_clear();
            let _ = bars.all.clear();
        }
    }

    /// Writes something above the bars.
    pub(super) fn above(&self, write: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.all.suspend(write),
            None => write(),
        }
    }
}

impl Bars {
    fn new(total_bytes: u64) -> Self {
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(total_bytes));
        total.set_style(style(
            "{wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left, {msg}",
        ));
        Self { all, total }
    }

    fn add(&self, image: &ImageRef, total_bytes: u64) -> ProgressBar {
        let bar = ProgressBar::new(total_bytes);
        let bar = self.all.insert_before(&self.total, bar);
        bar.set_style(style(
            "{bar:20} {binary_bytes:>12} of {binary_total_bytes} {wide_msg}",
        ));
        bar.set_message(escaped(&named(image)).into_owned());
        bar
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are ours; if one were wrong, bars would look plain.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use replicator_core::{ImageResult, Outcome, Proof};

    use super::*;

    fn image(size: u64) -> Arc<ImageRef> {
        Arc::new(ImageRef {
            id: "6d55dd55-053a-4765-b7bc-b30df0ea3861".into(),
            name: None,
            size: Some(size),
        })
    }

    fn transferred(image: &Arc<ImageRef>, delta_bytes: u64) -> Event {
        Event::Transferred {
            image: Arc::clone(image),
            delta_bytes,
        }
    }

    #[test]
    fn a_line_says_what_is_done_and_how_long_the_rest_takes() {
        let mut progress = Progress::new(Look::Lines);
        let image = image(1024);
        progress.take(&Event::Planned {
            images: 2,
            total_bytes: 4096,
        });
        assert!(progress.until_next_line() <= PERIOD);
        progress.take(&Event::TransferStarted {
            image: image.clone(),
            total_bytes: 1024,
        });
        progress.take(&transferred(&image, 512));
        assert_eq!(
            progress.text(Duration::from_secs(1)),
            "0 of 2 images, 512 B of 4.0 KiB (12 %), 512 B/s, 7 s left"
        );
        progress.take(&transferred(&image, 5000));
        assert_eq!(progress.bytes(), 1024, "data that is read again");
        let copied = Outcome::Copied {
            total_bytes: 1024,
            proof: Proof::Verified,
        };
        progress.take(&Event::Finished(ImageResult::new(image, copied)));
        assert_eq!(
            progress.text(Duration::from_secs(1)),
            "1 of 2 images, 1.0 KiB of 4.0 KiB (25 %), 1.0 KiB/s, 3 s left"
        );
    }

    #[test]
    fn a_plan_without_data_divides_by_nothing() {
        let mut progress = Progress::new(Look::Lines);
        progress.take(&Event::Planned {
            images: 1,
            total_bytes: 0,
        });
        let text = progress.text(Duration::ZERO);
        assert_eq!(text, "0 of 1 image, 0 B of 0 B, 0 B/s");
    }
}
