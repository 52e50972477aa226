//! Everything that looks into a file.

use std::path::Path;

use lash_wasm_store::inspect::Inspector;
use lash_wasm_store::{Store, StoreBuilder};

use super::typed;

/// More pages of an export than any image has.
const PAGES: usize = 64;

/// Reads the file; answers whether a verification finds it sound.
pub(super) async fn read(path: &Path) -> bool {
    let before = std::fs::read(path).expect("the file");
    let sound = inspect(path).await;
    if let Some(store) = typed(StoreBuilder::new().open_readonly(path).await) {
        load(&store).await;
    }
    let after = std::fs::read(path).expect("the file");
    assert!(before == after, "a file that was only read has changed");
    sound
}

async fn inspect(path: &Path) -> bool {
    let Some(inspector) = typed(Inspector::open(path).await) else {
        return false;
    };
    typed(inspector.file_statistics().await);
    typed(inspector.statistics().await);
    let mut records = inspector.records();
    let mut pages = 0;
    while let Some(Some(_)) = typed(records.next_page().await) {
        pages += 1;
        assert!(pages < PAGES, "an export ends");
    }
    let verified = typed(inspector.verify().await);
    verified.is_some_and(|verification| verification.is_sound())
}

pub(super) async fn load(store: &Store) {
    typed(store.try_load_session_graph().await);
    typed(store.try_load_session_head().await);
    typed(store.try_load_session_meta().await);
    typed(store.try_load_picker_info().await);
    typed(store.try_load_usage_deltas().await);
}

/// Whether a verification finds nothing.
pub(super) async fn is_sound(path: &Path) -> bool {
    let inspector = Inspector::open(path).await.expect("it was written to");
    let verification = inspector.verify().await.expect("a verification");
    verification.is_sound()
}
