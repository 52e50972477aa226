//! Everything that asks the component that answers anything.

use std::path::Path;
use std::time::{Duration, SystemTime};

use lash_core::runtime::QueuedWorkClaimBoundary;
use lash_core::store::SessionReadScope;
use lash_core::{
    AttachmentManifest, BlobRef, HostEventStore, ProcessListFilter, ProcessRegistry,
    RuntimePersistence, SessionScope, TriggerSubscriptionFilter,
};
use lash_wasm_store::{
    SqliteEffectHost, SqliteEffectReplayOptions, SqliteHostEventStore, SqliteProcessRegistry,
    Store, StoreComponent,
};
use lash_wasm_store_testing::fixtures::{commit, meta, usage, work};
use lash_wasm_store_testing::{effects, host_events, process_fixtures as processes};

use super::{Lies, Tally};

/// One database of each kind, in memory.
pub struct Asked {
    store: Store,
    processes: SqliteProcessRegistry,
    events: SqliteHostEventStore,
    effects: SqliteEffectHost,
}

/// Longer than any answer takes, and shorter than what a lie can make a caller wait for.
const PATIENCE: Duration = Duration::from_millis(200);

impl Asked {
    pub async fn open(lies: &Lies, component: &StoreComponent) -> Self {
        let builder = || lies.builder(component.clone());
        let memory = Path::new(":memory:");
        let options = SqliteEffectReplayOptions::default();
        Self {
            store: builder().memory().await.unwrap(),
            processes: builder().open_process_registry(memory).await.unwrap(),
            events: builder().open_host_event_store(memory).await.unwrap(),
            effects: builder().open_effect_host(memory, options).await.unwrap(),
        }
    }

    pub async fn ask(&self, tally: &mut Tally) {
        self.ask_session(tally).await;
        self.ask_queue(tally).await;
        self.ask_processes(tally).await;
        self.ask_events(tally).await;
        self.ask_effects(tally).await;
    }

    async fn ask_session(&self, tally: &mut Tally) {
        let store = &self.store;
        let key = BlobRef("blake3:00".to_owned());
        tally.add(store.try_load_session_graph().await);
        tally.add(store.try_load_session_head().await);
        tally.add(store.try_load_session_head_meta().await);
        tally.add(store.try_load_session_meta().await);
        tally.add(store.try_load_picker_info().await);
        tally.add(store.try_load_usage_deltas().await);
        tally.add(store.try_get_blob(&key).await);
        tally.add(store.try_get_checkpoint(&key).await);
        tally.add(store.try_put_blob(b"content").await);
        tally.add(
            store
                .try_append_usage_deltas(&[usage("s", "m", [1, 2, 3, 4])])
                .await,
        );
        tally.add(store.try_save_session_meta(meta()).await);
        tally.add(store.load_session(SessionReadScope::FullGraph).await);
        tally.add(store.load_node("a").await);
        tally.add(store.commit_runtime_state(commit(None)).await);
        tally.add(store.commit_runtime_state(commit(Some(u64::MAX))).await);
        tally.add(store.try_gc_unreachable().await);
        tally.add(store.try_vacuum().await);
        tally.add(store.prune(SystemTime::now()).await);
        tally.add(store.list_uncommitted(u64::MAX));
    }

    async fn ask_queue(&self, tally: &mut Tally) {
        let store = &self.store;
        tally.add(store.enqueue_queued_work(work("to do")).await);
        tally.add(store.list_queued_work("root").await);
        tally.add(store.list_pending_queued_work("root").await);
        let boundary = QueuedWorkClaimBoundary::Idle;
        let claimed = store.claim_ready_queued_work("root", "owner", boundary, 1000, 10);
        let claimed = claimed.await;
        if let Ok(Some(held)) = &claimed {
            tally.add(store.renew_queued_work_claim(held, u64::MAX).await);
            tally.add(store.abandon_queued_work_claim(held).await);
        }
        tally.add(claimed);
    }

    async fn ask_processes(&self, tally: &mut Tally) {
        let registry = &self.processes;
        let scope = SessionScope::new("a-session");
        tally.add(
            registry
                .register_process(processes::registration("p"))
                .await,
        );
        tally.add(registry.try_get_process("p").await);
        tally.add(registry.append_event("p", processes::tick(1)).await);
        tally.add(registry.events_after("p", 0).await);
        tally.add(registry.wake_events_after("p", 0).await);
        tally.add(registry.list_processes(&ProcessListFilter::default()).await);
        tally.add(registry.list_non_terminal().await);
        tally.add(registry.list_handle_grants(&scope).await);
        tally.add(registry.handle_grants_for_process("p").await);
        tally.add(registry.claim_process_lease("p", "owner", u64::MAX).await);
        tally.add(registry.delete_session_process_state("a-session").await);
        tally.add(
            registry
                .complete_process("p", processes::success("x"))
                .await,
        );
    }

    async fn ask_events(&self, tally: &mut Tally) {
        let events = &self.events;
        tally.add(
            events
                .register_subscription(host_events::draft("s", "k"))
                .await,
        );
        tally.add(
            events
                .list_subscriptions(TriggerSubscriptionFilter::default())
                .await,
        );
        tally.add(
            events
                .record_occurrence(host_events::request("k", "i"))
                .await,
        );
        tally.add(events.reserve_matching_deliveries("o").await);
        tally.add(events.delete_session_subscriptions("s").await);
        tally.add(events.prune_occurrences(SystemTime::now()).await);
    }

    /// The wait for somebody else's effect is as long as the component says.
    async fn ask_effects(&self, tally: &mut Tally) {
        let controller = effects::controller(&self.effects);
        for key in ["a", "b"] {
            let executor = effects::returning("x");
            let effect = controller
                .controller()
                .execute_effect(effects::effect(key), executor);
            if let Ok(ended) = tokio::time::timeout(PATIENCE, effect).await {
                tally.add(ended);
            }
        }
        tally.add(self.effects.prune(SystemTime::now()).await);
    }
}
