//! The events of one process.

use lash_core::{ProcessEvent, ProcessTerminalState, epoch_ms_from_system_time};
use lash_store_engine::wit::process_import::{ImportedEvent, Wake};
use rusqlite::{Connection, OptionalExtension};

use crate::import::error::ImportError;
use crate::import::json::{Object, decode, digest, quote, require};
use crate::import::report::Losses;
use crate::import::run::Run;
use crate::import::source::is_damage;
use crate::import::table::{Reason, SourceRow};

pub(super) const TABLE: &str = "process_events";

/// How many bytes of events are read at a time.
const PAGE_BYTES: u64 = 1 << 20;

/// How many events are read at a time.
const PAGE_EVENTS: usize = 4096;

macro_rules! select_events {
    ($indexed:literal) => {
        concat!(
            "SELECT rowid, sequence, event_type, payload_hash, idempotency_key, occurred_at_ms,
                 event_json,
                 EXISTS (SELECT 1 FROM process_wake_acks a ",
            $indexed,
            " WHERE a.process_id = e.process_id AND a.sequence = e.sequence)
             FROM process_events e ",
            $indexed,
            " WHERE process_id = ?1 AND sequence > ?2 ORDER BY sequence"
        )
    };
}

/// How events are found.
pub(super) struct Events {
    sql: &'static str,
}

/// Events that follow each other.
#[derive(Default)]
pub(super) struct Page {
    pub(super) events: Vec<ImportedEvent>,
    pub(super) bytes: u64,
    /// The sequence of the last one, if there may be more.
    pub(super) last: Option<i64>,
}

impl Events {
    /// Looks whether the indexes lead to all events. If not, the table is read from one
    /// end to the other for each process, which takes long, and loses nothing.
    pub(super) fn of(run: &Run<'_>) -> Result<Self, ImportError> {
        let are_sound = run.source.read(|connection| {
            for table in [TABLE, "process_wake_acks"] {
                let pragma = format!("PRAGMA integrity_check('{table}')");
                let found: String = connection.query_row(&pragma, [], |row| row.get(0))?;
                if found != "ok" {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        let sql = match are_sound {
            Ok(true) => select_events!(""),
            Ok(false) => select_events!("NOT INDEXED"),
            Err(error) if is_damage(&error) => select_events!("NOT INDEXED"),
            Err(error) => return Err(run.source.unreadable(error)),
        };
        Ok(Self { sql })
    }

    /// Reads the events of a process behind a sequence.
    pub(super) fn page(
        &self,
        run: &mut Run<'_>,
        process_id: &str,
        after: i64,
        history: &mut History,
    ) -> Result<Page, ImportError> {
        let mut page = Page::default();
        let losses = &mut run.losses;
        let read = run.source.read(|connection| {
            let mut statement = connection.prepare_cached(self.sql)?;
            let mut rows = statement.query((process_id, after))?;
            while let Some(row) = rows.next()? {
                let sequence = history.take(&SourceRow::new(row), losses, &mut page);
                page.last = Some(sequence);
                if page.bytes >= PAGE_BYTES || page.events.len() >= PAGE_EVENTS {
                    return Ok(());
                }
            }
            page.last = None;
            Ok(())
        });
        match read {
            Ok(()) => {}
            Err(error) if is_damage(&error) => {
                history.lose(losses, process_id.to_owned(), error.to_string());
                page.last = None;
            }
            Err(error) => return Err(run.source.unreadable(error)),
        }
        run.advance(page.bytes)?;
        Ok(page)
    }
}

/// What was read of the events of a process so far.
pub(super) struct History {
    process_id: String,
    last_sequence: i64,
    /// How the process ended, and when, in ms since 1970.
    pub(super) end: Option<(ProcessTerminalState, u64)>,
    /// Whether an event cannot be brought over, and with it the process.
    pub(super) is_lost: bool,
}

impl History {
    pub(super) fn of(process_id: &str) -> Self {
        Self {
            process_id: process_id.to_owned(),
            last_sequence: 0,
            end: None,
            is_lost: false,
        }
    }

    /// That of a process whose events up to a sequence were read before.
    pub(super) fn after(process_id: &str, last_sequence: i64) -> Self {
        Self {
            last_sequence,
            ..Self::of(process_id)
        }
    }

    fn lose(&mut self, losses: &mut Losses, key: String, reason: impl Into<String>) {
        self.is_lost = true;
        losses.note(TABLE, key, reason);
    }

    /// Adds an event to a page; returns its sequence.
    fn take(&mut self, row: &SourceRow<'_>, losses: &mut Losses, page: &mut Page) -> i64 {
        let Ok(sequence) = row.integer(0) else {
            let reason = "the column sequence is no integer";
            self.lose(losses, self.process_id.clone(), reason);
            // It is behind every integer.
            return i64::MAX;
        };
        let expected = self.last_sequence.saturating_add(1);
        if sequence != expected {
            let reason = format!("the event is missing, the next one has the sequence {sequence}");
            self.lose(losses, self.key(expected), reason);
        }
        self.last_sequence = sequence;
        match self.event(row, sequence) {
            Ok(event) => {
                page.bytes = page.bytes.saturating_add(event.content.len() as u64);
                page.events.push(event);
            }
            Err(reason) => self.lose(losses, self.key(sequence), reason),
        }
        sequence
    }

    fn key(&self, sequence: i64) -> String {
        format!("{} {sequence}", self.process_id)
    }

    fn event(&mut self, row: &SourceRow<'_>, sequence: i64) -> Result<ImportedEvent, Reason> {
        let json = row.text(5)?;
        let event: ProcessEvent = decode("the event", json)?;
        let replay_key = row.optional_text(3)?;
        let occurred_at_ms = row.unsigned(4)?;
        require(
            event.process_id == self.process_id
                && i64::try_from(event.sequence) == Ok(sequence)
                && event.event_type == row.text(1)?
                && event.invocation.replay_key() == replay_key
                && epoch_ms_from_system_time(event.occurred_at) == occurred_at_ms,
            "the event does not agree with its columns",
        )?;
        let object = Object::parse(json)?;
        let payload = object.get("payload").unwrap_or("null");
        let payload_hash = row.text(2)?;
        require(
            digest(&[&quote(&event.event_type), payload]) == payload_hash,
            "the event does not agree with the digest of its payload",
        )?;
        if let Some(terminal) = event.semantics.terminal {
            require(self.end.is_none(), "the process ended before")?;
            self.end = Some((terminal.state, occurred_at_ms));
        }
        let wake = match (event.semantics.wake.is_some(), row.integer(6)?) {
            (false, _) => Wake::Nobody,
            (true, 0) => Wake::Pending,
            (true, _) => Wake::Acknowledged,
        };
        Ok(ImportedEvent {
            replay_key: replay_key.map(str::to_owned),
            payload_hash: payload_hash.to_owned(),
            content: json.as_bytes().to_vec(),
            wake,
            event_type: event.event_type,
        })
    }
}

/// A replay key that two events of a process have.
pub(super) fn repeated_key(
    connection: &Connection,
    process_id: &str,
) -> rusqlite::Result<Option<String>> {
    connection
        .query_row(
            "SELECT idempotency_key FROM process_events NOT INDEXED
             WHERE process_id = ?1 AND idempotency_key IS NOT NULL
             GROUP BY idempotency_key HAVING count(*) > 1 LIMIT 1",
            [process_id],
            |row| row.get(0),
        )
        .optional()
}
