//! The interfaces of session databases.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Component, exports};
use crate::bindings::format_types::Initialized;
use crate::bindings::session_types::{
    ArtifactPage, AttachmentIntent, AttachmentPage, Batch, BatchDraft, BatchPage, BlobKind,
    BlobProfile, BodyPage, Checkpoint, CheckpointDraft, ClaimRequest, CommitOutcome, CommitRequest,
    Completion, Description, GcStep, Head, HeadDraft, HeldClaim, Meta, Namespace, Node, NodePage,
    Pruned, ReadScope, Snapshot, StoredCheckpoint, UsageEntry, UsagePage, VacuumStep,
};
use crate::bindings::sqlite::Database;
use crate::bindings::types::{BlobRef, Error};
use crate::session::{
    self, artifacts, attachments, blobs, checkpoints, graph, maintenance, metadata, queue,
    retention, usage,
};

impl exports::session::Guest for Component {
    fn initialize(db: &Database) -> Result<Initialized, Error> {
        session::initialize(db)
    }

    fn retire(db: &Database) -> Result<(), Error> {
        session::retire(db)
    }

    fn commit(db: &Database, request: CommitRequest) -> Result<CommitOutcome, Error> {
        session::commit(db, request)
    }

    fn load(db: &Database, scope: ReadScope) -> Result<Option<Snapshot>, Error> {
        session::load(db, scope)
    }

    fn load_nodes(db: &Database, cursor: Vec<u8>) -> Result<BodyPage, Error> {
        graph::load_nodes(db, &cursor)
    }

    fn load_head(db: &Database) -> Result<Option<Head>, Error> {
        session::load_head(db)
    }

    fn save_head(db: &Database, draft: HeadDraft) -> Result<u64, Error> {
        session::save_head(db, draft)
    }
}

impl exports::graph::Guest for Component {
    fn load(db: &Database, cursor: Option<Vec<u8>>) -> Result<NodePage, Error> {
        graph::load(db, cursor.as_deref())
    }

    fn load_node(db: &Database, id: String) -> Result<Option<Vec<u8>>, Error> {
        graph::load_node(db, &id)
    }

    fn append(db: &Database, nodes: Vec<Node>) -> Result<(), Error> {
        graph::append(db, &nodes)
    }

    fn replace(db: &Database, nodes: Vec<Node>) -> Result<(), Error> {
        graph::replace(db, &nodes)
    }

    fn tombstone(db: &Database, ids: Vec<String>) -> Result<u64, Error> {
        graph::tombstone(db, &ids)
    }
}

impl exports::blobs::Guest for Component {
    fn put(
        db: &Database,
        content: Vec<u8>,
        kind: BlobKind,
        compressible: bool,
        profile: BlobProfile,
    ) -> Result<BlobRef, Error> {
        #[cfg(feature = "hostile")]
        if let Some(answer) = crate::hostile::attack(db, &content) {
            return answer;
        }
        blobs::put(db, content, kind, compressible, profile)
    }

    fn get(db: &Database, key: BlobRef) -> Result<Option<Vec<u8>>, Error> {
        blobs::get(db, &key)
    }
}

impl exports::checkpoints::Guest for Component {
    fn put(
        db: &Database,
        draft: CheckpointDraft,
        profile: BlobProfile,
    ) -> Result<StoredCheckpoint, Error> {
        checkpoints::put(db, draft, profile)
    }

    fn get(db: &Database, key: BlobRef) -> Result<Option<Checkpoint>, Error> {
        checkpoints::get(db, &key)
    }
}

impl exports::artifacts::Guest for Component {
    fn put(
        db: &Database,
        namespace: Namespace,
        name: String,
        content: Vec<u8>,
        kind: BlobKind,
        compressible: bool,
        profile: BlobProfile,
    ) -> Result<(), Error> {
        artifacts::put(db, namespace, &name, content, kind, compressible, profile)
    }

    fn get(db: &Database, namespace: Namespace, name: String) -> Result<Option<Vec<u8>>, Error> {
        artifacts::get(db, namespace, &name)
    }

    fn list(db: &Database, cursor: Option<Vec<u8>>) -> Result<ArtifactPage, Error> {
        artifacts::list(db, cursor.as_deref())
    }

    fn delete(db: &Database, namespace: Namespace, name: String) -> Result<bool, Error> {
        artifacts::delete(db, namespace, &name)
    }
}

impl exports::usage::Guest for Component {
    fn append(db: &Database, entries: Vec<UsageEntry>) -> Result<(), Error> {
        usage::append(db, &entries)
    }

    fn load(db: &Database, cursor: Option<Vec<u8>>) -> Result<UsagePage, Error> {
        usage::load(db, cursor.as_deref())
    }
}

impl exports::attachments::Guest for Component {
    fn record_intent(db: &Database, intent: AttachmentIntent) -> Result<bool, Error> {
        attachments::record_intent(db, &intent)
    }

    fn commit(
        db: &Database,
        session_id: String,
        attachment_ids: Vec<String>,
    ) -> Result<Option<String>, Error> {
        attachments::commit(db, &session_id, &attachment_ids)
    }

    fn list_uncommitted(
        db: &Database,
        recorded_until_ms: u64,
        cursor: Option<Vec<u8>>,
    ) -> Result<AttachmentPage, Error> {
        attachments::list_uncommitted(db, recorded_until_ms, cursor.as_deref())
    }

    fn condemn(
        db: &Database,
        attachment_id: String,
        recorded_until_ms: u64,
    ) -> Result<bool, Error> {
        attachments::condemn(db, &attachment_id, recorded_until_ms)
    }

    fn forget(db: &Database, attachment_id: String) -> Result<(), Error> {
        attachments::forget(db, &attachment_id)
    }
}

impl exports::queue::Guest for Component {
    fn enqueue(db: &Database, draft: BatchDraft) -> Result<Batch, Error> {
        queue::enqueue(db, draft)
    }

    fn claim(db: &Database, request: ClaimRequest) -> Result<Option<HeldClaim>, Error> {
        queue::claim(db, request)
    }

    fn renew(db: &Database, held: Completion, lease_ttl_ms: u64) -> Result<Option<u64>, Error> {
        queue::renew(db, &held, lease_ttl_ms)
    }

    fn abandon(db: &Database, held: Completion) -> Result<u64, Error> {
        queue::abandon(db, &held)
    }

    fn cancel(db: &Database, session_id: String, batch_id: String) -> Result<Option<Batch>, Error> {
        queue::cancel(db, &session_id, &batch_id)
    }

    fn list(
        db: &Database,
        session_id: String,
        pending_only: bool,
        cursor: Option<Vec<u8>>,
    ) -> Result<BatchPage, Error> {
        queue::list(db, &session_id, pending_only, cursor.as_deref())
    }
}

impl exports::metadata::Guest for Component {
    fn save(db: &Database, meta: Meta) -> Result<(), Error> {
        metadata::save(db, &meta)
    }

    fn create(db: &Database, meta: Meta) -> Result<bool, Error> {
        metadata::create(db, &meta)
    }

    fn load(db: &Database) -> Result<Option<Meta>, Error> {
        metadata::load(db)
    }

    fn describe(db: &Database) -> Result<Option<Description>, Error> {
        metadata::describe(db)
    }
}

impl exports::maintenance::Guest for Component {
    fn vacuum(db: &Database, limit: u32) -> Result<VacuumStep, Error> {
        maintenance::vacuum(db, limit)
    }

    fn gc(db: &Database, limit: u32) -> Result<GcStep, Error> {
        maintenance::gc(db, limit)
    }
}

impl exports::retention::Guest for Component {
    fn prune(db: &Database, before_ms: u64, limit: u32) -> Result<Pruned, Error> {
        retention::prune(db, before_ms, limit)
    }
}
