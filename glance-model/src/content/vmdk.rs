//! VMDK: a header, a descriptor behind it, and perhaps a footer at the very end; or a
//! descriptor alone, as text. As `VMDKInspector` looks at it.

/// A sparse header needs this much to be recognised (`MIN_SPARSE_HEADER`).
const HEADER_BYTES: usize = 64;
/// The inspector looks at this much to tell text from anything else.
const SECTOR_BYTES: usize = 512;
/// The most that is read of a descriptor (`DESC_MAX_SIZE`).
const MOST_DESCRIPTOR_BYTES: u64 = (1 << 20) - 1;
/// Where a header says that the footer is what counts (`GD_AT_END`).
const AT_END: u64 = u64::MAX;
/// The end of data with a footer: its marker, the footer, the marker of the end.
const FOOTER_BYTES: usize = 3 * SECTOR_BYTES;

/// The beginning of data, as the inspector takes it.
pub(super) enum Look {
    /// No VMDK.
    Other,
    /// Data that begins with a header.
    Sparse,
    /// A descriptor without a header, which names the files that have the data.
    Descriptor(Descriptor),
    /// Text whose beginning is ASCII and whose rest is not. The inspector has no answer to it,
    /// whose absence Glance takes for that of the inspector.
    Breaks {
        /// Whether hosts would take it for a descriptor.
        is_descriptor: bool,
    },
}

/// The text that says how the data is laid out, in small letters.
#[derive(Clone, Debug, Default)]
pub(super) struct Descriptor {
    text: String,
    /// The `createType`, where there is one.
    kind: Option<String>,
}

/// Tells what data is by its first chunk.
pub(super) fn look(head: &[u8]) -> Look {
    if head.starts_with(b"KDMV") {
        return Look::Sparse;
    }
    let sector = head.get(..SECTOR_BYTES).unwrap_or(head);
    if sector.len() < HEADER_BYTES || !sector.iter().all(|byte| is_text(*byte)) {
        return Look::Other;
    }
    match Descriptor::parse(head) {
        Some(descriptor) if descriptor.kind.is_some() => Look::Descriptor(descriptor),
        Some(_) => Look::Other,
        None => Look::Breaks {
            is_descriptor: String::from_utf8_lossy(head)
                .to_ascii_lowercase()
                .contains("createtype"),
        },
    }
}

/// `str.isprintable` or `str.isspace`, of ASCII.
fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') || is_blank(char::from(byte))
}

/// `str.isspace`, of ASCII.
fn is_blank(character: char) -> bool {
    matches!(character, '\t'..='\r' | '\u{1c}'..='\u{1f}' | ' ')
}

impl Descriptor {
    /// Reads the text up to the first NUL; `None` if it is not ASCII.
    fn parse(bytes: &[u8]) -> Option<Self> {
        const KEY: &str = "createtype=\"";
        let end = bytes.iter().position(|byte| *byte == 0);
        let bytes = bytes.get(..end.unwrap_or(bytes.len()))?;
        if !bytes.is_ascii() {
            return None;
        }
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let kind = text.split_once(KEY).and_then(|(_, rest)| {
            match rest.find('"') {
                Some(end) if end < 64 => rest.get(..end),
                Some(_) => None,
                // Python counts from the end then, and leaves the last letter out.
                None => rest.get(..rest.len().saturating_sub(1)),
            }
        });
        // The word by which the inspector says that there is none.
        let kind = kind.filter(|kind| *kind != "formatnotfound");
        Some(Self {
            kind: kind.map(str::to_owned),
            text,
        })
    }
}

/// Returns what the safety check `check_descriptor` objects to.
pub(super) fn danger(descriptor: &Descriptor) -> Option<&'static str> {
    if !matches!(
        descriptor.kind.as_deref(),
        Some("monolithicsparse" | "streamoptimized")
    ) {
        return Some("of a kind that may be spread over other files");
    }
    let mut has_extent = false;
    for line in descriptor.text.split('\n') {
        let line = line.trim_matches(is_blank);
        let is_field = line
            .split_once('=')
            .is_some_and(|(name, _)| !name.contains(' '));
        if line.is_empty() || line.starts_with('#') || line.starts_with("ddb") || is_field {
            continue;
        }
        let access = line.split(' ').next().unwrap_or_default();
        if !matches!(access, "rw" | "rdonly" | "noaccess") {
            return Some("with a descriptor that has unknown lines");
        }
        if line.contains('/') {
            return Some("with an extent in another directory");
        }
        has_extent = true;
    }
    (!has_extent).then_some("with a descriptor that names no extent")
}

/// Data that begins with a header, on its way.
#[derive(Clone, Debug)]
pub(super) struct Vmdk {
    header: Header,
    at_bytes: usize,
    descriptor: Vec<u8>,
    descriptor_bytes: usize,
    /// Returns why the descriptor is refused, once it is there.
    danger: Option<&'static str>,
    /// The last bytes so far, if there is to be a footer.
    tail: Option<Vec<u8>>,
}

/// The fields of a sparse header that matter (`_parse_sparse_header`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Header {
    is_signed: bool,
    version: u32,
    /// The beginning of the descriptor, in sectors.
    descriptor_at: u64,
    /// The length of the descriptor, in sectors.
    descriptor_sectors: u64,
    directory_at: u64,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            is_signed: bytes.starts_with(b"KDMV"),
            version: u32::from_le_bytes(field(bytes, 4)?),
            descriptor_at: u64::from_le_bytes(field(bytes, 28)?),
            descriptor_sectors: u64::from_le_bytes(field(bytes, 36)?),
            directory_at: u64::from_le_bytes(field(bytes, 56)?),
        })
    }
}

/// The bytes of a field.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

impl Vmdk {
    /// Begins with the first chunk, or says why it is refused whatever follows.
    pub(super) fn begin(head: &[u8]) -> Result<Self, &'static str> {
        let header = Header::parse(head).ok_or(CUT_SHORT)?;
        if !matches!(header.version, 1..=3) {
            return Err("of an unsupported version");
        }
        if header.descriptor_at != 1 {
            return Err("whose descriptor is not behind its header");
        }
        let descriptor_bytes = header
            .descriptor_sectors
            .saturating_mul(SECTOR_BYTES as u64)
            .min(MOST_DESCRIPTOR_BYTES);
        let mut vmdk = Self {
            header,
            at_bytes: 0,
            descriptor: Vec::new(),
            descriptor_bytes: usize::try_from(descriptor_bytes).unwrap_or(usize::MAX),
            danger: None,
            tail: (header.directory_at == AT_END).then(Vec::new),
        };
        if descriptor_bytes == 0 {
            return Err("without a descriptor");
        }
        vmdk.see(head);
        Ok(vmdk)
    }

    pub(super) fn see(&mut self, bytes: &[u8]) {
        if self.wants_descriptor() {
            let skipped = SECTOR_BYTES.saturating_sub(self.at_bytes);
            let rest = bytes.get(skipped..).unwrap_or_default();
            let missing = self.descriptor_bytes - self.descriptor.len();
            self.descriptor.extend(rest.iter().take(missing));
            self.at_bytes += bytes.len();
            if !self.wants_descriptor() {
                let descriptor = Descriptor::parse(&self.descriptor).unwrap_or_default();
                self.danger = danger(&descriptor);
            }
        }
        if let Some(tail) = &mut self.tail {
            let last = bytes.len().saturating_sub(FOOTER_BYTES);
            tail.extend_from_slice(bytes.get(last..).unwrap_or_default());
            tail.drain(..tail.len().saturating_sub(FOOTER_BYTES));
        }
    }

    pub(super) fn wants_descriptor(&self) -> bool {
        self.descriptor.len() < self.descriptor_bytes
    }

    /// Returns the verdict, if it is certain by now: why it is refused, or that it is not.
    pub(super) fn decided(&self) -> Option<Option<&'static str>> {
        match (self.danger, &self.tail) {
            (Some(why), _) => Some(Some(why)),
            (None, None) if !self.wants_descriptor() => Some(None),
            _ => None,
        }
    }

    /// Returns why it is refused, now that this was all of it.
    pub(super) fn finish(self) -> Option<&'static str> {
        if self.wants_descriptor() {
            return Some(CUT_SHORT);
        }
        self.danger
            .or_else(|| footer_danger(self.header, &self.tail?))
    }
}

const CUT_SHORT: &str = "whose header is cut short";

/// The objection of the safety check `check_footer`: a footer that says something else than
/// the header, by which a host would read another disk than the one that was looked at.
fn footer_danger(header: Header, tail: &[u8]) -> Option<&'static str> {
    const NONE: &str = "without the footer that its header promises";
    let sector = |number: usize| tail.get(number * SECTOR_BYTES..)?.get(..SECTOR_BYTES);
    let (Some(marker), Some(footer), Some(end)) = (sector(0), sector(1), sector(2)) else {
        return Some(NONE);
    };
    let Some(footer) = Header::parse(footer) else {
        return Some(NONE);
    };
    let is_padded = |sector: &[u8]| sector.iter().skip(16).all(|byte| *byte == 0);
    // The number of sectors, the size, and the kind: 3 is a footer, 0 the end.
    let is_marker = marker.get(8..16) == Some(&[0, 0, 0, 0, 3, 0, 0, 0]) && is_padded(marker);
    let is_end = end.iter().all(|byte| *byte == 0);
    if !is_marker || !is_end || footer.directory_at == AT_END {
        return Some(NONE);
    }
    let directory_at = header.directory_at;
    let as_header = Header {
        directory_at,
        ..footer
    };
    (as_header != header).then_some("whose footer says something else than its header")
}
