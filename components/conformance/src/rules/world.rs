//! The clock and the random numbers.

use alloc::format;
use alloc::vec::Vec;

use super::Run::Plain;
use super::{Check, Outcome};
use crate::bindings::lash::store::sqlite::Database;
use crate::bindings::wasi::clocks::wall_clock;
use crate::bindings::wasi::random::random;
use crate::expect::holds;

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "clock-tells-the-time",
        statement: "A time since 1970-01-01T00:00:00Z, without leap seconds.",
        steps: &[Plain(clock)],
    },
    Check {
        name: "random-numbers-differ",
        statement: "Returns a cryptographically secure random number.",
        steps: &[Plain(numbers)],
    },
];

/// 2020-01-01 and 2200-01-01: a clock that was never set, or counts in another
/// unit, is not between.
const PLAUSIBLE: core::ops::Range<u64> = 1_577_836_800..7_258_118_400;

fn clock(_: &Database) -> Outcome {
    let now = wall_clock::now();
    holds(
        &format!(
            "{} seconds are not in this century or the next",
            now.seconds
        ),
        PLAUSIBLE.contains(&now.seconds),
    )?;
    holds(
        &format!("{} nanoseconds are more than a second", now.nanoseconds),
        now.nanoseconds < 1_000_000_000,
    )
}

fn numbers(_: &Database) -> Outcome {
    const DRAWN: usize = 128;
    let mut drawn: Vec<u64> = (0..DRAWN).map(|_| random::get_random_u64()).collect();
    // That a bit is the same in all of them has the probability of 2^-121.
    let (ones, zeros) = drawn
        .iter()
        .fold((0, 0), |(ones, zeros), n| (ones | n, zeros | !n));
    holds(
        "a bit is the same in 128 random numbers",
        ones == u64::MAX && zeros == u64::MAX,
    )?;
    drawn.sort_unstable();
    drawn.dedup();
    holds("a random number came twice", drawn.len() == DRAWN)
}
