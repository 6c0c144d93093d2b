//! The lock of a job: whoever runs it holds it, and its file says who that is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::{Timestamp, Unit};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::error::CliError;

/// A lock that is held until it is dropped, and until the process that was started meanwhile ends.
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock of a job of a file.
    ///
    /// # Errors
    ///
    /// [`CliError::JobRuns`] with the one who holds it.
    pub(super) fn take(directory: &Path, file: &Path, job: &str) -> Result<Self, CliError> {
        let file = file.file_name().unwrap_or_default().to_string_lossy();
        let path = directory.join(format!(".{file}.{job}.lock"));
        let failed = |source| CliError::JobLock {
            path: path.clone(),
            source,
        };
        let mut how = OpenOptions::new();
        how.read(true).write(true).create(true).mode(0o600);
        let mut lock = how.open(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                return Err(CliError::JobRuns {
                    job: job.to_owned(),
                    holder: holder.trim_end().to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let lock = Self(lock);
        lock.tell_holder(std::process::id());
        Ok(lock)
    }

    /// Writes down who holds it. It is for people alone: what counts is the lock.
    pub(super) fn tell_holder(&self, process: u32) {
        let now = Timestamp::now();
        let now = now.round(Unit::Second).unwrap_or(now);
        let mut file = &self.0;
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("process {process}, since {now}\n").as_bytes()));
    }

    /// Starts a process that holds the lock as well: if this one is killed, the job still runs.
    pub(super) fn held_by_children_too<T>(
        &self,
        start: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        fcntl_setfd(&self.0, FdFlags::empty())?;
        let started = start();
        fcntl_setfd(&self.0, FdFlags::CLOEXEC)?;
        started
    }
}
