//! Image data of any size: kept in memory, in an unlinked file, or generated.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512};
use tokio::sync::mpsc;

/// The bytes read or generated at a time.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;
/// Uploads that grow beyond this many bytes move to an unlinked file.
const IN_MEMORY_BYTES: usize = 1024 * 1024;
/// As much of an upload as the inspection of formats looks at.
const HEAD_BYTES: usize = 40 * 1024;
/// Patterns are made of blocks of this many bytes that differ in their first eight.
const BLOCK_BYTES: u64 = 64 * 1024;

static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];
static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (1..=BLOCK_BYTES / 8)
        .flat_map(|word| mix(word).to_le_bytes())
        .collect()
});

/// The data of one image. Cheap to clone; only [`ImageContent::bytes`] takes memory for it.
#[derive(Clone, Debug)]
pub struct ImageContent(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Memory(Bytes),
    File { file: Arc<Mutex<File>>, len: u64 },
    Pattern { seed: u64, len: u64 },
    Repeated { block: Bytes, len: u64 },
    Zeros { len: u64 },
}

impl ImageContent {
    /// Holds these bytes in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Memory(bytes.into()))
    }

    /// Generates `len` bytes that depend on `seed`, without a run of zeros in them.
    #[must_use]
    pub fn pattern(seed: u64, len: u64) -> Self {
        Self(Kind::Pattern { seed, len })
    }

    /// Repeats `block` up to `len` bytes. It is not copied, so no other data is read faster.
    pub fn repeated(block: impl Into<Bytes>, len: u64) -> Self {
        Self(Kind::Repeated {
            block: block.into(),
            len,
        })
    }

    /// Generates `len` zeros.
    #[must_use]
    pub fn zeros(len: u64) -> Self {
        Self(Kind::Zeros { len })
    }

    /// The number of bytes.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        match &self.0 {
            Kind::Memory(bytes) => bytes.len() as u64,
            Kind::File { len, .. }
            | Kind::Pattern { len, .. }
            | Kind::Repeated { len, .. }
            | Kind::Zeros { len } => *len,
        }
    }

    /// Computes the SHA-256 of all bytes, in hex.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the unlinked file of an upload cannot be read.
    pub fn sha256(&self) -> io::Result<String> {
        let mut hash = Sha256::new();
        self.for_each_chunk(|chunk| hash.update(chunk))?;
        Ok(hex(&hash.finalize()))
    }

    /// Reads everything into memory.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the unlinked file of an upload cannot be read.
    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        self.for_each_chunk(|chunk| all.extend_from_slice(chunk))?;
        Ok(all)
    }

    pub(super) fn digests(&self, algorithm: HashAlgorithm) -> io::Result<Digests> {
        let mut hashing = Hashing::new(algorithm);
        self.for_each_chunk(|chunk| hashing.update(chunk))?;
        Ok(hashing.finish())
    }

    fn for_each_chunk(&self, mut consume: impl FnMut(&[u8])) -> io::Result<()> {
        let mut offset = 0;
        while offset < self.len_bytes() {
            let chunk = self.read_at(offset, CHUNK_BYTES as u64)?;
            if chunk.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset += chunk.len() as u64;
            consume(&chunk);
        }
        Ok(())
    }

    /// Reads up to `max` bytes (never more than [`CHUNK_BYTES`]); nothing at the end.
    pub(super) fn read_at(&self, offset: u64, max: u64) -> io::Result<Bytes> {
        let left = self.len_bytes().saturating_sub(offset);
        let count = left.min(max).min(CHUNK_BYTES as u64);
        let wanted = usize::try_from(count).unwrap_or(CHUNK_BYTES);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        Ok(match &self.0 {
            Kind::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                bytes.slice(start..start + wanted)
            }
            Kind::Zeros { .. } => Bytes::from_static(&ZEROS).slice(..wanted),
            Kind::Pattern { seed, .. } => pattern_at(*seed, offset, wanted),
            Kind::Repeated { block, .. } => {
                let start = offset.checked_rem(block.len() as u64).unwrap_or_default();
                let start = usize::try_from(start).unwrap_or_default();
                block.slice(start..block.len().min(start + wanted))
            }
            Kind::File { file, .. } => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(offset))?;
                let mut chunk = vec![0; wanted];
                file.read_exact(&mut chunk)?;
                chunk.into()
            }
        })
    }
}

fn pattern_at(seed: u64, offset: u64, wanted: usize) -> Bytes {
    let mut chunk = Vec::with_capacity(wanted + 2 * BLOCK.len());
    let first = offset / BLOCK_BYTES;
    let skip = usize::try_from(offset % BLOCK_BYTES).unwrap_or_default();
    for index in first.. {
        if chunk.len() >= skip + wanted {
            break;
        }
        chunk.extend_from_slice(
            &mix(seed.wrapping_mul(0x1_0000_0001).wrapping_add(index)).to_le_bytes(),
        );
        chunk.extend_from_slice(BLOCK.get(8..).unwrap_or_default());
    }
    Bytes::from(chunk).slice(skip..skip + wanted)
}

/// The finaliser of splitmix64: neighbouring inputs give unrelated outputs.
pub(super) fn mix(input: u64) -> u64 {
    let mut mixed = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The value of Glance's option `hashing_algorithm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512, Glance's default.
    #[default]
    Sha512,
}

impl HashAlgorithm {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// The digests and sizes that a Glance states about image data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) md5: String,
    pub(super) algorithm: String,
    pub(super) value: String,
}

struct Hashing {
    md5: Md5,
    multihash: Multihash,
}

enum Multihash {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Hashing {
    fn new(algorithm: HashAlgorithm) -> Self {
        let multihash = match algorithm {
            HashAlgorithm::Sha256 => Multihash::Sha256(Sha256::new()),
            HashAlgorithm::Sha512 => Multihash::Sha512(Box::new(Sha512::new())),
        };
        Self {
            md5: Md5::new(),
            multihash,
        }
    }

    fn update(&mut self, chunk: &[u8]) {
        self.md5.update(chunk);
        match &mut self.multihash {
            Multihash::Sha256(hash) => hash.update(chunk),
            Multihash::Sha512(hash) => hash.update(chunk),
        }
    }

    fn finish(self) -> Digests {
        let (algorithm, value) = match self.multihash {
            Multihash::Sha256(hash) => (HashAlgorithm::Sha256, hex(&hash.finalize())),
            Multihash::Sha512(hash) => (HashAlgorithm::Sha512, hex(&hash.finalize())),
        };
        Digests {
            md5: hex(&self.md5.finalize()),
            algorithm: algorithm.name().to_owned(),
            value,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The part of one upload that arrived.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) content: ImageContent,
    pub(super) digests: Option<Digests>,
    pub(super) head: Vec<u8>,
}

impl Stored {
    /// The remains of data that is not kept.
    pub(super) fn forgotten(head: Vec<u8>, len: u64, digests: Option<Digests>) -> Self {
        Self {
            content: ImageContent::zeros(len),
            digests,
            head,
        }
    }
}

/// Adds what is still missing of the head that the inspection looks at.
pub(super) fn take_head(head: &mut Vec<u8>, chunk: &[u8]) {
    let missing = HEAD_BYTES.saturating_sub(head.len());
    head.extend(chunk.iter().take(missing));
}

/// Takes in chunks until the channel closes; runs on a thread that may block.
pub(super) fn store(
    mut chunks: mpsc::Receiver<Bytes>,
    algorithm: HashAlgorithm,
) -> io::Result<Stored> {
    let mut hashing = Hashing::new(algorithm);
    let (mut head, mut memory, mut file, mut len) = (Vec::new(), Vec::new(), None::<File>, 0);
    while let Some(chunk) = chunks.blocking_recv() {
        len += chunk.len() as u64;
        take_head(&mut head, &chunk);
        hashing.update(&chunk);
        match &mut file {
            Some(file) => file.write_all(&chunk)?,
            None if memory.len() + chunk.len() <= IN_MEMORY_BYTES => {
                memory.extend_from_slice(&chunk)
            }
            None => {
                let mut opened = tempfile::tempfile()?;
                opened.write_all(&std::mem::take(&mut memory))?;
                opened.write_all(&chunk)?;
                file = Some(opened);
            }
        }
    }
    let kind = match file {
        Some(file) => Kind::File {
            file: Arc::new(Mutex::new(file)),
            len,
        },
        None => Kind::Memory(memory.into()),
    };
    Ok(Stored {
        content: ImageContent(kind),
        digests: Some(hashing.finish()),
        head,
    })
}

/// Names the format that the head of image data shows, `raw` if none.
pub(super) fn inspect(head: &[u8]) -> &'static str {
    let at = |offset: usize, magic: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    let signatures: [(usize, &[u8], &str); 6] = [
        (0, b"QFI\xfb", "qcow2"),
        (0, b"KDMV", "vmdk"),
        (0, b"vhdxfile", "vhdx"),
        (0, b"conectix", "vhd"),
        (0x40, b"\x7f\x10\xda\xbe", "vdi"),
        (0x8001, b"CD001", "iso"),
    ];
    let found = signatures
        .iter()
        .find(|(offset, magic, _)| at(*offset, magic));
    found.map_or("raw", |(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_same_from_any_offset() {
        let content = ImageContent::pattern(7, 300_000);
        let all = content.to_vec().unwrap();
        assert_eq!(all.len(), 300_000);
        for offset in [0, 1, 65_535, 65_536, 70_001, 299_999] {
            let part = content.read_at(offset, 100_000).unwrap();
            let start = usize::try_from(offset).unwrap();
            assert_eq!(part, all[start..start + part.len()], "from {offset}");
        }
        assert_ne!(all, ImageContent::pattern(8, 300_000).to_vec().unwrap());
    }

    #[test]
    fn a_repeated_block_begins_again_at_its_end() {
        let content = ImageContent::repeated("abc", 8);
        assert_eq!(content.to_vec().unwrap(), b"abcabcab");
        assert_eq!(content.read_at(4, 100).unwrap(), "bc");
    }
}
