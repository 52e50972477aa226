//! Counting what a database holds.

use serde::Serialize;

use super::Inspector;
use crate::error::Error;
use crate::kind::DatabaseKind;
use crate::wit::{
    effect_inspection, host_event_inspection, process_inspection, session_inspection, types,
};

/// What a database holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "there is one for each call")]
pub enum Statistics {
    /// Of one session.
    Session(SessionStatistics),
    /// Of the processes of a deployment.
    Processes(ProcessStatistics),
    /// Of the host events of a deployment.
    HostEvents(HostEventStatistics),
    /// Of the effects of a deployment.
    Effects(EffectStatistics),
}

/// What a session database holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionStatistics {
    /// The head; none if nothing was committed.
    pub head: Option<HeadStatistics>,
    /// Nodes that the graph shows.
    pub nodes: u64,
    /// How many of these are messages of the user.
    pub prompts: u64,
    /// Nodes that are tombstoned: a vacuum removes them.
    pub tombstoned_nodes: u64,
    /// All of these nodes, in bytes.
    pub node_bytes: u64,
    /// The blobs, a kind each; kinds without blobs are left out.
    pub blobs: Vec<BlobSizes>,
    /// What a garbage collection would remove; none if it would refuse, because
    /// something that is referred to is missing or damaged.
    pub garbage: Option<Garbage>,
    /// Names of artifacts.
    pub artifacts: u64,
    /// Stamps of committed turns.
    pub turns: u64,
    /// Entries of token usage.
    pub usage_entries: u64,
    /// The work queue.
    pub queue: QueueStatistics,
    /// The manifest of attachments.
    pub attachments: AttachmentStatistics,
}

/// The head of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HeadStatistics {
    /// The session.
    pub session_id: String,
    /// The revision.
    pub revision: u64,
    /// The leaf of the active path.
    pub leaf: Option<String>,
    /// The blob of the checkpoint's manifest.
    pub checkpoint: Option<String>,
    /// Configuration and agent frames, in bytes.
    pub bytes: u64,
}

/// The blobs of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BlobSizes {
    /// The kind.
    pub kind: BlobKind,
    /// How many there are.
    pub count: u64,
    /// The sum of their lengths, in bytes.
    pub bytes: u64,
    /// What is stored of them after compression, in bytes.
    pub stored_bytes: u64,
}

/// What a blob holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BlobKind {
    /// Anything else.
    Generic,
    /// The manifest of a checkpoint.
    CheckpointManifest,
    /// The tool state of a checkpoint.
    ToolState,
    /// The plugin snapshot of a checkpoint.
    PluginSnapshot,
    /// The execution state of a checkpoint or of an agent frame.
    ExecutionState,
    /// A compiled module.
    Module,
    /// The execution environment of a process.
    ProcessEnvironment,
}

impl BlobKind {
    fn from_wit(kind: types::BlobKind) -> Self {
        match kind {
            types::BlobKind::Generic => Self::Generic,
            types::BlobKind::CheckpointManifest => Self::CheckpointManifest,
            types::BlobKind::ToolState => Self::ToolState,
            types::BlobKind::PluginSnapshot => Self::PluginSnapshot,
            types::BlobKind::ExecutionState => Self::ExecutionState,
            types::BlobKind::Module => Self::Module,
            types::BlobKind::ProcessEnvironment => Self::ProcessEnvironment,
        }
    }
}

/// What a garbage collection would remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Garbage {
    /// Blobs that nothing refers to.
    pub blobs: u64,
    /// What is stored of them, in bytes.
    pub stored_bytes: u64,
}

/// The work queue of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueStatistics {
    /// Batches that can be claimed now.
    pub ready: u64,
    /// Batches under a live lease.
    pub claimed: u64,
    /// Batches that are not available yet, and are not claimed.
    pub waiting: u64,
    /// When the next batch becomes ready by itself, because it is available then or its
    /// lease expires, in ms since 1970.
    pub next_ready_at_ms: Option<u64>,
    /// The payloads, in bytes.
    pub bytes: u64,
    /// Source keys of completed batches.
    pub completed_source_keys: u64,
}

/// The manifest of attachments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AttachmentStatistics {
    /// Attachments that a turn committed.
    pub committed: u64,
    /// Intents that no turn committed.
    pub uncommitted: u64,
    /// When the oldest of these was recorded, in ms since 1970.
    pub oldest_uncommitted_at_ms: Option<u64>,
}

/// What a database of processes holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProcessStatistics {
    /// Processes that have not ended.
    pub running: u64,
    /// Processes that have.
    pub ended: u64,
    /// Ended ones without a handle and without a live lease: `processes.prune` may remove
    /// them.
    pub prunable: u64,
    /// Processes under a live lease.
    pub leased: u64,
    /// Events of all processes.
    pub events: u64,
    /// Their contents, in bytes.
    pub event_bytes: u64,
    /// Events that are to wake somebody and are not acknowledged.
    pub pending_wakes: u64,
    /// Handles that are granted.
    pub handles: u64,
}

/// What a database of host events holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostEventStatistics {
    /// Subscriptions that are enabled.
    pub enabled_subscriptions: u64,
    /// Subscriptions that are not.
    pub disabled_subscriptions: u64,
    /// Occurrences.
    pub occurrences: u64,
    /// Their payloads, in bytes.
    pub payload_bytes: u64,
    /// Deliveries that are known to have been started.
    pub settled_deliveries: u64,
    /// Deliveries that are not, see the function `host-events.unsettled`.
    pub unsettled_deliveries: u64,
}

/// What a database of effects holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EffectStatistics {
    /// Scopes that have effects.
    pub scopes: u64,
    /// Effects under a live claim.
    pub claimed: u64,
    /// Effects the claim of which has expired.
    pub expired: u64,
    /// Effects that were given back.
    pub released: u64,
    /// Effects with an outcome.
    pub completed: u64,
    /// Effects with a failure.
    pub failed: u64,
    /// What was recorded, in bytes.
    pub bytes: u64,
}

impl Inspector {
    /// Counts what the database holds. Counts are answered as they are found; that they
    /// are what was written is what [`Inspector::verify`] checks.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if what is counted, or the head of a session, is damaged,
    /// [`Error::Retired`] if the session is being deleted.
    pub async fn statistics(&self) -> Result<Statistics, Error> {
        let kind = self.kind;
        self.db
            .read("count", move |call| {
                Ok(match kind {
                    DatabaseKind::Session => {
                        Statistics::Session(session(call.session_inspection().statistics()?))
                    }
                    DatabaseKind::Processes => {
                        Statistics::Processes(processes(call.process_inspection().statistics()?))
                    }
                    DatabaseKind::HostEvents => Statistics::HostEvents(host_events(
                        call.host_event_inspection().statistics()?,
                    )),
                    DatabaseKind::Effects => {
                        Statistics::Effects(effects(call.effect_inspection().statistics()?))
                    }
                })
            })
            .await
    }
}

fn session(counted: session_inspection::SessionStatistics) -> SessionStatistics {
    let head = counted.head.map(|head| HeadStatistics {
        session_id: head.session_id,
        revision: head.revision,
        leaf: head.leaf,
        checkpoint: head.checkpoint,
        bytes: head.bytes,
    });
    let blobs = counted.blobs.into_iter().map(|blobs| BlobSizes {
        kind: BlobKind::from_wit(blobs.kind),
        count: blobs.count,
        bytes: blobs.bytes,
        stored_bytes: blobs.stored_bytes,
    });
    SessionStatistics {
        head,
        nodes: counted.nodes,
        prompts: counted.prompts,
        tombstoned_nodes: counted.tombstoned_nodes,
        node_bytes: counted.node_bytes,
        blobs: blobs.collect(),
        garbage: counted.garbage.map(|garbage| Garbage {
            blobs: garbage.blobs,
            stored_bytes: garbage.stored_bytes,
        }),
        artifacts: counted.artifacts,
        turns: counted.turns,
        usage_entries: counted.usage_entries,
        queue: QueueStatistics {
            ready: counted.queue.ready,
            claimed: counted.queue.claimed,
            waiting: counted.queue.waiting,
            next_ready_at_ms: counted.queue.next_ready_at_ms,
            bytes: counted.queue.bytes,
            completed_source_keys: counted.queue.completed_source_keys,
        },
        attachments: AttachmentStatistics {
            committed: counted.attachments.committed,
            uncommitted: counted.attachments.uncommitted,
            oldest_uncommitted_at_ms: counted.attachments.oldest_uncommitted_at_ms,
        },
    }
}

fn processes(counted: process_inspection::ProcessStatistics) -> ProcessStatistics {
    ProcessStatistics {
        running: counted.running,
        ended: counted.ended,
        prunable: counted.prunable,
        leased: counted.leased,
        events: counted.events,
        event_bytes: counted.event_bytes,
        pending_wakes: counted.pending_wakes,
        handles: counted.handles,
    }
}

fn host_events(counted: host_event_inspection::HostEventStatistics) -> HostEventStatistics {
    HostEventStatistics {
        enabled_subscriptions: counted.enabled_subscriptions,
        disabled_subscriptions: counted.disabled_subscriptions,
        occurrences: counted.occurrences,
        payload_bytes: counted.payload_bytes,
        settled_deliveries: counted.settled_deliveries,
        unsettled_deliveries: counted.unsettled_deliveries,
    }
}

fn effects(counted: effect_inspection::EffectStatistics) -> EffectStatistics {
    EffectStatistics {
        scopes: counted.scopes,
        claimed: counted.claimed,
        expired: counted.expired,
        released: counted.released,
        completed: counted.completed,
        failed: counted.failed,
        bytes: counted.bytes,
    }
}
