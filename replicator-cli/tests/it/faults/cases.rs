//! The faults, at either side, and how a run with one retry ends.

use std::time::Duration;

use glance_client::testing::{At, EmbeddedGlance, FaultAction, FaultOn, Profile, RequestKind};

use super::{LEN, STRUCK};

/// A fault that befalls the requests of one kind for the one image, and how a run with one retry ends.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) on: RequestKind,
    action: FaultAction,
    times: u64,
    code: i32,
    /// Where v1 ends otherwise.
    code_v1: i32,
}

/// Befalls one request; the retry heals it.
fn once(name: &'static str, on: RequestKind, action: FaultAction) -> Case {
    Case {
        name,
        on,
        action,
        times: 1,
        code: 0,
        code_v1: 0,
    }
}

/// Lasts until it is cleared.
fn always(name: &'static str, on: RequestKind, action: FaultAction, code: i32) -> Case {
    Case {
        times: u64::MAX,
        code,
        code_v1: code,
        ..once(name, on, action)
    }
}

fn cut(percent: u8) -> FaultAction {
    FaultAction::CutResponse(At::Percent(percent))
}

fn reset(percent: u8) -> FaultAction {
    FaultAction::ResetResponse(At::Percent(percent))
}

impl Case {
    fn or_v1(mut self, code: i32) -> Self {
        self.code_v1 = code;
        self
    }

    pub(super) fn code(&self, profile: Profile) -> i32 {
        match profile {
            Profile::V1Only => self.code_v1,
            _ => self.code,
        }
    }

    pub(super) fn strike(&self, glance: &EmbeddedGlance) {
        let mut on = FaultOn::kind(self.on);
        // No listing is that of one image, and a create of v2 names it in its body only.
        if matches!(self.on, RequestKind::Download | RequestKind::Upload) {
            on = on.image(STRUCK);
        }
        glance.fault(on.times(self.times), self.action.clone());
    }
}

pub(super) fn of_the_source() -> Vec<Case> {
    use FaultAction as Do;
    use RequestKind::{Download, Listing};
    vec![
        once("reset at 0 %", Download, Do::Reset),
        always("reset at 0 %, for ever", Download, Do::Reset, 3),
        once("cut at 0 %", Download, cut(0)),
        once("cut at 1 %", Download, cut(1)),
        once("cut at 50 %", Download, cut(50)),
        once("cut at 99 %", Download, cut(99)),
        once("answer lost", Download, Do::LoseAnswer),
        once("reset at 50 %", Download, reset(50)),
        always(
            "reset behind the head, for ever",
            Download,
            Do::ResetResponse(At::Byte(0)),
            3,
        ),
        once("reset at 100 %", Download, reset(100)),
        once("stall", Download, Do::StallResponse(At::Percent(50), None)),
        always(
            "stall for ever",
            Download,
            Do::StallResponse(At::Byte(0), None),
            3,
        ),
        always(
            "short, as declared",
            Download,
            Do::ShortenResponse(At::Percent(50)),
            6,
        ),
        always("flipped byte", Download, Do::FlipByte(700_000), 6),
        always("flipped last byte", Download, Do::FlipByte(LEN - 1), 6),
        always("10 bytes more", Download, Do::ExtendResponse(10), 6),
        always("401", Download, Do::status(401), 3),
        always("403", Download, Do::status(403), 3),
        always("404 after the listing", Download, Do::status(404), 3),
        once("429 with Retry-After", Download, Do::retry_after(429, 1)),
        always("429 for ever", Download, Do::retry_after(429, 1), 3),
        once("500 once", Download, Do::status(500)),
        once("503 once", Download, Do::retry_after(503, 1)),
        always("503 for ever", Download, Do::status(503), 3),
        once("listing: 500 once", Listing, Do::status(500)),
        always("listing: 403", Listing, Do::status(403), 4),
        always("listing: 503 for ever", Listing, Do::status(503), 1),
    ]
}

pub(super) fn of_the_target() -> Vec<Case> {
    use FaultAction as Do;
    use RequestKind::{Create, Listing, Upload};
    // An upload that broke is not sent to v1 again: its id is used up.
    vec![
        once("reset at 0 %", Upload, Do::Reset),
        always("reset at 0 %, for ever", Upload, Do::Reset, 3),
        once("reset at 1 %", Upload, Do::CutRequest(LEN / 100)).or_v1(3),
        once("reset at 50 %", Upload, Do::CutRequest(LEN / 2)).or_v1(3),
        once("reset at 99 %", Upload, Do::CutRequest(LEN / 100 * 99)).or_v1(3),
        once(
            "reset at 100 %, before it is stored",
            Upload,
            Do::CutRequest(LEN),
        )
        .or_v1(3),
        always(
            "reset at 50 %, for ever",
            Upload,
            Do::CutRequest(LEN / 2),
            3,
        ),
        once(
            "a pause in reading, shorter than the stall timeout",
            Upload,
            Do::StallRequest(LEN / 20, Some(Duration::from_millis(500))),
        ),
        once("reset at 100 %, after it is stored", Upload, Do::LoseAnswer),
        once("500 after it is stored", Upload, Do::FailAfterwards(500)),
        always("401", Upload, Do::status(401), 3),
        always("403", Upload, Do::status(403), 3),
        always("413", Upload, Do::status(413), 3),
        always("415", Upload, Do::status(415), 3),
        always("409 at create", Create, Do::status(409), 3).or_v1(0),
        always("409 at upload", Upload, Do::status(409), 3),
        once("create: answer lost", Create, Do::LoseAnswer),
        always("create: 403", Create, Do::status(403), 3).or_v1(0),
        once("429 with Retry-After", Upload, Do::retry_after(429, 1)),
        once("500 once", Upload, Do::status(500)),
        once("503 once", Upload, Do::retry_after(503, 1)),
        always("503 for ever", Upload, Do::status(503), 3),
        once("listing: 500 once", Listing, Do::status(500)),
        always("listing: 403", Listing, Do::status(403), 4),
    ]
}
