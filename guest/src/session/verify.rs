//! Checking everything in a session database.

use crate::Result;
use crate::bindings::inspection_types::Verification;
use crate::bindings::types::Error;
use crate::session::digests::SessionTransaction;
use crate::session::head::HeadRow;
use crate::storage::findings::verify_step;
use crate::storage::identity;
use crate::storage::paging::List;
use crate::storage::seam::Environment;

use super::{artifacts, attachments, blobs, graph, head, metadata, queue, turns, usage};

/// The WIT function `session-inspection.verify`.
pub fn verify(env: &impl Environment, cursor: Option<&[u8]>) -> Result<Verification> {
    let (session, damage) = SessionTransaction::inspect(env)?;
    let list = List::of_all("session-inspection.verify", session.digests);
    verify_step(
        cursor,
        &list,
        damage,
        &[
            &|findings| {
                identity::verify_row(&session.tx, findings)?;
                head::verify_all(&session, findings)?;
                if findings.has_digests() {
                    findings.note("session_meta", metadata::read(&session))?;
                }
                Ok(())
            },
            &|findings| graph::verify_all(&session, findings),
            &|findings| blobs::verify_all(&session, findings),
            &|findings| artifacts::verify_all(&session, findings),
            &|findings| usage::verify_all(&session, findings),
            &|findings| {
                let head = match HeadRow::load_identity(&session) {
                    // That was noted in the first step.
                    Err(Error::Corrupt(_)) => None,
                    head => head?,
                };
                turns::verify_all(&session, findings, head.map(|head| head.revision))
            },
            &|findings| queue::verify_all(&session, findings),
            &|findings| attachments::verify_all(&session, findings),
        ],
    )
}
