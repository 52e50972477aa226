//! Exporting all of a session.

use crate::Result;
use crate::bindings::export_types::Page as ExportPage;
use crate::session::digests::{SessionTransaction, inspect};
use crate::storage::paging::{self, Cursor, List, Page};
use crate::storage::seam::{Environment, Transaction, TransactionMode};

use super::{artifacts, attachments, blobs, graph, head, metadata, queue, turns, usage};

/// The WIT function `session-export.read-page`.
pub fn read_page(env: &impl Environment, cursor: Option<&[u8]>) -> Result<ExportPage> {
    let (session, damage) = inspect(env, TransactionMode::Read)?;
    let list = List::of_all("session-export.read-page", session.digests);
    paging::read_page(cursor, &list, damage, |cursor, page| {
        read_table(&session, cursor, page)
    })
}

fn read_table<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Option<Result<bool>> {
    Some(match cursor.table {
        0 => metadata::export(session, page).map(|()| true),
        1 => head::export(session, page).map(|()| true),
        2 => graph::export(session, cursor, page),
        3 => graph::export_removed(session, cursor, page),
        4 => blobs::export(session, cursor, page),
        5 => artifacts::export(session, cursor, page),
        6 => usage::export_entries(session, cursor, page),
        7 => usage::export_totals(session, cursor, page),
        8 => turns::export(session, cursor, page),
        9 => queue::export(session, cursor, page),
        10 => queue::export_completed(session, cursor, page),
        11 => attachments::export(session, cursor, page),
        _ => return None,
    })
}
