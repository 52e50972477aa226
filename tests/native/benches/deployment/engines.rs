//! The engines that are compared, `synchronous = NORMAL` on both.

use std::path::Path;
use std::sync::Arc;

use lash_core::{EffectHost, HostEventStore, ProcessRegistry};
use lash_wasm_store::{Durability, SqliteEffectReplayOptions, StoreBuilder};

/// Which engine.
#[derive(Clone, Copy)]
pub(crate) enum Setup {
    NativeCrate,
    Component,
}

impl Setup {
    pub(crate) const ALL: [Self; 2] = [Self::NativeCrate, Self::Component];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NativeCrate => "lash-sqlite-store",
            Self::Component => "component",
        }
    }

    pub(crate) async fn processes(self, directory: &Path) -> Arc<dyn ProcessRegistry> {
        let path = directory.join(format!("{}-processes.db", self.name()));
        match self {
            Self::NativeCrate => Arc::new(
                lash_sqlite_store::SqliteProcessRegistry::open(&path)
                    .await
                    .unwrap(),
            ),
            Self::Component => Arc::new(builder().open_process_registry(&path).await.unwrap()),
        }
    }

    pub(crate) async fn host_events(self, directory: &Path) -> Arc<dyn HostEventStore> {
        let path = directory.join(format!("{}-host-events.db", self.name()));
        match self {
            Self::NativeCrate => Arc::new(
                lash_sqlite_store::SqliteHostEventStore::open(&path)
                    .await
                    .unwrap(),
            ),
            Self::Component => Arc::new(builder().open_host_event_store(&path).await.unwrap()),
        }
    }

    pub(crate) async fn effects(self, directory: &Path) -> Arc<dyn EffectHost> {
        let path = directory.join(format!("{}-effects.db", self.name()));
        match self {
            Self::NativeCrate => Arc::new(
                lash_sqlite_store::SqliteEffectHost::open(&path)
                    .await
                    .unwrap(),
            ),
            Self::Component => {
                let options = SqliteEffectReplayOptions::default();
                Arc::new(builder().open_effect_host(&path, options).await.unwrap())
            }
        }
    }
}

fn builder() -> StoreBuilder {
    StoreBuilder::new().durability(Durability::Normal)
}
