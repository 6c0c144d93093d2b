//! Retries of operations that failed in a way that may pass.

use std::time::Duration;

use super::context::RunContext;
use super::error::ImageError;

/// The retries of operations that failed in a way that may pass: their number, and the
/// waits before them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The number of retries.
    pub retries: u32,
    /// The wait before the first retry; doubled for each further one.
    pub first_delay: Duration,
    /// The longest wait, unless a server asks for a longer one.
    pub max_delay: Duration,
    /// The longest time from the beginning of the run to the last retry.
    pub max_time: Option<Duration>,
    /// The longest time that a target takes to notice that an upload broke off. A Glance
    /// whose side of the connection stays open does so after a minute.
    pub notice_time: Duration,
}

/// The longest time between two looks at an upload that broke off.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 5,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            max_time: None,
            notice_time: Duration::from_secs(90),
        }
    }
}

impl RetryPolicy {
    /// The time to wait before the next look whether a target has noticed that an upload
    /// broke off, `broken` ago, or `None` to give up.
    pub(crate) fn until_noticed(&self, broken: Duration, run_time: Duration) -> Option<Duration> {
        let is_over = self.max_time.is_some_and(|max| run_time >= max);
        let delay = self.first_delay.max(broken / 2).min(LONGEST_LOOK);
        (broken < self.notice_time && !is_over).then_some(delay)
    }

    /// Calls an operation until it succeeds, fails in a way that will not pass, or has been
    /// tried as often as the policy says.
    pub(crate) async fn run<T, F>(
        &self,
        ctx: &RunContext,
        mut operation: impl FnMut() -> F,
    ) -> Result<T, ImageError>
    where
        F: Future<Output = Result<T, ImageError>>,
    {
        let mut failed = 0;
        loop {
            let error = match operation().await {
                Err(error) => error,
                done => return done,
            };
            failed += 1;
            match self.after(failed, &error, ctx) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(error),
            }
        }
    }

    /// The time to wait after an error, the last of `failed` in a row, or `None` to give
    /// up: at once where the error will not pass.
    pub(crate) fn after(
        &self,
        failed: u32,
        error: &ImageError,
        ctx: &RunContext,
    ) -> Option<Duration> {
        let delay = self.delay(failed, error.retry_after(), ctx.run_time());
        delay.filter(|_| error.is_transient())
    }

    /// The time to wait after `failed` failures in a row, or `None` to give up.
    ///
    /// Half of the wait is random, so that many clients do not return at once.
    fn delay(
        &self,
        failed: u32,
        retry_after: Option<Duration>,
        run_time: Duration,
    ) -> Option<Duration> {
        if failed > self.retries {
            return None;
        }
        let doubled = 2_u32.saturating_pow(failed.saturating_sub(1));
        let longest = self.first_delay.saturating_mul(doubled).min(self.max_delay);
        let delay = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        let delay = retry_after.map_or(delay, |asked| asked.max(delay));
        let ends_at = run_time.saturating_add(delay);
        // Whatever was asked for: a wait that ends too late is a wait for nothing.
        self.max_time
            .is_none_or(|max| ends_at <= max)
            .then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN_TIME: Duration = Duration::from_secs(90);

    #[test]
    fn waits_double_up_to_the_longest_and_then_end() {
        let policy = RetryPolicy {
            retries: 3,
            first_delay: Duration::from_secs(4),
            max_delay: Duration::from_secs(10),
            max_time: Some(Duration::from_secs(100)),
            ..RetryPolicy::default()
        };
        for (failed, low, high) in [(1, 2, 4), (2, 4, 8), (3, 5, 10)] {
            let delay = policy.delay(failed, None, RUN_TIME).unwrap().as_secs_f64();
            assert!(
                (f64::from(low)..=f64::from(high)).contains(&delay),
                "{delay}"
            );
        }
        assert_eq!(policy.delay(4, None, RUN_TIME), None);
    }

    #[test]
    fn no_wait_begins_that_ends_after_the_longest_time_of_the_run() {
        let policy = RetryPolicy {
            max_time: Some(Duration::from_secs(100)),
            ..RetryPolicy::default()
        };
        for (asked_s, is_waited) in [(10, true), (11, false), (86_400, false), (u64::MAX, false)] {
            let asked = Duration::from_secs(asked_s);
            let delay = policy.delay(1, Some(asked), RUN_TIME);
            assert_eq!(delay, is_waited.then_some(asked), "{asked_s}");
        }
        assert_eq!(policy.delay(1, None, Duration::from_secs(100)), None);
    }

    #[test]
    fn a_broken_upload_is_waited_for_for_longer_than_a_server_takes_to_notice() {
        let policy = RetryPolicy::default();
        let (mut at, mut looks) = (Duration::ZERO, 0);
        while let Some(delay) = policy.until_noticed(at, RUN_TIME) {
            (at, looks) = (at + delay, looks + 1);
        }
        assert!(at >= Duration::from_secs(90), "{at:?}");
        assert!(looks < 30, "{looks}");
        let short = RetryPolicy {
            max_time: Some(RUN_TIME),
            ..policy
        };
        assert_eq!(short.until_noticed(Duration::ZERO, RUN_TIME), None);
    }

    #[test]
    fn what_the_server_asks_for_is_obeyed() {
        let asked = Duration::from_secs(100);
        assert_eq!(
            RetryPolicy::default().delay(1, Some(asked), RUN_TIME),
            Some(asked)
        );
    }
}
