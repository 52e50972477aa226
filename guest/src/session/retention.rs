//! Forgetting what only a late retry would ask for.

use super::{queue, turns, usage};
use crate::Result;
use crate::bindings::session_types::Pruned;
use crate::session::digests::SessionTransaction;
use crate::storage::seam::{Environment, clamp};
use crate::storage::skipped::Skipped;

/// The WIT function `retention.prune`.
pub fn prune(env: &impl Environment, before_ms: u64, limit: u32) -> Result<Pruned> {
    let before_ms = clamp(before_ms).min(env.now_ms());
    let limit = u64::from(limit.max(1));
    let mut session = SessionTransaction::write_durably(env)?;
    let mut skipped = Skipped::default();
    let turns = turns::forget(&mut session, before_ms, limit, &mut skipped)?;
    let source_keys = queue::forget_completed(&session.tx, before_ms, limit)?;
    let usage_entries = usage::fold_entries(&mut session, before_ms, limit, &mut skipped)?;
    session.commit()?;
    Ok(Pruned {
        turns,
        source_keys,
        usage_entries,
        more: [turns, source_keys, usage_entries].contains(&limit),
        corrupt: skipped.into_corrupt(),
    })
}
