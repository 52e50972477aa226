//! What a session is called and where it comes from.

use alloc::string::ToString;

use super::{graph, head};
use crate::Result;
use crate::bindings::exports::lash::store::metadata::{Description, Meta};
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::{Checksum, SetDigest};
use crate::storage::corruption::{corrupt, verify, verify_count};
use crate::storage::paging::{Page, RecordBuilder};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, Value, optional_text};

const TABLE: &str = "session_meta";

fn checksum(meta: &Meta) -> i64 {
    Checksum::of(TABLE)
        .bytes(meta.session_id.as_bytes())
        .bytes(meta.session_name.as_bytes())
        .bytes(meta.created_at.as_bytes())
        .bytes(meta.model.as_bytes())
        .optional(meta.cwd.as_deref().map(str::as_bytes))
        .bytes(&meta.relation)
        .finish()
}

fn store<T: Transaction>(session: &mut SessionTransaction<T>, meta: &Meta) -> Result<()> {
    let checksum = checksum(meta);
    session.tx.execute(
        "INSERT INTO session_meta (id, session_id, session_name, created_at, model, cwd, relation,
             checksum)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET
             session_id = excluded.session_id,
             session_name = excluded.session_name,
             created_at = excluded.created_at,
             model = excluded.model,
             cwd = excluded.cwd,
             relation = excluded.relation,
             checksum = excluded.checksum",
        &[
            Value::Text(&meta.session_id),
            Value::Text(&meta.session_name),
            Value::Text(&meta.created_at),
            Value::Text(&meta.model),
            optional_text(meta.cwd.as_deref()),
            Value::Blob(&meta.relation),
            Value::Integer(checksum),
        ],
    )?;
    session.digests.meta = SetDigest::single(checksum);
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
    let rows = session.tx.query(
        "SELECT session_id, session_name, created_at, model, cwd, relation, checksum
         FROM session_meta",
        &[],
    )?;
    let expected = session.digests.meta;
    verify_count(TABLE, u64::from(rows.count), expected.count)?;
    let mut reader = RowReader::new(TABLE, &rows);
    if !reader.advance() {
        return Ok(None);
    }
    let meta = Meta {
        session_id: reader.text()?.to_string(),
        session_name: reader.text()?.to_string(),
        created_at: reader.text()?.to_string(),
        model: reader.text()?.to_string(),
        cwd: reader.optional_text()?.map(ToString::to_string),
        relation: reader.blob()?.to_vec(),
    };
    let stored = reader.integer()?;
    verify(TABLE, &meta.session_id, stored, checksum(&meta))?;
    if SetDigest::single(stored) != expected {
        return Err(corrupt(
            TABLE,
            &meta.session_id,
            "the row is not the last that was written",
        ));
    }
    Ok(Some(meta))
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
    if let Some(meta) = read(session)? {
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
