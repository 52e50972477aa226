//! Exporting all of a session.

use crate::Result;
use crate::bindings::exports::lash::store::session_export::Page as ExportedPage;
use crate::export::{Cursor, Page, RecordBuilder};
use crate::seam::{Environment, Transaction};
use crate::transaction::SessionTransaction;

use super::blob::{self, key::BlobKey};
use super::head::HeadRow;
use super::{artifacts, attachments, graph, metadata, queue, turn, usage};

/// The WIT function `session-export.read-page`.
pub fn read_page(env: &impl Environment, cursor: Option<&[u8]>) -> Result<ExportedPage> {
    let session = SessionTransaction::read(env)?;
    let mut cursor = cursor.map_or_else(|| Ok(Cursor::default()), Cursor::decode)?;
    let mut page = Page::default();
    while !page.is_full() {
        match read_table(&session, &mut cursor, &mut page)? {
            Progress::More => {}
            Progress::Ended => cursor = cursor.next_table(),
            Progress::NoTable => {
                return Ok(ExportedPage {
                    records: page.into_records(),
                    next: None,
                });
            }
        }
    }
    Ok(ExportedPage {
        records: page.into_records(),
        next: Some(cursor.encode()),
    })
}

/// How far a table was read.
enum Progress {
    /// There may be more of it.
    More,
    /// All of it was read.
    Ended,
    /// All tables were read before.
    NoTable,
}

fn read_table<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<Progress> {
    let ended = match cursor.table {
        0 => metadata::export(session, page).map(|()| true),
        1 => export_head(session, page).map(|()| true),
        2 => graph::export(session, cursor, page),
        3 => graph::export_removed(session, cursor, page),
        4 => blob::export(session, cursor, page),
        5 => artifacts::export(session, cursor, page),
        6 => usage::export_entries(session, cursor, page),
        7 => usage::export_totals(session, cursor, page),
        8 => turn::export(session, cursor, page),
        9 => queue::export(session, cursor, page),
        10 => queue::export_completed(session, cursor, page),
        11 => attachments::export(session, cursor, page),
        _ => return Ok(Progress::NoTable),
    };
    ended.map(|ended| match ended {
        true => Progress::Ended,
        false => Progress::More,
    })
}

fn export_head<T: Transaction>(session: &SessionTransaction<T>, page: &mut Page) -> Result<()> {
    let texts = |keys: &[BlobKey]| keys.iter().map(BlobKey::text).collect();
    if let Some(head) = HeadRow::load(session)? {
        let checkpoint = head.checkpoint.map(|key| key.text());
        page.push(
            RecordBuilder::new("head")
                .text("session_id", &head.session_id)
                .number("revision", head.revision)
                .optional_text("leaf", head.leaf.as_deref())
                .optional_text("checkpoint", checkpoint.as_deref())
                .texts("blobs", texts(&head.blobs))
                .texts("retained_blobs", texts(&head.retained))
                .payload("content", head.content),
        );
    }
    Ok(())
}
