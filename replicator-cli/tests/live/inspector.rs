//! The look at image data beside that of Glance itself: generated data of every format, given
//! to ours and to the code of today's Glance. No server has to run.

use std::env;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use fastrand::Rng;
use glance_model::{ContentProblem, DataFormat, Inspector};

const CASES: u64 = 12_000;
const DISK_FORMATS: [&str; 13] = [
    "raw", "qcow2", "vhd", "vhdx", "vmdk", "vdi", "qed", "iso", "gpt", "luks", "ami", "aki",
    "ploop",
];
const SECTOR: usize = 512;
const KIB: usize = 1024;

/// Data that is zero but for some parts, as an image.
#[derive(Debug)]
struct Case {
    disk_format: &'static str,
    container_format: &'static str,
    len: usize,
    parts: Vec<(usize, Vec<u8>)>,
}

impl Case {
    fn data(&self) -> Vec<u8> {
        let mut data = vec![0; self.len];
        for (at, bytes) in &self.parts {
            data[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        data
    }

    /// As `xtask/lab/inspect_content.py` reads it.
    fn line(&self) -> String {
        let hex = |bytes: &[u8]| {
            bytes.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            })
        };
        let parts = self.parts.iter().map(|(at, bytes)| (at, hex(bytes)));
        let parts: Vec<_> = parts.collect();
        let case = (self.disk_format, self.container_format, self.len, parts);
        serde_json::to_string(&case).unwrap()
    }
}

/// Data in the making.
struct Draft {
    len: usize,
    parts: Vec<(usize, Vec<u8>)>,
}

impl Draft {
    fn new(len: usize) -> Self {
        let parts = Vec::new();
        Self { len, parts }
    }

    fn put(&mut self, at: usize, bytes: impl AsRef<[u8]>) {
        self.parts.push((at, bytes.as_ref().to_vec()));
    }

    /// Leaves out what lies behind the end.
    fn cut(&mut self) {
        for (at, bytes) in &mut self.parts {
            bytes.truncate(self.len.saturating_sub(*at));
        }
        self.parts.retain(|(_, bytes)| !bytes.is_empty());
    }
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

/// Mostly the first, sometimes one of the others.
fn mostly<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    if rng.u8(..4) > 0 {
        from[0]
    } else {
        pick(rng, from)
    }
}

fn qcow2(rng: &mut Rng) -> Draft {
    let mut draft = Draft::new(mostly(rng, &[40 * KIB, 511, 512, 513, 79, 4]));
    draft.put(0, b"QFI\xfb");
    let versions = [3_u32, 2, 1, 4, 0x0100_0003, 0x0100_0002];
    draft.put(4, mostly(rng, &versions).to_be_bytes());
    draft.put(8, mostly(rng, &[0_u64, 1, 1 << 40, 1 << 63]).to_be_bytes());
    draft.put(24, rng.u64(..1 << 40).to_be_bytes());
    let features = [0_u64, 1, 3, 4, 8, 16, 1 << rng.u8(..64), rng.u64(..)];
    draft.put(72, mostly(rng, &features).to_be_bytes());
    draft
}

fn magic(rng: &mut Rng, magic: &[u8]) -> Draft {
    let mut draft = Draft::new(mostly(rng, &[2000, 512, 511, 513, magic.len(), 600]));
    draft.put(0, magic);
    draft.put(40, rng.u64(..1 << 40).to_be_bytes());
    draft
}

fn vdi(rng: &mut Rng) -> Draft {
    let mut draft = Draft::new(mostly(rng, &[2000, 512, 511, 68]));
    let signature = mostly(rng, &[0xBEDA_107F_u32, 0x7F10_DABE, 0xBEDA_107E]);
    draft.put(0x40, signature.to_le_bytes());
    draft
}

fn luks(rng: &mut Rng) -> Draft {
    let mut draft = Draft::new(mostly(rng, &[2000, 592, 591, 208, 168, 6, 512, 100 * KIB]));
    draft.put(0, b"LUKS\xba\xbe");
    draft.put(6, mostly(rng, &[1_u16, 2, 0, 0x0100]).to_be_bytes());
    draft.put(104, rng.u32(..).to_be_bytes());
    draft
}

fn iso(rng: &mut Rng) -> Draft {
    let mut draft = Draft::new(mostly(
        rng,
        &[40 * KIB, 34 * KIB, 34 * KIB - 1, 0x8006, 70 * KIB],
    ));
    let signatures: [&[u8]; 5] = [b"CD001", b"NSR02", b"NSR03", b"NSR04", b"BEA01"];
    draft.put(0x8000, [rng.u8(..3)]);
    draft.put(
        mostly(rng, &[0x8001, 0x8000, 0x8801]),
        mostly(rng, &signatures),
    );
    draft.put(0x8000 + 80, rng.u64(..).to_le_bytes());
    if rng.bool() {
        partitions(rng, &mut draft);
    }
    draft
}

fn partitions(rng: &mut Rng, draft: &mut Draft) {
    draft.put(510, mostly(rng, &[0xAA55_u16, 0x55AA, 0]).to_le_bytes());
    let is_gpt = rng.bool();
    for number in 0..4 {
        let kind = match (is_gpt, number) {
            (true, 0) => 0xEE,
            (false, 0) => mostly(rng, &[0x83, 0, 0xEF, 0xEE]),
            _ => mostly(rng, &[0, 0x83, 0xEE]),
        };
        let start = mostly(rng, &[[0, 2, 0], [0, 1, 0], [1, 2, 0], [0, 2, 9]]);
        let mut entry = vec![mostly(rng, &[0, 0x80, 0x01, 0xff])];
        entry.extend(start);
        entry.extend([kind, 0xff, 0xff, 0xff]);
        entry.extend(mostly(rng, &[1_u32, 0, 2048, 257]).to_le_bytes());
        entry.extend(rng.u32(..).to_le_bytes());
        draft.put(446 + 16 * number, entry);
    }
    draft.put(0x10, [mostly(rng, &[0, 2, 1])]);
    draft.put(0x15, [mostly(rng, &[0, 0xF8, 0xF0])]);
}

fn gpt(rng: &mut Rng) -> Draft {
    let mut draft = Draft::new(mostly(rng, &[4096, 512, 511, 70 * KIB]));
    partitions(rng, &mut draft);
    draft
}

/// The text of a VMDK's descriptor, right or nearly so.
fn descriptor(rng: &mut Rng) -> Vec<u8> {
    let kinds = [
        "monolithicSparse",
        "streamOptimized",
        "MONOLITHICSPARSE",
        "twoGbMaxExtentSparse",
        "monolithicFlat",
        "vmfs",
        "vmfsSparse",
        "custom",
        "formatnotfound",
        "",
    ];
    let mut text =
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n".to_owned();
    let kind = if rng.u8(..3) == 0 {
        pick(rng, &kinds)
    } else {
        kinds[rng.usize(..2)]
    };
    let keys = [
        "createType=\"",
        "createType = \"",
        "CREATETYPE=\"",
        "createType='",
        "created=\"",
    ];
    let end = mostly(rng, &["\"\n", "\n", "", "x\"\n", &"x".repeat(70)]).to_owned();
    writeln!(text, "{}{kind}{end}", mostly(rng, &keys)).unwrap();
    let extents = [
        "RW 20480 SPARSE \"disk.vmdk\"\n",
        "RDONLY 1 SPARSE \"a\"\r\n",
        "NOACCESS 1 ZERO\n",
        "\tRW 1 SPARSE \"tab\" \x1f\n",
        "RW\t1 SPARSE \"tab inside\"\n",
        "RW 1 FLAT \"/etc/shadow\" 0\n",
        "RW 1 FLAT \"../x\"\n",
        "RW 1 FLAT \"a=b\"\n",
        "rw=1\n",
        "",
        "unknown line\n",
        "a b=c\n",
        "ddb things / anything\n",
        "#RW\n",
    ];
    for _ in 0..rng.usize(1..4) {
        text.push_str(mostly(rng, &extents));
    }
    text.push_str("ddb.virtualHWVersion = \"4\"\nddb.geometry.heads=\"16\"\n");
    let mut bytes = text.into_bytes();
    match rng.u8(..12) {
        0 => bytes.extend("é".as_bytes()),
        1 => bytes.insert(rng.usize(..bytes.len()), 0),
        2 => bytes.insert(rng.usize(..bytes.len()), 0xff),
        3 => bytes.insert(rng.usize(..bytes.len()), pick(rng, &[1, 0x0b, 0x1c, 0x7f])),
        _ => {}
    }
    bytes
}

fn vmdk(rng: &mut Rng) -> Draft {
    let descriptor = descriptor(rng);
    let sectors = mostly(rng, &[20_u64, 1, 2, 0, 130, 2047, 2048, 1 << 20, u64::MAX]);
    let has_footer = rng.u8(..3) == 0;
    let mut header = vec![0; SECTOR];
    header[..4].copy_from_slice(b"KDMV");
    header[4] = mostly(rng, &[1, 2, 3, 0, 4]);
    header[12..20].copy_from_slice(&rng.u64(..1 << 30).to_le_bytes());
    header[28..36].copy_from_slice(&mostly(rng, &[1_u64, 0, 2, 1 << 40]).to_le_bytes());
    header[36..44].copy_from_slice(&sectors.to_le_bytes());
    let mut draft = Draft::new(match rng.u8(..10) {
        0 => pick(rng, &[4, 63, 64, 500, 512, 600, 1535, 1536, 2048]),
        1 => SECTOR * (1 + usize::try_from(sectors).unwrap_or(20).min(2049)) - rng.usize(..2),
        2 | 3 => 100 * KIB,
        _ => 30 * KIB,
    });
    let mut footer = header.clone();
    if has_footer {
        header[56..64].fill(0xff);
        footer[56] = 9;
        let end = draft.len;
        if end >= 6 * SECTOR {
            let mut marker = vec![0; SECTOR];
            marker[0] = 1;
            marker[8 + rng.usize(..4)] = mostly(rng, &[0, 1]);
            marker[12] = mostly(rng, &[3, 0, 1]);
            marker[rng.usize(16..SECTOR)] = mostly(rng, &[0, 1]);
            let field = mostly(rng, &[508, 0, 4, 28, 36, 56]);
            footer[field] ^= 0x01;
            if rng.u8(..8) == 0 {
                footer[56..64].fill(0xff);
            }
            draft.put(end - 3 * SECTOR, marker);
            draft.put(end - 2 * SECTOR, &footer);
            if rng.u8(..6) == 0 {
                draft.put(end - SECTOR + rng.usize(..SECTOR - 1), [1]);
            }
        }
    }
    draft.put(0, header);
    let room = draft.len.saturating_sub(6 * SECTOR).max(SECTOR);
    let text = descriptor.get(..room.min(descriptor.len())).unwrap();
    draft.put(SECTOR, text);
    draft
}

/// A text, mostly one that is a descriptor.
fn text(rng: &mut Rng) -> Draft {
    let mut bytes = match rng.u8(..4) {
        0 => "#!/bin/sh\necho text\n"
            .repeat(rng.usize(..60))
            .into_bytes(),
        _ => Vec::new(),
    };
    bytes.extend(descriptor(rng));
    let len = match rng.u8(..4) {
        0 => bytes.len() + rng.usize(..2000),
        1 => rng.usize(..bytes.len()),
        _ => bytes.len(),
    };
    let mut draft = Draft::new(len);
    if rng.u8(..8) == 0 {
        draft.len = 70 * KIB;
        draft.put(0, "words ".repeat(70 * KIB / 6));
        draft.put(
            pick(rng, &[100, 600, 64 * KIB - 100, 64 * KIB - 5, 66 * KIB]),
            &bytes,
        );
    } else {
        draft.put(0, bytes);
    }
    draft
}

fn vhdx(rng: &mut Rng) -> Draft {
    const METADATA: &[u8] = b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";
    const DISK_SIZE: &[u8] = b"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8";
    let table = 192 * KIB;
    let places = [
        512 * KIB,
        256 * KIB,
        320 * KIB + 512,
        200 * KIB,
        160 * KIB,
        64 * KIB,
        700 * KIB - 7,
        usize::MAX / 2,
    ];
    let place = mostly(rng, &places);
    let mut draft = Draft::new(mostly(
        rng,
        &[
            768 * KIB,
            31,
            256 * KIB - 1,
            256 * KIB,
            512 * KIB,
            576 * KIB,
            600 * KIB,
        ],
    ));
    draft.put(0, b"vhdxfile");
    draft.put(table, mostly(rng, &[b"regi", b"regj"]));
    draft.put(
        table + 8,
        mostly(rng, &[2_u32, 1, 0, 2047, 2048]).to_le_bytes(),
    );
    let entry = table + 16 + 32 * mostly(rng, &[0, 1, 2, 2046]);
    draft.put(entry, METADATA);
    draft.put(entry + 16, (place as u64).to_le_bytes());
    if place < draft.len {
        draft.put(place, mostly(rng, &[b"metadata", b"metadatb"]));
        draft.put(
            place + 10,
            mostly(rng, &[5_u16, 1, 0, 2047, 2048]).to_le_bytes(),
        );
        let item = place + 32 + 32 * mostly(rng, &[0, 4, 5, 2046]);
        draft.put(item, DISK_SIZE);
        let offset = mostly(rng, &[65536_u32, 100, 1 << 17, u32::MAX, 1000]);
        draft.put(item + 16, offset.to_le_bytes());
        draft.put(
            item + 20,
            mostly(rng, &[8_u32, 0, 9, 1 << 20]).to_le_bytes(),
        );
    }
    draft
}

fn case(rng: &mut Rng) -> Case {
    let kind = rng.u8(..13);
    let mut draft = match kind {
        0 => qcow2(rng),
        1 => magic(rng, b"QED\0"),
        2 => magic(rng, b"conectix"),
        3 => vdi(rng),
        4 => luks(rng),
        5 => iso(rng),
        6 => gpt(rng),
        7 | 8 => vmdk(rng),
        9 => text(rng),
        10 => vhdx(rng),
        // Two at once.
        11 => {
            let mut both = iso(rng);
            let other = match rng.u8(..5) {
                0 => qcow2(rng),
                1 => vmdk(rng),
                2 => vhdx(rng),
                3 => gpt(rng),
                _ => luks(rng),
            };
            both.len = both.len.max(other.len);
            both.parts.extend(other.parts);
            both
        }
        _ => {
            let mut draft = Draft::new(mostly(
                rng,
                &[5000, 0, 1, 3, 63, 64, 65, 511, 512, 70 * KIB],
            ));
            draft.put(0, rng.u64(..).to_le_bytes());
            draft
        }
    };
    // Somewhere in the headers, something else.
    while rng.u8(..4) == 0 {
        let at = pick(
            rng,
            &[
                rng.clone().usize(..8),
                rng.clone().usize(..600),
                0x8000,
                192 * KIB,
            ],
        );
        draft.put(at + rng.usize(..8), [rng.u8(..)]);
    }
    if rng.u8(..8) == 0 {
        draft.len = rng.usize(..=draft.len);
    }
    draft.cut();
    let own = [
        "qcow2", "qed", "vhd", "vdi", "luks", "iso", "gpt", "vmdk", "vmdk", "vmdk", "vhdx",
    ];
    let disk_format = match rng.u8(..4) {
        0 => "raw",
        1 => pick(rng, &DISK_FORMATS),
        _ => own.get(usize::from(kind)).copied().unwrap_or("raw"),
    };
    Case {
        disk_format,
        container_format: if rng.u8(..50) == 0 { "ovf" } else { "bare" },
        len: draft.len,
        parts: draft.parts,
    }
}

/// On such a text Glance's own inspector breaks, whereupon it takes anything.
fn is_taken_without_a_look(problem: &ContentProblem) -> bool {
    let found = DataFormat::Vmdk;
    let why = "as text that is not ASCII, which Glance takes without a look";
    *problem == ContentProblem::Unsafe { found, why }
}

#[test]
fn data_is_refused_exactly_where_the_code_of_todays_glance_refuses_it() {
    let seed = env::var("GLANCE_LAB_SEED").map_or(1, |seed| seed.parse().unwrap());
    let cases: Vec<Case> = (0..CASES)
        .map(|number| case(&mut Rng::with_seed(seed << 32 | number)))
        .collect();
    let lines: Vec<String> = cases.iter().map(Case::line).collect();
    let mut glance = Command::new(env::var_os("GLANCE_LAB_INSPECT_CONTENT").unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = glance.stdin.take().unwrap();
    let writing = thread::spawn(move || {
        for line in lines {
            writeln!(input, "{line}").unwrap();
        }
    });
    let verdicts = BufReader::new(glance.stdout.take().unwrap()).lines();
    let (mut differ, mut counts) = (Vec::new(), [0; 2]);
    let mut judged = 0;
    for (case, verdict) in cases.iter().zip(verdicts) {
        let verdict = verdict.unwrap();
        let ours = Inspector::find(case.disk_format, case.container_format, &case.data());
        let is_taken = verdict == "taken";
        counts[usize::from(is_taken)] += 1;
        judged += 1;
        let is_known = is_taken && ours.as_ref().is_some_and(is_taken_without_a_look);
        if ours.is_none() != is_taken && !is_known {
            differ.push(format!(
                "ours: {ours:?}, Glance: {verdict}: {}",
                case.line()
            ));
        }
    }
    writing.join().unwrap();
    assert!(glance.wait().unwrap().success());
    assert_eq!(judged, CASES);
    let shown: Vec<&String> = differ.iter().take(10).collect();
    assert!(
        differ.is_empty(),
        "{} of {CASES} differ: {shown:#?}",
        differ.len()
    );
    // Both happen often, or the cases say nothing.
    assert!(counts.iter().all(|count| *count > 2000), "{counts:?}");
}
