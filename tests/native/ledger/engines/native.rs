//! The scenarios on `lash-sqlite-store`.

#[path = "../scenarios/mod.rs"]
pub(super) mod scenarios;

/// The crate, and how its rows are damaged.
pub(crate) mod engine {
    use std::path::Path;

    use lash_core::RuntimePersistence;
    pub(crate) use lash_sqlite_store::*;
    use lash_wasm_store_testing::fixtures::TestClock;

    /// Makes the session's head unreadable.
    pub(crate) const DAMAGE_HEAD: &str = "UPDATE session_head SET head_json = '{'";

    /// Removes the manifest of the checkpoint.
    pub(crate) const DELETE_MANIFEST: &str = "DELETE FROM blobs WHERE hash =
        (SELECT json_extract(head_json, '$.checkpoint_ref') FROM session_head)";

    /// Makes the node `n1` unreadable.
    pub(crate) const DAMAGE_NODE: &str =
        "UPDATE graph_nodes SET node_json = '{' WHERE node_id = 'n1'";

    /// How many deliveries were reserved and not started. Nobody can ask.
    pub(crate) async fn unstarted(
        _: &SqliteHostEventStore,
        _: &SqliteProcessRegistry,
    ) -> anyhow::Result<Option<usize>> {
        Ok(None)
    }

    /// When the lease on the only effect ends.
    pub(crate) const EFFECT_LEASE_END: &str =
        "SELECT lease_expires_at_ms FROM runtime_effect_replay";

    /// Opens a session. There is no way to tell it the time.
    pub(crate) async fn open_by(_: &TestClock, path: &Path) -> anyhow::Result<Store> {
        Ok(Store::open(path).await?)
    }

    /// Calls all that gives something of a session back.
    pub(crate) async fn give_back(store: &Store) -> anyhow::Result<()> {
        RuntimePersistence::gc_unreachable(store).await?;
        store.vacuum().await?;
        Ok(())
    }
}
