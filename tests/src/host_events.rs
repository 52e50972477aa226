//! What the suites about host events have in common: subscriptions, reports of
//! occurrences, and a way to damage an index.
#![allow(clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use lash_core::{
    HostEventOccurrenceRequest, HostEventStore, ProcessExecutionEnvRef, ProcessOriginator,
    SessionScope, TriggerDeliveryReservation, TriggerSubscriptionDraft, TriggerSubscriptionFilter,
    TriggerSubscriptionRecord,
};
use lash_wasm_store::SqliteHostEventStore;
use lashlang::ModuleArtifact;
use rusqlite::Connection;

/// The type of the sources that the fixtures are about.
pub const SOURCE_TYPE: &str = "ui.button.pressed";

/// A module with the process that subscriptions start.
pub fn module() -> ModuleArtifact {
    let program =
        lashlang::parse("process on_button(event: any) { finish event }").expect("a program");
    ModuleArtifact::from_program(program).expect("a module")
}

/// A subscription of a session to a source.
pub fn draft(session: &str, source_key: &str) -> TriggerSubscriptionDraft {
    let scope = SessionScope::new(session);
    let inputs = BTreeMap::from([("event".to_owned(), lashlang::TriggerInputBinding::Event)]);
    let hash = |name: &str| lashlang::ContentHash::new(name);
    TriggerSubscriptionDraft {
        registrant: ProcessOriginator::session(scope.clone()),
        env_ref: ProcessExecutionEnvRef::new(format!("process-env:{session}")),
        wake_target: Some(scope),
        name: None,
        source_type: SOURCE_TYPE.to_owned(),
        source_key: source_key.to_owned(),
        source: serde_json::json!({ "key": source_key }),
        event_ty: lashlang::TypeExpr::Any,
        module_ref: module().module_ref,
        required_surface_ref: lashlang::RequiredSurfaceRef::new(&hash("surface")),
        process_ref: lashlang::ProcessRef::new(hash("process"), 1),
        process_name: "on_button".to_owned(),
        input_template: lashlang::TriggerInputTemplate::new(inputs),
    }
}

/// A subscription of the host to a source.
pub fn host_draft(source_key: &str) -> TriggerSubscriptionDraft {
    TriggerSubscriptionDraft {
        registrant: ProcessOriginator::host(),
        wake_target: None,
        ..draft("host", source_key)
    }
}

/// The report of an occurrence.
pub fn request(source_key: &str, idempotency_key: &str) -> HostEventOccurrenceRequest {
    HostEventOccurrenceRequest::new(
        SOURCE_TYPE,
        source_key,
        serde_json::json!({ "button": idempotency_key }),
        idempotency_key,
    )
}

/// Opens a store.
pub async fn open(path: &Path) -> SqliteHostEventStore {
    SqliteHostEventStore::open(path)
        .await
        .expect("the store opens")
}

/// Registers a subscription; answers its handle.
pub async fn subscribe(store: &dyn HostEventStore, session: &str, source_key: &str) -> String {
    store
        .register_subscription(draft(session, source_key))
        .await
        .expect("a subscription")
        .handle
}

/// Records an occurrence; answers its identifier.
pub async fn record(store: &dyn HostEventStore, source_key: &str, key: &str) -> String {
    store
        .record_occurrence(request(source_key, key))
        .await
        .expect("an occurrence")
        .occurrence_id
}

/// Reserves the deliveries of an occurrence.
pub async fn reserve(
    store: &dyn HostEventStore,
    occurrence_id: &str,
) -> Vec<TriggerDeliveryReservation> {
    store
        .reserve_matching_deliveries(occurrence_id)
        .await
        .expect("reservations")
}

/// The handles of the subscriptions that a filter selects.
pub async fn listed(store: &dyn HostEventStore, filter: TriggerSubscriptionFilter) -> Vec<String> {
    let records = store.list_subscriptions(filter).await.expect("a list");
    records.into_iter().map(|record| record.handle).collect()
}

/// The handles that deliveries are for.
pub fn handles(deliveries: &[TriggerDeliveryReservation]) -> Vec<&str> {
    deliveries
        .iter()
        .map(|delivery| delivery.subscription.handle.as_str())
        .collect()
}

/// A record without the times, which differ from one store to another.
pub fn timeless(record: TriggerSubscriptionRecord) -> TriggerSubscriptionRecord {
    TriggerSubscriptionRecord {
        created_at_ms: 0,
        updated_at_ms: 0,
        ..record
    }
}

/// Waits until a file has taken over its log, which the last handle does when it
/// is closed.
pub fn wait_until_closed(path: &Path) {
    let log = path.with_extension("db-wal");
    for _ in 0..1000 {
        if !log.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    unreachable!("the log stays");
}

/// Empties an index of one page, and leaves its table as it is. The file must be
/// closed.
pub fn empty_index(path: &Path, index: &str) {
    wait_until_closed(path);
    let (page, size): (u64, u64) = {
        let connection = Connection::open(path).expect("the file opens");
        let page = connection
            .query_row(
                "SELECT rootpage FROM sqlite_master WHERE name = ?1",
                [index],
                |row| row.get(0),
            )
            .expect(index);
        let size = connection
            .query_row("PRAGMA page_size", [], |row| row.get(0))
            .expect("a page size");
        (page, size)
    };
    wait_until_closed(path);
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("the file opens");
    let start = (page - 1) * size;
    let mut kind = [0];
    file.seek(SeekFrom::Start(start)).expect("a page");
    std::io::Read::read_exact(&mut file, &mut kind).expect("a page");
    assert_eq!(kind, [10], "{index} is a leaf");
    // How many cells the page has.
    file.seek(SeekFrom::Start(start + 3)).expect("a page");
    file.write_all(&[0, 0]).expect("the page is written");
}

/// Changes rows of a table, and leaves its indexes as they are, but for those
/// that a constraint made. Answers whether the constraints allow it.
pub fn update_table_only(path: &Path, sql: &str, value: &rusqlite::types::Value) -> bool {
    let edit = |sql: &str| {
        let connection = Connection::open(path).expect("the file opens");
        connection
            .execute_batch(&format!("PRAGMA writable_schema = ON; {sql}"))
            .expect(sql);
    };
    edit(
        "CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE type = 'index' AND sql NOT NULL;
         DELETE FROM sqlite_schema WHERE type = 'index' AND sql NOT NULL;",
    );
    let updated = {
        let connection = Connection::open(path).expect("the file opens");
        connection.execute(sql, [value]).is_ok()
    };
    edit(
        "INSERT INTO sqlite_schema SELECT * FROM hidden;
         DELETE FROM sqlite_schema WHERE name = 'hidden';",
    );
    updated
}
