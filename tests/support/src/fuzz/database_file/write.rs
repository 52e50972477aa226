//! Everything that goes on with a file as what its header says it is.

use std::path::Path;
use std::time::{Duration, SystemTime};

use lash_core::{
    HostEventStore, ProcessRegistry, RuntimePersistence, SessionReadScope,
    TriggerSubscriptionFilter,
};
use lash_wasm_store::inspect::Inspector;
use lash_wasm_store::{
    DatabaseKind, SqliteEffectHost, SqliteHostEventStore, SqliteProcessRegistry, Store,
};

use super::{read, typed};
use crate::fixtures::{SESSION, append, node, work};
use crate::{effects, host_events, process_fixtures as processes};

/// Longer than an effect takes that nobody else has claimed.
const CLAIMED: Duration = Duration::from_millis(200);

pub(super) async fn write(path: &Path) {
    let inspector = typed(Inspector::open(path).await);
    let Some(kind) = inspector.map(|inspector| inspector.kind()) else {
        return;
    };
    match kind {
        DatabaseKind::Session => session(path).await,
        DatabaseKind::Processes => of_processes(path).await,
        DatabaseKind::HostEvents => of_host_events(path).await,
        _ => of_effects(path).await,
    }
}

async fn session(path: &Path) {
    let Some(store) = typed(Store::open(path).await) else {
        return;
    };
    let head = typed(store.try_load_session_head_meta().await).flatten();
    let revision = head.map(|head| head.head_revision);
    let parent = typed(store.load_node("answer-9").await).flatten();
    let parent = parent.map(|node| node.node_id);
    let nodes = vec![node("from the fuzzer", parent.as_deref())];
    typed(store.commit_runtime_state(append(revision, nodes)).await);
    typed(store.load_session(SessionReadScope::FullGraph).await);
    read::load(&store).await;
    typed(store.enqueue_queued_work(work("to do")).await);
    typed(store.list_queued_work(SESSION).await);
    let boundary = lash_core::runtime::QueuedWorkClaimBoundary::Idle;
    let claim = store.claim_ready_queued_work(SESSION, "owner", boundary, 1000, 4);
    typed(claim.await);
    typed(store.try_put_blob(b"content").await);
    typed(store.try_gc_unreachable().await);
    typed(store.try_vacuum().await);
    typed(store.prune(SystemTime::now()).await);
}

async fn of_processes(path: &Path) {
    let Some(registry) = typed(SqliteProcessRegistry::open(path).await) else {
        return;
    };
    typed(registry.list_non_terminal().await);
    let registration = processes::registration("from the fuzzer");
    typed(registry.register_process(registration).await);
    for id in ["from the fuzzer", "running", "leased", "completed"] {
        typed(registry.append_event(id, processes::tick(1)).await);
        typed(registry.events_after(id, 0).await);
        typed(registry.claim_process_lease(id, "owner", 1000).await);
        typed(registry.handle_grants_for_process(id).await);
    }
    let ended = registry.complete_process("running", processes::success("x"));
    typed(ended.await);
    typed(registry.delete_session_process_state("a-session").await);
    typed(registry.prune_ended(SystemTime::now(), None).await);
}

async fn of_host_events(path: &Path) {
    let Some(events) = typed(SqliteHostEventStore::open(path).await) else {
        return;
    };
    let all = TriggerSubscriptionFilter::default();
    typed(events.list_subscriptions(all).await);
    let draft = host_events::draft("a-session", "a-source");
    typed(events.register_subscription(draft).await);
    let recorded = events.record_occurrence(host_events::request("a-source", "fuzzed"));
    if let Some(occurrence) = typed(recorded.await) {
        let reserved = events.reserve_matching_deliveries(&occurrence.occurrence_id);
        typed(reserved.await);
    }
    typed(events.delete_session_subscriptions("a-session").await);
    typed(events.prune_occurrences(SystemTime::now()).await);
}

async fn of_effects(path: &Path) {
    let Some(host) = typed(SqliteEffectHost::open(path).await) else {
        return;
    };
    let controller = effects::controller(&host);
    for key in ["a", "from the fuzzer"] {
        let run = effects::run(&controller, effects::effect(key), effects::returning("x"));
        if let Ok(ended) = tokio::time::timeout(CLAIMED, run).await {
            typed(ended);
        }
    }
    typed(host.prune(SystemTime::now()).await);
}
