//! Calls of the store, and their answers in words.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::bindings::lash::store::artifacts;
use crate::bindings::lash::store::blobs;
use crate::bindings::lash::store::queue;
use crate::bindings::lash::store::session;
use crate::bindings::lash::store::session_types::{
    Batch, BatchDraft, BlobKind, BlobProfile, Boundary, Completion, DeliveryPolicy, Namespace,
    ReadScope, SlotPolicy,
};
use crate::bindings::lash::store::sqlite::Database;
use crate::bindings::lash::store::types::Error;
use crate::bindings::wasi::clocks::wall_clock;
use crate::bindings::wasi::random::random;
use crate::number;

/// Makes the call that `command` names, with what follows it in the line.
pub(crate) fn call(db: &Database, command: &str, rest: &str) -> Result<String, String> {
    let words: Vec<&str> = rest.split(' ').collect();
    let word = |index: usize| words.get(index).copied().unwrap_or_default();
    let answer = match command {
        "put" => put(db, word(0), word(1).as_bytes(), BlobKind::Generic),
        "put-module" => artifacts::put(
            db,
            Namespace::Modules,
            word(0),
            word(1).as_bytes(),
            BlobKind::Module,
            true,
            BlobProfile::Compact,
        )
        .map(|()| "ok".to_string()),
        // Another kind than that of `put`.
        "put-snapshot" => put(db, word(0), word(1).as_bytes(), BlobKind::PluginSnapshot),
        "put-bytes" => {
            let length = usize::try_from(number(word(1))?).unwrap_or(usize::MAX);
            put(db, word(0), &vec![b'x'; length], BlobKind::Generic)
        }
        "get" => artifacts::get(db, Namespace::Bytes, word(0)).map(content),
        "get-module" => artifacts::get(db, Namespace::Modules, word(0)).map(content),
        "put-blob" => blobs::put(
            db,
            rest.as_bytes(),
            BlobKind::CheckpointManifest,
            false,
            BlobProfile::LowLatency,
        ),
        "get-blob" => blobs::get(db, word(0)).map(content),
        "enqueue" => queue::enqueue(
            db,
            &BatchDraft {
                session_id: word(0).to_string(),
                source_key: Some(word(1)).filter(|key| *key != "-").map(String::from),
                delivery: DeliveryPolicy::EarliestSafeBoundary,
                slot: SlotPolicy::Exclusive,
                merge_key: "\"never\"".to_string(),
                available_at_ms: 0,
                payloads: words
                    .iter()
                    .skip(2)
                    .map(|word| word.as_bytes().to_vec())
                    .collect(),
            },
        )
        .map(|batch| describe(&batch)),
        "list" => {
            queue::list(db, word(0), word(1) == "pending", None).map(|page| all(&page.batches))
        }
        "cancel" => queue::cancel(db, word(0), word(1))
            .map(|batch| batch.map_or_else(none, |batch| describe(&batch))),
        "claim" => queue::claim(
            db,
            &queue::ClaimRequest {
                session_id: word(0).to_string(),
                owner_id: "probe".to_string(),
                boundary: Boundary::Idle,
                lease_ttl_ms: 60_000,
                max_batches: 10,
                exactly: None,
            },
        )
        .map(|held| {
            held.map_or_else(none, |held| {
                format!(
                    "{} {} {} {}",
                    held.session_id,
                    held.id,
                    held.lease_token,
                    all(&held.batches)
                )
            })
        }),
        "renew" => queue::renew(db, &completion(&words), 60_000)
            .map(|expiry| expiry.map_or_else(none, |_| "renewed".to_string())),
        "abandon" => queue::abandon(db, &completion(&words)).map(|_| "ok".to_string()),
        "head" => session::load_head(db).map(|head| {
            head.map_or_else(none, |head| {
                format!("{} {}", head.session_id, head.revision)
            })
        }),
        "nodes" => nodes(db),
        "time" => return Ok(format!("{}", wall_clock::now().seconds)),
        "random" => return Ok(format!("{}", random::get_random_u64())),
        _ => return Err(format!("unknown command {command}")),
    };
    Ok(answer.unwrap_or_else(|error| failure(&error)))
}

fn put(db: &Database, name: &str, content: &[u8], kind: BlobKind) -> Result<String, Error> {
    let profile = BlobProfile::Balanced;
    artifacts::put(db, Namespace::Bytes, name, content, kind, true, profile)
        .map(|()| "ok".to_string())
}

/// `SESSION CLAIM TOKEN BATCH...`.
fn completion(words: &[&str]) -> Completion {
    let mut words = words.iter().copied().map(String::from);
    let mut next = || words.next().unwrap_or_default();
    Completion {
        session_id: next(),
        claim_id: next(),
        lease_token: next(),
        batch_ids: words.collect(),
    }
}

fn none() -> String {
    "none".to_string()
}

fn content(found: Option<Vec<u8>>) -> String {
    found.map_or_else(none, |content| {
        if content.len() > 1024 {
            format!("{} bytes", content.len())
        } else {
            String::from_utf8_lossy(&content).into_owned()
        }
    })
}

fn all(batches: &[Batch]) -> String {
    let batches: Vec<String> = batches.iter().map(describe).collect();
    format!("[{}]", batches.join(", "))
}

/// How many nodes the session has, on how many pages.
fn nodes(db: &Database) -> Result<String, Error> {
    let Some(snapshot) = session::load(db, &ReadScope::Full)? else {
        return Ok(none());
    };
    let mut page = snapshot.nodes;
    let (mut nodes, mut pages) = (page.bodies.ends.len(), 1);
    while let Some(cursor) = page.next {
        page = session::load_nodes(db, &cursor)?;
        nodes += page.bodies.ends.len();
        pages += 1;
    }
    Ok(format!("{nodes} nodes on {pages} pages"))
}

fn describe(batch: &Batch) -> String {
    let mut start = 0;
    let payloads: Vec<String> = batch
        .payloads
        .ends
        .iter()
        .map(|end| {
            let payload = batch.payloads.bytes.get(start..*end as usize);
            start = *end as usize;
            String::from_utf8_lossy(payload.unwrap_or_default()).into_owned()
        })
        .collect();
    format!(
        "{} {} {} {}",
        batch.session_id,
        batch.source_key.as_deref().unwrap_or("-"),
        batch.id,
        payloads.join(" ")
    )
}

fn failure(error: &Error) -> String {
    match error {
        Error::Sqlite(error) => format!("error {:?} {}", error.code, error.message),
        error => format!("error {error:?}"),
    }
}
