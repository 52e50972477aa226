//! The session stores, behind one interface.

use std::sync::Arc;
use std::time::Duration;

use lash_core::runtime::QueuedWorkClaim;
use lash_core::store::{SessionCheckpoint, SessionPickerInfo};
use lash_core::{
    BlobRef, HydratedSessionCheckpoint, RuntimePersistence, SessionGraph, SessionNodeRecord,
    TokenLedgerEntry,
};
use lash_wasm_store::import::ImportError;
use lash_wasm_store::{Durability, StoreBuilder};
use lash_wasm_store_testing::fixtures::Place;
use lashlang::LashlangArtifactStore;

use crate::machine::Owner;
use crate::names::Names;

/// What both crates' stores have beside the traits.
#[async_trait::async_trait]
pub(crate) trait SessionStore: RuntimePersistence + LashlangArtifactStore {
    async fn put_blob(&self, content: &[u8]) -> BlobRef;
    async fn get_blob(&self, key: &BlobRef) -> Option<Vec<u8>>;
    async fn usage(&self) -> Vec<TokenLedgerEntry>;
    async fn describe(&self) -> Option<SessionPickerInfo>;
    async fn add_usage(&self, entries: &[TokenLedgerEntry]);
    async fn append_nodes(&self, nodes: &[SessionNodeRecord]);
    async fn replace_graph(&self, graph: &SessionGraph);
    async fn load_graph(&self) -> SessionGraph;
    /// The key and the manifest.
    async fn put_checkpoint(
        &self,
        checkpoint: &HydratedSessionCheckpoint,
    ) -> (BlobRef, SessionCheckpoint);
    async fn get_checkpoint(&self, key: &BlobRef) -> Option<HydratedSessionCheckpoint>;
}

macro_rules! session_store {
    ($store:ty) => {
        #[async_trait::async_trait]
        impl SessionStore for $store {
            async fn put_blob(&self, content: &[u8]) -> BlobRef {
                <$store>::put_blob(self, content).await
            }

            async fn get_blob(&self, key: &BlobRef) -> Option<Vec<u8>> {
                <$store>::get_blob(self, key).await
            }

            async fn usage(&self) -> Vec<TokenLedgerEntry> {
                <$store>::load_usage_deltas(self).await
            }

            async fn describe(&self) -> Option<SessionPickerInfo> {
                <$store>::load_picker_info(self).await
            }

            async fn add_usage(&self, entries: &[TokenLedgerEntry]) {
                <$store>::append_usage_deltas(self, entries).await;
            }

            async fn append_nodes(&self, nodes: &[SessionNodeRecord]) {
                <$store>::append_session_graph_nodes(self, nodes).await;
            }

            async fn replace_graph(&self, graph: &SessionGraph) {
                <$store>::replace_session_graph(self, graph).await;
            }

            async fn load_graph(&self) -> SessionGraph {
                <$store>::load_session_graph(self).await
            }

            async fn put_checkpoint(
                &self,
                checkpoint: &HydratedSessionCheckpoint,
            ) -> (BlobRef, SessionCheckpoint) {
                let stored = <$store>::put_checkpoint(self, checkpoint).await;
                (stored.checkpoint_ref, stored.manifest)
            }

            async fn get_checkpoint(&self, key: &BlobRef) -> Option<HydratedSessionCheckpoint> {
                <$store>::get_checkpoint(self, key).await
            }
        }
    };
}

session_store!(lash_wasm_store::Store);
session_store!(lash_sqlite_store::Store);

/// A store and the names that it gave.
pub(crate) struct Engine {
    pub(crate) owner: Owner,
    pub(crate) names: Names,
    /// Every claim that was ever made.
    pub(crate) claims: Vec<QueuedWorkClaim>,
    place: Option<Place>,
    store: Option<Arc<dyn SessionStore>>,
    /// A second store on the file, once it is needed.
    other: Option<Arc<dyn SessionStore>>,
}

impl Engine {
    /// Opens a new store, in a file if it is to be closed and opened again.
    pub(crate) async fn new(owner: Owner, in_file: bool) -> Self {
        let place = in_file.then(Place::new);
        Self {
            owner,
            names: Names::default(),
            claims: Vec::new(),
            store: Some(open(owner, place.as_ref()).await),
            other: None,
            place,
        }
    }

    /// The file, if it has one, imported into a store of this crate.
    pub(crate) async fn imported(&self) -> Option<Result<Self, ImportError>> {
        let source = self.place.as_ref()?;
        let place = Place::new();
        let imported = lash_wasm_store::Store::import_native(source.path(), place.path()).await;
        Some(match imported {
            Ok(_) => Ok(Self {
                owner: Owner::Ours,
                names: self.names.clone(),
                claims: self.claims.clone(),
                store: Some(open(Owner::Ours, Some(&place)).await),
                other: None,
                place: Some(place),
            }),
            Err(error) => Err(error),
        })
    }

    pub(crate) fn store(&self) -> Arc<dyn SessionStore> {
        Arc::clone(self.store.as_ref().expect("it is open"))
    }

    pub(crate) async fn elsewhere(&mut self) -> Arc<dyn SessionStore> {
        if self.other.is_none() {
            self.other = Some(open(self.owner, self.place.as_ref()).await);
        }
        Arc::clone(self.other.as_ref().expect("it is open"))
    }

    /// Closes the store and opens it again.
    pub(crate) async fn reopen(&mut self) {
        self.other = None;
        self.store = None;
        // The native crate makes identifiers of batches of the time in ms and a
        // count that begins anew here: the same ms must not come again.
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.store = Some(open(self.owner, self.place.as_ref()).await);
    }
}

async fn open(owner: Owner, place: Option<&Place>) -> Arc<dyn SessionStore> {
    let builder = StoreBuilder::new().durability(Durability::Normal);
    match (owner, place) {
        (Owner::Ours, Some(place)) => Arc::new(place.open_with(builder).await),
        (Owner::Ours, None) => Arc::new(builder.memory().await.expect("a store")),
        (_, Some(place)) => Arc::new(
            lash_sqlite_store::Store::open(place.path())
                .await
                .expect("a store"),
        ),
        (_, None) => Arc::new(lash_sqlite_store::Store::memory().await.expect("a store")),
    }
}
