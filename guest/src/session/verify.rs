//! Looking into a session database without changing it.

use crate::Result;
use crate::bindings::exports::lash::store::inspection_types::Verification;
use crate::session::digests::SessionTransaction;
use crate::storage::findings::Findings;
use crate::storage::seam::{Environment, Transaction};

use super::head::HeadRow;
use super::{artifacts, attachments, blobs, graph, metadata, queue, turns, usage};

/// The WIT function `session-inspection.verify`.
pub fn verify(env: &impl Environment) -> Result<Verification> {
    let (session, damage) = SessionTransaction::inspect(env)?;
    let mut findings = Findings::new(damage);
    let head = verify_head(&session, &mut findings)?;
    if findings.has_digests() {
        findings.note("session_meta", metadata::read(&session))?;
    }
    graph::verify_all(&session, &mut findings)?;
    blobs::verify_all(&session, &mut findings)?;
    artifacts::verify_all(&session, &mut findings)?;
    usage::verify_all(&session, &mut findings)?;
    turns::verify_all(&session, &mut findings, head.map(|head| head.revision))?;
    queue::verify_all(&session, &mut findings)?;
    attachments::verify_all(&session, &mut findings)?;
    Ok(findings.finish())
}

/// Checks the head, and that the blobs it refers to are there. The leaf may be gone: a
/// graph can be replaced, and nodes removed, without the head.
fn verify_head<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<Option<HeadRow>> {
    if !findings.has_digests() {
        return Ok(None);
    }
    let Some(Some(head)) = findings.note("session_head", HeadRow::load(session))? else {
        return Ok(None);
    };
    let kept = head
        .checkpoint
        .iter()
        .chain(&head.blobs)
        .chain(&head.retained);
    blobs::require_whole(session, findings, kept.copied())?;
    Ok(Some(head))
}
