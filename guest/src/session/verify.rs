//! Checking everything in a session database, and rebuilding what is derived.

use crate::Result;
use crate::bindings::inspection_types::{Repaired, Verification};
use crate::bindings::types::Error;
use crate::session::digests::{SessionDigests, SessionTransaction, inspect};
use crate::session::head::HeadRow;
use crate::storage::corruption::invalid;
use crate::storage::findings::{Findings, repair_all, verify_step};
use crate::storage::identity;
use crate::storage::paging::List;
use crate::storage::seam::{Environment, Transaction, TransactionMode};

use super::{artifacts, attachments, blobs, graph, head, metadata, queue, turns, usage};

/// The WIT function `session-inspection.verify`.
pub fn verify(env: &impl Environment, cursor: Option<&[u8]>) -> Result<Verification> {
    let (session, damage) = inspect(env, TransactionMode::Read)?;
    let list = List::of_all("session-inspection.verify", session.digests);
    let mut found = SessionDigests::default();
    verify_step(cursor, &list, damage, &mut |step, findings| {
        check(&session, step, findings, &mut found)
    })
}

/// The WIT function `repair.session`.
pub fn repair(env: &impl Environment) -> Result<Repaired> {
    let (session, damage) = inspect(env, TransactionMode::WriteDurable)?;
    let mut found = SessionDigests {
        retired: session.digests.retired,
        ..SessionDigests::default()
    };
    let findings = repair_all(env, damage, &mut |step, findings| {
        check(&session, step, findings, &mut found)
    })?;
    session.repair(found, findings)
}

/// Checks the tables of a step, and adds what they hold to `found`.
fn check<T: Transaction>(
    session: &SessionTransaction<T>,
    step: usize,
    findings: &mut Findings,
    found: &mut SessionDigests,
) -> Result<bool> {
    match step {
        0 => {
            identity::verify_row(&session.tx, findings)?;
            head::verify_all(session, findings)?;
            findings.note("session_meta", metadata::read(session))?;
            found.head = session.digests.head;
            found.meta = session.digests.meta;
        }
        1 => graph::verify_all(session, findings, found)?,
        2 => found.blobs = blobs::verify_all(session, findings)?,
        3 => found.artifacts = artifacts::verify_all(session, findings)?,
        4 => usage::verify_all(session, findings, found)?,
        5 => {
            let head = match HeadRow::load_identity(session) {
                // That was noted in the first step.
                Err(Error::Corrupt(_)) => None,
                head => head?,
            };
            let revision = head.map(|head| head.revision);
            found.turns = turns::verify_all(session, findings, revision)?;
        }
        6 => queue::verify_all(session, findings, found)?,
        7 => found.intents = attachments::verify_all(session, findings)?,
        _ => return Err(invalid("the cursor names no step")),
    }
    Ok(step < 7)
}
