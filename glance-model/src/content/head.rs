//! Formats that are told by their first 34 KiB, and what is unsafe about them.

use super::DataFormat;

/// The formats that data begins like, but for VMDK; none if it is raw. Each rule is
/// the `format_match` of an inspector: some want all of their header to be there, of
/// others the magic number is enough, and [`danger`] refuses what is cut short.
pub(super) fn formats(head: &[u8]) -> Vec<DataFormat> {
    let at = |offset: usize, magic: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    let has_sector = head.len() >= SECTOR_BYTES;
    let has_volume = head.len() >= VOLUME_END;
    let is_volume = |magic| has_volume && at(VOLUME_AT + 1, magic);
    // The boot sector of a FAT file system has the signature of an MBR.
    let is_fat = head.get(0x10) == Some(&2) && head.get(0x15) == Some(&0xF8);
    [
        (DataFormat::Qcow2, has_sector && at(0, b"QFI\xfb")),
        (DataFormat::Qed, has_sector && at(0, b"QED\0")),
        (DataFormat::Vhd, at(0, b"conectix")),
        (DataFormat::Vhdx, at(0, b"vhdxfile")),
        (
            DataFormat::Vdi,
            has_sector && at(0x40, &0xBEDA_107F_u32.to_le_bytes()),
        ),
        (
            DataFormat::Iso,
            is_volume(b"CD001") || is_volume(b"NSR02") || is_volume(b"NSR03"),
        ),
        (DataFormat::Gpt, at(510, &[0x55, 0xAA]) && !is_fat),
        (DataFormat::Luks, at(0, b"LUKS\xba\xbe")),
    ]
    .into_iter()
    .filter_map(|(format, is_it)| is_it.then_some(format))
    .collect()
}

const SECTOR_BYTES: usize = 512;
/// The descriptor of an ISO 9660 or UDF volume.
const VOLUME_AT: usize = 32 * 1024;
const VOLUME_END: usize = VOLUME_AT + 2 * 1024;
/// The header of LUKS, with its key slots.
const LUKS_BYTES: usize = 592;

/// The objections of Glance's safety checks to a format.
pub(super) fn danger(found: DataFormat, head: &[u8]) -> Option<&'static str> {
    match found {
        DataFormat::Qcow2 => qcow2_danger(head),
        DataFormat::Qed => Some("which no Glance takes"),
        DataFormat::Vhd => (head.len() < SECTOR_BYTES).then_some("whose header is cut short"),
        DataFormat::Gpt => gpt_danger(head),
        DataFormat::Luks => luks_danger(head),
        _ => None,
    }
}

/// As `QcowInspector.check_backing_file`, `check_data_file`, `check_unknown_features`.
fn qcow2_danger(head: &[u8]) -> Option<&'static str> {
    let byte = |at: usize| head.get(at).copied().unwrap_or_default();
    if (8..16).any(|at| byte(at) != 0) {
        return Some("with a backing file");
    }
    // Incompatible features, big-endian: bit 2 is an external data file. Glance looks at
    // them in version 2 as well, which has none.
    if byte(79) & 0b100 != 0 {
        return Some("with an external data file");
    }
    match [byte(4), byte(5), byte(6), byte(7)] {
        [0, 0, 0, 2] => None,
        [0, 0, 0, 3] if byte(79) & 0b1111_0000 != 0 || (72..79).any(|at| byte(at) != 0) => {
            Some("with unknown features")
        }
        [0, 0, 0, 3] => None,
        _ => Some("of an unsupported version"),
    }
}

/// As `GPTInspector.check_mbr_partitions`.
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

/// As `LUKSInspector.check_version`.
fn luks_danger(head: &[u8]) -> Option<&'static str> {
    if head.len() < LUKS_BYTES {
        return Some("whose header is cut short");
    }
    (head.get(6..8) != Some(&[0, 1])).then_some("of a version other than 1")
}
