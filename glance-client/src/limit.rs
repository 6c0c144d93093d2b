//! Limits: bytes of image data, and requests, per second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, TryStreamExt as _};
use tokio::time::{Instant, sleep_until};

/// The time for which an unused rate can be caught up with: timers are late, and a transfer waits
/// for its server now and then.
const BURST: Duration = Duration::from_millis(200);
/// The time that one piece of a chunk may use: short, so that many transfers take turns, and a
/// change of the limit is felt soon.
const PIECE_SECONDS: f64 = 0.01;
/// The smallest piece in bytes: a packet for a few bytes would be a waste.
const LEAST_PIECE_BYTES: f64 = 1024.0;
/// The lowest rate, per second; waiting for a lower one would never end.
const LOWEST_RATE: f64 = 0.001;

/// An amount per second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// Takes bytes or requests per second; `None` for less than a thousandth, or no number.
    #[must_use]
    pub fn per_second(amount: f64) -> Option<Self> {
        (amount.is_finite() && amount >= LOWEST_RATE).then_some(Self(amount))
    }

    /// Returns the rate in bytes or requests per second.
    #[must_use]
    pub fn amount(self) -> f64 {
        self.0
    }
}

/// The bytes and requests per second of all clients that have a clone of this value, together.
///
/// There is no limit until one is set. It can be set at any time, and counts from the next piece of
/// data or the next request. Waiting for a turn is no stall, and uses nothing up if it is dropped.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub(crate) download: Pacer,
    pub(crate) upload: Pacer,
    pub(crate) requests: Pacer,
}

impl Limits {
    /// Sets the bytes of image data that are read per second.
    pub fn set_download(&self, bytes: Option<Rate>) {
        self.download.set(bytes);
    }

    /// Sets the bytes of image data that are sent per second.
    pub fn set_upload(&self, bytes: Option<Rate>) {
        self.upload.set(bytes);
    }

    /// Sets the requests of any kind that are sent per second.
    pub fn set_requests(&self, requests: Option<Rate>) {
        self.requests.set(requests);
    }
}

/// A gate that lets its callers pass one after the other, at a rate. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pacer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    rate: Mutex<Option<Rate>>,
    /// The moment when the next caller may go. The holder of the lock is next; the lock is given in
    /// the order of arrival.
    turn: tokio::sync::Mutex<Option<Instant>>,
}

impl Pacer {
    fn set(&self, rate: Option<Rate>) {
        *self.0.rate.lock().unwrap_or_else(PoisonError::into_inner) = rate;
    }

    pub(crate) fn rate(&self) -> Option<Rate> {
        *self.0.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn, and returns how much of `wanted` may go now: all of it if there is no
    /// limit, else a piece.
    ///
    /// The next caller waits until the piece is paid for.
    pub(crate) async fn take(&self, wanted: usize) -> usize {
        if self.rate().is_none() {
            return wanted;
        }
        let mut turn = self.0.turn.lock().await;
        if let Some(turn) = *turn {
            sleep_until(turn).await;
        }
        // The rate may have changed meanwhile.
        let Some(Rate(rate)) = self.rate() else {
            return wanted;
        };
        let piece = (rate * PIECE_SECONDS).max(LEAST_PIECE_BYTES);
        let piece = wanted.min(piece as usize);
        let now = Instant::now();
        let late = turn.map_or(Duration::ZERO, |turn| now.saturating_duration_since(turn));
        *turn = Some(now - late.min(BURST) + Duration::from_secs_f64(piece as f64 / rate));
        piece
    }

    /// Gives the chunks of a stream out in pieces, each when it is its turn.
    ///
    /// As long as it waits, nothing is asked of `chunks`.
    pub(crate) fn pace<E: Send + 'static>(
        self,
        chunks: BoxStream<'static, Result<Bytes, E>>,
    ) -> impl Stream<Item = Result<Bytes, E>> + Send + 'static {
        let begin = (self, chunks, Bytes::new());
        stream::try_unfold(begin, async |(pacer, mut chunks, mut rest)| {
            while rest.is_empty() {
                let Some(chunk) = chunks.try_next().await? else {
                    return Ok(None);
                };
                rest = chunk;
            }
            let piece = pacer.take(rest.len()).await;
            let piece = rest.split_to(piece);
            Ok(Some((piece, (pacer, chunks, rest))))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::StreamExt as _;
    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    const MIB: usize = 1 << 20;

    fn pacer(rate: impl Into<f64>) -> Pacer {
        let pacer = Pacer::default();
        pacer.set(Rate::per_second(rate.into()));
        pacer
    }

    /// Takes for `time`, and returns the amount that was taken.
    async fn taken(pacer: &Pacer, time: Duration) -> usize {
        let mut taken = 0;
        let end = Instant::now() + time;
        while Instant::now() < end {
            taken += pacer.take(MIB).await;
        }
        taken
    }

    #[track_caller]
    fn assert_close(taken: usize, expected: f64, tolerance: f64) {
        let off = (taken as f64 - expected).abs() / expected;
        assert!(off <= tolerance, "{taken}, not {expected}");
    }

    #[test]
    fn a_rate_is_a_number_above_nought() {
        for amount in [0.0, -1.0, 0.0001, f64::NAN, f64::INFINITY] {
            assert_eq!(Rate::per_second(amount), None, "{amount}");
        }
        assert_eq!(Rate::per_second(0.5).unwrap().amount(), 0.5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_in_ten_seconds_is_ten_times_the_rate() {
        for rate in [1e4, 1e6, 12_345_678.0, 1e10] {
            let taken = taken(&pacer(rate), Duration::from_secs(10)).await;
            assert_close(taken, 10.0 * rate, 0.02);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_share_a_pacer_get_the_same_together_as_one() {
        let pacer = pacer(1e6);
        let ten = (0..10).map(|_| taken(&pacer, Duration::from_secs(10)));
        let each = join_all(ten).await;
        assert_close(each.iter().sum(), 1e7, 0.02);
        for taken in each {
            assert_close(taken, 1e6, 0.02);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_spread_evenly() {
        let pacer = pacer(0.5);
        let begin = Instant::now();
        for request in 0..5 {
            assert_eq!(pacer.take(1).await, 1);
            assert_eq!(begin.elapsed().as_secs(), 2 * request);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_rest_no_more_than_a_short_burst_is_caught_up_with() {
        let pacer = pacer(1e6);
        taken(&pacer, Duration::from_secs(1)).await;
        sleep(Duration::from_secs(60)).await;
        let taken = taken(&pacer, Duration::from_secs(1)).await;
        assert_close(taken, 1.2e6, 0.02);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_changes_while_others_wait_for_it() {
        let pacer = pacer(1e4);
        let change = async {
            sleep(Duration::from_secs(5)).await;
            pacer.set(Rate::per_second(1e6));
            sleep(Duration::from_secs(5)).await;
            pacer.set(None);
        };
        let take = async {
            let (mut slow, mut fast) = (0, 0);
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(10) {
                let taken = pacer.take(MIB).await;
                match begin.elapsed().as_secs() {
                    ..5 => slow += taken,
                    5..10 => fast += taken,
                    _ => {}
                }
            }
            (slow, fast)
        };
        let ((), (slow, fast)) = tokio::join!(change, take);
        assert_close(slow, 5e4, 0.05);
        assert_close(fast, 5e6, 0.02);
        let begin = Instant::now();
        assert_eq!(pacer.take(100 * MIB).await, 100 * MIB);
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_takes_nothing() {
        let pacer = pacer(0.1);
        let begin = Instant::now();
        pacer.take(1).await;
        let wait = |seconds| timeout(Duration::from_secs(seconds), pacer.take(1));
        // One gives up where it is next, the others behind it.
        let waited = tokio::join!(wait(3), wait(2), wait(4));
        assert!(waited.0.is_err() && waited.1.is_err() && waited.2.is_err());
        assert_eq!(begin.elapsed().as_secs(), 4);
        pacer.take(1).await;
        assert_eq!(begin.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paced_stream_has_the_same_bytes_in_small_pieces() {
        let data: Bytes = (0..=255).cycle().take(100_000).collect();
        let halves = [data.slice(..50_000), Bytes::new(), data.slice(50_000..)];
        let chunks = stream::iter(halves.map(Ok::<_, Infallible>)).boxed();
        let begin = Instant::now();
        let pieces: Vec<Bytes> = pacer(1e4).pace(chunks).try_collect().await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), 9, "the last piece is free");
        assert!(pieces.iter().all(|piece| piece.len() <= 1024));
        assert_eq!(pieces.concat(), data);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_chunks_pass_as_they_are() {
        let chunk = Bytes::from(vec![0; MIB]);
        let chunks = stream::iter([Ok(chunk), Err("broken off")]).boxed();
        let paced: Vec<_> = Pacer::default().pace(chunks).collect().await;
        let lens: Vec<_> = paced
            .iter()
            .map(|chunk| chunk.as_ref().map(Bytes::len))
            .collect();
        assert_eq!(lens, [Ok(MIB), Err(&"broken off")]);
    }
}
