//! What marks a file of this store, and its tables.

use alloc::format;
use alloc::vec::Vec;

use crate::Minimal;
use crate::bindings::exports::lash::store::format::Guest;
use crate::bindings::format_types::{
    Found, Initialized, Kind, Mismatch, State, UnsupportedVersion,
};
use crate::bindings::sqlite::{Database, Transaction, TransactionMode};
use crate::sql::{Result, Tx};

/// Files of the embedded component begin with "LS". Others must not.
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"MIN1");
const VERSION: u32 = 1;

const TABLES: &[&str] = &[
    "CREATE TABLE state (retired, nodes, prompts, next_node, last_batch, last_claim)",
    "INSERT INTO state VALUES (0, 0, 0, 1, 0, 0)",
    "CREATE TABLE head (session_id, revision, leaf, checkpoint, blobs, retained, content)",
    // A parent is a `seq`, which is not used again when another node gets its `id`.
    "CREATE TABLE nodes (seq INTEGER PRIMARY KEY, id UNIQUE, parent, prompt, hidden, body)",
    "CREATE INDEX prompts ON nodes (seq) WHERE prompt = 1 AND hidden = 0",
    "CREATE TABLE blobs (key PRIMARY KEY, kind, content)",
    "CREATE TABLE artifacts (space, name, kind, key, PRIMARY KEY (space, name))",
    "CREATE TABLE usage (source, model, input, output, cached, reasoning, at_ms,
        seq INTEGER PRIMARY KEY)",
    "CREATE TABLE turns (session_id, turn_id, hash, revision, checkpoint, at_ms,
        PRIMARY KEY (session_id, turn_id))",
    "CREATE TABLE batches (id UNIQUE, session_id, seq INTEGER PRIMARY KEY, source_key,
        delivery, slot, merge_key, available_ms, enqueued_ms, payloads, claim, token,
        expires_ms, UNIQUE (session_id, source_key))",
    "CREATE INDEX claims ON batches (claim)",
    "CREATE TABLE completed (id, session_id, seq, source_key, delivery, slot, merge_key,
        available_ms, enqueued_ms, payloads, at_ms, PRIMARY KEY (session_id, source_key))",
    "CREATE TABLE attachments (id, session_id, uri, intent_ms, committed,
        PRIMARY KEY (id, session_id))",
    "CREATE TABLE meta (session_id, name, created_at, model, cwd, relation)",
];

impl Guest for Minimal {
    fn classify(header: Vec<u8>, kind: Kind) -> core::result::Result<State, Mismatch> {
        let field = |offset: usize| {
            let (bytes, _) = header.get(offset..)?.split_first_chunk()?;
            Some(u32::from_be_bytes(*bytes))
        };
        match (field(68), field(60)) {
            _ if header.is_empty() => Ok(State::Empty),
            (Some(application_id), Some(user_version))
                if header.len() >= 100 && header.starts_with(b"SQLite format 3\0") =>
            {
                judge(application_id, user_version, kind)
            }
            _ => Err(Mismatch::NotADatabase),
        }
    }
}

fn judge(
    application_id: u32,
    user_version: u32,
    kind: Kind,
) -> core::result::Result<State, Mismatch> {
    let found = Found {
        application_id,
        user_version,
        expected_user_version: 0,
    };
    match (application_id, user_version) {
        (0, 0) => Ok(State::Empty),
        (APPLICATION_ID, _) if kind != Kind::Session => Err(Mismatch::OtherKind(found)),
        (APPLICATION_ID, VERSION) => Ok(State::Ready),
        (APPLICATION_ID, version) => Err(Mismatch::OtherVersion(UnsupportedVersion {
            version,
            supported: VERSION,
        })),
        _ => Err(Mismatch::Foreign(found)),
    }
}

/// Makes the tables of a database that is empty.
pub(crate) fn initialize(db: &Database) -> Result<Initialized> {
    let tx = Tx(db.begin(TransactionMode::WriteDurable)?);
    // SQLite shows both numbers as signed.
    let field = |sql| {
        tx.one::<i64>(sql, &[])
            .map(|number| number.unwrap_or(0) as u32)
    };
    let application_id = field("PRAGMA application_id")?;
    let user_version = field("PRAGMA user_version")?;
    match judge(application_id, user_version, Kind::Session) {
        Ok(State::Ready) => return Ok(Initialized::Ready),
        Ok(State::Empty) if tx.number("SELECT count(*) FROM sqlite_schema")? == 0 => {}
        Ok(State::Empty) => {
            return Ok(Initialized::Refused(Mismatch::Foreign(Found {
                application_id,
                user_version,
                expected_user_version: 0,
            })));
        }
        Err(mismatch) => return Ok(Initialized::Refused(mismatch)),
    }
    for table in TABLES {
        tx.run(table, &[])?;
    }
    tx.run(&format!("PRAGMA application_id = {APPLICATION_ID}"), &[])?;
    tx.run(&format!("PRAGMA user_version = {VERSION}"), &[])?;
    Transaction::commit(tx.0)?;
    Ok(Initialized::Ready)
}
