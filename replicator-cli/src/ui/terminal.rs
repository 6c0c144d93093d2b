//! The terminal that rows of progress are drawn on.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use console::Term;
use indicatif::TermLike;

/// Stderr as a terminal on which a row ends where its text ends.
///
/// indicatif fills each row up with blanks, so that the next one begins on the next line. Behind the
/// last row there is no room then for the `^C` that a terminal shows: the row is wrapped, and a part of
/// it would be left there.
#[derive(Debug)]
pub(super) struct Terminal {
    term: Term,
    /// Whether the next row begins on the next line.
    is_behind_row: AtomicBool,
}

impl Terminal {
    pub(super) fn stderr() -> Self {
        Self {
            term: Term::buffered_stderr(),
            is_behind_row: AtomicBool::new(false),
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        let (_, width) = self.term.size();
        width
    }

    fn height(&self) -> u16 {
        let (height, _) = self.term.size();
        height
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_left(n)
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.term.write_line(s)
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        let is_filler = s.bytes().all(|byte| byte == b' ');
        if is_filler {
            self.is_behind_row.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if self.is_behind_row.swap(false, Ordering::Relaxed) {
            self.term.write_str("\r\n")?;
        }
        self.term.write_str(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.term.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.is_behind_row.store(false, Ordering::Relaxed);
        self.term.flush()
    }
}
