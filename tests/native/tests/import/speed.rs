//! How fast databases of a deployment are imported. To be run in a release build:
//! `cargo test --release --test import speed -- --ignored --nocapture`.

use std::fs;
use std::time::Instant;

use lash_core::ProcessRegistry;
use lash_sqlite_store::{SqliteEffectHost, SqliteProcessRegistry};
use lash_wasm_store::import::NativeImport;
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::effects::{controller, effect, ending, outcome, run};
use lash_wasm_store_testing::process_fixtures::{registration, wake};

use crate::files::{Files, assert_sound};

/// How long the text of an event or of a result is.
const LENGTHS: [usize; 2] = [200, 4000];

async fn import(files: &Files, what: &str) {
    wait_until_closed(&files.source());
    let bytes = fs::metadata(files.source()).unwrap().len();
    let started = Instant::now();
    let import = NativeImport::new();
    let report = import.any(&files.source(), &files.destination()).await;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{what}: {:.1} MB in {seconds:.2} s, {:.0} MB/s, {:?}",
        bytes as f64 / 1e6,
        bytes as f64 / 1e6 / seconds,
        report.unwrap().records
    );
    assert_sound(&files.destination()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn how_fast_processes_are_imported() {
    for length in LENGTHS {
        let files = Files::new();
        let native = SqliteProcessRegistry::open(&files.source()).await.unwrap();
        let text = "x".repeat(length);
        for id in 0..100 {
            let id = format!("process {id}");
            native.register_process(registration(&id)).await.unwrap();
            for n in 0..100 {
                let event = wake(&text).with_replay_key(format!("key {n}"));
                native.append_event(&id, event).await.unwrap();
            }
        }
        drop(native);
        import(&files, &format!("events of {length} bytes")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn how_fast_effects_are_imported() {
    for length in LENGTHS {
        let files = Files::new();
        let native = SqliteEffectHost::open(&files.source()).await.unwrap();
        let controller = controller(&native);
        let text = "x".repeat(length);
        for n in 0..10_000 {
            let ended = ending(Ok(outcome(text.clone())));
            run(&controller, effect(&format!("effect {n}")), ended)
                .await
                .unwrap();
        }
        drop((controller, native));
        import(&files, &format!("results of {length} bytes")).await;
    }
}
