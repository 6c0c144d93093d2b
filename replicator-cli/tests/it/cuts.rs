//! A source that breaks off again and again in the middle of one image: the target gets it in one
//! upload all the same, and it is proven.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use glance_client::testing::{
    At, EmbeddedGlance, EmbeddedGlanceBuilder, FaultAction, FaultOn, ImageContent, ImageSpec,
    Profile, RangeSupport, RequestKind, RequestRecord,
};

use crate::kit::program::{Ran, run};

const ID: &str = "00000000-0000-4000-8000-000000000001";
const CUTS: u64 = 20;
const MIB: u64 = 1 << 20;

/// Digests of `ImageContent::pattern(7, 1 << 30)`, so that the test does not have to hash as well.
const MD5_OF_1_GIB: &str = "679010948ad8f3a7e2a7dffebfd96f7a";
const SHA512_OF_1_GIB: &str = "e788695a5fc898eefe486020ec0f7ffa1a8c456417e6efba80c9577d4771f5b3\
    c22da7c6ab9129c100b5ce2cb216e53d919b8f78f25574b03376410721c2f6c8";

fn builder() -> EmbeddedGlanceBuilder {
    EmbeddedGlance::builder()
}

fn of_kind(glance: &EmbeddedGlance, kind: RequestKind) -> Vec<RequestRecord> {
    let requests = glance.requests().into_iter();
    requests.filter(|request| request.kind == kind).collect()
}

/// Copies the one image of the source; the target counts what it is sent, and hashes nothing.
fn livecopy(source: &EmbeddedGlance) -> (Ran, Vec<RequestRecord>) {
    let target = builder().without_digests().start_blocking().unwrap();
    let ran = run(&["livecopy", source.host_port(), target.host_port()]);
    (ran, of_kind(&target, RequestKind::Upload))
}

#[track_caller]
fn assert_one_upload_that_is_verified(ran: &Ran, uploads: &[RequestRecord], len: u64) {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let summary = ran.stderr.lines().last().unwrap();
    assert!(summary.starts_with("livecopy: 1 copied"), "{ran:?}");
    assert!(!summary.contains("not verified"), "{ran:?}");
    let taken: Vec<u64> = uploads.iter().map(|upload| upload.body_bytes).collect();
    assert_eq!(taken, [len], "one upload of all");
}

#[test]
fn an_image_of_1_gib_that_is_cut_20_times_is_one_upload_and_20_ranges() {
    const LEN: u64 = 1024 * MIB;
    let source = builder().start_blocking().unwrap();
    let image = ImageSpec::new(ID).data(ImageContent::pattern(7, LEN));
    source.add_image(image.digests(MD5_OF_1_GIB, "sha512", SHA512_OF_1_GIB));
    let cut = FaultAction::CutResponse(At::Byte(50 * MIB));
    source.fault(FaultOn::kind(RequestKind::Download).times(CUTS), cut);

    let (ran, uploads) = livecopy(&source);
    assert_one_upload_that_is_verified(&ran, &uploads, LEN);
    let downloads = of_kind(&source, RequestKind::Download);
    let ranges: Vec<Option<String>> = downloads
        .iter()
        .map(|download| download.header("range"))
        .collect();
    let go_on = (1..=CUTS).map(|cuts| Some(format!("bytes={}-", cuts * 50 * MIB)));
    let wanted: Vec<Option<String>> = [None].into_iter().chain(go_on).collect();
    assert_eq!(ranges, wanted);
}

/// Without ranges all is read again up to the cut, 10 times the image in 20 cuts: a smaller image
/// shows the same.
const SMALL: u64 = 64 * MIB;

fn filled(builder: EmbeddedGlanceBuilder) -> EmbeddedGlance {
    let source = builder.start_blocking().unwrap();
    source.add_image(ImageSpec::new(ID).data(ImageContent::pattern(7, SMALL)));
    source
}

fn one_upload_without_ranges(source: EmbeddedGlanceBuilder, refused: u64) {
    let source = filled(source);
    let once = || FaultOn::kind(RequestKind::Download).times(1);
    for cut in 1..=CUTS {
        let at = At::Byte(cut * SMALL / (CUTS + 1));
        source.fault(once(), FaultAction::CutResponse(at));
        // An upload that is refused first is not cut.
        let nothing = FaultAction::CutResponse(At::Byte(u64::MAX));
        source.fault(once().times(refused), nothing);
    }
    let (ran, uploads) = livecopy(&source);
    assert_one_upload_that_is_verified(&ran, &uploads, SMALL);
    let downloads = of_kind(&source, RequestKind::Download);
    let whole = downloads.iter().filter(|read| read.status == Some(200));
    assert_eq!(whole.count() as u64, 1 + CUTS);
}

#[test]
fn an_image_that_is_cut_20_times_is_one_upload_where_ranges_are_refused() {
    one_upload_without_ranges(builder().range(RangeSupport::Refused), 1);
}

#[test]
fn an_image_that_is_cut_20_times_is_one_upload_where_ranges_are_ignored() {
    one_upload_without_ranges(builder().range(RangeSupport::Ignored), 0);
}

#[test]
fn an_image_that_is_cut_20_times_is_one_upload_where_v1_has_no_ranges() {
    one_upload_without_ranges(builder().profile(Profile::V1Only), 0);
}

#[test]
fn what_is_read_again_for_nothing_is_hashed_again_and_has_to_be_the_same() {
    for source in [
        builder().range(RangeSupport::Refused),
        builder().range(RangeSupport::Ignored),
        builder().profile(Profile::V1Only),
    ] {
        let source = filled(source);
        let cut = FaultAction::CutResponse(At::Percent(50));
        let download = || FaultOn::kind(RequestKind::Download);
        source.fault(download().times(1), cut);
        source.fault(download(), FaultAction::FlipByte(1000));
        let (ran, uploads) = livecopy(&source);
        assert_eq!(ran.code, Some(6), "{ran:?}");
        let words = "digest of the part read before";
        assert!(ran.stderr.contains(words), "{ran:?}");
        assert_eq!(uploads.len(), 1);
        assert!(uploads.iter().all(|upload| upload.status != Some(204)));
    }
}
