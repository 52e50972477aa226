//! Databases of processes.

mod damage;
pub(crate) mod workload;

use lash_core::{ProcessLeaseCompletion, ProcessRegistry};
use lash_wasm_store::import::{ImportReport, NativeImport};
use lash_wasm_store::{DatabaseKind, SqliteProcessRegistry, StoreBuilder};
use lash_wasm_store_testing::fixtures::Raw;
use lash_wasm_store_testing::process_fixtures::{says, success, tick, wake};

use crate::files::{Files, assert_sound, image};
use crate::session::answers::assert_equal;
use workload::{IDS, LARGE, answers, keyed, registered, scopes, shown};

/// As many rows of each table were imported as there are.
pub(crate) fn assert_counted(report: &ImportReport, files: &Files) {
    for table in &report.records {
        let sql = format!("SELECT count(*) FROM {}", table.table);
        let rows = Raw::open(&files.source()).integer(&sql);
        assert_eq!(table.rows, u64::try_from(rows).unwrap(), "{}", table.table);
    }
}

/// Everything is answered alike, and goes on alike, while the native crate still has its
/// file open.
#[tokio::test(flavor = "multi_thread")]
async fn processes_are_answered_alike_after_an_import() {
    let files = Files::new();
    let native = lash_sqlite_store::SqliteProcessRegistry::open(&files.source())
        .await
        .unwrap();
    let [live, expired] = workload::run(&native, LARGE).await;
    let before = image(&files.source());
    let report = SqliteProcessRegistry::import_native(&files.source(), &files.destination())
        .await
        .unwrap();
    assert_eq!(report.kind, DatabaseKind::Processes);
    assert!(report.is_complete(), "{:?}", report.losses);
    assert_eq!(report.records.len(), 5);
    assert_counted(&report, &files);
    assert_eq!(image(&files.source()), before, "the source is as it was");
    assert_eq!(files.beside_destination(), ["ours.db"]);
    assert_sound(&files.destination()).await;

    let ours = SqliteProcessRegistry::open(&files.destination())
        .await
        .unwrap();
    assert_equal(&answers(&native).await, &answers(&ours).await);
    repeat(&native, &ours).await;
    go_on(&native, &ours).await;
    for registry in [&native as &dyn ProcessRegistry, &ours] {
        let renewed = registry.renew_process_lease(&live, 0).await.unwrap();
        assert_eq!(renewed.lease_token, live.lease_token);
        assert_eq!(renewed.fencing_token, live.fencing_token);
        let refused = registry.renew_process_lease(&expired, 0).await;
        says(&refused.unwrap_err(), "missing or expired");
    }
    drop(ours);
    assert_sound(&files.destination()).await;
}

/// What was registered or appended before is found again, and something else under its
/// name is refused.
async fn repeat(native: &dyn ProcessRegistry, ours: &dyn ProcessRegistry) {
    for id in IDS {
        let other = registered(id).with_wake_target(None);
        for registration in [registered(id), other] {
            assert_eq!(
                shown(native.register_process(registration.clone()).await),
                shown(ours.register_process(registration).await),
            );
        }
        if id == "new 'é\"" {
            continue;
        }
        let other = tick(99).with_replay_key("key-1");
        let again = wake("wake 3").with_replay_key("wake-3");
        for request in [keyed(0), again, other] {
            assert_eq!(
                shown(native.append_event(id, request.clone()).await),
                shown(ours.append_event(id, request).await),
                "{id}"
            );
        }
    }
}

/// Events get the next sequences; leases and handles hold.
async fn go_on(native: &dyn ProcessRegistry, ours: &dyn ProcessRegistry) {
    for id in IDS {
        let expected = native.append_event(id, keyed(50)).await.unwrap().event;
        let found = ours.append_event(id, keyed(50)).await.unwrap().event;
        assert_eq!(found.sequence, expected.sequence, "{id}");
        assert_eq!(found.payload, expected.payload);
        // Who has the process is known; what ended does not end again.
        for registry in [native, ours] {
            let ended = registry.get_process(id).await.unwrap().is_terminal();
            let claimed = registry.claim_process_lease(id, "another", 0).await;
            assert_eq!(claimed.is_err(), id == "leased", "{id}");
            let completed = registry.complete_process(id, success("later")).await;
            // The same end again is answered with the first.
            assert_eq!(completed.is_err(), ended, "{id}");
        }
    }
    let refused = |registry: &'static str, error: lash_core::PluginError| {
        assert!(
            error.to_string().contains("an owner"),
            "{registry}: {error}"
        );
        error.to_string()
    };
    let expected = native.claim_process_lease("leased", "another", 1).await;
    let found = ours.claim_process_lease("leased", "another", 1).await;
    assert_eq!(
        refused("native", expected.unwrap_err()),
        refused("ours", found.unwrap_err())
    );
    // A fencing token is higher than all that the native crate gave out.
    let lease = ours.claim_process_lease("completed", "another", 1000).await;
    let lease = lease.unwrap();
    assert!(lease.fencing_token > 3, "{lease:?}");
    let completion = ProcessLeaseCompletion::from_lease(&lease);
    ours.complete_process_lease(&completion).await.unwrap();
    for registry in [native, ours] {
        registry.ack_wake("waiting", 2).await.unwrap();
        let [from, _, to, _] = scopes().try_into().unwrap();
        let ids = ["completed".to_owned()];
        registry
            .transfer_handle_grants(&from, &to, &ids)
            .await
            .unwrap();
    }
    let scope = &scopes()[2];
    let ids = |entries: Vec<lash_core::runtime::ProcessHandleGrantEntry>| {
        let grants = entries.into_iter().map(|(grant, _)| grant);
        serde_json::to_value(grants.collect::<Vec<_>>()).unwrap()
    };
    assert_eq!(
        ids(native.list_handle_grants(scope).await.unwrap()),
        ids(ours.list_handle_grants(scope).await.unwrap())
    );
    assert_eq!(
        shown(native.delete_session_process_state("a-session").await),
        shown(ours.delete_session_process_state("a-session").await)
    );
}

/// A holder that is behind is kept out by its fencing token.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_the_native_crate_is_fenced() {
    let files = Files::new();
    let native = lash_sqlite_store::SqliteProcessRegistry::open(&files.source())
        .await
        .unwrap();
    let [live, expired] = workload::run(&native, 1).await;
    NativeImport::new()
        .any(&files.source(), &files.destination())
        .await
        .unwrap();
    let ours = StoreBuilder::new()
        .open_process_registry(&files.destination())
        .await
        .unwrap();
    ours.append_event_with_lease(&live, keyed(20))
        .await
        .unwrap();
    ours.append_event_with_lease(&expired, keyed(20))
        .await
        .unwrap();
    ours.claim_process_lease("expired", "another", 1000)
        .await
        .unwrap();
    let refused = ours
        .complete_process_with_lease(&expired, success("late"))
        .await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("missing or expired"), "{error}");
    ours.complete_process_with_lease(&live, success("in time"))
        .await
        .unwrap();
}

/// Memory does not grow with the file, so a process with more than is read at a time is
/// written in several steps; so are many processes.
#[tokio::test(flavor = "multi_thread")]
async fn many_small_processes_are_imported_in_their_order() {
    let files = Files::new();
    let native = lash_sqlite_store::SqliteProcessRegistry::open(&files.source())
        .await
        .unwrap();
    for n in (0..600).rev() {
        let id = format!("process {n}");
        native.register_process(registered(&id)).await.unwrap();
    }
    drop(native);
    let report = SqliteProcessRegistry::import_native(&files.source(), &files.destination())
        .await
        .unwrap();
    assert_counted(&report, &files);
    let ours = Raw::open(&files.destination());
    let names = ours.texts("SELECT id FROM processes ORDER BY seq");
    let expected: Vec<String> = (0..600).rev().map(|n| format!("process {n}")).collect();
    assert_eq!(names, expected);
}
