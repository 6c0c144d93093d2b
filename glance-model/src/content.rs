//! Image data that a Glance refuses for what it is.
//!
//! Since Glance 30 the server looks at uploaded data as it comes, and refuses
//! what does not match `disk_format` or looks unsafe. By then its record has
//! leftovers, and takes no data any more; so a client had better look first. The
//! rules are those of Glance 33: `set_data` in `glance/location.py`, and the
//! inspectors of `oslo_utils/imageutils/format_inspector.py` (`oslo.utils` 10.2).
//! They were held against each other on generated data of every format.

mod head;
mod vhdx;
mod vmdk;

use std::fmt;

use vhdx::Vhdx;
use vmdk::Vmdk;

/// A store of Glance takes image data in chunks of this many bytes (its file
/// store does, others take more). All formats but what lies deep inside VMDK and
/// VHDX are told by the first chunk.
const CHUNK_BYTES: usize = 64 * 1024;

/// The format of image data, as far as its beginning tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of the formats say it")]
pub enum DataFormat {
    Qcow2,
    Qed,
    Vhd,
    Vhdx,
    Vmdk,
    Vdi,
    Iso,
    /// A partition table, of GPT or of MBR.
    Gpt,
    Luks,
    /// Anything else.
    Raw,
}

impl DataFormat {
    /// The formats that an inspector of Glance has the name of: data that is none of
    /// them does not pass for one (`ALL_FORMATS`).
    const KNOWN: [Self; 9] = [
        Self::Qcow2,
        Self::Qed,
        Self::Vhd,
        Self::Vhdx,
        Self::Vmdk,
        Self::Vdi,
        Self::Iso,
        Self::Gpt,
        Self::Luks,
    ];

    /// The name that `disk_format` has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Qed => "qed",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
            Self::Iso => "iso",
            Self::Gpt => "gpt",
            Self::Luks => "luks",
            Self::Raw => "raw",
        }
    }

    /// Finds the format that data begins like: `head` is its first 64 KiB, or all of it.
    ///
    /// # Errors
    ///
    /// [`ContentProblem::Ambiguous`] if it begins like several.
    pub fn find(head: &[u8]) -> Result<Self, ContentProblem> {
        let mut found = head::formats(head);
        if matches!(
            vmdk::look(head),
            vmdk::Look::Sparse | vmdk::Look::Descriptor(_)
        ) {
            found.push(Self::Vmdk);
        }
        one_of(&found, true)
    }

    /// Returns the `disk_format` of an image of such data. Disks with a partition table or with LUKS
    /// have none of their own that every Glance knows, and are raw.
    #[must_use]
    pub fn disk_format(self) -> &'static str {
        match self {
            Self::Gpt | Self::Luks | Self::Raw => Self::Raw.name(),
            format => format.name(),
        }
    }
}

/// Returns the one format that data begins like. A bootable ISO may have a partition table in
/// front, if that `may_be_iso`.
fn one_of(found: &[DataFormat], may_be_iso: bool) -> Result<DataFormat, ContentProblem> {
    match *found {
        [] => Ok(DataFormat::Raw),
        [DataFormat::Iso, DataFormat::Gpt] if may_be_iso => Ok(DataFormat::Iso),
        [one] => Ok(one),
        [first, second, ..] => Err(ContentProblem::Ambiguous { first, second }),
    }
}

/// Returns what data begins like that is no image: something that was packed, or a page of the web
/// in the place of a file.
#[must_use]
pub fn wrapping(head: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 7] = [
        (b"\x1f\x8b", "compressed with gzip"),
        (b"\xfd7zXZ\0", "compressed with xz"),
        (b"BZh", "compressed with bzip2"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"<", "a page of HTML or XML"),
    ];
    if head.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    let found = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
    found.map(|(_, what)| *what)
}

impl fmt::Display for DataFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The reason why a Glance would refuse image data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentProblem {
    /// It is not what `disk_format` says.
    #[error("its disk_format is {stated}, and its data is {found}")]
    Mismatch {
        /// The stated `disk_format`.
        stated: String,
        /// The format that the data begins like.
        found: DataFormat,
    },
    /// There is no data, and `disk_format` is one that has a header.
    #[error("its disk_format is {stated}, and it has no data, not even the header of {stated}")]
    Empty {
        /// The stated `disk_format`.
        stated: String,
    },
    /// The target has taken all of it once, and refused it then.
    #[error(
        "the target has refused this data after an earlier upload, with the disk_format {stated}"
    )]
    RefusedBefore {
        /// The stated `disk_format`, there as here.
        stated: String,
    },
    /// It begins like several formats at once, which is how attacks begin.
    #[error("its data is both {first} and {second}")]
    Ambiguous {
        /// One of them.
        first: DataFormat,
        /// Another one.
        second: DataFormat,
    },
    /// It would make a host open other files, or is known for nothing good.
    #[error("its data is {found} {why}")]
    Unsafe {
        /// The format that the data begins like.
        found: DataFormat,
        /// The unsafe part.
        why: &'static str,
    },
    /// Nothing says what it is an image of, and it looks like something that holds one.
    #[error("its data is {found}, and no image: unpack it, or state its disk_format")]
    Wrapped {
        /// The format that the data begins like.
        found: &'static str,
    },
}

/// Looks at the data of one image as it passes, as a Glance would. It keeps no
/// more of it than the headers that it looks at, 1 MiB at most.
#[derive(Clone, Debug)]
pub struct Inspector {
    disk_format: String,
    seen_bytes: u64,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// The first chunk is not whole yet.
    Beginning(Vec<u8>),
    /// It is certain, whatever follows.
    Decided(Option<ContentProblem>),
    /// It has headers further on.
    Vmdk(Vmdk),
    /// It has headers further on.
    Vhdx(Vhdx),
}

impl Inspector {
    /// Begins to look at an image. Like Glance, it looks only at containers of
    /// the format `bare`.
    #[must_use]
    pub fn new(disk_format: &str, container_format: &str) -> Self {
        Self {
            disk_format: disk_format.to_owned(),
            seen_bytes: 0,
            state: match container_format {
                "bare" => State::Beginning(Vec::new()),
                _ => State::Decided(None),
            },
        }
    }

    /// Looks at all of the data of an image at once.
    #[must_use]
    pub fn find(disk_format: &str, container_format: &str, data: &[u8]) -> Option<ContentProblem> {
        let mut inspector = Self::new(disk_format, container_format);
        inspector.see(data);
        inspector.finish()
    }

    /// Looks at the next bytes of the data.
    pub fn see(&mut self, mut bytes: &[u8]) {
        self.seen_bytes += bytes.len() as u64;
        if let State::Beginning(head) = &mut self.state {
            let missing = CHUNK_BYTES.saturating_sub(head.len());
            let (first, rest) = bytes.split_at(missing.min(bytes.len()));
            head.extend_from_slice(first);
            bytes = rest;
            if head.len() < CHUNK_BYTES {
                return;
            }
            let head = std::mem::take(head);
            self.state = begin(&self.disk_format, &head);
        }
        match &mut self.state {
            State::Vmdk(vmdk) => vmdk.see(bytes),
            State::Vhdx(vhdx) => vhdx.see(bytes),
            State::Beginning(_) | State::Decided(_) => return,
        }
        if let Some(decided) = self.decided() {
            self.state = State::Decided(decided);
        }
    }

    /// The number of bytes that it has seen.
    #[must_use]
    pub fn seen_bytes(&self) -> u64 {
        self.seen_bytes
    }

    /// Returns whether more of the beginning would tell more.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        match &self.state {
            State::Beginning(_) | State::Vhdx(_) => true,
            State::Vmdk(vmdk) => vmdk.wants_descriptor(),
            State::Decided(_) => false,
        }
    }

    /// Returns why the data is refused, if that is certain whatever follows.
    #[must_use]
    pub fn problem(&self) -> Option<&ContentProblem> {
        match &self.state {
            State::Decided(problem) => problem.as_ref(),
            _ => None,
        }
    }

    /// Returns why the data is refused, now that this was all of it.
    #[must_use]
    pub fn finish(mut self) -> Option<ContentProblem> {
        if let State::Beginning(head) = &self.state {
            if head.is_empty() {
                return empty(&self.disk_format);
            }
            self.state = begin(&self.disk_format, head);
        }
        let refused =
            |found, why: Option<&'static str>| why.map(|why| ContentProblem::Unsafe { found, why });
        match self.state {
            State::Beginning(_) => None,
            State::Decided(problem) => problem,
            State::Vmdk(vmdk) => refused(DataFormat::Vmdk, vmdk.finish()),
            State::Vhdx(vhdx) => {
                let is_read = self.disk_format == DataFormat::Vhdx.name();
                refused(DataFormat::Vhdx, vhdx.finish(is_read))
            }
        }
    }

    /// Returns the verdict, if it is certain by now.
    fn decided(&self) -> Option<Option<ContentProblem>> {
        match &self.state {
            State::Vmdk(vmdk) => {
                let decided = vmdk.decided()?;
                let found = DataFormat::Vmdk;
                Some(decided.map(|why| ContentProblem::Unsafe { found, why }))
            }
            State::Vhdx(vhdx) if vhdx.is_settled() => {
                let is_read = self.disk_format == DataFormat::Vhdx.name();
                let found = DataFormat::Vhdx;
                let why = vhdx.clone().finish(is_read);
                Some(why.map(|why| ContentProblem::Unsafe { found, why }))
            }
            _ => None,
        }
    }
}

/// Decides by the first chunk, or by all of the data if it is shorter.
fn begin(disk_format: &str, head: &[u8]) -> State {
    let mut found = head::formats(head);
    let text = match vmdk::look(head) {
        vmdk::Look::Sparse => {
            found.push(DataFormat::Vmdk);
            None
        }
        vmdk::Look::Descriptor(descriptor) => {
            found.push(DataFormat::Vmdk);
            Some(descriptor)
        }
        vmdk::Look::Other => None,
        // Glance stops looking there, at anything, and takes what it has.
        vmdk::Look::Breaks { is_descriptor } => {
            let found = DataFormat::Vmdk;
            let why = "as text that is not ASCII, which Glance takes without a look";
            let problem = ContentProblem::Unsafe { found, why };
            return State::Decided(is_descriptor.then_some(problem));
        }
    };
    // As raw, an ISO with a partition table breaks the warning that Glance writes of it, and is
    // refused.
    let found = match one_of(&found, disk_format != "raw") {
        Ok(found) => found,
        Err(problem) => return State::Decided(Some(problem)),
    };
    if !passes_for(found, disk_format) {
        return State::Decided(Some(ContentProblem::Mismatch {
            stated: disk_format.to_owned(),
            found,
        }));
    }
    let why = match (found, text) {
        (DataFormat::Vhdx, _) => return State::Vhdx(Vhdx::begin(head)),
        (DataFormat::Vmdk, None) => match Vmdk::begin(head) {
            Ok(vmdk) => return State::Vmdk(vmdk),
            Err(why) => Some(why),
        },
        // Its virtual size is in the header, which is not there.
        (DataFormat::Vmdk, Some(_)) if disk_format == DataFormat::Vmdk.name() => {
            Some("without a header: a text that names other files")
        }
        (DataFormat::Vmdk, Some(descriptor)) => vmdk::danger(&descriptor),
        (found, _) => head::danger(found, head),
    };
    State::Decided(why.map(|why| ContentProblem::Unsafe { found, why }))
}

/// Returns whether data of a format is taken for an image of a `disk_format`.
fn passes_for(found: DataFormat, disk_format: &str) -> bool {
    let is_known = DataFormat::KNOWN
        .iter()
        .any(|format| format.name() == disk_format);
    // Of ami, ari, aki, ploop and the like nothing can be told.
    found.name() == disk_format || disk_format == "raw" || (found == DataFormat::Raw && !is_known)
}

fn empty(disk_format: &str) -> Option<ContentProblem> {
    let stated = disk_format.to_owned();
    (!passes_for(DataFormat::Raw, disk_format)).then_some(ContentProblem::Empty { stated })
}

#[cfg(test)]
mod tests;
