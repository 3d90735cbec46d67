//! Waits on conditions, never for a length of time.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Waits until it is so; fails by name after so many seconds.
#[track_caller]
pub(crate) fn wait_for(what: &str, seconds: u64, is_so: impl FnMut() -> bool) {
    wait_or_tell(seconds, is_so, || what.to_owned());
}

/// Waits until it is so; tells after so many seconds what was waited for, and how it is instead.
#[track_caller]
pub(crate) fn wait_or_tell(seconds: u64, mut is_so: impl FnMut() -> bool, tell: impl FnOnce() -> String) {
    let since = Instant::now();
    while !is_so() {
        let late = since.elapsed() >= Duration::from_secs(seconds);
        assert!(!late, "not within {seconds} s: {}", tell());
        #[expect(
            clippy::disallowed_methods,
            reason = "a test looks at processes of others, without a runtime"
        )]
        thread::sleep(Duration::from_millis(20));
    }
}
