//! Where an attack takes place: the store that is attacked, and those beside it.

use std::path::Path;
use std::sync::OnceLock;

use lash_core::BlobRef;
use lash_wasm_store::inspect::Inspector;
use lash_wasm_store::{Error, Limits, Store, StoreBuilder, StoreComponent};
use lash_wasm_store_tests::fixtures::Place;
use xtask::{HOSTILE, workspace_root};

/// The hostile component with some limits.
pub fn hostile(limits: Limits) -> StoreComponent {
    let path = workspace_root().unwrap().join(HOSTILE.component);
    StoreComponent::untrusted(&std::fs::read(path).unwrap(), limits).unwrap()
}

/// The hostile component with the limits of the suite, compiled once.
pub fn shared() -> StoreComponent {
    static SHARED: OnceLock<StoreComponent> = OnceLock::new();
    SHARED.get_or_init(|| hostile(super::limits())).clone()
}

/// A store, and what it should hold.
pub struct Arena {
    place: Place,
    store: Store,
    honest: BlobRef,
    rounds: usize,
}

const HONEST: &[u8] = b"what an honest caller has stored";

impl Arena {
    /// A new session on this component, with a blob in it.
    pub async fn new(component: StoreComponent) -> Self {
        let place = Place::new();
        let store = open(place.path(), component).await;
        let honest = store.try_put_blob(HONEST).await.unwrap();
        Self {
            place,
            store,
            honest,
            rounds: 0,
        }
    }

    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Tells the component to attack.
    pub async fn attack(&self, command: &str) -> Result<BlobRef, Error> {
        let content = format!("attack {command}");
        self.store.try_put_blob(content.as_bytes()).await
    }

    /// Uses the store as somebody does who knows of no attack.
    pub async fn honest_call(&mut self) {
        let read = self.store.try_get_blob(&self.honest).await.unwrap();
        assert_eq!(read.as_deref(), Some(HONEST));
        self.rounds += 1;
        let content = format!("honest content {}", self.rounds);
        let put = self.store.try_put_blob(content.as_bytes()).await.unwrap();
        let read = self.store.try_get_blob(&put).await.unwrap();
        assert_eq!(read.as_deref(), Some(content.as_bytes()));
    }

    /// Checks the file by SQLite and by the component of this crate.
    pub async fn assert_sound(&self) {
        let integrity = self.place.raw().texts("PRAGMA integrity_check");
        assert_eq!(integrity, ["ok"]);
        let inspector = Inspector::open(self.path()).await.unwrap();
        let verification = inspector.verify().await.unwrap();
        assert!(verification.is_sound(), "{verification:?}");
    }

    /// All that is in the file.
    pub fn dump(&self) -> String {
        let raw = self.place.raw();
        let pragmas = [
            "application_id",
            "user_version",
            "journal_mode",
            "auto_vacuum",
        ]
        .map(|name| raw.texts(&format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}")));
        let schema = raw.texts("SELECT ifnull(sql, name) FROM sqlite_schema ORDER BY rowid");
        format!("{pragmas:?}\n{schema:?}\n{}", raw.dump())
    }
}

/// Opens a session on a component.
pub async fn open(path: &Path, component: StoreComponent) -> Store {
    let builder = StoreBuilder::new().component(component);
    builder.open(path).await.unwrap()
}
