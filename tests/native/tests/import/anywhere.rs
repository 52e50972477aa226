//! Damage anywhere in the databases of a deployment.
//!
//! An import that names no loss answers what was answered before the damage, or what the
//! native crate answers of the same file. One that names losses is sound.

use std::fs;
use std::path::Path;

use lash_core::{EffectHost, HostEventStore, ProcessRegistry};
use lash_wasm_store::import::NativeImport;
use lash_wasm_store::{
    DatabaseKind, SqliteEffectHost, SqliteHostEventStore, SqliteProcessRegistry,
};
use lash_wasm_store_testing::damage::{Random, setting, wait_until_closed};
use lash_wasm_store_testing::effects::LONG;
use lash_wasm_store_testing::flips;

use crate::effects;
use crate::files::{Files, assert_sound};
use crate::host_events;
use crate::processes::workload;
use crate::session::answers::Answers;

/// What the native crate wrote and closed.
pub(crate) async fn closed(kind: DatabaseKind) -> Vec<u8> {
    let files = Files::new();
    let path = files.source();
    match kind {
        DatabaseKind::Processes => {
            let native = lash_sqlite_store::SqliteProcessRegistry::open(&path).await;
            workload::run(&native.unwrap(), 1).await;
        }
        DatabaseKind::HostEvents => {
            let native = lash_sqlite_store::SqliteHostEventStore::open(&path).await;
            host_events::workload(&native.unwrap()).await;
        }
        _ => effects::workload(&effects::native(&files, LONG).await).await,
    }
    wait_until_closed(&path);
    fs::read(path).unwrap()
}

/// What the native crate answers; none if it does not open the file.
async fn native_answers(kind: DatabaseKind, path: &Path) -> Option<Answers> {
    Some(match kind {
        DatabaseKind::Processes => {
            let native = lash_sqlite_store::SqliteProcessRegistry::open(path).await;
            of_processes(&native.ok()?).await
        }
        DatabaseKind::HostEvents => {
            let native = lash_sqlite_store::SqliteHostEventStore::open(path).await;
            of_host_events(&native.ok()?).await
        }
        _ => {
            let native = lash_sqlite_store::SqliteEffectHost::open(path).await;
            of_effects(&native.ok()?).await
        }
    })
}

async fn our_answers(kind: DatabaseKind, path: &Path) -> Answers {
    match kind {
        DatabaseKind::Processes => {
            of_processes(&SqliteProcessRegistry::open(path).await.unwrap()).await
        }
        DatabaseKind::HostEvents => {
            of_host_events(&SqliteHostEventStore::open(path).await.unwrap()).await
        }
        _ => of_effects(&SqliteEffectHost::open(path).await.unwrap()).await,
    }
}

async fn of_processes(registry: &dyn ProcessRegistry) -> Answers {
    workload::answers(registry).await
}

async fn of_host_events(store: &dyn HostEventStore) -> Answers {
    let mut answers = host_events::answers(store).await;
    answers.extend(host_events::repeated(store).await);
    answers
}

async fn of_effects(host: &dyn EffectHost) -> Answers {
    effects::recorded(host).await
}

/// Answers whether nothing was lost. `right` is what is answered without damage.
async fn check(kind: DatabaseKind, damaged: &[u8], right: &Answers, what: &str) -> bool {
    let files = Files::new();
    fs::write(files.source(), damaged).unwrap();
    let import = NativeImport::new().partial(true);
    let imported = import.any(&files.source(), &files.destination()).await;
    assert_eq!(fs::read(files.source()).unwrap(), damaged, "{what}");
    let Ok(report) = imported else {
        assert_eq!(files.beside_destination(), [""; 0], "{what}");
        return false;
    };
    assert_eq!(report.kind, kind, "{what}");
    assert_sound(&files.destination()).await;
    if !report.is_complete() {
        return false;
    }
    // Now it may be written to. What a damaged index hides from it is not hidden from us.
    let native = native_answers(kind, &files.source()).await;
    let native = native.unwrap_or_default();
    for (question, found) in our_answers(kind, &files.destination()).await {
        let expected = [native.get(&question), right.get(&question)];
        assert!(
            expected.contains(&Some(&found)),
            "{what}: {question}: {found:#} is none of {expected:#?}"
        );
    }
    true
}

async fn damage_anywhere(kind: DatabaseKind) {
    let bytes = closed(kind).await;
    let files = Files::new();
    fs::write(files.source(), &bytes).unwrap();
    let right = native_answers(kind, &files.source()).await.unwrap();
    assert!(check(kind, &bytes, &right, "undamaged").await);
    let seed = setting("LASH_DAMAGE_SEED", 1);
    let mut losses = 0;
    for case in 0..setting("LASH_DAMAGE_FLIPS", 8) {
        for damage in [flips::flip, flips::zero, flips::misplace] {
            let mut damaged = bytes.clone();
            let what = damage(&mut damaged, &mut Random::new(seed, case));
            let what = format!("seed {seed}, case {case}, {what}");
            losses += u64::from(!check(kind, &damaged, &right, &what).await);
        }
    }
    println!("{kind}: {losses} imports with losses");
    assert!(losses > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_in_processes_is_named_or_does_no_harm() {
    damage_anywhere(DatabaseKind::Processes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_in_host_events_is_named_or_does_no_harm() {
    damage_anywhere(DatabaseKind::HostEvents).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_in_effects_is_named_or_does_no_harm() {
    damage_anywhere(DatabaseKind::Effects).await;
}
