//! Times as the component knows them.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time in ms since 1970; 0 if it is before that.
#[must_use]
pub fn epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
