//! Where an attack takes place: the store that is attacked, and those beside it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lash_core::BlobRef;
use lash_wasm_store::inspect::Inspector;
use lash_wasm_store::{Error, Limits, Store, StoreBuilder, StoreComponent};
use lash_wasm_store_testing::fixtures::Place;
use tokio::sync::Notify;
use xtask::build::built;
use xtask::{HOSTILE, HOSTILE_TOOLS};

/// The hostile component with some limits.
pub fn hostile(limits: Limits) -> StoreComponent {
    let store = StoreComponent::untrusted(&built(&HOSTILE).unwrap(), limits).unwrap();
    store.tools(&built(&HOSTILE_TOOLS).unwrap()).unwrap()
}

/// The hostile component with the limits of the suite, compiled once.
pub fn shared() -> StoreComponent {
    static SHARED: OnceLock<StoreComponent> = OnceLock::new();
    SHARED.get_or_init(|| hostile(super::limits())).clone()
}

/// The same with more time than any test takes, for attacks that the test holds.
pub fn holdable() -> StoreComponent {
    static HOLDABLE: OnceLock<StoreComponent> = OnceLock::new();
    let limits = super::limits().call_time(Duration::from_secs(600));
    HOLDABLE.get_or_init(|| hostile(limits)).clone()
}

/// The clock of a store that is attacked. By it the test holds an attack: the component
/// runs, and asks for the time, until it is another one.
#[derive(Clone, Default)]
pub struct Hold(Arc<Held>);

#[derive(Default)]
struct Held {
    holds: AtomicBool,
    asked: AtomicUsize,
    runs: Notify,
}

/// How often the component has asked for the time when it is sure to wait for it.
const CERTAIN: usize = 10;

impl Hold {
    fn now(&self) -> SystemTime {
        let holds = self.0.holds.load(Ordering::SeqCst);
        if holds && self.0.asked.fetch_add(1, Ordering::SeqCst) == CERTAIN {
            self.0.runs.notify_one();
        }
        UNIX_EPOCH + Duration::new(1000, u32::from(holds))
    }

    /// The next attack is held.
    pub fn begin(&self) {
        self.0.asked.store(0, Ordering::SeqCst);
        self.0.holds.store(true, Ordering::SeqCst);
    }

    /// Waits until the attack runs.
    pub async fn taken(&self) {
        self.0.runs.notified().await;
    }

    /// Lets it go on.
    pub fn end(&self) {
        self.0.holds.store(false, Ordering::SeqCst);
    }
}

/// A store, and what it should hold.
pub struct Arena {
    place: Place,
    store: Store,
    pub hold: Hold,
    honest: BlobRef,
    rounds: usize,
}

const HONEST: &[u8] = b"what an honest caller has stored";

impl Arena {
    /// A new session on this component, with a blob in it.
    pub async fn new(component: StoreComponent) -> Self {
        let place = Place::new();
        let hold = Hold::default();
        let clock = hold.clone();
        let builder = StoreBuilder::new().component(component);
        let builder = builder.clock(move || clock.now());
        let store = builder.open(place.path()).await.unwrap();
        let honest = store.try_put_blob(HONEST).await.unwrap();
        Self {
            place,
            store,
            hold,
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
