//! Nodes of the session graph.

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use lash_core::session_model::MessageRole;
use lash_core::{SessionEventRecord, SessionNodeRecord};

use super::{from_json, to_json};
use crate::bindings::interfaces::graph::Node;
use crate::error::Error;

/// How many threads decode one session at most.
const MOST_THREADS: usize = 4;

/// How many nodes are worth a thread.
const LEAST_SHARE: usize = 1024;

pub(crate) fn to_node(path: &Path, record: &SessionNodeRecord) -> Result<Node, Error> {
    Ok(Node {
        id: record.node_id.clone(),
        parent: record.parent_node_id.clone(),
        prompt: is_prompt(record),
        body: to_json(path, "a graph node", record)?,
    })
}

pub(crate) fn to_nodes(path: &Path, records: &[SessionNodeRecord]) -> Result<Vec<Node>, Error> {
    records.iter().map(|record| to_node(path, record)).collect()
}

pub(crate) fn from_body(path: &Path, body: &[u8]) -> Result<SessionNodeRecord, Error> {
    from_json(path, "a graph node", "", body)
}

/// Decodes many nodes. Decoding is what most of the time of loading a long session
/// goes into, so long ones are shared out among the cores.
pub(crate) fn from_bodies(
    path: &Path,
    bodies: &[Vec<u8>],
) -> Result<Vec<SessionNodeRecord>, Error> {
    let threads = thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(MOST_THREADS);
    let share = bodies.len().div_ceil(threads).max(LEAST_SHARE);
    if bodies.len() <= share {
        return decode_all(path, bodies);
    }
    thread::scope(|scope| {
        let shares: Vec<_> = bodies
            .chunks(share)
            .map(|share| scope.spawn(move || decode_all(path, share)))
            .collect();
        let mut records = Vec::with_capacity(bodies.len());
        for share in shares {
            match share.join() {
                Ok(decoded) => records.append(&mut decoded?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(records)
    })
}

fn decode_all(path: &Path, bodies: &[Vec<u8>]) -> Result<Vec<SessionNodeRecord>, Error> {
    bodies.iter().map(|body| from_body(path, body)).collect()
}

/// What lash-core counts as a message of the user.
fn is_prompt(record: &SessionNodeRecord) -> bool {
    matches!(
        record.event(),
        Some(SessionEventRecord::Conversation(message)) if message.role == MessageRole::User
    )
}
