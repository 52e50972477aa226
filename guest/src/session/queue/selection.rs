//! Which of the ready batches one claim takes.

use crate::bindings::session_types::{Boundary, DeliveryPolicy, SlotPolicy};

/// What the choice depends on. Merge keys are opaque; equal ones join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<'c> {
    /// When the batch may be delivered.
    pub delivery: DeliveryPolicy,
    /// Whether it may share a claim.
    pub slot: SlotPolicy,
    /// With which others it may share one.
    pub merge_key: &'c str,
}

/// How many of the candidates, from the first, one claim takes.
///
/// The candidates are the ready batches in queue order. At the checkpoint of an
/// active turn, work that waits for the end of the turn blocks the queue. An
/// exclusive batch is claimed alone; a joining one together with those right
/// behind it that have the same delivery policy and merge key.
pub fn claimed_prefix<'c>(
    candidates: impl IntoIterator<Item = Candidate<'c>>,
    boundary: Boundary,
    max_batches: u64,
) -> usize {
    let mut candidates = candidates.into_iter();
    let Some(first) = candidates.next().filter(|_| max_batches > 0) else {
        return 0;
    };
    if boundary == Boundary::ActiveTurnCheckpoint
        && first.delivery != DeliveryPolicy::EarliestSafeBoundary
    {
        return 0;
    }
    if first.slot == SlotPolicy::Exclusive {
        return 1;
    }
    let limit = usize::try_from(max_batches).unwrap_or(usize::MAX);
    let joining = candidates.take_while(|candidate| *candidate == first);
    joining.take(limit - 1).count() + 1
}
