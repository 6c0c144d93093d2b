//! Pauses: those of faults, and those that keep data at a rate.

use std::time::Duration;

/// Waits, for ever without a duration.
pub(super) async fn rest(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// The time that `count` bytes take at `rate` bytes a second.
pub(super) fn time_for(count: usize, rate: u64) -> Duration {
    let nanos = (count as u64).saturating_mul(1_000_000_000) / rate.max(1);
    Duration::from_nanos(nanos)
}
