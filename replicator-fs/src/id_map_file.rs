//! The file of the images that go by another id at a target.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use glance_model::ImageId;
use replicator_core::{IdMap, Operation, PortError, TargetIds};
use serde::{Deserialize, Serialize};

use crate::ArchiveError;
use crate::access;
use crate::transfer::finish;

/// A file that says which images go by another id at a target: one JSON object a
/// line, and the last line about an image counts. Several targets may share a
/// file, and several processes may write it.
#[derive(Clone)]
pub struct IdMapFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    target: String,
    ids: Mutex<TargetIds>,
    on_wait: Option<OnWait>,
    is_told: AtomicBool,
}

/// The longest time that another process may have the file locked before that is told. An id is
/// chosen sooner.
const PATIENCE: Duration = Duration::from_secs(1);

type OnWait = Box<dyn Fn(&Path) + Send + Sync>;

#[derive(Deserialize, Serialize)]
struct Line<'a> {
    target: std::borrow::Cow<'a, str>,
    image: ImageId,
    target_image: ImageId,
}

impl IdMapFile {
    /// Reads what a file says of one target, which is named as it is in the file.
    /// A file that does not exist says nothing; it is created, for its owner
    /// alone, when something is to be kept.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Read`], or [`ArchiveError::IdMap`] if a line is not what
    /// this crate writes.
    pub fn open(path: impl Into<PathBuf>, target: impl Into<String>) -> Result<Self, ArchiveError> {
        let (path, target) = (path.into(), target.into());
        let ids = match File::open(&path) {
            Ok(mut file) => read(&mut file, &path, &target)?.ids,
            Err(e) if e.kind() == ErrorKind::NotFound => TargetIds::new(),
            Err(e) => return Err(ArchiveError::read(&path)(e)),
        };
        Ok(Self(Arc::new(Inner {
            path,
            target,
            ids: Mutex::new(ids),
            on_wait: None,
            is_told: AtomicBool::new(false),
        })))
    }

    /// Has it told, once, that the file is waited for, which another process has locked.
    #[must_use]
    pub fn telling(mut self, on_wait: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.on_wait = Some(Box::new(on_wait));
        }
        self
    }
}

impl fmt::Debug for IdMapFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdMapFile")
            .field("path", &self.0.path)
            .field("target", &self.0.target)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl IdMap for IdMapFile {
    fn target_ids(&self) -> TargetIds {
        self.0.ids().clone()
    }

    async fn assign(&self, source: &ImageId) -> Result<ImageId, PortError> {
        let operation = Operation::AssignId(*source);
        let (inner, source) = (Arc::clone(&self.0), *source);
        finish(
            tokio::task::spawn_blocking(move || inner.assign(source)),
            &operation,
        )
        .await
    }
}

impl Inner {
    fn ids(&self) -> MutexGuard<'_, TargetIds> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self, file: &File) -> io::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => thread::sleep(PATIENCE / 100),
                Err(TryLockError::Error(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
        if let Some(on_wait) = &self.on_wait
            && !self.is_told.swap(true, Ordering::Relaxed)
        {
            on_wait(&self.path);
        }
        file.lock()
    }

    fn assign(&self, source: ImageId) -> Result<ImageId, ArchiveError> {
        let failed = || ArchiveError::write(&self.path);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = access::open(&self.path, options).map_err(failed())?;
        self.lock(&file).map_err(failed())?;
        let contents = read(&mut file, &self.path, &self.target)?;
        let mut ids = self.ids();
        // Another process has chosen one since we looked.
        if let Some(chosen) = contents.ids.get(&source)
            && ids.get(&source) != Some(chosen)
        {
            ids.insert(source, *chosen);
            return Ok(*chosen);
        }
        let chosen = random_id();
        let mut line = serde_json::to_vec(&Line {
            target: self.target.as_str().into(),
            image: source,
            target_image: chosen,
        })
        .map_err(|e| failed()(e.into()))?;
        line.push(b'\n');
        file.seek(SeekFrom::Start(contents.end_bytes))
            .and_then(|_| file.write_all(&line))
            .and_then(|()| file.sync_all())
            .map_err(failed())?;
        ids.insert(source, chosen);
        Ok(chosen)
    }
}

struct Contents {
    ids: TargetIds,
    /// The end of the last whole line. What stands behind it was never used: a
    /// process was killed while it wrote it.
    end_bytes: u64,
}

fn read(file: &mut File, path: &Path, target: &str) -> Result<Contents, ArchiveError> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)
        .map_err(ArchiveError::read(path))?;
    let mut ids = TargetIds::new();
    let mut end_bytes = 0;
    let whole = text.split_inclusive(|byte| *byte == b'\n');
    for (line, number) in whole.filter(|line| line.ends_with(b"\n")).zip(1..) {
        end_bytes += line.len() as u64;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line: Line<'_> =
            serde_json::from_slice(line).map_err(|source| ArchiveError::IdMap {
                path: path.to_owned(),
                line: number,
                source,
            })?;
        if line.target == target {
            ids.insert(line.image, line.target_image);
        }
    }
    Ok(Contents { ids, end_bytes })
}

#[expect(clippy::expect_used, reason = "a UUID in its dashed form is an id")]
fn random_id() -> ImageId {
    let id = uuid::Uuid::new_v4().hyphenated().to_string();
    ImageId::parse(&id).expect("a UUID is an image id")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "00000000-0000-4000-8000-000000000001";

    fn id(text: &str) -> ImageId {
        ImageId::parse(text).unwrap()
    }

    #[tokio::test]
    async fn what_is_assigned_is_there_for_later_runs_and_for_that_target_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids");
        let map = IdMapFile::open(&path, "http://b").unwrap();
        let chosen = map.assign(&id(ONE)).await.unwrap();
        let kept = |target: &str| IdMapFile::open(&path, target).unwrap().target_ids();
        assert_eq!(kept("http://b").get(&id(ONE)), Some(&chosen));
        assert_eq!(map.target_ids(), kept("http://b"));
        assert_eq!(kept("http://c"), TargetIds::new());
        // The id that was chosen is of no use either.
        let next = map.assign(&id(ONE)).await.unwrap();
        assert_ne!(next, chosen);
        assert_eq!(kept("http://b").get(&id(ONE)), Some(&next));
    }

    #[tokio::test]
    async fn a_file_that_another_process_has_locked_is_waited_for_and_that_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids");
        let locked = File::create(&path).unwrap();
        locked.lock().unwrap();
        let (told, is_told) = std::sync::mpsc::channel();
        let map = IdMapFile::open(&path, "http://b").unwrap();
        let map = map.telling(move |path| told.send(path.to_owned()).unwrap());
        let (one, other) = (map.clone(), map);
        let one = tokio::spawn(async move { one.assign(&id(ONE)).await });
        let other = tokio::spawn(async move { other.assign(&id(ONE)).await });
        let first = tokio::task::spawn_blocking(move || (is_told.recv(), is_told)).await;
        let (first, is_told) = first.unwrap();
        assert_eq!(first.unwrap(), path);
        drop(locked);
        one.await.unwrap().unwrap();
        other.await.unwrap().unwrap();
        assert!(is_told.try_recv().is_err());
    }

    #[tokio::test]
    async fn two_processes_choose_one_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids");
        let open = || IdMapFile::open(&path, "http://b").unwrap();
        let (one, other) = (open(), open());
        let chosen = one.assign(&id(ONE)).await.unwrap();
        assert_eq!(other.assign(&id(ONE)).await.unwrap(), chosen);
    }

    #[tokio::test]
    async fn a_line_that_was_not_finished_is_overwritten_and_a_wrong_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids");
        std::fs::write(&path, "\n{\"target\": \"http://b\", \"ima").unwrap();
        let map = IdMapFile::open(&path, "http://b").unwrap();
        let chosen = map.assign(&id(ONE)).await.unwrap();
        let again = IdMapFile::open(&path, "http://b").unwrap();
        assert_eq!(again.target_ids().get(&id(ONE)), Some(&chosen));

        std::fs::write(&path, "\n{\"target\": \"http://b\"}\n").unwrap();
        let error = IdMapFile::open(&path, "http://b").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("line 2") && text.contains("ids"), "{text}");
    }
}
