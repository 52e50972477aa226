//! What a damaged file of processes answers, and what the logic costs.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use lash_core::{ProcessHandleDescriptor, ProcessListFilter, ProcessRegistry, SessionScope};
use lash_wasm_store::{Error, SqliteProcessRegistry};
use lash_wasm_store_guest::bindings::exports::lash::store::process_events::{Appended, Draft, End};
use lash_wasm_store_guest::bindings::exports::lash::store::process_handles::Grant;
use lash_wasm_store_guest::bindings::exports::lash::store::process_leases::Claimed;
use lash_wasm_store_guest::bindings::exports::lash::store::processes::{
    Registration, Selection, Status,
};
use lash_wasm_store_guest::processes;
use lash_wasm_store_tests::fixtures::Place;
use lash_wasm_store_tests::process_fixtures::{open, register, says, success, tick, wake};
use lash_wasm_store_tests::recorder::Recorder;

/// How many statements the host keeps compiled for a connection.
const STATEMENT_CACHE: usize = 64;

/// A registry with a bit of everything, closed.
async fn filled(place: &Place) {
    let registry = open(place.path()).await;
    register(&registry, &["ended", "p", "q"]).await;
    for n in 0..3 {
        let keyed = tick(n).with_replay_key(format!("key {n}"));
        registry.append_event("p", keyed).await.unwrap();
        registry.append_event("p", wake("w")).await.unwrap();
    }
    let scope = SessionScope::new("s");
    let descriptor = ProcessHandleDescriptor::new(Some("kind"), Some("label"));
    for id in ["p", "q"] {
        registry
            .grant_handle(&scope, id, descriptor.clone())
            .await
            .unwrap();
    }
    registry
        .complete_process("ended", success("done"))
        .await
        .unwrap();
}

/// Damages a filled file by a statement and opens it.
async fn damaged(sql: &str) -> (Place, SqliteProcessRegistry) {
    let place = Place::new();
    filled(&place).await;
    let raw = place.raw();
    raw.execute(sql);
    drop(raw);
    let registry = open(place.path()).await;
    (place, registry)
}

const DAMAGE: &str = "is damaged: table process";

#[tokio::test]
async fn a_flipped_byte_of_an_event_is_never_an_answer() {
    let (_place, registry) = damaged(
        "UPDATE process_events SET content = CAST(replace(CAST(content AS TEXT), '\"n\":1',
             '\"n\":9') AS BLOB) WHERE id & 0xffffffff = 3",
    )
    .await;
    says(&registry.events_after("p", 0).await.unwrap_err(), DAMAGE);
    // What was not touched is answered.
    assert_eq!(registry.events_after("p", 3).await.unwrap().len(), 3);
    let again = registry
        .append_event("p", tick(1).with_replay_key("key 1"))
        .await;
    says(&again.unwrap_err(), DAMAGE);
    let first = registry.wait_event_after("p", "tick", 1).await;
    says(&first.unwrap_err(), DAMAGE);
}

/// Rows that are gone have no checksum. Lists know what must be in them.
#[tokio::test]
async fn a_row_that_is_gone_is_missed() {
    let (_place, registry) = damaged("DELETE FROM process_events WHERE id & 0xffffffff = 3").await;
    says(&registry.events_after("p", 0).await.unwrap_err(), DAMAGE);
    let (_place, registry) = damaged("DELETE FROM process_events WHERE id & 0xffffffff = 6").await;
    says(&registry.events_after("p", 5).await.unwrap_err(), DAMAGE);
    says(
        &registry.wake_events_after("p", 0).await.unwrap_err(),
        DAMAGE,
    );
    let (_place, registry) = damaged("DELETE FROM process_grants WHERE process = 2").await;
    says(
        &registry.handle_grants_for_process("p").await.unwrap_err(),
        DAMAGE,
    );
    let (_place, registry) = damaged("DELETE FROM process_states WHERE seq = 2").await;
    let error = registry.try_get_process("p").await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    says(&registry.list_non_terminal().await.unwrap_err(), DAMAGE);
    let (_place, registry) = damaged("DELETE FROM processes WHERE seq = 2").await;
    says(&registry.list_non_terminal().await.unwrap_err(), DAMAGE);
    let all = ProcessListFilter::default();
    says(&registry.list_processes(&all).await.unwrap_err(), DAMAGE);
    let (_place, registry) = damaged("DELETE FROM process_outcomes").await;
    says(&registry.await_process("ended").await.unwrap_err(), DAMAGE);
}

#[tokio::test]
async fn a_changed_column_is_never_an_answer() {
    for (sql, id) in [
        (
            "UPDATE process_states SET status = 0 WHERE status = 1",
            "ended",
        ),
        (
            "UPDATE process_states SET last_sequence = 5 WHERE seq = 2",
            "p",
        ),
        (
            "UPDATE process_states SET fencing_token = 0 WHERE seq = 2",
            "p",
        ),
        ("UPDATE processes SET created_at_ms = 7 WHERE seq = 2", "p"),
        ("UPDATE processes SET content = x'7b7d' WHERE seq = 2", "p"),
        ("UPDATE process_outcomes SET outcome = x'7b7d'", "ended"),
    ] {
        let (place, registry) = damaged(sql).await;
        let error = registry.try_get_process(id).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{sql}: {error}");
        assert_eq!(error.path(), place.path());
        assert!(registry.get_process(id).await.is_none());
    }
}

/// An index that has lost an entry hides a row, which then is not done, started or
/// granted again: the other index gives it away. SQLite itself does not notice.
#[tokio::test]
async fn one_damaged_index_hides_nothing() {
    // What an index of that name leads to is no longer what the table holds.
    let hide = |place: &Place, index: &str, on: &str, keep: &str| {
        let raw = place.raw();
        let connection = raw.connection();
        connection
            .execute_batch("PRAGMA writable_schema = ON")
            .unwrap();
        let restore: String = connection
            .query_row(
                "SELECT coalesce(sql, '') FROM sqlite_schema WHERE name = ?1",
                [index],
                |row| row.get(0),
            )
            .unwrap();
        let partial = format!("CREATE INDEX {index} ON {on} WHERE {keep}");
        connection
            .execute_batch(&format!(
                "DROP INDEX {index}; {partial};
                 PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = '{restore}' WHERE name = '{index}';"
            ))
            .unwrap();
    };
    let scope = SessionScope::new("s");

    let place = Place::new();
    filled(&place).await;
    hide(
        &place,
        "process_events_type",
        "process_events (process, type)",
        "id & 0xffffffff <> 3",
    );
    let registry = open(place.path()).await;
    let error = registry.wait_event_after("p", "tick", 2).await.unwrap_err();
    says(&error, "two indexes lead to different rows");

    let place = Place::new();
    filled(&place).await;
    hide(
        &place,
        "process_events_replay",
        "process_events (process, replay_key)",
        "replay_key <> 'key 1'",
    );
    let registry = open(place.path()).await;
    let again = registry
        .append_event("p", tick(1).with_replay_key("key 1"))
        .await;
    says(
        &again.unwrap_err(),
        "only one of two indexes leads to the row",
    );

    let place = Place::new();
    filled(&place).await;
    hide(
        &place,
        "process_grants_scope_identity",
        "process_grants (scope_identity, process)",
        "process <> 2",
    );
    let registry = open(place.path()).await;
    says(
        &registry.list_handle_grants(&scope).await.unwrap_err(),
        DAMAGE,
    );

    let place = Place::new();
    filled(&place).await;
    hide(
        &place,
        "process_grants_session",
        "process_grants (session_id)",
        "process <> 2",
    );
    let registry = open(place.path()).await;
    let deleted = registry.delete_session_process_state("s").await;
    says(&deleted.unwrap_err(), DAMAGE);
    assert!(registry.has_handle_grant(&scope, "q").await.unwrap());
}

#[tokio::test]
async fn a_damaged_process_is_not_pruned() {
    let (place, registry) = damaged(
        "INSERT INTO process_events SELECT (1 << 32) | 9, 1, type, type_identity, 'k', 5,
             payload_hash, wake, content_hash, checksum, content
         FROM process_events WHERE id & 0xffffffff = 1 LIMIT 1",
    )
    .await;
    let before = place.raw().dump();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let error = registry.prune_ended(later, None).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert_eq!(place.raw().dump(), before);
}

fn draft(id: &str, last_sequence: u64) -> Draft {
    Draft {
        process_id: id.to_owned(),
        event_type: "tick".to_owned(),
        replay_key: Some(format!("key {last_sequence}")),
        payload_hash: "hash".to_owned(),
        content: vec![1; 200],
        occurred_at_ms: 1,
        wakes: last_sequence.is_multiple_of(2),
        end: None,
        last_sequence,
        fencing_token: None,
        release: None,
    }
}

#[track_caller]
fn append(recorder: &Recorder, draft: &Draft) -> u64 {
    match processes::append(recorder, draft).unwrap() {
        Appended::Sequence(sequence) => sequence,
        other => panic!("{other:?}"),
    }
}

fn recorder(ids: &[&str]) -> Recorder {
    let recorder = Recorder::new(processes::initialize);
    for id in ids {
        let registration = Registration {
            id: (*id).to_owned(),
            hash: "hash".to_owned(),
            content: vec![0; 50_000],
        };
        processes::register(&recorder, &registration).unwrap();
    }
    recorder.statements();
    recorder
}

/// P9. The native crate writes the whole record anew for every event, with its input
/// and all schemas, and reads all events to find one.
#[test]
fn an_append_runs_as_many_statements_after_ten_thousand_events_as_after_ten() {
    let recorder = recorder(&["p"]);
    let mut after_ten = Vec::new();
    for last in 0..10_000 {
        processes::get_basis(&recorder, "p", Some("hash"), Some(&format!("key {last}"))).unwrap();
        append(&recorder, &draft("p", last));
        let statements = recorder.statements();
        if last == 10 {
            after_ten.clone_from(&statements);
            assert!(statements.len() <= 8, "{statements:#?}");
        }
        if last > 10 {
            assert_eq!(statements, after_ten);
        }
    }
    // Registration and digests are not written.
    assert!(after_ten.iter().all(|sql| !sql.contains("INTO processes")));
    assert!(after_ten.iter().all(|sql| !sql.contains("table_digests")));
    // A registration that is known is not even read.
    let known = processes::get_basis(&recorder, "p", Some("hash"), None)
        .unwrap()
        .unwrap();
    assert!(known.process.content.is_empty());
    let unknown = processes::get_basis(&recorder, "p", Some("other"), None)
        .unwrap()
        .unwrap();
    assert_eq!(unknown.process.content.len(), 50_000);
}

/// P5, P9, P10. All statements of a database of processes fit into the cache of a
/// connection, and none reads a table from one end to the other.
#[test]
fn all_statements_fit_into_the_cache_and_none_scans() {
    let recorder = recorder(&["p"]);
    let mut texts = BTreeSet::new();
    for (round, id) in ["q", "r", "s"].into_iter().enumerate() {
        let registration = Registration {
            id: id.to_owned(),
            hash: "hash".to_owned(),
            content: vec![1],
        };
        processes::register(&recorder, &registration).unwrap();
        processes::get_basis(&recorder, id, None, Some("none")).unwrap();
        append(&recorder, &draft(id, 0));
        processes::after(&recorder, id, 0).unwrap();
        processes::wakes_after(&recorder, id, 0).unwrap();
        processes::first_of_type(&recorder, id, "tick", 0).unwrap();
        processes::acknowledge_wake(&recorder, id, 1).unwrap();
        processes::set_wait(&recorder, id, None, Some(vec![1])).unwrap();
        processes::set_external_ref(&recorder, id, None, vec![1]).unwrap();
        let grant = |scope: &str| Grant {
            session_id: "session".to_owned(),
            scope_id: scope.to_owned(),
            process_id: id.to_owned(),
            descriptor: vec![1],
        };
        processes::grant_handle(&recorder, grant("a")).unwrap();
        processes::grant_handle(&recorder, grant("b")).unwrap();
        processes::is_granted(&recorder, "none", id).unwrap();
        processes::transfer(&recorder, "a", "session", "c", &[id.to_owned()]).unwrap();
        processes::of_scope(&recorder, "c", Selection::Running).unwrap();
        processes::of_process(&recorder, id).unwrap();
        processes::revoke(&recorder, "c", id).unwrap();
        processes::revoke_session(&recorder, "session").unwrap();
        let Claimed::Lease(lease) = processes::claim(&recorder, id, "owner", 1000).unwrap() else {
            panic!("it is free");
        };
        processes::renew(&recorder, id, &lease.token, 1000).unwrap();
        let end = Draft {
            end: Some(End {
                status: Status::Completed,
                outcome: vec![1],
            }),
            release: Some(lease.token),
            ..draft(id, 1)
        };
        assert_eq!(append(&recorder, &end), 2);
        processes::get_position(&recorder, id).unwrap();
        assert_eq!(
            processes::list(&recorder, Selection::Running)
                .unwrap()
                .len(),
            1
        );
        assert_eq!(processes::list(&recorder, Selection::All).unwrap().len(), 2);
        assert!(processes::get(&recorder, "none", None).unwrap().is_none());
        let ids = processes::prunable(&recorder, u64::MAX, 10).unwrap();
        assert_eq!(
            processes::prune(&recorder, u64::MAX, &ids).unwrap(),
            [id],
            "{round}"
        );
        texts.extend(recorder.statements());
    }
    // The host's own BEGIN, COMMIT and ROLLBACK are in the cache too.
    assert!(texts.len() > 30, "{texts:#?}");
    assert!(texts.len() + 4 <= STATEMENT_CACHE, "{} texts", texts.len());
    for sql in &texts {
        for step in recorder.plan(sql).unwrap() {
            assert!(!step.contains("SCAN"), "{step}: {sql}");
        }
    }
}

/// An embedder that contradicts the state of a process is refused.
#[test]
fn the_component_does_not_take_the_embedders_word() {
    let recorder = recorder(&["p"]);
    append(&recorder, &draft("p", 0));
    let append = |draft: Draft| processes::append(&recorder, &draft);
    assert!(matches!(append(draft("x", 0)).unwrap(), Appended::Unknown));
    assert!(
        matches!(append(draft("p", 0)).unwrap(), Appended::Existing(event) if event.sequence == 1)
    );
    for last in [2, u64::MAX] {
        assert!(matches!(append(draft("p", last)).unwrap(), Appended::Moved));
    }
    let end = |last, status, fencing_token| Draft {
        end: Some(End {
            status,
            outcome: Vec::new(),
        }),
        fencing_token,
        ..draft("p", last)
    };
    assert!(append(end(1, Status::Running, None)).is_err());
    processes::claim(&recorder, "p", "owner", 0).unwrap();
    assert!(matches!(
        append(end(1, Status::Failed, Some(1))).unwrap(),
        Appended::Fenced(2)
    ));
    assert!(matches!(
        append(end(1, Status::Failed, Some(2))).unwrap(),
        Appended::Sequence(2)
    ));
    assert!(append(end(2, Status::Completed, None)).is_err());
    let position = processes::get_position(&recorder, "p").unwrap().unwrap();
    assert_eq!(
        (position.last_sequence, position.status),
        (2, Status::Failed)
    );
}
