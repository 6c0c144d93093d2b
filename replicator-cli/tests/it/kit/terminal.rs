//! Runs of the program on a terminal of their own, which `script` of util-linux makes.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::kit::background::wait_until;

/// The key, as a terminal sends it.
pub(crate) const CTRL_C: &str = "\u{3}";

/// A run on a terminal of 24 rows.
pub(crate) struct OnTerminal {
    script: Child,
    keys: Option<ChildStdin>,
    shown: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl OnTerminal {
    /// Starts the program on a terminal of this width.
    pub(crate) fn run(columns: u16, args: &[&str]) -> Self {
        let program = assert_cmd::cargo::cargo_bin!("glance-replicator");
        let words = args.iter().map(|word| format!(" '{word}'"));
        let line = format!(
            "stty rows 24 columns {columns}; exec '{}'{}",
            program.display(),
            words.collect::<String>()
        );
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = script.stdin.take();
        let mut screen = script.stdout.take().unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&shown);
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = screen.read(&mut piece) {
                let text = String::from_utf8_lossy(piece.get(..len).unwrap());
                seen.lock().unwrap().push_str(&text);
            }
        });
        Self {
            script,
            keys,
            shown,
            reader,
        }
    }

    /// Waits until a text is shown.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        wait_until(|| {
            let is_shown = self.shown.lock().unwrap().contains(text);
            let ended = self.script.try_wait().unwrap();
            assert!(
                is_shown || ended.is_none(),
                "{}",
                self.shown.lock().unwrap()
            );
            is_shown
        });
    }

    /// Types something.
    pub(crate) fn write(&mut self, keys: &str) {
        let mut input = self.keys.as_ref().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
    }

    /// Types the end of the input.
    pub(crate) fn close_input(&mut self) {
        self.keys = None;
    }

    /// Waits for the end; returns the exit code, and all that was shown.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let status = self.script.wait().unwrap();
        self.reader.join().unwrap();
        let shown = self.shown.lock().unwrap();
        (status.code(), shown.clone())
    }
}
