//! The machine's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use refit_core::time::{Span, Timestamp};
use refit_engine::port::Clock;
use rustix::time::{ClockId, clock_gettime};

/// The clock that never jumps and counts suspension.
#[cfg(target_os = "linux")]
const STEADY: ClockId = ClockId::Boottime;
/// Elsewhere the monotonic clock counts suspension itself.
#[cfg(not(target_os = "linux"))]
const STEADY: ClockId = ClockId::Monotonic;

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the Clock port")]
        let now = SystemTime::now();
        timestamp(now)
    }

    fn elapsed(&self) -> Span {
        let time = clock_gettime(STEADY);
        Span::from_millis(time.tv_sec.saturating_mul(1000) + time.tv_nsec / 1_000_000)
    }

    async fn sleep(&self, span: Span) {
        #[expect(clippy::disallowed_methods, reason = "this is the Clock port")]
        tokio::time::sleep(duration(span)).await;
    }
}

/// The time in milliseconds; what lies before 1970 is 1970.
pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The span as the standard library has it.
pub(crate) fn duration(span: Span) -> Duration {
    Duration::from_millis(span.as_millis().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_run_forward_and_the_wall_clock_is_of_this_century() {
        let (now, elapsed) = (SystemClock.now(), SystemClock.elapsed());
        assert!(now > "2024-01-01T00:00:00Z".parse().unwrap());
        assert!(elapsed > Span::ZERO);
        assert!(SystemClock.elapsed() >= elapsed);
    }

    #[tokio::test]
    async fn a_sleep_lasts_at_least_as_long_as_asked() {
        let before = SystemClock.elapsed();
        SystemClock.sleep(Span::from_millis(20)).await;
        assert!(SystemClock.elapsed() >= before + Span::from_millis(20));
    }
}
