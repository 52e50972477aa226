//! The scenarios on `lash-wasm-store`.

#[path = "../scenarios/mod.rs"]
pub(super) mod scenarios;

/// The crate, and how its rows are damaged.
pub(crate) mod engine {
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use lash_core::RuntimePersistence;
    pub(crate) use lash_wasm_store::*;
    use lash_wasm_store_testing::fixtures::TestClock;

    /// Makes the session's head unreadable.
    pub(crate) const DAMAGE_HEAD: &str = "UPDATE session_head SET content = x'7b'";

    /// Removes the manifest of the checkpoint.
    pub(crate) const DELETE_MANIFEST: &str = "DELETE FROM blobs WHERE kind = 1";

    /// Makes the node `n1` unreadable.
    pub(crate) const DAMAGE_NODE: &str =
        "UPDATE graph_nodes SET body = x'7b7d' WHERE node_id = 'n1'";

    /// How many deliveries were reserved and not started.
    pub(crate) async fn unstarted(
        store: &SqliteHostEventStore,
        registry: &SqliteProcessRegistry,
    ) -> anyhow::Result<Option<usize>> {
        Ok(Some(store.unstarted_deliveries(registry).await?.len()))
    }

    /// When the lease on the only effect ends.
    pub(crate) const EFFECT_LEASE_END: &str = "SELECT lease_expires_ms FROM effects";

    /// Opens a session that goes by this clock.
    pub(crate) async fn open_by(clock: &TestClock, path: &Path) -> anyhow::Result<Store> {
        Ok(clock.builder().open(path).await?)
    }

    /// Calls all that gives something of a session back.
    pub(crate) async fn give_back(store: &Store) -> anyhow::Result<()> {
        RuntimePersistence::gc_unreachable(store).await?;
        store.vacuum().await?;
        let soon = SystemTime::now() + Duration::from_secs(1);
        store.prune(soon).await?;
        Ok(())
    }
}
