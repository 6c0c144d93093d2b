//! Image data as its headers make it, and what a Glance says of it.

use super::*;

/// As much as any format but VHDX and VMDK has headers in.
const LONG: usize = 34 * 1024;

fn data(len: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut data = vec![0; len];
    for (at, bytes) in parts {
        data[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    data
}

fn head(parts: &[(usize, &[u8])]) -> Vec<u8> {
    data(LONG, parts)
}

fn problem(disk_format: &str, data: &[u8]) -> Option<String> {
    Inspector::find(disk_format, "bare", data).map(|problem| problem.to_string())
}

const EXTENT: &str = "RW 20 SPARSE \"a.vmdk\"\n";

fn descriptor(kind: &str, lines: &str) -> String {
    format!(
        "# Disk DescriptorFile\nversion=1\ncreateType=\"{kind}\"\n{lines}ddb.adapterType = \"ide\"\n"
    )
}

/// A sparse VMDK: header, descriptor, data.
fn vmdk(descriptor: &str, changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut parts: Vec<(usize, &[u8])> = vec![
        (0, b"KDMV\x01"),
        (28, &[1]),
        (36, &[20]),
        (512, descriptor.as_bytes()),
    ];
    parts.extend_from_slice(changes);
    data(128 * 1024, &parts)
}

/// A VHDX whose metadata is where the Hyper-V of Windows puts it.
fn vhdx(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let table = 192 * 1024;
    let metadata = 2 << 20;
    let mut parts: Vec<(usize, &[u8])> = vec![
        (0, b"vhdxfile"),
        (table, b"regi"),
        (table + 8, &[1]),
        (
            table + 16,
            b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e",
        ),
        (table + 34, &[0x20]),
        (metadata, b"metadata"),
        (metadata + 10, &[1]),
        (
            metadata + 32,
            b"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8",
        ),
        (metadata + 50, &[1]),
        (metadata + 52, &[8]),
    ];
    parts.extend_from_slice(changes);
    data(3 << 20, &parts)
}

#[test]
fn each_format_is_known_by_its_beginning() {
    let version = (4, &[0, 0, 0, 3][..]);
    let cases = [
        ("qcow2", head(&[(0, b"QFI\xfb"), version])),
        ("vhd", head(&[(0, b"conectix")])),
        ("vhdx", vhdx(&[])),
        ("vmdk", vmdk(&descriptor("monolithicSparse", EXTENT), &[])),
        ("vdi", head(&[(0x40, &[0x7f, 0x10, 0xda, 0xbe])])),
        ("iso", head(&[(0x8001, b"CD001")])),
        ("luks", head(&[(0, b"LUKS\xba\xbe\0\x01")])),
        ("raw", head(&[])),
    ];
    for (format, data) in &cases {
        assert_eq!(problem(format, data), None, "{format}");
        assert_eq!(problem("raw", data), None, "{format} as raw");
        let other = if *format == "vdi" { "vmdk" } else { "vdi" };
        let text = format!("its disk_format is {other}, and its data is {format}");
        assert_eq!(problem(other, data), Some(text));
        assert_eq!(Inspector::find(other, "ovf", data), None);
    }
    assert_eq!(problem("ami", &head(&[])), None);
    assert_eq!(problem("aki", b"short"), None);
}

#[test]
fn an_image_of_no_bytes_is_of_no_format_that_has_a_header() {
    for format in ["raw", "ami", "ploop"] {
        assert_eq!(problem(format, b""), None, "{format}");
    }
    let text = "its disk_format is qcow2, and it has no data, not even the header of qcow2";
    assert_eq!(problem("qcow2", b"").as_deref(), Some(text));
    assert_eq!(Inspector::find("qcow2", "ovf", b""), None);
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
        (
            qcow2(&[(7, &[2]), (79, &[4])]),
            "qcow2 with an external data file",
        ),
        (qcow2(&[(79, &[0x20])]), "qcow2 with unknown features"),
        (qcow2(&[(7, &[1])]), "qcow2 of an unsupported version"),
        (qcow2(&[(4, &[1])]), "qcow2 of an unsupported version"),
        (head(&[(0, b"QED\0")]), "qed which no Glance takes"),
        (
            head(&[(0, b"LUKS\xba\xbe\0\x02")]),
            "luks of a version other than 1",
        ),
        (
            data(591, &[(0, b"LUKS\xba\xbe\0\x01")]),
            "luks whose header is cut short",
        ),
        (
            data(511, &[(0, b"conectix")]),
            "vhd whose header is cut short",
        ),
        (data(63, &[(0, b"KDMV")]), "vmdk whose header is cut short"),
        (
            data(256 * 1024 - 1, &[(0, b"vhdxfile")]),
            "vhdx whose headers are cut short",
        ),
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
    let as_raw = "its data is both iso and gpt";
    assert_eq!(problem("raw", &iso).as_deref(), Some(as_raw));
    let fat = head(&[mbr, (0x10, &[2]), (0x15, &[0xF8])]);
    assert_eq!(problem("raw", &fat), None);
    let both = head(&[(0, b"conectix"), (0x8001, b"CD001")]);
    assert_eq!(
        problem("iso", &both).as_deref(),
        Some("its data is both vhd and iso")
    );
}

#[test]
fn a_vmdk_is_what_its_descriptor_says_and_names_no_other_place() {
    let good = descriptor("streamOptimized", EXTENT);
    let spread = "of a kind that may be spread over other files";
    for (data, why) in [
        (vmdk(&good, &[]), None),
        (
            vmdk(&descriptor("monolithicFlat", EXTENT), &[]),
            Some(spread),
        ),
        (vmdk("", &[]), Some(spread)),
        (vmdk(&format!("{good}\u{e9}"), &[]), Some(spread)),
        (
            vmdk(&descriptor("streamOptimized", ""), &[]),
            Some("with a descriptor that names no extent"),
        ),
        (
            vmdk(
                &descriptor("streamOptimized", "RW 1 FLAT \"/etc/shadow\"\n"),
                &[],
            ),
            Some("with an extent in another directory"),
        ),
        (
            vmdk(&descriptor("streamOptimized", "do this\n"), &[]),
            Some("with a descriptor that has unknown lines"),
        ),
        (vmdk(&good, &[(4, &[4])]), Some("of an unsupported version")),
        (
            vmdk(&good, &[(28, &[2])]),
            Some("whose descriptor is not behind its header"),
        ),
        (vmdk(&good, &[(36, &[0])]), Some("without a descriptor")),
        (
            vmdk(&good, &[(37, &[1])]),
            Some("whose header is cut short"),
        ),
        (
            vmdk(&good, &[(56, &[0xff; 8])]),
            Some("without the footer that its header promises"),
        ),
    ] {
        let text = why.map(|why| format!("its data is vmdk {why}"));
        assert_eq!(problem("vmdk", &data), text);
        assert_eq!(problem("raw", &data), text);
    }
}

#[test]
fn the_footer_of_a_vmdk_is_its_header_once_more() {
    let good = descriptor("streamOptimized", EXTENT);
    let end = 128 * 1024;
    let header: Vec<u8> = vmdk(&good, &[]).drain(..512).collect();
    let footer = [
        (56, &[0xff; 8][..]),
        (end - 1536 + 12, &[3]),
        (end - 1024, &header),
    ];
    assert_eq!(problem("vmdk", &vmdk(&good, &footer)), None);
    let other = |change: (usize, &'static [u8])| {
        let mut parts = footer.to_vec();
        parts.push(change);
        problem("vmdk", &vmdk(&good, &parts))
    };
    let none = "its data is vmdk without the footer that its header promises";
    for change in [
        (end - 1536 + 12, &[0][..]),
        (end - 1536 + 100, &[1]),
        (end - 1024 + 56, &[0xff; 8]),
        (end - 1, &[1]),
    ] {
        assert_eq!(other(change).as_deref(), Some(none), "{change:?}");
    }
    let differs = "its data is vmdk whose footer says something else than its header";
    for change in [
        (end - 1024, &[0][..]),
        (end - 1024 + 4, &[2]),
        (end - 1024 + 28, &[7]),
        (end - 1024 + 36, &[7]),
    ] {
        assert_eq!(other(change).as_deref(), Some(differs), "{change:?}");
    }
}

#[test]
fn a_text_that_is_the_descriptor_of_a_vmdk_is_one() {
    let good = descriptor("monolithicSparse", EXTENT);
    let flat = descriptor("twoGbMaxExtentSparse", EXTENT);
    assert_eq!(problem("raw", good.as_bytes()), None);
    let alone = "its data is vmdk without a header: a text that names other files";
    assert_eq!(problem("vmdk", good.as_bytes()).as_deref(), Some(alone));
    let spread = "its data is vmdk of a kind that may be spread over other files";
    assert_eq!(problem("raw", flat.as_bytes()).as_deref(), Some(spread));
    let other = "its disk_format is ploop, and its data is vmdk";
    assert_eq!(problem("ploop", good.as_bytes()).as_deref(), Some(other));
    // Any other text is raw, also where Glance's inspector breaks.
    let text = "#!/bin/sh\n".repeat(60);
    assert_eq!(problem("raw", text.as_bytes()), None);
    assert_eq!(problem("raw", format!("{text}\u{e9}").as_bytes()), None);
    let hidden = format!("{text}{flat}\u{e9}");
    assert!(problem("raw", hidden.as_bytes()).is_some());
}

#[test]
fn the_tables_of_a_vhdx_are_there_as_far_as_they_lead() {
    assert_eq!(problem("vhdx", &vhdx(&[])), None);
    let size = "its data is vhdx whose size cannot be read";
    let odd = vhdx(&[((2 << 20) + 52, &[9])]);
    assert_eq!(problem("vhdx", &odd).as_deref(), Some(size));
    assert_eq!(problem("raw", &odd), None);
    let cut = "its data is vhdx whose headers are cut short";
    for len in [300, 192 << 10, 256 << 10, 2 << 20, (2 << 20) + (64 << 10)] {
        let data = &vhdx(&[])[..len];
        assert_eq!(problem("raw", data).as_deref(), Some(cut), "{len}");
    }
    // Where the tables lead nowhere, Glance stops looking.
    assert_eq!(problem("vhdx", &vhdx(&[(192 << 10, b"none")])), None);
    assert_eq!(problem("vhdx", &vhdx(&[((192 << 10) + 8, &[0])])), None);
}

#[test]
fn it_is_certain_as_early_as_it_can_be() {
    let good = descriptor("streamOptimized", EXTENT);
    let seen = |format: &str, data: &[u8], len: usize| {
        let mut inspector = Inspector::new(format, "bare");
        inspector.see(&data[..len]);
        (inspector.wants_more(), inspector.problem().is_some())
    };
    assert_eq!(seen("raw", &[0; 70_000], 65_535), (true, false));
    assert_eq!(seen("raw", &[0; 70_000], 65_536), (false, false));
    assert_eq!(seen("qcow2", &[0; 70_000], 65_536), (false, true));
    let footer = vmdk(&good, &[(56, &[0xff; 8])]);
    assert_eq!(seen("vmdk", &footer, 65_536), (false, false));
    let vhdx = vhdx(&[]);
    assert_eq!(seen("vhdx", &vhdx, 2 << 20), (true, false));
    assert_eq!(seen("vhdx", &vhdx, 2_228_224), (false, false));
}

#[test]
fn how_the_data_is_cut_into_pieces_does_not_matter() {
    let good = descriptor("streamOptimized", EXTENT);
    for data in [
        vhdx(&[]),
        vhdx(&[((192 << 10) + 32, &[0, 0, 3])]),
        vmdk(&good, &[(36, &[0, 1])]),
        vmdk(&good, &[(56, &[0xff; 8])]),
        good.into_bytes(),
    ] {
        for format in ["vhdx", "vmdk", "raw"] {
            let whole = Inspector::find(format, "bare", &data);
            for size in [511, 4096, 70_000, 1 << 20] {
                let mut inspector = Inspector::new(format, "bare");
                for piece in data.chunks(size) {
                    inspector.see(piece);
                    let problem = inspector.problem().cloned();
                    assert!(problem.is_none() || problem == whole, "{problem:?}");
                }
                assert_eq!(inspector.seen_bytes(), data.len() as u64);
                assert_eq!(inspector.finish(), whole, "{format} in pieces of {size}");
            }
        }
    }
}

#[test]
fn the_format_of_data_is_found_by_how_it_begins() {
    let gpt: (usize, &[u8]) = (510, &[0x55, 0xAA]);
    let iso: (usize, &[u8]) = (32 * 1024 + 1, b"CD001");
    let qcow2: (usize, &[u8]) = (0, b"QFI\xfb");
    for (parts, found, disk_format) in [
        (&[qcow2][..], DataFormat::Qcow2, "qcow2"),
        (&[iso], DataFormat::Iso, "iso"),
        (&[gpt], DataFormat::Gpt, "raw"),
        (&[(0, b"LUKS\xba\xbe")], DataFormat::Luks, "raw"),
        // A bootable ISO.
        (&[iso, gpt], DataFormat::Iso, "iso"),
        (&[(0, b"KDMV\x01")], DataFormat::Vmdk, "vmdk"),
        (&[], DataFormat::Raw, "raw"),
    ] {
        let format = DataFormat::find(&head(parts)).unwrap();
        assert_eq!((format, format.disk_format()), (found, disk_format));
    }
    assert!(DataFormat::find(&head(&[qcow2, gpt])).is_err());
    assert_eq!(DataFormat::find(b""), Ok(DataFormat::Raw));
}

#[test]
fn what_is_packed_is_told_from_an_image() {
    for (magic, what) in [
        (&b"\x1f\x8b\x08"[..], "compressed with gzip"),
        (b"\xfd7zXZ\0\0", "compressed with xz"),
        (b"<!DOCTYPE html>", "a page of HTML or XML"),
    ] {
        assert_eq!(wrapping(magic), Some(what));
    }
    assert_eq!(wrapping(&head(&[(257, b"ustar")])), Some("a tar archive"));
    assert_eq!(wrapping(&head(&[(0, b"QFI\xfb")])), None);
}
