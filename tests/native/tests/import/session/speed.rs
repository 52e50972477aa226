//! How fast an import is. To be run in a release build:
//! `cargo test --release --test import -- --ignored --nocapture`.

use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use lash_core::RuntimePersistence;
use lash_sqlite_store::{BuiltinBlobProfile, Store, StoreGcPolicy, StoreOptions};
use lash_wasm_store::import::NativeImport;
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::fixtures::{append, full_checkpoint, large_node, usage};

use crate::files::{Files, assert_sound};

/// Text that compresses as prose does.
fn prose(seed: usize, length: usize) -> String {
    let mut text = String::new();
    let mut state = seed as u64 + 1;
    while text.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        write!(
            text,
            "{:x} the value of item {} is ",
            state >> 44,
            state >> 54
        )
        .unwrap();
    }
    text.truncate(length);
    text
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn how_fast_it_is() {
    for profile in [
        BuiltinBlobProfile::Balanced,
        BuiltinBlobProfile::LowLatency,
        BuiltinBlobProfile::Compact,
    ] {
        let files = Files::new();
        let options = StoreOptions {
            blob_profile: profile,
            gc_policy: StoreGcPolicy::default(),
        };
        let store = Store::open_with_options(&files.source(), options)
            .await
            .unwrap();
        for turn in 0..1000_usize {
            let parent = turn.checked_sub(1).map(|before| format!("b{before}"));
            let ids = [format!("a{turn}"), format!("b{turn}")];
            let nodes = vec![
                large_node(&ids[0], parent.as_deref(), 1000),
                large_node(&ids[1], Some(&ids[0]), 1000),
            ];
            let mut commit = append((turn > 0).then_some(turn as u64), nodes);
            commit.checkpoint = full_checkpoint(turn);
            commit.checkpoint.execution_state = Some(prose(turn, 40_000).into_bytes());
            commit.usage_deltas = vec![usage("turn", "model", [1, 2, 3, 4])];
            store.commit_runtime_state(commit).await.unwrap();
        }
        drop(store);
        wait_until_closed(&files.source());
        let bytes = fs::metadata(files.source()).unwrap().len();
        let begun = Instant::now();
        let import = NativeImport::new();
        import
            .session(&files.source(), &files.destination())
            .await
            .unwrap();
        let took = begun.elapsed();
        println!(
            "{profile:?}: {:.1} MB in {took:?}, {:.0} MB/s, then {:.1} MB",
            bytes as f64 / 1e6,
            bytes as f64 / 1e6 / took.as_secs_f64(),
            fs::metadata(files.destination()).unwrap().len() as f64 / 1e6,
        );
        let begun = Instant::now();
        assert_sound(&files.destination()).await;
        println!("verified in {:?}", begun.elapsed());
    }
}
