//! Large writes past the system's page cache, where a local file system takes them.
//!
//! Through the cache each byte is copied once more, into memory that was freed of
//! something else for it: in a virtual machine that can take more of the processor
//! than hashing the data does.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};

/// Addresses in memory, places in a file and lengths must be multiples of this many bytes.
/// No disk in use asks for more.
const ALIGN: usize = 4096;
/// Copying less than this many bytes takes less time than waiting for the disk.
const LEAST_BYTES: usize = 256 << 10;

/// A file that is written past the cache as far as that can be.
#[derive(Debug)]
pub(crate) struct DirectFile {
    pub(crate) file: File,
    can_be_direct: bool,
    is_direct: bool,
}

impl DirectFile {
    pub(crate) fn new(file: File) -> Self {
        Self {
            can_be_direct: system::is_suited(&file),
            is_direct: false,
            file,
        }
    }

    /// Writes data at a place in the file. What is little, or not aligned in the
    /// file and in memory, goes through the cache.
    pub(crate) fn write_at(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        let is_large = data.len() >= LEAST_BYTES;
        let is_aligned =
            at.is_multiple_of(ALIGN as u64) && data.as_ptr().addr().is_multiple_of(ALIGN);
        let direct = match self.can_be_direct && is_large && is_aligned {
            true => data.len() - data.len() % ALIGN,
            false => 0,
        };
        self.file.seek(SeekFrom::Start(at))?;
        let (direct, mut rest) = data.split_at(direct);
        if !direct.is_empty()
            && let Err(error) = self.write(direct, true)
        {
            // The disk asks for more than we know of.
            if error.kind() != io::ErrorKind::InvalidInput {
                return Err(error);
            }
            self.can_be_direct = false;
            self.file.seek(SeekFrom::Start(at))?;
            rest = data;
        }
        match rest {
            [] => Ok(()),
            rest => self.write(rest, false),
        }
    }

    fn write(&mut self, data: &[u8], directly: bool) -> io::Result<()> {
        if self.is_direct != directly {
            system::set_direct(&self.file, directly)?;
            self.is_direct = directly;
        }
        self.file.write_all(data)
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, fstatfs};

    /// Ext2 to ext4, and XFS. Over a network each write would wait for an answer,
    /// and some file systems copy the data all the same.
    const SUITED: [u64; 2] = [0xEF53, 0x5846_5342];

    pub(super) fn is_suited(file: &File) -> bool {
        let kind = fstatfs(file).map(|found| found.f_type as u64);
        kind.is_ok_and(|kind| SUITED.contains(&kind))
    }

    pub(super) fn set_direct(file: &File, direct: bool) -> io::Result<()> {
        let mut flags = fcntl_getfl(file)?;
        flags.set(OFlags::DIRECT, direct);
        Ok(fcntl_setfl(file, flags)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs::File;
    use std::io;

    pub(super) fn is_suited(_: &File) -> bool {
        false
    }

    pub(super) fn set_direct(_: &File, _: bool) -> io::Result<()> {
        Ok(())
    }
}

/// A buffer that begins at an aligned address, and never grows.
#[derive(Debug)]
pub(crate) struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
}

impl AlignedBuffer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(capacity + ALIGN);
        let start = bytes.as_ptr().align_offset(ALIGN).min(ALIGN);
        bytes.resize(start, 0);
        Self { bytes, start }
    }

    /// Appends data. What is more than the capacity would move the buffer.
    pub(crate) fn push(&mut self, data: &[u8]) {
        debug_assert!(data.len() <= self.bytes.capacity() - self.bytes.len());
        self.bytes.extend_from_slice(data);
    }

    pub(crate) fn data(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(self.start);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LARGE: usize = LEAST_BYTES;

    /// Pieces of data at all sorts of places, aligned and not.
    fn written(can_be_direct: bool) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let mut file = DirectFile::new(File::create(&path).unwrap());
        file.can_be_direct &= can_be_direct;
        let mut at = 0;
        let lengths = [
            ALIGN,
            LARGE,
            3 * LARGE + 5,
            100,
            4 * LARGE,
            LARGE + 1,
            ALIGN - 1,
        ];
        for (number, len) in (1..).zip(lengths) {
            let mut buffer = AlignedBuffer::with_capacity(len);
            assert!(buffer.data().as_ptr().addr().is_multiple_of(ALIGN));
            buffer.push(&vec![number; len]);
            file.write_at(at, buffer.data()).unwrap();
            at += len as u64;
            if number % 2 == 1 {
                at = at.next_multiple_of(ALIGN as u64);
            }
        }
        drop(file);
        fs::read(path).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_file_systems_of_local_disks_are_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stat = std::process::Command::new("stat")
            .args(["--file-system", "--format=%T"])
            .arg(file.path())
            .output()
            .unwrap();
        let is_local = ["ext2/ext3", "xfs"].contains(&str::from_utf8(&stat.stdout).unwrap().trim());
        assert_eq!(
            DirectFile::new(file.reopen().unwrap()).can_be_direct,
            is_local
        );
    }

    #[test]
    fn what_is_written_past_the_cache_is_the_same() {
        let through_cache = written(false);
        assert_eq!(through_cache.last(), Some(&7));
        assert!(written(true) == through_cache);
    }

    #[test]
    fn only_what_is_large_and_aligned_goes_past_the_cache() {
        let mut file = DirectFile::new(tempfile::tempfile().unwrap());
        let mut buffer = AlignedBuffer::with_capacity(2 * LARGE);
        buffer.push(&[1; 2 * LARGE]);
        let (aligned, shifted) = (buffer.data(), buffer.data().split_at(1).1);
        for (at, data, is_direct) in [
            (0, aligned, true),
            (0, shifted, false),
            (1, aligned, false),
            (ALIGN as u64, aligned, true),
            (0, aligned.split_at(LARGE - ALIGN).0, false),
        ] {
            file.write_at(at, data).unwrap();
            assert_eq!(file.is_direct, is_direct && file.can_be_direct, "{at}");
        }
    }
}
