//! VHDX: tables that lead from one to the next. As `VHDXInspector` follows them, chunk by
//! chunk, which matters where a table lies before the one that names it.

use super::CHUNK_BYTES;
use super::vmdk::field;

/// The region table: where it is, and its length.
const TABLE_AT: u64 = 192 * 1024;
const TABLE_BYTES: usize = 64 * 1024;
/// The most entries of a table.
const MOST_ENTRIES: u32 = 2047;
const ENTRY_BYTES: usize = 32;
/// The most that is read of the metadata table, and of one item of it.
const METADATA_BYTES: usize = 32 * 2048;
/// `8B7CA206-4790-4B9A-B8FE-575F050F886E`: the metadata region.
const METADATA: [u8; 16] = [
    0x06, 0xA2, 0x7C, 0x8B, 0x90, 0x47, 0x9A, 0x4B, 0xB8, 0xFE, 0x57, 0x5F, 0x05, 0x0F, 0x88, 0x6E,
];
/// `2FA54224-CD1B-4876-B211-5DBED83BF4B8`: the size of the disk.
const DISK_SIZE: [u8; 16] = [
    0x24, 0x42, 0xA5, 0x2F, 0x1B, 0xCD, 0x76, 0x48, 0xB2, 0x11, 0x5D, 0xBE, 0xD8, 0x3B, 0xF4, 0xB8,
];

/// A part of the data that is kept as it passes (`CaptureRegion`).
#[derive(Clone, Debug)]
struct Region {
    at: u64,
    len: usize,
    data: Vec<u8>,
}

impl Region {
    fn new(at: u64, len: usize) -> Self {
        let data = Vec::new();
        Self { at, len, data }
    }

    fn is_complete(&self) -> bool {
        self.data.len() == self.len
    }

    /// Takes what belongs to it of a chunk. Of a region that has begun before the chunk,
    /// the inspector takes the chunk from its first byte.
    fn take(&mut self, chunk: &[u8], chunk_at: u64) {
        let chunk_end = chunk_at + chunk.len() as u64;
        let end = self.at.saturating_add(self.len as u64);
        if self.is_complete() || self.at > chunk_end || chunk_at > end {
            return;
        }
        let lead = usize::try_from(self.at.saturating_sub(chunk_at)).unwrap_or(usize::MAX);
        let missing = self.len.saturating_sub(self.data.len());
        let taken = chunk.get(lead..).unwrap_or_default();
        self.data.extend(taken.iter().take(missing));
    }
}

/// A table that is not what it should be: the inspector stops there.
struct Broken;

#[derive(Clone, Debug)]
pub(super) struct Vhdx {
    chunk: Vec<u8>,
    chunk_at: u64,
    table: Region,
    metadata: Option<Region>,
    disk_size: Option<Region>,
    is_broken: bool,
}

impl Vhdx {
    /// Begins with the first chunk.
    pub(super) fn begin(head: &[u8]) -> Self {
        let mut vhdx = Self {
            chunk: Vec::new(),
            chunk_at: 0,
            table: Region::new(TABLE_AT, TABLE_BYTES),
            metadata: None,
            disk_size: None,
            is_broken: false,
        };
        vhdx.see(head);
        vhdx
    }

    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_settled() {
            let missing = CHUNK_BYTES.saturating_sub(self.chunk.len());
            let (first, rest) = bytes.split_at(missing.min(bytes.len()));
            self.chunk.extend_from_slice(first);
            bytes = rest;
            if self.chunk.len() == CHUNK_BYTES {
                self.eat_chunk();
            }
        }
    }

    /// Returns whether nothing that follows changes what is known.
    pub(super) fn is_settled(&self) -> bool {
        self.is_broken || self.disk_size.as_ref().is_some_and(Region::is_complete)
    }

    /// Why it is refused, now that this was all of it. The size of the disk `is_read` if
    /// the image is to be a VHDX.
    pub(super) fn finish(mut self, is_read: bool) -> Option<&'static str> {
        if !self.is_settled() && !self.chunk.is_empty() {
            self.eat_chunk();
        }
        if !self.is_settled() {
            // At the end of the data, the inspector is given an empty chunk.
            self.eat_chunk();
        }
        let parts = [
            Some(&self.table),
            self.metadata.as_ref(),
            self.disk_size.as_ref(),
        ];
        if parts.into_iter().flatten().any(|part| !part.is_complete()) {
            return Some("whose headers are cut short");
        }
        let is_odd = self.disk_size.is_some_and(|size| size.len != 8);
        (is_read && is_odd).then_some("whose size cannot be read")
    }

    fn eat_chunk(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let parts = [
            Some(&mut self.table),
            self.metadata.as_mut(),
            self.disk_size.as_mut(),
        ];
        for part in parts.into_iter().flatten() {
            part.take(&chunk, self.chunk_at);
        }
        if let Err(Broken) = self.follow(&chunk) {
            self.is_broken = true;
        }
        self.chunk_at += chunk.len() as u64;
    }

    /// Follows the tables by one step, as `post_process` does after each chunk. What it finds
    /// may begin in that chunk.
    fn follow(&mut self, chunk: &[u8]) -> Result<(), Broken> {
        if self.metadata.is_none() {
            if self.table.is_complete() {
                self.metadata = metadata_region(&self.table.data)?;
                if let Some(metadata) = &mut self.metadata {
                    metadata.take(chunk, self.chunk_at);
                }
            }
        } else if self.disk_size.is_none()
            && let Some(metadata) = &mut self.metadata
            && let Some((offset, len)) = disk_size_item(&metadata.data)?
        {
            metadata.len = metadata.data.len();
            let mut item = Region::new(metadata.at.saturating_add(offset), len);
            item.take(chunk, self.chunk_at);
            self.disk_size = Some(item);
        }
        Ok(())
    }
}

/// As `_find_meta_region`.
fn metadata_region(table: &[u8]) -> Result<Option<Region>, Broken> {
    let count = u32::from_le_bytes(field(table, 8).ok_or(Broken)?);
    if !table.starts_with(b"regi") || count > MOST_ENTRIES {
        return Err(Broken);
    }
    let entries = table
        .get(16..)
        .unwrap_or_default()
        .chunks_exact(ENTRY_BYTES);
    let entry = entries
        .take(usize::try_from(count).unwrap_or_default())
        .find(|entry| entry.starts_with(&METADATA));
    let at = entry
        .and_then(|entry| field(entry, 16))
        .map(u64::from_le_bytes);
    Ok(at.map(|at| Region::new(at, METADATA_BYTES)))
}

/// Where the size of the disk is, counted from the metadata, and its length; `None` if it is not
/// named, or not yet. As `_find_meta_entry`.
fn disk_size_item(metadata: &[u8]) -> Result<Option<(u64, usize)>, Broken> {
    if metadata.len() < ENTRY_BYTES {
        return Ok(None);
    }
    if !metadata.starts_with(b"metadata") {
        return Err(Broken);
    }
    let count = field(metadata, 10).map_or(0, u16::from_le_bytes);
    let entries = metadata.get(ENTRY_BYTES..ENTRY_BYTES + usize::from(count) * ENTRY_BYTES);
    let mut entries = entries.unwrap_or_default().chunks_exact(ENTRY_BYTES);
    let entry = entries.find(|entry| entry.starts_with(&DISK_SIZE));
    let offset = entry
        .and_then(|entry| field(entry, 16))
        .map(u32::from_le_bytes);
    let len = entry
        .and_then(|entry| field(entry, 20))
        .map(u32::from_le_bytes);
    Ok(offset.zip(len).map(|(offset, len)| {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        (u64::from(offset), len.min(METADATA_BYTES))
    }))
}
