//! A small store of sessions: a component of the world `session-store`, made from `wit/`.
//!
//! It is written to be read, not to be fast: a session is one value in one row, which every
//! call reads, and writes if it has changed. Nothing is compressed, a list is one page, and no
//! corruption is found except that of blobs. What the runtime of lash does not call is declined.
#![no_std]

extern crate alloc;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::{format, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use bindings::session_types::*;
use bindings::sqlite::{self, Database, ErrorCode, Transaction, TransactionMode, Value};
use bindings::types::{Corruption, Error};
use bindings::wasi::{clocks::wall_clock, random::random};

lash_component_runtime::link!();

#[allow(missing_docs, unreachable_pub, unused_qualifications)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "session-store",
        generate_all,
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
    pub use self::lash::store::{format_types, session_types, sqlite, types};
}

/// Defines exported functions that this store does not have.
macro_rules! decline {
    ($($name:ident($($type:ty),*) -> $ok:ty;)*) => {
        $(fn $name($(_: $type),*) -> Result<$ok> {
            Err(Error::Unsupported(stringify!($name).into()))
        })*
    };
}

mod blobs;
mod format;
mod graph;
mod queue;
mod records;
mod session;

struct Minimal;

bindings::export!(Minimal with_types_in bindings);

type Result<T, E = Error> = core::result::Result<T, E>;

/// All that is stored.
#[derive(Default, Serialize, Deserialize)]
struct Session {
    identity: String,
    retired: bool,
    /// The number that was used last, for a node, a batch or a claim.
    last_number: u64,
    /// The head, without the contents of its blobs; and the blobs that it retains.
    head: Option<(Head, Vec<BlobRef>)>,
    /// By their sequences.
    nodes: BTreeMap<u64, Stored>,
    blobs: BTreeMap<BlobRef, Vec<u8>>,
    artifacts: Vec<Artifact>,
    usage: Vec<UsageEntry>,
    turns: Vec<Turn>,
    queue: Vec<Queued>,
    /// Completed batches with a source key, and when they were completed.
    completed: Vec<(Batch, u64)>,
    /// Intents by session and attachment, and whether they are committed.
    attachments: BTreeMap<(String, String), (AttachmentIntent, bool)>,
    meta: Option<Meta>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    node: Node,
    /// The sequence of the parent: another node may get its identifier later.
    parent: Option<u64>,
    tombstoned: bool,
}

/// The stamp of a turn's commit, and what a replay of it returns.
#[derive(Serialize, Deserialize)]
struct Turn {
    stamp: TurnStamp,
    receipt: Receipt,
    at_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Queued {
    batch: Batch,
    /// The identifier and the secret of the claim that took it last.
    claim: Option<(String, String)>,
    /// When that claim expires; 0 without one.
    expires_at_ms: u64,
}

/// Does something with the session within a transaction, and commits it unless that fails.
/// A transaction that is dropped is rolled back.
fn within<T>(
    db: &Database,
    mode: TransactionMode,
    work: impl FnOnce(&mut Session) -> Result<T>,
) -> Result<T> {
    let tx = db.begin(mode)?;
    // The only cell of the only row is a blob: a tag, a length of 4 bytes, and the bytes.
    let cells = tx.query("SELECT value FROM session", &[])?.cells;
    let stored = cells.get(5..).unwrap_or_default();
    let undecodable = |_| corrupt("session", "", "the row cannot be decoded");
    let mut session: Session = postcard::from_bytes(stored).map_err(undecodable)?;
    if session.retired {
        return Err(Error::Retired);
    }
    let done = work(&mut session)?;
    if mode != TransactionMode::Read {
        let changed = encode(&session)?;
        if changed != stored {
            tx.execute("UPDATE session SET value = ?1", &[Value::Blob(changed)])?;
        }
    }
    Transaction::commit(tx)?;
    Ok(done)
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_allocvec(value).map_err(|_| invalid("the value cannot be encoded"))
}

impl Session {
    /// Returns a number that is higher than all that were used before.
    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

impl From<sqlite::Error> for Error {
    fn from(error: sqlite::Error) -> Self {
        match error.code {
            ErrorCode::TooBig => Self::TooLarge(error.message),
            ErrorCode::Interrupted => Self::Interrupted(error.message),
            ErrorCode::OutcomeUnknown => Self::OutcomeUnknown(error),
            _ => Self::Sqlite(error),
        }
    }
}

fn invalid(reason: &str) -> Error {
    Error::Invalid(reason.into())
}

fn corrupt(table: &str, key: &str, reason: &str) -> Error {
    let (table, key, reason) = (table.into(), key.into(), reason.into());
    Error::Corrupt(Corruption { table, key, reason })
}

impl FromIterator<Vec<u8>> for ByteStrings {
    fn from_iter<I: IntoIterator<Item = Vec<u8>>>(items: I) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for item in items {
            bytes.extend(item);
            ends.push(bytes.len() as u32);
        }
        Self { bytes, ends }
    }
}

fn now_ms() -> u64 {
    let now = wall_clock::now();
    now.seconds.saturating_mul(1000) + u64::from(now.nanoseconds / 1_000_000)
}

/// Returns random hex digits, 16 for each word.
fn random_hex(words: usize) -> String {
    let word = |_| format!("{:016x}", random::get_random_u64());
    (0..words).map(word).collect()
}
