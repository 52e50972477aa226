//! The functions that the components export, a method for each: one line a function, in
//! the order of the worlds. What they do is specified in `wit/`.

use super::call::Call;
use crate::component::Instance;
use crate::error::Error;
use crate::wit::{
    artifacts, attachments, checkpoints, effect_import, effect_inspection, effects, export_types,
    format, graph, host_event_import, host_event_inspection, host_events, inspection_types,
    maintenance, metadata, process_events, process_handles, process_import, process_inspection,
    process_leases, processes, queue, retention, session, session_import, session_inspection,
    types, usage,
};

macro_rules! interfaces {
    ($world:ident: $(
        $interface:ident: $name:ident = $accessor:ident {$(
            $function:ident($($argument:ident: $type:ty),*) -> $result:ty = $call:ident;
        )*}
    )*) => {
        impl<'a> Call<'a> {$(
            #[doc = concat!("The functions of the interface `", stringify!($interface), "`.")]
            pub fn $interface(&mut self) -> $name<'_, 'a> {
                $name(self)
            }
        )*}

        $(
            #[doc = concat!("The functions of the interface `", stringify!($interface), "`, see `wit/`.")]
            pub struct $name<'c, 'a>(&'c mut Call<'a>);

            impl $name<'_, '_> {$(
                #[doc = concat!("Calls `", stringify!($interface), ".", stringify!($function), "`, one transaction at most.")]
                ///
                /// # Errors
                ///
                /// All of [`Error`] that are about a call.
                pub fn $function(&mut self, $($argument: $type),*) -> Result<$result, Error> {
                    let name = [stringify!($interface), stringify!($function)];
                    self.0.run(Instance::$world, name, |exports, store, db| {
                        exports.$accessor().$call(store, db, $($argument),*)
                    })
                }
            )*}
        )*
    };
}

interfaces! {
    session_store:

    session: Session = lash_store_session {
        initialize() -> format::Initialized = call_initialize;
        retire() -> () = call_retire;
        commit(request: &session::CommitRequest) -> session::CommitOutcome = call_commit;
        load(scope: &session::ReadScope) -> Option<session::Snapshot> = call_load;
        load_nodes(cursor: &types::Cursor) -> session::BodyPage = call_load_nodes;
        load_head() -> Option<session::Head> = call_load_head;
        save_head(draft: &session::HeadDraft) -> u64 = call_save_head;
    }
    graph: Graph = lash_store_graph {
        load(cursor: Option<&types::Cursor>) -> graph::NodePage = call_load;
        load_node(id: &str) -> Option<Vec<u8>> = call_load_node;
        append(nodes: &[graph::Node]) -> () = call_append;
        replace(nodes: &[graph::Node]) -> () = call_replace;
        tombstone(ids: &[String]) -> u64 = call_tombstone;
    }
    blobs: Blobs = lash_store_blobs {
        put(content: &[u8], kind: types::BlobKind, compressible: bool, profile: types::BlobProfile) -> String = call_put;
        get(key: &types::BlobRef) -> Option<Vec<u8>> = call_get;
    }
    checkpoints: Checkpoints = lash_store_checkpoints {
        put(draft: &checkpoints::CheckpointDraft, profile: types::BlobProfile) -> checkpoints::StoredCheckpoint = call_put;
        get(key: &types::BlobRef) -> Option<checkpoints::Checkpoint> = call_get;
    }
    artifacts: Artifacts = lash_store_artifacts {
        put(namespace: artifacts::Namespace, name: &str, content: &[u8], kind: types::BlobKind, compressible: bool, profile: types::BlobProfile) -> () = call_put;
        get(namespace: artifacts::Namespace, name: &str) -> Option<Vec<u8>> = call_get;
        list(cursor: Option<&types::Cursor>) -> artifacts::ArtifactPage = call_list;
        delete(namespace: artifacts::Namespace, name: &str) -> bool = call_delete;
    }
    usage: Usage = lash_store_usage {
        append(entries: &[usage::UsageEntry]) -> () = call_append;
        load(cursor: Option<&types::Cursor>) -> usage::UsagePage = call_load;
    }
    attachments: Attachments = lash_store_attachments {
        record_intent(intent: &attachments::AttachmentIntent) -> bool = call_record_intent;
        commit(session_id: &str, attachment_ids: &[String]) -> Option<String> = call_commit;
        list_uncommitted(recorded_until_ms: u64, cursor: Option<&types::Cursor>) -> attachments::AttachmentPage = call_list_uncommitted;
        condemn(attachment_id: &str, recorded_until_ms: u64) -> bool = call_condemn;
        forget(attachment_id: &str) -> () = call_forget;
    }
    queue: Queue = lash_store_queue {
        enqueue(draft: &queue::BatchDraft) -> queue::Batch = call_enqueue;
        claim(request: &queue::ClaimRequest) -> Option<queue::HeldClaim> = call_claim;
        renew(held: &queue::Completion, lease_ttl_ms: u64) -> Option<u64> = call_renew;
        abandon(held: &queue::Completion) -> u64 = call_abandon;
        cancel(session_id: &str, batch_id: &str) -> Option<queue::Batch> = call_cancel;
        list(session_id: &str, pending_only: bool, cursor: Option<&types::Cursor>) -> queue::BatchPage = call_list;
    }
    metadata: Metadata = lash_store_metadata {
        save(meta: &metadata::Meta) -> () = call_save;
        create(meta: &metadata::Meta) -> bool = call_create;
        load() -> Option<metadata::Meta> = call_load;
        describe() -> Option<metadata::Description> = call_describe;
    }
    maintenance: Maintenance = lash_store_maintenance {
        vacuum(limit: u32) -> maintenance::VacuumStep = call_vacuum;
        gc(limit: u32) -> maintenance::GcStep = call_gc;
    }
    retention: Retention = lash_store_retention {
        prune(before_ms: u64, limit: u32) -> retention::Pruned = call_prune;
    }
}

interfaces! {
    process_store:

    processes: Processes = lash_store_processes {
        initialize() -> format::Initialized = call_initialize;
        register(registration: &processes::Registration) -> processes::Registered = call_register;
        get(id: &str, known_hash: Option<&str>) -> Option<processes::Process> = call_get;
        list(selection: processes::Selection, cursor: Option<&types::Cursor>) -> processes::ProcessPage = call_list;
        set_external_ref(id: &str, known_hash: Option<&str>, external_ref: &[u8], fencing_token: Option<u64>) -> processes::Changed = call_set_external_ref;
        set_wait(id: &str, known_hash: Option<&str>, wait: Option<&[u8]>, fencing_token: Option<u64>) -> processes::Changed = call_set_wait;
        prunable(ended_before_ms: u64, limit: u32) -> processes::PrunablePage = call_prunable;
        prune(ended_before_ms: u64, ids: &[String]) -> Vec<String> = call_prune;
    }
    process_events: ProcessEvents = lash_store_process_events {
        append(draft: &process_events::EventDraft) -> process_events::Appended = call_append;
        get_basis(process_id: &str, known_hash: Option<&str>, replay_key: Option<&str>) -> Option<process_events::Basis> = call_get_basis;
        after(process_id: &str, sequence: u64) -> Option<process_events::EventPage> = call_after;
        recent(process_id: &str, limit: u32) -> Option<process_events::EventPage> = call_recent;
        wakes_after(process_id: &str, sequence: u64) -> Option<process_events::WakePage> = call_wakes_after;
        first_of_type(process_id: &str, event_type: &str, sequence: u64) -> process_events::Awaited = call_first_of_type;
        acknowledge_wake(process_id: &str, sequence: u64) -> bool = call_acknowledge_wake;
        get_position(process_id: &str) -> Option<process_events::Position> = call_get_position;
        last_sequences(process_ids: &[String]) -> Vec<Option<u64>> = call_last_sequences;
    }
    process_handles: ProcessHandles = lash_store_process_handles {
        grant_handle(grant: &process_handles::Grant) -> bool = call_grant_handle;
        revoke(scope_id: &str, process_id: &str) -> () = call_revoke;
        transfer(from_scope_id: &str, to_session_id: &str, to_scope_id: &str, process_ids: &[String]) -> Option<String> = call_transfer;
        of_scope(scope_id: &str, selection: processes::Selection, cursor: Option<&types::Cursor>) -> process_handles::ScopePage = call_of_scope;
        is_granted(scope_id: &str, process_id: &str) -> bool = call_is_granted;
        of_process(process_id: &str) -> Option<Vec<process_handles::Grant>> = call_of_process;
        revoke_session(session_id: &str) -> process_handles::Revocation = call_revoke_session;
    }
    process_leases: ProcessLeases = lash_store_process_leases {
        claim(process_id: &str, owner_id: &str, ttl_ms: u64) -> process_leases::Claimed = call_claim;
        renew(process_id: &str, token: &str, ttl_ms: u64) -> Option<u64> = call_renew;
        release(process_id: &str, token: &str) -> () = call_release;
    }
}

interfaces! {
    host_event_store:

    host_events: HostEvents = lash_store_host_events {
        initialize() -> format::Initialized = call_initialize;
        subscribe(draft: &host_events::SubscriptionDraft) -> host_events::Subscription = call_subscribe;
        subscriptions(filter: &host_events::SubscriptionFilter) -> Vec<host_events::Subscription> = call_subscriptions;
        unsubscribe(session_id: &str, sequence: u64) -> bool = call_unsubscribe;
        remove_session(session_id: &str) -> u64 = call_remove_session;
        record_occurrence(draft: &host_events::OccurrenceDraft) -> host_events::Recorded = call_record_occurrence;
        reserve(occurrence_id: &str) -> Option<host_events::FanOut> = call_reserve;
        unreserved(after: u64, limit: u32) -> host_events::UnreservedPage = call_unreserved;
        unsettled(after: u64, limit: u32) -> host_events::UnsettledPage = call_unsettled;
        settle(settlements: &[host_events::Settlement]) -> () = call_settle;
        prune(occurred_before_ms: u64, limit: u32) -> host_events::Pruned = call_prune;
    }
}

interfaces! {
    effect_store:

    effects: Effects = lash_store_effects {
        initialize() -> format::Initialized = call_initialize;
        find(request: &effects::Request) -> effects::Known = call_find;
        finished_after(key: &effects::EffectKey, limit: u32, max_bytes: u64) -> Vec<effects::FinishedEffect> = call_finished_after;
        acquire(request: &effects::Request, owner_id: &str, ttl_ms: u64, delay_ms: Option<u64>) -> effects::Acquired = call_acquire;
        renew(key: &effects::EffectKey, token: &str, ttl_ms: u64) -> Option<u64> = call_renew;
        finish(key: &effects::EffectKey, token: &str, recorded: &effects::Recorded) -> bool = call_finish;
        release(key: &effects::EffectKey, token: &str) -> () = call_release;
        generations(keys: &[effects::EffectKey]) -> Vec<Option<u64>> = call_generations;
        forget_scope(scope: &str) -> u64 = call_forget_scope;
        prune(ended_before_ms: u64, after: u64, limit: u32) -> effects::Pruned = call_prune;
    }
}

interfaces! {
    tools:

    session_inspection: SessionInspection = lash_store_session_inspection {
        statistics() -> session_inspection::SessionStatistics = call_statistics;
        verify(cursor: Option<&types::Cursor>) -> inspection_types::Verification = call_verify;
    }
    process_inspection: ProcessInspection = lash_store_process_inspection {
        statistics() -> process_inspection::ProcessStatistics = call_statistics;
        verify(cursor: Option<&types::Cursor>) -> inspection_types::Verification = call_verify;
    }
    host_event_inspection: HostEventInspection = lash_store_host_event_inspection {
        statistics() -> host_event_inspection::HostEventStatistics = call_statistics;
        verify(cursor: Option<&types::Cursor>) -> inspection_types::Verification = call_verify;
    }
    effect_inspection: EffectInspection = lash_store_effect_inspection {
        statistics() -> effect_inspection::EffectStatistics = call_statistics;
        verify(cursor: Option<&types::Cursor>) -> inspection_types::Verification = call_verify;
    }
    repair: Repair = lash_store_repair {
        session() -> inspection_types::Repaired = call_session;
        processes() -> inspection_types::Repaired = call_processes;
        host_events() -> inspection_types::Repaired = call_host_events;
        effects() -> inspection_types::Repaired = call_effects;
    }
    session_export: SessionExport = lash_store_session_export {
        read_page(cursor: Option<&types::Cursor>) -> export_types::Page = call_read_page;
    }
    process_export: ProcessExport = lash_store_process_export {
        read_page(cursor: Option<&types::Cursor>) -> export_types::Page = call_read_page;
    }
    host_event_export: HostEventExport = lash_store_host_event_export {
        read_page(cursor: Option<&types::Cursor>) -> export_types::Page = call_read_page;
    }
    effect_export: EffectExport = lash_store_effect_export {
        read_page(cursor: Option<&types::Cursor>) -> export_types::Page = call_read_page;
    }
    session_import: SessionImport = lash_store_session_import {
        add_blobs(blobs: &[session_import::ImportedBlob], profile: types::BlobProfile) -> () = call_add_blobs;
        add_artifacts(artifacts: &[session_import::ImportedArtifact]) -> () = call_add_artifacts;
        add_nodes(nodes: &[session_import::ImportedNode]) -> () = call_add_nodes;
        check_nodes(from: u64) -> session_import::CheckedNodes = call_check_nodes;
        add_head(draft: &session::HeadDraft) -> () = call_add_head;
        add_usage(entries: &[usage::UsageEntry]) -> () = call_add_usage;
        add_turns(turns: &[session_import::ImportedTurn]) -> () = call_add_turns;
        add_batches(batches: &[session_import::ImportedBatch]) -> () = call_add_batches;
        add_attachments(attachments: &[session_import::ImportedAttachment]) -> () = call_add_attachments;
    }
    process_import: ProcessImport = lash_store_process_import {
        add_processes(processes: &[process_import::ImportedProcess]) -> () = call_add_processes;
        add_events(process_id: &str, last_sequence: u64, events: &[process_import::ImportedEvent]) -> () = call_add_events;
        add_handles(handles: &[process_import::ImportedHandle]) -> () = call_add_handles;
    }
    host_event_import: HostEventImport = lash_store_host_event_import {
        add_subscriptions(subscriptions: &[host_event_import::ImportedSubscription]) -> () = call_add_subscriptions;
        skip_subscriptions(last_sequence: u64) -> () = call_skip_subscriptions;
        add_occurrences(occurrences: &[host_event_import::ImportedOccurrence]) -> () = call_add_occurrences;
        add_deliveries(deliveries: &[host_event_import::ImportedDelivery]) -> () = call_add_deliveries;
    }
    effect_import: EffectImport = lash_store_effect_import {
        add_effects(effects: &[effect_import::ImportedEffect]) -> () = call_add_effects;
        has_imported() -> bool = call_has_imported;
        adopt(scope_id: &str, request: &effects::Request) -> effect_import::Adopted = call_adopt;
    }
}
