//! What a session is called and where it comes from.

use alloc::string::ToString;

use super::{graph, head};
use crate::Result;
use crate::bindings::session_types::{Description, Meta};
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{corrupt, verify_count};
use crate::storage::paging::{Page, RecordBuilder};
use crate::storage::rows::read_one;
use crate::storage::seam::{Environment, Transaction, Value};
use crate::storage::sql::sql;
use crate::storage::table::table;

table! {
    /// The row of the metadata.
    struct MetaRow<'r> in "session_meta", named by session_id, uncovered (id) {
        session_id: &'r str,
        session_name: &'r str,
        created_at: &'r str,
        model: &'r str,
        cwd: Option<&'r str>,
        relation: &'r [u8],
    }
}

fn store<T: Transaction>(session: &mut SessionTransaction<T>, meta: &Meta) -> Result<()> {
    let row = MetaRow {
        session_id: &meta.session_id,
        session_name: &meta.session_name,
        created_at: &meta.created_at,
        model: &meta.model,
        cwd: meta.cwd.as_deref(),
        relation: &meta.relation,
    };
    session.tx.execute(
        sql!(
            MetaRow::INSERT,
            " ON CONFLICT (id) DO UPDATE SET ",
            MetaRow::EXCLUDED
        ),
        &row.values(Value::Integer(1)),
    )?;
    session.digests.meta = SetDigest::single(row.checksum());
    Ok(())
}

/// The WIT function `metadata.save`.
pub fn save(env: &impl Environment, meta: &Meta) -> Result<()> {
    let mut session = SessionTransaction::write_durably(env)?;
    store(&mut session, meta)?;
    session.commit()
}

/// The WIT function `metadata.create`.
pub fn create(env: &impl Environment, meta: &Meta) -> Result<bool> {
    let mut session = SessionTransaction::write_durably(env)?;
    if session.digests.meta.count > 0 {
        return Ok(false);
    }
    store(&mut session, meta)?;
    session.commit()?;
    Ok(true)
}

/// Reads and checks the metadata; none if there is none.
pub(crate) fn read<T: Transaction>(session: &SessionTransaction<T>) -> Result<Option<Meta>> {
    let rows = session.tx.query(MetaRow::SELECT, &[])?;
    let expected = session.digests.meta;
    verify_count(MetaRow::TABLE, u64::from(rows.count), expected.count)?;
    read_one(MetaRow::TABLE, &rows, |reader| {
        let (row, checksum) = MetaRow::read_with_checksum(reader)?;
        if SetDigest::single(checksum) != expected {
            let reason = "the row is not the last that was written";
            return Err(corrupt(MetaRow::TABLE, row.session_id, reason));
        }
        Ok(Meta {
            session_id: row.session_id.to_string(),
            session_name: row.session_name.to_string(),
            created_at: row.created_at.to_string(),
            model: row.model.to_string(),
            cwd: row.cwd.map(ToString::to_string),
            relation: row.relation.to_vec(),
        })
    })
}

/// The WIT function `metadata.load`.
pub fn load(env: &impl Environment) -> Result<Option<Meta>> {
    read(&SessionTransaction::read(env)?)
}

/// The WIT function `metadata.describe`.
pub fn describe(env: &impl Environment) -> Result<Option<Description>> {
    let session = SessionTransaction::read(env)?;
    let Some(meta) = read(&session)? else {
        return Ok(None);
    };
    // The counts are returned as they are; the head shows whether they are those
    // of the last commit.
    head::check(&session)?;
    Ok(Some(Description {
        meta,
        nodes: session.digests.nodes.count,
        prompts: session.digests.prompts,
        first_prompt: graph::first_prompt(&session)?,
    }))
}

/// Exports the metadata.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    page: &mut Page,
) -> Result<()> {
    if let Some(Some(meta)) = page.note(MetaRow::TABLE, read(session))? {
        page.push(
            RecordBuilder::new("metadata")
                .text("session_id", &meta.session_id)
                .text("session_name", &meta.session_name)
                .text("created_at", &meta.created_at)
                .text("model", &meta.model)
                .optional_text("cwd", meta.cwd.as_deref())
                .payload("relation", meta.relation),
        );
    }
    Ok(())
}
