//! Checking everything in a session database.

use crate::Result;
use crate::bindings::inspection_types::Verification;
use crate::session::digests::SessionTransaction;
use crate::storage::findings::Findings;
use crate::storage::seam::Environment;

use super::{artifacts, attachments, blobs, graph, head, metadata, queue, turns, usage};

/// The WIT function `session-inspection.verify`.
pub fn verify(env: &impl Environment) -> Result<Verification> {
    let (session, damage) = SessionTransaction::inspect(env)?;
    let mut findings = Findings::new(damage);
    let head = head::verify_all(&session, &mut findings)?;
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
