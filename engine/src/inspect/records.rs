//! Reading everything that a database holds.

use std::path::PathBuf;

use serde_json::Value;

use super::{Inspector, Record};
use crate::database::{Database, OpenOptions};
use crate::error::Error;
use crate::kind::DatabaseKind;
use crate::wit::types::Cursor;

/// Everything that a database holds, in one snapshot, a page at a time.
///
/// The snapshot is that of the first page. As long as this is not dropped, the
/// write-ahead log of the file grows with what others write.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use lash_store_engine::inspect::Inspector;
///
/// let inspector = Inspector::open("session.db".as_ref()).await?;
/// let mut records = inspector.records();
/// while let Some(page) = records.next_page().await? {
///     for record in page {
///         println!("{}", serde_json::to_string(&record)?);
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Records {
    path: PathBuf,
    kind: DatabaseKind,
    options: OpenOptions,
    at: At,
}

/// How far it was read.
enum At {
    Start,
    Page(Database, Cursor),
    End,
}

impl Inspector {
    /// Reads everything, to write it elsewhere.
    pub fn records(&self) -> Records {
        Records {
            path: self.path().to_path_buf(),
            kind: self.kind(),
            options: self.options.clone(),
            at: At::Start,
        }
    }
}

impl Records {
    /// The next records: about 1 MiB, or a single one that is longer. None after the last.
    ///
    /// The first record is called `database` and says what the others are of.
    /// Everything is checked. After an error the same page is read again.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if something is damaged: [`Inspector::verify`] names all that
    /// is. [`Error::Retired`] if the session is being deleted; as [`Inspector::open`] if
    /// the file cannot be opened any more.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Record>>, Error> {
        let (page, next) = match &self.at {
            At::Start => {
                let db = Database::open_snapshot(&self.path, self.kind, &self.options);
                let db = db.await?;
                let version = db.layout().await?.schema_version;
                let mut page = vec![self.database(version)];
                let (records, next) = read(&db, self.kind, None).await?;
                page.extend(records);
                (page, next.map(|next| (db, next)))
            }
            At::Page(db, cursor) => {
                let (page, next) = read(db, self.kind, Some(cursor.clone())).await?;
                (page, next.map(|next| (db.clone(), next)))
            }
            At::End => return Ok(None),
        };
        self.at = next.map_or(At::End, |(db, next)| At::Page(db, next));
        Ok(Some(page))
    }

    fn database(&self, version: u64) -> Record {
        let kind = serde_json::to_value(self.kind).unwrap_or(Value::Null);
        Record::new(
            "database",
            [("kind", kind), ("schema_version", version.into())],
        )
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("path", &self.path)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Reads a page; returns where the next one begins too.
async fn read(
    db: &Database,
    kind: DatabaseKind,
    cursor: Option<Cursor>,
) -> Result<(Vec<Record>, Option<Cursor>), Error> {
    db.read("export", move |call| {
        let cursor = cursor.as_ref();
        let page = match kind {
            DatabaseKind::Session => call.session_export().read_page(cursor),
            DatabaseKind::Processes => call.process_export().read_page(cursor),
            DatabaseKind::HostEvents => call.host_event_export().read_page(cursor),
            DatabaseKind::Effects => call.effect_export().read_page(cursor),
        }?;
        // Otherwise the same page would come for ever.
        if page.next.is_some() && page.next.as_ref() == cursor {
            return Err(call.contradiction("it returned a page that leads to itself"));
        }
        let records = page.records.into_iter().map(Record::from_wit);
        Ok((records.collect(), page.next))
    })
    .await
}
