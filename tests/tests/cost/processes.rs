//! What the logic of processes asks of SQLite, and what it refuses, seen at its seam
//! to the database.

use std::collections::BTreeSet;

use lash_wasm_store_guest::bindings::process_types::{
    Appended, Awaited, Claimed, End, EventDraft, Grant, Registration, Selection, Status,
};
use lash_wasm_store_guest::processes;
use lash_wasm_store_guest::seam::TransactionMode;
use lash_wasm_store_testing::recorder::{Recorder, assert_fits_the_cache, assert_no_scan};

fn draft(id: &str, process_number: u64, last_sequence: u64) -> EventDraft {
    EventDraft {
        process_id: id.to_owned(),
        process_number,
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
fn append(recorder: &Recorder, draft: &EventDraft) -> u64 {
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
        let key = format!("key {last}");
        let basis = processes::get_basis(&recorder, "p", Some("hash"), Some(&key)).unwrap();
        append(&recorder, &draft("p", basis.unwrap().process.number, last));
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
    assert!(known.process.content.is_none());
    let unknown = processes::get_basis(&recorder, "p", Some("other"), None)
        .unwrap()
        .unwrap();
    assert_eq!(unknown.process.content.unwrap().len(), 50_000);
}

/// How statements end that sort what they answer, and read nothing else: who has a handle
/// of a process.
const SORTED: [&str; 1] = ["ORDER BY session_id, scope_id"];

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
        let basis = processes::get_basis(&recorder, id, None, Some("none")).unwrap();
        let number = basis.unwrap().process.number;
        append(&recorder, &draft(id, number, 0));
        processes::after(&recorder, id, 0).unwrap();
        processes::wakes_after(&recorder, id, 0).unwrap();
        processes::first_of_type(&recorder, id, "tick", 0).unwrap();
        processes::acknowledge_wake(&recorder, id, 1).unwrap();
        processes::set_wait(&recorder, id, None, Some(vec![1]), None).unwrap();
        processes::set_external_ref(&recorder, id, None, vec![1], None).unwrap();
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
        processes::of_scope(&recorder, "c", Selection::Running, None).unwrap();
        processes::of_process(&recorder, id).unwrap();
        processes::revoke(&recorder, "c", id).unwrap();
        processes::revoke_session(&recorder, "session").unwrap();
        let Claimed::Lease(lease) = processes::claim(&recorder, id, "owner", 1000).unwrap() else {
            panic!("it is free");
        };
        processes::renew(&recorder, id, &lease.token, 1000).unwrap();
        let end = EventDraft {
            end: Some(End {
                status: Status::Completed,
                outcome: vec![1],
            }),
            release: Some(lease.token),
            ..draft(id, number, 1)
        };
        assert_eq!(append(&recorder, &end), 2);
        processes::get_position(&recorder, id).unwrap();
        for (selection, count) in [(Selection::Running, 1), (Selection::All, 2)] {
            let page = processes::list(&recorder, selection, None).unwrap();
            assert_eq!(page.processes.len(), count);
        }
        assert!(processes::get(&recorder, "none", None).unwrap().is_none());
        recorder.advance(1);
        let ids = processes::prunable(&recorder, u64::MAX, 10).unwrap().ids;
        assert_eq!(
            processes::prune(&recorder, u64::MAX, &ids).unwrap(),
            [id],
            "{round}"
        );
        texts.extend(recorder.statements());
    }
    assert!(texts.len() > 30, "{texts:#?}");
    assert_fits_the_cache(&texts);
    for end in SORTED {
        let sorts = |sql: &String| sql.ends_with(end);
        assert_eq!(texts.extract_if(.., sorts).count(), 1, "{end}");
    }
    assert_no_scan(&recorder, &texts);
}

/// An embedder that contradicts the state of a process is refused.
#[test]
fn the_component_does_not_take_the_embedders_word() {
    let recorder = recorder(&["p"]);
    let process = processes::get(&recorder, "p", None).unwrap().unwrap();
    let draft = |id, last| draft(id, process.number, last);
    append(&recorder, &draft("p", 0));
    let append = |draft: EventDraft| processes::append(&recorder, &draft);
    assert!(matches!(append(draft("x", 0)).unwrap(), Appended::Unknown));
    assert!(
        matches!(append(draft("p", 0)).unwrap(), Appended::Existing(event) if event.sequence == 1)
    );
    for last in [2, u64::MAX] {
        assert!(matches!(append(draft("p", last)).unwrap(), Appended::Moved));
    }
    let of_an_earlier_process = EventDraft {
        process_number: process.number - 1,
        ..draft("p", 1)
    };
    assert!(matches!(
        append(of_an_earlier_process).unwrap(),
        Appended::Moved
    ));
    let end = |last, status, fencing_token| EventDraft {
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

/// What a waiter asks for takes no lock and costs the same after any history.
#[test]
fn waiting_begins_no_write_and_reads_no_history() {
    let recorder = recorder(&["p"]);
    let number = processes::get(&recorder, "p", None)
        .unwrap()
        .unwrap()
        .number;
    recorder.begun();
    recorder.statements();
    let mut counts = Vec::new();
    for appended in 0..200 {
        let awaited = processes::first_of_type(&recorder, "p", "never", 0).unwrap();
        assert!(matches!(awaited, Awaited::NoneUntil(last) if last == appended));
        processes::get_position(&recorder, "p").unwrap().unwrap();
        processes::last_sequences(&recorder, &["p".to_owned()]).unwrap();
        let modes = recorder.begun();
        assert!(
            modes
                .iter()
                .all(|mode| matches!(mode, TransactionMode::Read))
        );
        counts.push(recorder.statements().len());
        append(&recorder, &draft("p", number, appended));
        recorder.begun();
        recorder.statements();
    }
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}
