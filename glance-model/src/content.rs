//! Image data that a Glance refuses for what it is.
//!
//! Since Glance 30 the server looks at uploaded data as it comes, and refuses
//! what does not match `disk_format` or looks unsafe. By then its record has
//! leftovers, and takes no data any more; so a client had better look first. The
//! rules are those of `glance/location.py` (`set_data`) and
//! `oslo_utils/imageutils/format_inspector.py`.

use std::fmt;

/// What can be told of image data from its beginning.
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

    /// Every format that the data begins like; none if it is raw.
    fn all_of(head: &[u8]) -> Vec<Self> {
        let at = |offset: usize, magic: &[u8]| {
            head.get(offset..)
                .is_some_and(|rest| rest.starts_with(magic))
        };
        let has_sector = head.len() >= 512;
        let is_fat = head.get(0x10) == Some(&2) && head.get(0x15) == Some(&0xF8);
        let iso = |magic| at(0x8001, magic) && head.len() >= HEAD_BYTES;
        [
            (Self::Qcow2, has_sector && at(0, b"QFI\xfb")),
            (Self::Qed, has_sector && at(0, b"QED\0")),
            (Self::Vhd, at(0, b"conectix")),
            (Self::Vhdx, at(0, b"vhdxfile")),
            (Self::Vmdk, at(0, b"KDMV")),
            (
                Self::Vdi,
                has_sector && at(0x40, &0xBEDA_107F_u32.to_le_bytes()),
            ),
            (Self::Iso, iso(b"CD001") || iso(b"NSR02") || iso(b"NSR03")),
            (Self::Gpt, at(510, &[0x55, 0xAA]) && !is_fat),
            (Self::Luks, at(0, b"LUKS\xba\xbe")),
        ]
        .into_iter()
        .filter_map(|(format, is_it)| is_it.then_some(format))
        .collect()
    }
}

impl fmt::Display for DataFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a Glance would refuse image data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentProblem {
    /// It is not what `disk_format` says.
    #[error("its disk_format is {stated}, and its data is {found}")]
    Mismatch {
        /// What `disk_format` says.
        stated: String,
        /// What the data begins like.
        found: DataFormat,
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
        /// What the data begins like.
        found: DataFormat,
        /// What is unsafe about it.
        why: &'static str,
    },
}

/// How many bytes from its beginning tell what image data is.
pub const HEAD_BYTES: usize = 34 * 1024;

impl ContentProblem {
    /// Looks at the first [`HEAD_BYTES`] of an image, or all of it if it is
    /// shorter. Like Glance, it looks only at containers of the format `bare`.
    #[must_use]
    pub fn find(disk_format: &str, container_format: &str, head: &[u8]) -> Option<Self> {
        if container_format != "bare" {
            return None;
        }
        let found = match DataFormat::all_of(head)[..] {
            [] => DataFormat::Raw,
            // A bootable ISO may have a partition table in front.
            [DataFormat::Iso, DataFormat::Gpt] => DataFormat::Iso,
            [one] => one,
            [first, second, ..] => return Some(Self::Ambiguous { first, second }),
        };
        // Formats that nothing can be told of: ami, ari, aki, ploop.
        let is_known = [
            "qcow2", "vhd", "vhdx", "vmdk", "vdi", "qed", "iso", "gpt", "luks",
        ]
        .contains(&disk_format);
        let matches = found.name() == disk_format
            || disk_format == "raw"
            || (found == DataFormat::Raw && !is_known);
        if !matches {
            return Some(Self::Mismatch {
                stated: disk_format.to_owned(),
                found,
            });
        }
        let why = match found {
            DataFormat::Qcow2 => qcow2_danger(head),
            DataFormat::Qed => Some("which no Glance takes"),
            // Kernels may have what only looks like a partition table.
            DataFormat::Gpt if !matches!(disk_format, "aki" | "ari") => gpt_danger(head),
            _ => None,
        };
        why.map(|why| Self::Unsafe { found, why })
    }
}

fn qcow2_danger(head: &[u8]) -> Option<&'static str> {
    let byte = |at: usize| head.get(at).copied().unwrap_or_default();
    if (8..16).any(|at| byte(at) != 0) {
        return Some("with a backing file");
    }
    match byte(7) {
        2 => None,
        // Incompatible features, big-endian: bit 2 is an external data file.
        3 if byte(79) & 0b100 != 0 => Some("with an external data file"),
        3 if byte(79) & 0b1111_0000 != 0 || (72..79).any(|at| byte(at) != 0) => {
            Some("with unknown features")
        }
        3 => None,
        _ => Some("of an unsupported version"),
    }
}

fn gpt_danger(head: &[u8]) -> Option<&'static str> {
    let mut partitions = Vec::new();
    let mut is_gpt = false;
    for (number, entry) in head.get(446..510)?.chunks_exact(16).enumerate() {
        let [boot, h, s, t, kind, _, _, _, lba @ .., _, _, _, _] = entry else {
            continue;
        };
        if !matches!(boot, 0 | 0x80) {
            return Some("with an invalid boot flag in its partition table");
        }
        if *kind != 0 {
            partitions.push(number);
        }
        if *kind == 0xEE {
            is_gpt = true;
            if (*h, *s, *t) != (0, 2, 0) || lba != [1, 0, 0, 0] {
                return Some("with an invalid start in its partition table");
            }
        }
    }
    if is_gpt && partitions != [0] {
        return Some("with extra partitions in its protective partition table");
    }
    partitions
        .is_empty()
        .then_some("with an empty partition table")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut head = vec![0; HEAD_BYTES];
        for (at, bytes) in parts {
            head[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        head
    }

    fn problem(disk_format: &str, head: &[u8]) -> Option<String> {
        ContentProblem::find(disk_format, "bare", head).map(|problem| problem.to_string())
    }

    #[test]
    fn each_format_is_known_by_its_beginning() {
        let version = (4, &[0, 0, 0, 3][..]);
        let cases = [
            ("qcow2", head(&[(0, b"QFI\xfb"), version])),
            ("vhd", head(&[(0, b"conectix")])),
            ("vhdx", head(&[(0, b"vhdxfile")])),
            ("vmdk", head(&[(0, b"KDMV")])),
            ("vdi", head(&[(0x40, &[0x7f, 0x10, 0xda, 0xbe])])),
            ("iso", head(&[(0x8001, b"CD001")])),
            ("raw", head(&[])),
        ];
        for (format, data) in &cases {
            assert_eq!(problem(format, data), None, "{format}");
            assert_eq!(problem("raw", data), None, "{format} as raw");
            let other = if *format == "vdi" { "vmdk" } else { "vdi" };
            let text = format!("its disk_format is {other}, and its data is {format}");
            assert_eq!(problem(other, data), Some(text));
            assert_eq!(ContentProblem::find(other, "ovf", data), None);
        }
        assert_eq!(problem("ami", &head(&[])), None);
        assert_eq!(problem("aki", b"short"), None);
        let text = "its disk_format is qcow2, and its data is raw";
        assert_eq!(problem("qcow2", b"").as_deref(), Some(text));
    }

    #[test]
    fn unsafe_data_is_refused_also_as_raw() {
        let qcow2 = |more: &[(usize, &[u8])]| {
            let mut parts: Vec<(usize, &[u8])> = vec![(0, b"QFI\xfb"), (4, &[0, 0, 0, 3])];
            parts.extend_from_slice(more);
            head(&parts)
        };
        let mbr = (510, &[0x55, 0xAA][..]);
        for (data, why) in [
            (qcow2(&[(15, &[1])]), "qcow2 with a backing file"),
            (qcow2(&[(79, &[4])]), "qcow2 with an external data file"),
            (qcow2(&[(79, &[0x20])]), "qcow2 with unknown features"),
            (qcow2(&[(7, &[1])]), "qcow2 of an unsupported version"),
            (head(&[(0, b"QED\0")]), "qed which no Glance takes"),
            (head(&[mbr]), "gpt with an empty partition table"),
            (
                head(&[mbr, (446, &[7])]),
                "gpt with an invalid boot flag in its partition table",
            ),
            (
                head(&[mbr, (446, &[0, 0, 2, 0, 0xEE, 0, 0, 0, 2])]),
                "gpt with an invalid start in its partition table",
            ),
        ] {
            assert_eq!(problem("raw", &data), Some(format!("its data is {why}")));
        }
        assert_eq!(problem("qcow2", &qcow2(&[(7, &[2])])), None);
    }

    #[test]
    fn partition_tables_are_data_like_any_other() {
        let mbr = (510, &[0x55, 0xAA][..]);
        let gpt = (446, &[0, 0, 2, 0, 0xEE, 0, 0, 0, 1, 0, 0, 0][..]);
        assert_eq!(problem("raw", &head(&[mbr, gpt])), None);
        assert_eq!(
            problem("raw", &head(&[mbr, (446, &[0x80, 0, 0, 0, 0x83])])),
            None
        );
        assert_eq!(problem("aki", &head(&[])), None);
        let iso = head(&[mbr, gpt, (0x8001, b"CD001")]);
        assert_eq!(problem("iso", &iso), None);
        let fat = head(&[mbr, (0x10, &[2]), (0x15, &[0xF8])]);
        assert_eq!(problem("raw", &fat), None);
        let both = head(&[(0, b"KDMV"), (0x8001, b"CD001")]);
        assert_eq!(
            problem("iso", &both).as_deref(),
            Some("its data is both vmdk and iso")
        );
    }
}
