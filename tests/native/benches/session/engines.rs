//! The engines that are compared, `synchronous = NORMAL` on all but one.

use std::path::Path;
use std::sync::OnceLock;

use lash_core::RuntimePersistence;
use lash_core::store::{RuntimeCommit, SessionReadScope};
use lash_wasm_store::{COMPONENT, Durability, Limits, StoreBuilder, StoreComponent};

use crate::logic::Logic;

/// How blobs are compressed, on either side.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    LowLatency,
    Balanced,
    Compact,
}

/// Which engine.
#[derive(Clone, Copy)]
pub(crate) enum Setup {
    NativeCrate,
    Component,
    /// The component with `synchronous = FULL`.
    Durable,
    /// The component as one that is not trusted, with the default limits.
    Untrusted,
    NativeLogic,
}

impl Setup {
    /// The two that are compared in every case.
    pub(crate) const BOTH: [Self; 2] = [Self::NativeCrate, Self::Component];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NativeCrate => "lash-sqlite-store",
            Self::Component => "component",
            Self::Durable => "component, FULL",
            Self::Untrusted => "component, untrusted",
            Self::NativeLogic => "native-logic",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::BOTH
            .into_iter()
            .find(|setup| setup.name() == name)
            .unwrap()
    }

    pub(crate) async fn open(self, path: &Path) -> Engine {
        self.open_with(path, Profile::Balanced).await
    }

    pub(crate) async fn open_with(self, path: &Path, profile: Profile) -> Engine {
        let durability = match self {
            Self::NativeCrate => return Engine::Native(open_native(path, profile).await),
            Self::NativeLogic => return Engine::Logic(Logic::open(path)),
            Self::Component | Self::Untrusted => Durability::Normal,
            Self::Durable => Durability::Full,
        };
        use lash_wasm_store::{BuiltinBlobProfile, StoreOptions};
        let options = StoreOptions {
            blob_profile: match profile {
                Profile::LowLatency => BuiltinBlobProfile::LowLatency,
                Profile::Balanced => BuiltinBlobProfile::Balanced,
                Profile::Compact => BuiltinBlobProfile::Compact,
            },
            ..StoreOptions::default()
        };
        let component = match self {
            Self::Untrusted => untrusted(),
            _ => StoreComponent::embedded(),
        };
        let builder = StoreBuilder::new()
            .durability(durability)
            .options(options)
            .component(component);
        Engine::Ours(builder.open(path).await.unwrap())
    }
}

/// Compiled once.
fn untrusted() -> StoreComponent {
    static UNTRUSTED: OnceLock<StoreComponent> = OnceLock::new();
    let compile = || StoreComponent::untrusted(COMPONENT, Limits::default()).unwrap();
    UNTRUSTED.get_or_init(compile).clone()
}

async fn open_native(path: &Path, profile: Profile) -> lash_sqlite_store::Store {
    use lash_sqlite_store::{BuiltinBlobProfile, Store, StoreOptions};
    let options = StoreOptions {
        blob_profile: match profile {
            Profile::LowLatency => BuiltinBlobProfile::LowLatency,
            Profile::Balanced => BuiltinBlobProfile::Balanced,
            Profile::Compact => BuiltinBlobProfile::Compact,
        },
        ..StoreOptions::default()
    };
    Store::open_with_options(path, options).await.unwrap()
}

/// An open database.
pub(crate) enum Engine {
    Native(lash_sqlite_store::Store),
    Ours(lash_wasm_store::Store),
    Logic(Logic),
}

impl Engine {
    /// What lash-core sees. The logic alone only commits.
    pub(crate) fn store(&self) -> &dyn RuntimePersistence {
        match self {
            Self::Native(store) => store,
            Self::Ours(store) => store,
            Self::Logic(_) => unimplemented!("only commits are compared with the logic alone"),
        }
    }

    pub(crate) async fn commit(&self, commit: RuntimeCommit) {
        match self {
            Self::Logic(logic) => logic.commit(commit).await,
            _ => {
                self.store().commit_runtime_state(commit).await.unwrap();
            }
        }
    }

    pub(crate) async fn put_blob(&self, content: &[u8]) {
        match self {
            Self::Native(store) => drop(store.put_blob(content).await),
            Self::Ours(store) => drop(store.try_put_blob(content).await.unwrap()),
            Self::Logic(_) => {}
        }
    }

    /// Loads a session and answers how many nodes were read.
    pub(crate) async fn load(&self, scope: SessionReadScope) -> usize {
        let read = self.store().load_session(scope).await.unwrap();
        read.map_or(0, |session| session.graph.nodes.len())
    }
}
