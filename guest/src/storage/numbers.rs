//! Numbers that are given out in ascending order, each once.

use crate::Result;
use crate::storage::corruption::invalid;
use crate::storage::seam::clamp;

/// The highest number: there must be one that is given out next.
pub(crate) const LAST: u64 = i64::MAX as u64 - 1;

/// Gives out the next number. `what` says which ones may be used up, which only an import can
/// bring about.
pub(crate) fn give_out(next: &mut u64, what: &str) -> Result<i64> {
    if *next > LAST {
        return Err(invalid([what, " are used up"].concat()));
    }
    let number = clamp(*next);
    *next += 1;
    Ok(number)
}

/// A number that was given out elsewhere, if it is above all that were given out here; the
/// next one is above it.
pub(crate) fn take_over(next: &mut u64, number: u64) -> Option<i64> {
    if number < *next || number > LAST {
        return None;
    }
    *next = number + 1;
    Some(clamp(number))
}
