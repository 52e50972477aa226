//! Reading everything that a database holds.

use std::path::PathBuf;

use serde_json::Value;

use super::{Inspector, Problem, Record};
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
    /// What was left out.
    problems: Vec<Problem>,
}

/// How far it was read.
enum At {
    Start,
    Page(Database, Cursor),
    /// Everything was read that can be, and that is not all.
    Incomplete,
    End,
}

/// How many problems are remembered.
const MOST_PROBLEMS: usize = 1000;

/// Some of what is stored.
struct Page {
    records: Vec<Record>,
    problems: Vec<Problem>,
}

impl Inspector {
    /// Reads everything, to write it elsewhere.
    pub fn records(&self) -> Records {
        Records {
            path: self.path().to_path_buf(),
            kind: self.kind(),
            options: self.options.clone(),
            at: At::Start,
            problems: Vec::new(),
        }
    }
}

impl Records {
    /// Returns the next records: about 1 MiB, or a single one that is longer; `None` after the
    /// last.
    ///
    /// The first record is called `database` and says what the others are of. Everything is
    /// checked. What is corrupt is left out, and a record `corrupt` says so; then the last
    /// page is followed by an error, so that whoever reads to the end without one has
    /// everything. After another error the same page is read again.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] after the last page, if something was left out: the first of
    /// [`problems`](Self::problems). [`Error::Retired`] if the session is being deleted; as
    /// [`Inspector::open`] if the file cannot be opened any more.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Record>>, Error> {
        let (page, next) = match &self.at {
            At::Start => {
                let db = Database::open_snapshot(&self.path, self.kind, &self.options);
                let db = db.await?;
                let version = db.layout().await?.schema_version;
                let (mut page, next) = read(&db, self.kind, None).await?;
                page.records.insert(0, self.database(version));
                (page, next.map(|next| (db, next)))
            }
            At::Page(db, cursor) => {
                let (page, next) = read(db, self.kind, Some(cursor.clone())).await?;
                (page, next.map(|next| (db.clone(), next)))
            }
            At::Incomplete => {
                self.at = At::End;
                return Err(self.corrupt());
            }
            At::End => return Ok(None),
        };
        let Page {
            mut records,
            problems,
        } = page;
        records.extend(problems.iter().map(corrupt_record));
        let room = MOST_PROBLEMS.saturating_sub(self.problems.len());
        self.problems.extend(problems.into_iter().take(room));
        self.at = match next {
            Some((db, next)) => At::Page(db, next),
            None if self.problems.is_empty() => At::End,
            None => At::Incomplete,
        };
        Ok(Some(records))
    }

    /// What was left out of the pages that were read, because it is corrupt. At most 1,000;
    /// the records `corrupt` are all.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn corrupt(&self) -> Error {
        let first = self.problems.first();
        let text = |of: fn(&Problem) -> &String| first.map(of).cloned().unwrap_or_default();
        Error::Corrupt {
            path: self.path.clone(),
            table: text(|problem| &problem.table),
            key: text(|problem| &problem.key),
            reason: text(|problem| &problem.reason),
        }
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
) -> Result<(Page, Option<Cursor>), Error> {
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
        let read = Page {
            records: page.records.into_iter().map(Record::from_wit).collect(),
            problems: page.problems.into_iter().map(Problem::from).collect(),
        };
        Ok((read, page.next))
    })
    .await
}

/// Says what is not among the records.
fn corrupt_record(problem: &Problem) -> Record {
    Record::new(
        "corrupt",
        [
            ("table", problem.table.as_str().into()),
            ("key", problem.key.as_str().into()),
            ("reason", problem.reason.as_str().into()),
        ],
    )
}
