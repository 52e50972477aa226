//! The interfaces of session databases.

use alloc::string::String;
use alloc::vec::Vec;

use super::Component;
use crate::bindings::exports::lash::store as exports;
use crate::bindings::exports::lash::store::inspection_types::Verification;
use crate::bindings::lash::store::sqlite::Database;
use crate::bindings::lash::store::types::{BlobKind, BlobProfile, BlobRef, Error, UsageEntry};
use crate::session::{
    self, artifacts, attachments, blobs, checkpoints, graph, maintenance, metadata, queue,
    retention, turns, usage,
};

impl exports::session::Guest for Component {
    fn initialize(db: &Database) -> Result<exports::format::Initialized, Error> {
        session::initialize(db)
    }

    fn retire(db: &Database) -> Result<(), Error> {
        session::retire(db)
    }

    fn commit(
        db: &Database,
        request: exports::session::CommitRequest,
    ) -> Result<exports::session::CommitOutcome, Error> {
        session::commit(db, request)
    }

    fn load(
        db: &Database,
        scope: exports::session::ReadScope,
    ) -> Result<Option<exports::session::Snapshot>, Error> {
        session::load(db, scope)
    }

    fn load_head(db: &Database) -> Result<Option<exports::session::Head>, Error> {
        session::load_head(db)
    }

    fn save_head(db: &Database, draft: exports::session::HeadDraft) -> Result<u64, Error> {
        session::save_head(db, draft)
    }
}

impl exports::graph::Guest for Component {
    fn load(db: &Database) -> Result<Vec<Vec<u8>>, Error> {
        graph::load(db)
    }

    fn load_node(db: &Database, id: String) -> Result<Option<Vec<u8>>, Error> {
        graph::load_node(db, &id)
    }

    fn append(db: &Database, nodes: Vec<exports::graph::Node>) -> Result<(), Error> {
        graph::append(db, &nodes)
    }

    fn replace(db: &Database, nodes: Vec<exports::graph::Node>) -> Result<(), Error> {
        graph::replace(db, &nodes)
    }

    fn tombstone(db: &Database, ids: Vec<String>) -> Result<(), Error> {
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
        draft: exports::checkpoints::CheckpointDraft,
        profile: BlobProfile,
    ) -> Result<exports::checkpoints::StoredCheckpoint, Error> {
        checkpoints::put(db, draft, profile)
    }

    fn get(db: &Database, key: BlobRef) -> Result<Option<exports::checkpoints::Checkpoint>, Error> {
        checkpoints::get(db, &key)
    }
}

impl exports::artifacts::Guest for Component {
    fn put(
        db: &Database,
        space: exports::artifacts::NameSpace,
        name: String,
        content: Vec<u8>,
        kind: BlobKind,
        compressible: bool,
        profile: BlobProfile,
    ) -> Result<(), Error> {
        artifacts::put(db, space, &name, content, kind, compressible, profile)
    }

    fn get(
        db: &Database,
        space: exports::artifacts::NameSpace,
        name: String,
    ) -> Result<Option<Vec<u8>>, Error> {
        artifacts::get(db, space, &name)
    }
}

impl exports::usage::Guest for Component {
    fn append(db: &Database, entries: Vec<UsageEntry>) -> Result<(), Error> {
        usage::append(db, &entries)
    }

    fn load(db: &Database) -> Result<Vec<UsageEntry>, Error> {
        usage::load(db)
    }
}

impl exports::attachments::Guest for Component {
    fn record_intent(db: &Database, intent: exports::attachments::Intent) -> Result<(), Error> {
        attachments::record_intent(db, &intent)
    }

    fn commit(db: &Database, session_id: String, attachment_ids: Vec<String>) -> Result<(), Error> {
        attachments::commit(db, &session_id, &attachment_ids)
    }

    fn list_uncommitted(
        db: &Database,
        older_than_ms: u64,
    ) -> Result<Vec<exports::attachments::Intent>, Error> {
        attachments::list_uncommitted(db, older_than_ms)
    }

    fn forget(db: &Database, attachment_id: String) -> Result<(), Error> {
        attachments::forget(db, &attachment_id)
    }
}

impl exports::queue::Guest for Component {
    fn enqueue(
        db: &Database,
        draft: exports::queue::Draft,
    ) -> Result<exports::queue::Batch, Error> {
        queue::enqueue(db, draft)
    }

    fn claim(
        db: &Database,
        request: exports::queue::ClaimRequest,
    ) -> Result<Option<exports::queue::HeldClaim>, Error> {
        queue::claim(db, request)
    }

    fn renew(
        db: &Database,
        held: exports::queue::Completion,
        lease_ttl_ms: u64,
    ) -> Result<Option<u64>, Error> {
        queue::renew(db, &held, lease_ttl_ms)
    }

    fn abandon(db: &Database, held: exports::queue::Completion) -> Result<(), Error> {
        queue::abandon(db, &held)
    }

    fn cancel(
        db: &Database,
        session_id: String,
        batch_id: String,
    ) -> Result<Option<exports::queue::Batch>, Error> {
        queue::cancel(db, &session_id, &batch_id)
    }

    fn list(
        db: &Database,
        session_id: String,
        pending_only: bool,
    ) -> Result<Vec<exports::queue::Batch>, Error> {
        queue::list(db, &session_id, pending_only)
    }
}

impl exports::metadata::Guest for Component {
    fn save(db: &Database, meta: exports::metadata::Meta) -> Result<(), Error> {
        metadata::save(db, &meta)
    }

    fn create(db: &Database, meta: exports::metadata::Meta) -> Result<bool, Error> {
        metadata::create(db, &meta)
    }

    fn load(db: &Database) -> Result<Option<exports::metadata::Meta>, Error> {
        metadata::load(db)
    }

    fn describe(db: &Database) -> Result<Option<exports::metadata::Description>, Error> {
        metadata::describe(db)
    }
}

impl exports::maintenance::Guest for Component {
    fn vacuum(db: &Database) -> Result<u64, Error> {
        maintenance::vacuum(db)
    }

    fn gc(db: &Database) -> Result<exports::maintenance::GcReport, Error> {
        maintenance::gc(db)
    }
}

impl exports::retention::Guest for Component {
    fn prune(db: &Database, before_ms: u64) -> Result<exports::retention::Pruned, Error> {
        retention::prune(db, before_ms)
    }
}

impl exports::session_inspection::Guest for Component {
    fn statistics(db: &Database) -> Result<exports::session_inspection::SessionStatistics, Error> {
        session::statistics(db)
    }

    fn verify(db: &Database) -> Result<Verification, Error> {
        session::verify(db)
    }
}

impl exports::session_export::Guest for Component {
    fn read_page(
        db: &Database,
        cursor: Option<Vec<u8>>,
    ) -> Result<exports::export_types::Page, Error> {
        session::read_page(db, cursor.as_deref())
    }
}

impl exports::session_import::Guest for Component {
    fn add_blobs(
        db: &Database,
        blobs: Vec<exports::session_import::ImportedBlob>,
        profile: BlobProfile,
    ) -> Result<(), Error> {
        blobs::add(db, blobs, profile)
    }

    fn add_artifacts(
        db: &Database,
        artifacts: Vec<exports::session_import::ImportedArtifact>,
    ) -> Result<(), Error> {
        artifacts::add(db, &artifacts)
    }

    fn add_nodes(
        db: &Database,
        nodes: Vec<exports::session_import::ImportedNode>,
    ) -> Result<(), Error> {
        graph::add(db, &nodes)
    }

    fn check_nodes(
        db: &Database,
        from: u64,
    ) -> Result<exports::session_import::CheckedNodes, Error> {
        graph::check(db, from)
    }

    fn add_head(db: &Database, draft: exports::session::HeadDraft) -> Result<(), Error> {
        session::add_head(db, draft)
    }

    fn add_usage(db: &Database, entries: Vec<UsageEntry>) -> Result<(), Error> {
        usage::add(db, entries)
    }

    fn add_turns(
        db: &Database,
        turns: Vec<exports::session_import::ImportedTurn>,
    ) -> Result<(), Error> {
        turns::add(db, &turns)
    }

    fn add_batches(
        db: &Database,
        batches: Vec<exports::session_import::ImportedBatch>,
    ) -> Result<(), Error> {
        queue::add(db, batches)
    }

    fn add_attachments(
        db: &Database,
        attachments: Vec<exports::session_import::ImportedAttachment>,
    ) -> Result<(), Error> {
        attachments::add(db, &attachments)
    }
}
