//! Importing a file of the native crate that is damaged.

use std::path::Path;

use lash_wasm_store::import::NativeImport;

use super::{read, typed};
use crate::fixtures::Place;

pub(super) async fn import(source: &Path) {
    for partial in [true, false] {
        let before = std::fs::read(source).expect("the source");
        let place = Place::named("imported.db");
        let import = NativeImport::new().partial(partial);
        if typed(import.any(source, place.path()).await).is_some() {
            assert!(
                read::is_sound(place.path()).await,
                "what was imported is not sound"
            );
        } else {
            assert!(!place.path().exists(), "there is a destination");
        }
        let after = std::fs::read(source).expect("the source");
        assert!(before == after, "the source has changed");
    }
}
