//! The output on stderr: progress, problems, summaries, and the log if it goes nowhere else.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use replicator_core::{Event, EventSink, Plan, Report};

use super::progress::{Look, Progress};
use super::stderr::{LineStyle, Stderr, show};
use super::stdout;
use super::summary::{summary, would_fail};
use super::wording::{self, Lines, Weight, Wording};
use crate::advice::Advised;
use crate::args::LogArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Writes why there is no command to be run, and what can be done about it; or the help. Returns the exit
/// code, which is another one if the help could not be written.
pub(crate) fn failure(error: &CliError) -> ExitCode {
    let shown = match error {
        CliError::Usage(error) if !error.use_stderr() => stdout::written(error.print()),
        CliError::Help(page) => stdout::write_part(page),
        error => {
            tell(error);
            Ok(())
        }
    };
    match shown {
        // Whoever has asked for the help has read as much of it as they wanted.
        Ok(()) | Err(CliError::NoReader) => error.exit_code(),
        Err(failed) => {
            tell(&failed);
            failed.exit_code()
        }
    }
}

fn tell(error: &CliError) {
    // If nobody reads it, nothing can be done.
    match error {
        CliError::Usage(error) => drop(error.print()),
        CliError::FirstRun => error.to_string().lines().for_each(show),
        // As other tools do, which the signal ends.
        CliError::NoReader => {}
        CliError::Setting { source } => {
            drop(source.print());
            show("hint: the value is one of the environment or of the configuration file");
        }
        error => {
            for line in wording::told("error: ", error, error.hint().as_deref()).lines {
                show(&line);
            }
        }
    }
}

/// The beginning of a warning.
pub(super) const WARNING: &str = "warning: ";

/// Writes to stderr from a thread of its own, so that whoever reports something
/// never waits for the terminal.
pub(crate) struct Console {
    messages: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    /// An event, and the name of its target if there are several.
    Event(Option<Arc<str>>, Event),
    Lines(Lines),
    Log(String),
    /// Somebody wants to know how far it is.
    State,
    /// Something else is written to the terminal, once this is answered.
    Room(Sender<()>),
    /// The end, and whether all went well.
    Finish(bool),
}

impl Console {
    /// Starts writing as the options say; `dump_directory` is where `dump` stores images.
    pub(crate) fn start(options: &LogArgs, dump_directory: Option<PathBuf>) -> Self {
        let (messages, received) = mpsc::channel();
        let wording = Wording::new(dump_directory);
        let style = LineStyle::of(options.log_format);
        let look = if options.quiet {
            Look::Nothing
        } else {
            Look::of(options.progress, style)
        };
        let stderr = Stderr::new(style, options.quiet);
        let thread = thread::spawn(move || write(&received, look, stderr, wording));
        Self {
            messages,
            thread: Mutex::new(Some(thread)),
        }
    }

    /// Writes a note that is neither a problem nor a result.
    pub(crate) fn note(&self, text: &str) {
        self.say(Weight::Problem, vec![text.to_owned()]);
    }

    pub(crate) fn warning(&self, text: &str) {
        self.say(Weight::Problem, vec![format!("{WARNING}{text}")]);
    }

    pub(crate) fn summary(&self, text: &str) {
        self.say(Weight::Summary, vec![text.to_owned()]);
    }

    /// Tells that an image, or an end, cannot be used.
    pub(crate) fn failed(&self, place: &str, error: &impl Advised) {
        let head = format!("error: {place}");
        let hint = error.hint();
        self.send(Message::Lines(wording::told(&head, error, hint.as_deref())));
    }

    /// Sums up what a run has done, at one of several targets if it has a name.
    pub(crate) fn report(
        &self,
        target: Option<&str>,
        verb: &str,
        report: &Report,
        elapsed: Duration,
    ) {
        let mut lines = Lines::new(Weight::Summary, summary(verb, report, elapsed));
        lines.target = target.map(Into::into);
        self.send(Message::Lines(lines));
    }

    /// Names the images that a plan knows to fail, at one of several targets if it has a name.
    pub(crate) fn would_fail(&self, target: Option<&str>, plan: &Plan) {
        let mut lines = Lines::new(Weight::Summary, would_fail(plan));
        lines.target = target.map(Into::into);
        self.send(Message::Lines(lines));
    }

    /// Takes what happens at one of several targets.
    pub(crate) fn of_target(&self, name: &str) -> Arc<dyn EventSink> {
        Arc::new(TargetEvents {
            messages: self.messages.clone(),
            name: name.into(),
        })
    }

    /// Tells how far the run is, also one that is quiet.
    pub(crate) fn state(&self) {
        self.send(Message::State);
    }

    /// Takes the rows of progress off the terminal, if the result is written there, too.
    pub(crate) fn make_room(&self) {
        if io::stdout().is_terminal() {
            let (answer, is_made) = mpsc::channel();
            self.send(Message::Room(answer));
            // If nobody answers, nobody draws.
            let _ = is_made.recv();
        }
    }

    /// Takes the lines of a log that goes to stderr.
    pub(crate) fn log_writer(&self) -> LogWriter {
        LogWriter(self.messages.clone())
    }

    /// Writes what ended the command, why, and what can be done about it. Returns the exit code.
    pub(crate) fn failure(&self, error: &CliError) -> ExitCode {
        match error {
            // Output went to a pipe that nobody reads any more; other tools say nothing either.
            CliError::NoReader => {}
            CliError::Usage(_) | CliError::Help(_) | CliError::Setting { .. } => {
                return failure(error);
            }
            error => {
                let hint = error.hint();
                let lines = wording::told("error: ", error, hint.as_deref());
                self.send(Message::Lines(lines));
            }
        }
        error.exit_code()
    }

    /// Writes what is left to be written, and ends. A run that is to be quiet has said nothing until
    /// then, and says nothing if all went well.
    pub(crate) fn finish(&self, went_well: bool) {
        self.send(Message::Finish(went_well));
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }

    fn say(&self, weight: Weight, lines: Vec<String>) {
        self.send(Message::Lines(Lines::new(weight, lines)));
    }

    fn send(&self, message: Message) {
        // Nobody listens any more once it is finished.
        let _ = self.messages.send(message);
    }
}

/// Puts log lines in between the others.
pub(crate) struct LogWriter(Sender<Message>);

impl io::Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        let _ = self.0.send(match text.starts_with(WARNING) {
            true => Message::Lines(Lines::new(Weight::Problem, [text])),
            false => Message::Log(text),
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl EventSink for Console {
    fn emit(&self, event: Event) {
        self.send(Message::Event(None, event));
    }
}

struct TargetEvents {
    messages: Sender<Message>,
    name: Arc<str>,
}

impl EventSink for TargetEvents {
    fn emit(&self, event: Event) {
        let name = Some(Arc::clone(&self.name));
        let _ = self.messages.send(Message::Event(name, event));
    }
}

/// The longest time that a report waits to be written.
const REST: Duration = Duration::from_millis(3);

fn write(messages: &Receiver<Message>, look: Look, mut stderr: Stderr, mut wording: Wording) {
    let mut progress = Progress::new(look);
    let mut is_finished = false;
    let mut went_well = false;
    loop {
        let message = match messages.try_recv() {
            // Each line is logged as well, which may have brought another one.
            Err(TryRecvError::Empty) if is_finished => break,
            Err(TryRecvError::Empty) => {
                // Else whoever reports something would wake this thread each time.
                thread::sleep(REST);
                messages.recv_timeout(progress.until_next_line())
            }
            received => received.map_err(|_| RecvTimeoutError::Disconnected),
        };
        match message {
            Ok(Message::Event(target, event)) => {
                if let Some(mut lines) = wording.of(target.as_deref(), &event) {
                    lines.target = target;
                    write_lines(&mut stderr, &progress, look, &lines);
                }
                progress.take(&event);
            }
            Ok(Message::Lines(lines)) => {
                if lines.weight == Weight::Summary {
                    progress.end();
                    write_counts(&mut stderr, &progress, look, &mut wording);
                }
                write_lines(&mut stderr, &progress, look, &lines);
            }
            Ok(Message::State) => {
                let lines = Lines::new(Weight::Problem, progress.state());
                lines.log();
                progress.above(|| stderr.write_at_once(&lines));
            }
            Ok(Message::Room(answer)) => {
                progress.hide();
                let _ = answer.send(());
            }
            Ok(Message::Log(line)) => progress.above(|| stderr.write_line(line)),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Finish(is_well)) => (is_finished, went_well) = (true, is_well),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Some(line) = progress.line() {
            stderr.write(&Lines::new(Weight::Info, [line]));
        }
    }
    progress.end();
    write_counts(&mut stderr, &progress, look, &mut wording);
    stderr.end(went_well);
}

fn write_counts(stderr: &mut Stderr, progress: &Progress, look: Look, wording: &mut Wording) {
    for counts in wording.counts() {
        write_lines(stderr, progress, look, &counts);
    }
}

fn write_lines(stderr: &mut Stderr, progress: &Progress, look: Look, lines: &Lines) {
    lines.log();
    if look == Look::Nothing && lines.weight == Weight::Info {
        return;
    }
    let mut shown = lines.clone();
    match lines.weight {
        Weight::Counted => return,
        Weight::Repeated => shown.lines.truncate(1),
        _ => {}
    }
    progress.above(|| stderr.write(&shown));
}
