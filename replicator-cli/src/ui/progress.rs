//! The progress of a run: bars on a terminal, a line now and then elsewhere.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use replicator_core::{Event, ImageRef};

use super::bar::{Amounts, row};
use super::escape::escaped;
use super::stderr::LineStyle;
use super::terminal::Terminal;
use super::words::{amount, counted, rate, time};
use crate::args::ProgressMode;

/// The time between two lines.
const PERIOD: Duration = Duration::from_secs(10);
/// The time between two drawings of the bars.
const FRAME: Duration = Duration::from_millis(100);
/// The most drawings a second, of all that could be drawn between two of ours.
const DRAWINGS: u8 = 20;
/// The most bars of images, however high the terminal is.
const MOST_BARS: usize = 16;
/// The rows of a terminal that bars of images leave free: that of the total, and some of the lines above.
const FREE_ROWS: usize = 4;
/// The columns that a row leaves free: what reaches the last one is wrapped by some terminals, and so is the
/// `^C` that a terminal shows behind a row.
const FREE_COLUMNS: usize = 3;
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
    /// The images that were listed, as long as nothing is planned.
    listed: Option<u64>,
    images: u64,
    images_ended: u64,
    total_bytes: u64,
    /// Of the images that have ended.
    ended_bytes: u64,
    running: HashMap<String, Transfer>,
    /// The number of transfers that were begun.
    begun: u64,
    bars: Option<Bars>,
}

struct Transfer {
    name: String,
    /// Its place in the order in which transfers were begun.
    number: u64,
    started: Instant,
    total_bytes: u64,
    bytes: u64,
}

/// The bars on the terminal: rows of text, of which the last one is the total.
struct Bars {
    all: MultiProgress,
    images: Vec<ProgressBar>,
    total: ProgressBar,
    drawn: Option<Instant>,
}

impl Progress {
    pub(super) fn new(look: Look) -> Self {
        Self {
            look,
            started: Instant::now(),
            next_line: None,
            listed: None,
            images: 0,
            images_ended: 0,
            total_bytes: 0,
            ended_bytes: 0,
            running: HashMap::new(),
            begun: 0,
            bars: None,
        }
    }

    /// Takes note of an event.
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Listed { images } => self.list(*images),
            Event::Checked { image } => {
                self.images_ended += 1;
                self.ended_bytes += image.size.unwrap_or(0);
            }
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

    /// Listings are shown until there is a plan.
    fn list(&mut self, images: u64) {
        if self.images > 0 {
            return;
        }
        if self.listed.is_none() {
            self.started = Instant::now();
            self.show();
        }
        // Of several listings, that which is ahead.
        self.listed = self.listed.max(Some(images));
    }

    fn show(&mut self) {
        match self.look {
            Look::Bars => self.bars = Some(Bars::new()),
            Look::Lines => self.next_line = Some(self.started + PERIOD),
            Look::Nothing => {}
        }
    }

    fn begin(&mut self, images: u64, total_bytes: u64) {
        self.end();
        self.listed = None;
        self.started = Instant::now();
        (self.images, self.total_bytes) = (images, total_bytes);
        if images > 0 {
            self.show();
        }
    }

    fn start(&mut self, image: &ImageRef, total_bytes: u64) {
        self.begun += 1;
        let transfer = Transfer {
            name: name(image),
            number: self.begun,
            started: Instant::now(),
            total_bytes,
            bytes: 0,
        };
        self.running.insert(image.id.clone(), transfer);
    }

    fn ended(&mut self, id: &str) {
        self.images_ended += 1;
        if let Some(transfer) = self.running.remove(id) {
            self.ended_bytes += transfer.total_bytes;
        }
    }

    fn bytes(&self) -> u64 {
        let running: u64 = self.running.values().map(|transfer| transfer.bytes).sum();
        self.ended_bytes + running
    }

    fn draw(&mut self) {
        let now = Instant::now();
        let is_due = |bars: &Bars| bars.drawn.is_none_or(|drawn| now - drawn >= FRAME);
        if !self.bars.as_ref().is_some_and(is_due) {
            return;
        }
        let (height, width) = Term::stderr().size();
        let width = usize::from(width).saturating_sub(FREE_COLUMNS);
        let most = usize::from(height).saturating_sub(FREE_ROWS).min(MOST_BARS);
        let rows = self.rows(now, width, most);
        if let Some(bars) = &mut self.bars {
            bars.draw(rows);
            bars.drawn = Some(now);
        }
    }

    /// Returns the rows of at most so many images, and that of the total.
    fn rows(&self, now: Instant, width: usize, most: usize) -> Vec<String> {
        if let Some(listed) = self.listed {
            let seconds = (now - self.started).as_secs();
            return vec![format!("{}, {}", self.listing(listed), time(seconds))];
        }
        let running = self.in_order();
        let hidden = running.len().saturating_sub(most);
        let rows = running.into_iter().take(most).map(|transfer| {
            let amounts = Amounts {
                bytes: transfer.bytes,
                total: transfer.total_bytes,
                rate: rate(transfer.bytes, now - transfer.started),
            };
            row(&transfer.name, &amounts, width)
        });
        let mut rows: Vec<String> = rows.collect();
        let bytes = self.bytes();
        let amounts = Amounts {
            bytes,
            total: self.total_bytes,
            rate: rate(bytes, now - self.started),
        };
        let mut total = format!("{} of {}", self.images_ended, counted(self.images, "image"));
        if hidden > 0 {
            total += &format!(", {hidden} more under way");
        }
        rows.push(row(&total, &amounts, width));
        rows
    }

    /// Returns what has been listed, and what of it has been verified.
    fn listing(&self, listed: u64) -> String {
        if self.images_ended == 0 {
            return format!("listing: {}", counted(listed, "image"));
        }
        let (images, bytes) = (self.images_ended, self.ended_bytes);
        format!("verified: {}, {}", counted(images, "image"), amount(bytes))
    }

    /// Returns the time until something is to be shown, whatever happens.
    pub(super) fn until_next_line(&self) -> Duration {
        if self.bars.is_some() {
            return FRAME;
        }
        let next = self.next_line;
        next.map_or(LONG, |next| next.saturating_duration_since(Instant::now()))
    }

    /// The line that is due, if one is.
    pub(super) fn line(&mut self) -> Option<String> {
        self.draw();
        let now = Instant::now();
        let due = self.next_line.filter(|next| *next <= now)?;
        self.next_line = Some((due + PERIOD).max(now));
        Some(self.text(now.duration_since(self.started)))
    }

    fn text(&self, elapsed: Duration) -> String {
        if let Some(listed) = self.listed {
            return format!("{} so far", self.listing(listed));
        }
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

    /// Returns how far the run is, and each image that is under way.
    pub(super) fn state(&self) -> Vec<String> {
        if self.listed.is_none() && self.images == 0 {
            return vec!["state: nothing is listed yet".to_owned()];
        }
        let mut lines = vec![format!("state: {}", self.text(self.started.elapsed()))];
        let running = self.in_order();
        let hidden = running.len().saturating_sub(MOST_BARS);
        lines.extend(running.into_iter().take(MOST_BARS).map(|transfer| {
            let (bytes, total) = (amount(transfer.bytes), amount(transfer.total_bytes));
            format!("under way: {}, {bytes} of {total}", transfer.name)
        }));
        if hidden > 0 {
            lines.push(format!("under way: {hidden} more"));
        }
        lines
    }

    /// The images that are under way, in the order in which they were begun.
    fn in_order(&self) -> Vec<&Transfer> {
        let mut running: Vec<&Transfer> = self.running.values().collect();
        running.sort_unstable_by_key(|transfer| transfer.number);
        running
    }

    /// Shows nothing any more.
    pub(super) fn end(&mut self) {
        self.next_line = None;
        self.hide();
    }

    /// Draws no rows any more, until something else is begun.
    pub(super) fn hide(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.clear();
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

/// The name of an image in a row; its id is in the lines.
fn name(image: &ImageRef) -> String {
    let name = image.name.as_deref().filter(|name| !name.is_empty());
    escaped(name.unwrap_or(&image.id)).into_owned()
}

impl Bars {
    fn new() -> Self {
        let terminal =
            ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::stderr()), DRAWINGS);
        let all = MultiProgress::with_draw_target(terminal);
        let total = all.add(text_row());
        Self {
            all,
            images: Vec::new(),
            total,
            drawn: None,
        }
    }

    fn draw(&mut self, mut rows: Vec<String>) {
        let total = rows.pop().unwrap_or_default();
        while self.images.len() > rows.len() {
            if let Some(bar) = self.images.pop() {
                bar.finish_and_clear();
                self.all.remove(&bar);
            }
        }
        while self.images.len() < rows.len() {
            self.images
                .push(self.all.insert_before(&self.total, text_row()));
        }
        for (bar, row) in self.images.iter().zip(rows) {
            bar.set_message(row);
        }
        self.total.set_message(total);
        self.total.tick();
    }

    fn clear(self) {
        for bar in &self.images {
            bar.finish_and_clear();
        }
        self.total.finish_and_clear();
        let _ = self.all.clear();
    }
}

/// A row whose text is made here, and cut where the terminal ends.
fn text_row() -> ProgressBar {
    let bar = ProgressBar::new(0);
    // The template is ours; if it were wrong, the row would look plain.
    if let Ok(style) = ProgressStyle::with_template("{msg}") {
        bar.set_style(style);
    }
    bar
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
        let state = progress.state();
        assert!(state[0].starts_with("state: 0 of 2 images, 1.0 KiB of 4.0 KiB"));
        let id = "6d55dd55-053a-4765-b7bc-b30df0ea3861";
        assert_eq!(state[1..], [format!("under way: {id}, 1.0 KiB of 1.0 KiB")]);
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

    #[test]
    fn a_terminal_shows_a_row_an_image_as_far_as_there_is_room_and_the_total_last() {
        let mut progress = Progress::new(Look::Nothing);
        progress.take(&Event::Listed { images: 100 });
        progress.take(&Event::Listed { images: 200 });
        let now = progress.started + Duration::from_secs(3);
        assert_eq!(progress.rows(now, 80, 4), ["listing: 200 images, 3 s"]);
        progress.take(&Event::Planned {
            images: 5,
            total_bytes: 5 << 20,
        });
        for number in 1..=5 {
            let image = ImageRef {
                id: format!("6d55dd55-053a-4765-b7bc-b30df0ea386{number}"),
                name: Some(format!("debian\n{number}")),
                size: Some(1 << 20),
            };
            let image = Arc::new(image);
            progress.take(&Event::TransferStarted {
                image: Arc::clone(&image),
                total_bytes: 1 << 20,
            });
            progress.take(&transferred(&image, 1 << 19));
        }
        let rows = progress.rows(Instant::now() + Duration::from_secs(1), 80, 2);
        let names: Vec<&str> = rows.iter().map(|row| &row[..12]).collect();
        assert_eq!(names, ["debian\\n1   ", "debian\\n2   ", "0 of 5 image"]);
        assert!(rows[2].contains("3 more"), "{rows:?}");
    }
}
