//! Filling databases with what another program stored.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Component, exports};
use crate::bindings::effect_types::Request;
use crate::bindings::import_types::{
    Adopted, CheckedNodes, ImportedArtifact, ImportedAttachment, ImportedBatch, ImportedBlob,
    ImportedDelivery, ImportedEffect, ImportedEvent, ImportedHandle, ImportedNode,
    ImportedOccurrence, ImportedProcess, ImportedSubscription, ImportedTurn,
};
use crate::bindings::session_types::{BlobProfile, HeadDraft, UsageEntry};
use crate::bindings::sqlite::Database;
use crate::bindings::types::Error;
use crate::session::{self, artifacts, attachments, blobs, graph, queue, turns, usage};
use crate::{effects, host_events, processes};

impl exports::session_import::Guest for Component {
    fn add_blobs(
        db: &Database,
        blobs: Vec<ImportedBlob>,
        profile: BlobProfile,
    ) -> Result<(), Error> {
        blobs::add(db, blobs, profile)
    }

    fn add_artifacts(db: &Database, artifacts: Vec<ImportedArtifact>) -> Result<(), Error> {
        artifacts::add(db, &artifacts)
    }

    fn add_nodes(db: &Database, nodes: Vec<ImportedNode>) -> Result<(), Error> {
        graph::add(db, &nodes)
    }

    fn check_nodes(db: &Database, from: u64) -> Result<CheckedNodes, Error> {
        graph::check(db, from)
    }

    fn add_head(db: &Database, draft: HeadDraft) -> Result<(), Error> {
        session::add_head(db, draft)
    }

    fn add_usage(db: &Database, entries: Vec<UsageEntry>) -> Result<(), Error> {
        usage::add(db, entries)
    }

    fn add_turns(db: &Database, turns: Vec<ImportedTurn>) -> Result<(), Error> {
        turns::add(db, &turns)
    }

    fn add_batches(db: &Database, batches: Vec<ImportedBatch>) -> Result<(), Error> {
        queue::add(db, batches)
    }

    fn add_attachments(db: &Database, attachments: Vec<ImportedAttachment>) -> Result<(), Error> {
        attachments::add(db, &attachments)
    }
}

impl exports::process_import::Guest for Component {
    fn add_processes(db: &Database, processes: Vec<ImportedProcess>) -> Result<(), Error> {
        processes::add_processes(db, &processes)
    }

    fn add_events(
        db: &Database,
        process_id: String,
        last_sequence: u64,
        events: Vec<ImportedEvent>,
    ) -> Result<(), Error> {
        processes::add_events(db, &process_id, last_sequence, &events)
    }

    fn add_handles(db: &Database, handles: Vec<ImportedHandle>) -> Result<(), Error> {
        processes::add_handles(db, &handles)
    }
}

impl exports::host_event_import::Guest for Component {
    fn add_subscriptions(
        db: &Database,
        subscriptions: Vec<ImportedSubscription>,
    ) -> Result<(), Error> {
        host_events::add_subscriptions(db, &subscriptions)
    }

    fn skip_subscriptions(db: &Database, last_sequence: u64) -> Result<(), Error> {
        host_events::skip_subscriptions(db, last_sequence)
    }

    fn add_occurrences(db: &Database, occurrences: Vec<ImportedOccurrence>) -> Result<(), Error> {
        host_events::add_occurrences(db, &occurrences)
    }

    fn add_deliveries(db: &Database, deliveries: Vec<ImportedDelivery>) -> Result<(), Error> {
        host_events::add_deliveries(db, &deliveries)
    }
}

impl exports::effect_import::Guest for Component {
    fn add_effects(db: &Database, effects: Vec<ImportedEffect>) -> Result<(), Error> {
        effects::add_effects(db, &effects)
    }

    fn has_imported(db: &Database) -> Result<bool, Error> {
        effects::has_imported(db)
    }

    fn adopt(db: &Database, scope_id: String, request: Request) -> Result<Adopted, Error> {
        effects::adopt(db, &scope_id, &request)
    }
}
