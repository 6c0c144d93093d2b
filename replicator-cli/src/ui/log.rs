//! The log: on stderr, in a file, or to syslog.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};
use syslog_tracing::Syslog;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format, layer};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::console::{Console, WARNING};
use super::escape::escaped;
use super::stderr::now;
use super::wording::REPORTS;
use crate::args::{LogArgs, LogFormat};
use crate::error::CliError;

type Object = Map<String, Value>;

/// Our crates; others log tokens and more than anybody reads.
const OURS: [&str; 5] = [
    "glance_client",
    "glance_model",
    "glance_replicator",
    "replicator_core",
    "replicator_fs",
];

/// Starts logging as the options say: to a file or syslog where they are given,
/// else to stderr.
pub(crate) fn start(options: &LogArgs, console: &Arc<Console>) -> Result<(), CliError> {
    let file = path(options).map(|path| LogFile::open(path, console));
    let file = file.transpose()?;
    let syslog = options.syslog.then(syslog).transpose()?;
    let to_stderr = file.is_none() && syslog.is_none();
    let level = level(options);
    let mut layers = Vec::new();
    if let Some(file) = file {
        let filter = filter(level, LevelFilter::INFO);
        layers.push(to(Arc::new(file), options.log_format, filter));
    }
    if let Some(syslog) = syslog {
        let layer = layer()
            .with_ansi(false)
            .fmt_fields(fields())
            .with_level(false)
            .without_time();
        let layer = layer.with_writer(syslog);
        layers.push(layer.with_filter(filter(level, LevelFilter::INFO)).boxed());
    }
    if to_stderr {
        let console = Arc::clone(console);
        let filter = filter(level, LevelFilter::OFF);
        let writer = move || console.log_writer();
        layers.push(match options.log_format {
            LogFormat::Json => to(writer, LogFormat::Json, filter),
            LogFormat::Text | LogFormat::Plain => {
                let layer = layer().with_ansi(false).fmt_fields(fields());
                let layer = layer.event_format(ForPeople).with_writer(writer);
                layer.with_filter(filter).boxed()
            }
        });
    }
    tracing_subscriber::registry().with(layers).init();
    Ok(())
}

/// Logs to a writer, as text or as JSON.
fn to<W>(writer: W, format: LogFormat, filter: Targets) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = layer().with_ansi(false).with_writer(writer);
    match format {
        LogFormat::Json => layer.event_format(JsonLines).with_filter(filter).boxed(),
        LogFormat::Text | LogFormat::Plain => {
            layer.fmt_fields(fields()).with_filter(filter).boxed()
        }
    }
}

/// Writes a warning as the console does, which gives it the form of its other lines, and all else as a log.
struct ForPeople;

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if *event.metadata().level() != Level::WARN {
            let log = format().with_ansi(false);
            return log.format_event(context, writer, event);
        }
        write!(writer, "{WARNING}")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Writes an event as a JSON object, on a line.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut object = Object::new();
        object.insert("time".to_owned(), now().into());
        let level = metadata.level().as_str().to_ascii_lowercase();
        object.insert("level".to_owned(), level.into());
        object.insert("target".to_owned(), metadata.target().into());
        event.record(&mut Fields(&mut object));
        writeln!(writer, "{}", Value::Object(object))
    }
}

/// Takes the fields of an event, and the message, which is one.
struct Fields<'a>(&'a mut Object);

impl Fields<'_> {
    fn take(&mut self, field: &Field, value: &str) {
        let value = escaped(value).into_owned();
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

/// Writes fields, and the message, which is one, so that none can do harm to a
/// terminal: much of what is logged comes from servers.
fn fields() -> impl for<'a> FormatFields<'a> + Send + Sync + 'static {
    debug_fn(|writer, field, value| {
        let value = format!("{value:?}");
        match field.name() {
            "message" => write!(writer, "{}", escaped(&value)),
            name => write!(writer, "{name}={}", escaped(&value)),
        }
    })
    .delimited(" ")
}

fn level(options: &LogArgs) -> Level {
    match (options.debug, options.verbose) {
        (true, _) => Level::DEBUG,
        (false, true) => Level::INFO,
        (false, false) => Level::WARN,
    }
}

fn filter(level: Level, reports: LevelFilter) -> Targets {
    Targets::new()
        .with_targets(OURS.map(|name| (name, level)))
        .with_target(REPORTS, reports)
}

fn path(options: &LogArgs) -> Option<PathBuf> {
    match (&options.log_dir, &options.logfile) {
        (Some(dir), Some(file)) => Some(dir.join(file)),
        (Some(dir), None) => Some(dir.join("glance-replicator.log")),
        (None, file) => file.clone(),
    }
}

/// A log file that tells the terminal, once, that it cannot be written any more.
struct LogFile {
    file: File,
    path: PathBuf,
    console: Arc<Console>,
    is_told: AtomicBool,
}

impl LogFile {
    fn open(path: PathBuf, console: &Arc<Console>) -> Result<Self, CliError> {
        // For its owner alone: it names the images of all projects.
        let mut how = File::options();
        match how.append(true).create(true).mode(0o600).open(&path) {
            Ok(file) => Ok(Self {
                file,
                path,
                console: Arc::clone(console),
                is_told: AtomicBool::new(false),
            }),
            Err(source) => Err(CliError::Log { path, source }),
        }
    }

    /// Passes a result on. Whoever logs never looks at it.
    fn told<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && !self.is_told.swap(true, Ordering::Relaxed)
        {
            self.console.warning(&format!(
                "the log is not whole: cannot write {}: {error}",
                self.path.display()
            ));
        }
        result
    }
}

impl io::Write for &LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.told((&self.file).write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.told((&self.file).flush())
    }
}

/// The paths at which a syslog listens: on Linux, macOS, and the BSDs.
const SYSLOGS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

fn syslog() -> Result<Syslog, CliError> {
    // The C library loses what nobody takes, and does not tell.
    if !SYSLOGS.iter().any(|path| has_listener(Path::new(path))) {
        return Err(CliError::NoSyslog);
    }
    let (options, facility) = (
        syslog_tracing::Options::LOG_PID,
        syslog_tracing::Facility::User,
    );
    Syslog::new(c"glance-replicator", options, facility).ok_or(CliError::Syslog)
}

/// Returns whether a process takes messages at this path, one by one or as a stream.
fn has_listener(path: &Path) -> bool {
    let datagrams = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    datagrams.is_ok() || UnixStream::connect(path).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn syslog_is_there_where_a_process_listens() {
        let dir = std::env::temp_dir().join(format!("syslog-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let at = |name: &str| dir.join(name);
        let datagrams = UnixDatagram::bind(at("datagrams")).unwrap();
        let stream = UnixListener::bind(at("stream")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        let found = ["datagrams", "stream", "file", "nothing"].map(|name| has_listener(&at(name)));
        assert_eq!(found, [true, true, false, false]);
        drop((datagrams, stream));
        // Their files are still there.
        let found = ["datagrams", "stream"].map(|name| has_listener(&at(name)));
        assert_eq!(found, [false, false]);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
