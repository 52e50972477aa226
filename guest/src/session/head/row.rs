//! The row of `session_head`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::Head;
use crate::bindings::types::ByteStrings;
use crate::session::blobs::{self, key::BlobKey};
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::{Checksum, SetDigest};
use crate::storage::corruption::{corrupt, verify, verify_count};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Transaction, Value, unsigned};
use crate::storage::sql::sql;
use crate::storage::table::table;

pub(super) const TABLE: &str = Columns::TABLE;

/// A head with its references as keys.
pub(in crate::session) struct HeadRow {
    pub(in crate::session) session_id: String,
    pub(in crate::session) revision: i64,
    pub(in crate::session) leaf: Option<String>,
    pub(in crate::session) checkpoint: Option<BlobKey>,
    /// What the content refers to.
    pub(in crate::session) blobs: Vec<BlobKey>,
    /// What else is kept as long as the head is.
    pub(in crate::session) retained: Vec<BlobKey>,
    pub(in crate::session) content: Vec<u8>,
}

/// What a commit must know of the stored head. The content has its own hash, so
/// that it need not be read for this.
pub(in crate::session) struct HeadIdentity {
    pub(in crate::session) session_id: String,
    pub(in crate::session) revision: i64,
    pub(in crate::session) leaf: Option<String>,
}

table! {
    /// The columns but the content.
    struct Columns<'r> in "session_head", named by session_id, uncovered (id, content) {
        session_id: &'r str,
        revision: i64,
        leaf: Option<&'r str>,
        checkpoint: Option<&'r [u8]>,
        blob_keys: &'r [u8],
        retained: &'r [u8],
        content_hash: i64,
    }
}

impl<'r> Columns<'r> {
    /// Reads the columns of the last head that was written.
    fn read_last<T: Transaction>(
        reader: &mut RowReader<'r>,
        session: &SessionTransaction<T>,
    ) -> Result<Self> {
        let (columns, checksum) = Self::read_with_checksum(reader)?;
        if session.digests.head.sum == checksum.cast_unsigned() {
            Ok(columns)
        } else {
            Err(corrupt(
                TABLE,
                columns.session_id,
                "the row is not the last that was written",
            ))
        }
    }
}

fn content_hash(content: &[u8]) -> i64 {
    Checksum::of(TABLE).bytes(content).finish()
}

fn require_count<T: Transaction>(session: &SessionTransaction<T>, count: u32) -> Result<()> {
    verify_count(TABLE, u64::from(count), session.digests.head.count)
}

impl HeadRow {
    /// Reads and checks the head; none if there is none.
    pub(in crate::session) fn load<T: Transaction>(
        session: &SessionTransaction<T>,
    ) -> Result<Option<Self>> {
        let rows = session.tx.query(
            sql!("SELECT ", Columns::COLUMNS, ", content FROM session_head"),
            &[],
        )?;
        require_count(session, rows.count)?;
        let mut reader = RowReader::new(TABLE, &rows);
        if !reader.advance() {
            return Ok(None);
        }
        let columns = Columns::read_last(&mut reader, session)?;
        let content = reader.blob()?;
        verify(
            TABLE,
            columns.session_id,
            columns.content_hash,
            content_hash(content),
        )?;
        let damaged = || {
            corrupt(
                TABLE,
                columns.session_id,
                "a reference to a blob is damaged",
            )
        };
        let checkpoint = match columns.checkpoint {
            Some(key) => Some(BlobKey::from_bytes(key).ok_or_else(damaged)?),
            None => None,
        };
        Ok(Some(Self {
            session_id: columns.session_id.to_string(),
            revision: columns.revision,
            leaf: columns.leaf.map(ToString::to_string),
            checkpoint,
            blobs: blobs::read_edges(columns.blob_keys).ok_or_else(damaged)?,
            retained: blobs::read_edges(columns.retained).ok_or_else(damaged)?,
            content: content.to_vec(),
        }))
    }

    /// Reads and checks everything but the content.
    pub(in crate::session) fn load_identity<T: Transaction>(
        session: &SessionTransaction<T>,
    ) -> Result<Option<HeadIdentity>> {
        let rows = session.tx.query(Columns::SELECT, &[])?;
        require_count(session, rows.count)?;
        let mut reader = RowReader::new(TABLE, &rows);
        if !reader.advance() {
            return Ok(None);
        }
        let columns = Columns::read_last(&mut reader, session)?;
        Ok(Some(HeadIdentity {
            session_id: columns.session_id.to_string(),
            revision: columns.revision,
            leaf: columns.leaf.map(ToString::to_string),
        }))
    }

    /// Writes the head in place of the stored one.
    pub(in crate::session) fn store<T: Transaction>(
        &self,
        session: &mut SessionTransaction<T>,
    ) -> Result<()> {
        let blob_keys = blobs::write_edges(&self.blobs);
        let retained = blobs::write_edges(&self.retained);
        let columns = Columns {
            session_id: &self.session_id,
            revision: self.revision,
            leaf: self.leaf.as_deref(),
            checkpoint: self.checkpoint.as_ref().map(BlobKey::as_bytes),
            blob_keys: &blob_keys,
            retained: &retained,
            content_hash: content_hash(&self.content),
        };
        session.tx.execute(
            sql!(
                Columns::INSERT,
                " ON CONFLICT (id) DO UPDATE SET ",
                Columns::EXCLUDED,
                ", content = excluded.content"
            ),
            &columns.values(Value::Integer(1), Value::Blob(&self.content)),
        )?;
        session.digests.head = SetDigest::single(columns.checksum());
        Ok(())
    }

    /// Reads the blobs that the content refers to.
    pub(in crate::session) fn hydrate<T: Transaction>(
        self,
        session: &SessionTransaction<T>,
    ) -> Result<Head> {
        let mut blobs = ByteStrings::new();
        for key in &self.blobs {
            blobs.push(&blobs::load_referenced(session, key)?.content);
        }
        Ok(Head {
            session_id: self.session_id,
            revision: unsigned(self.revision),
            content: self.content,
            blobs,
            blob_refs: self.blobs.iter().map(BlobKey::text).collect(),
            leaf: self.leaf,
            checkpoint_ref: self.checkpoint.as_ref().map(BlobKey::text),
            node_count: session.digests.nodes.count,
        })
    }
}
