//! The scenarios on `lash-sqlite-store`.

#[path = "../scenarios/mod.rs"]
pub(super) mod scenarios;

/// The crate, and how its rows are damaged.
pub(crate) mod engine {
    use lash_core::RuntimePersistence;
    pub(crate) use lash_sqlite_store::*;

    /// Makes the session's head unreadable.
    pub(crate) const DAMAGE_HEAD: &str = "UPDATE session_head SET head_json = '{'";

    /// Calls all that gives something of a session back.
    pub(crate) async fn give_back(store: &Store) -> anyhow::Result<()> {
        RuntimePersistence::gc_unreachable(store).await?;
        store.vacuum().await?;
        Ok(())
    }
}
