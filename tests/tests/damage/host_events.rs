//! Damage to a database of host events: every answer is right or a typed error.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use lash_core::{
    HostEventOccurrenceRecord, HostEventStore, PluginError, TestLocalProcessRegistry,
    TriggerDeliveryReservation, TriggerSubscriptionDraft, TriggerSubscriptionFilter,
};
use lash_wasm_store::{Durability, Error, SqliteHostEventStore};
use lash_wasm_store_tests::damage::{empty_index, setting, update_table_only, wait_until_closed};
use lash_wasm_store_tests::fixtures::{Place, TestClock};
use lash_wasm_store_tests::host_events::{SOURCE_TYPE, draft, host_draft, request, subscribe};
use rusqlite::types::Value;

const NOW_MS: i64 = 1_700_000_000_000;

/// What each question was answered; an error is its text.
type Answers = BTreeMap<String, Result<String, String>>;

/// A closed file with something of everything in it.
struct File {
    bytes: Vec<u8>,
    deliveries: Vec<TriggerDeliveryReservation>,
}

async fn try_open(place: &Place) -> Result<SqliteHostEventStore, Error> {
    try_open_at(place, NOW_MS).await
}

async fn try_open_at(place: &Place, now_ms: i64) -> Result<SqliteHostEventStore, Error> {
    TestClock::at(now_ms)
        .builder()
        .durability(Durability::Normal)
        .open_host_event_store(place.path())
        .await
}

async fn open(place: &Place) -> SqliteHostEventStore {
    try_open(place).await.unwrap()
}

impl File {
    async fn new() -> Self {
        let place = Place::new();
        let store = open(&place).await;
        subscribe(&store, "a", "k").await;
        subscribe(&store, "b", "k").await;
        store.register_subscription(host_draft("k")).await.unwrap();
        let named = TriggerSubscriptionDraft {
            name: Some("name".to_owned()),
            ..draft("a", "other")
        };
        store.register_subscription(named).await.unwrap();
        subscribe(&store, "a", "k").await;
        store.cancel_subscription("a", "trigger:5").await.unwrap();
        record(&store, "k", "partly").await.unwrap();
        let partly = reserve(&store, "k", "partly").await.unwrap();
        record(&store, "other", "settled").await.unwrap();
        let settled = reserve(&store, "other", "settled").await.unwrap();
        record(&store, "k", "recorded").await.unwrap();
        store.settle_deliveries(&partly[..1]).await.unwrap();
        store.settle_deliveries(&settled).await.unwrap();
        drop(store);
        wait_until_closed(place.path());
        Self {
            bytes: std::fs::read(place.path()).unwrap(),
            deliveries: partly,
        }
    }

    /// A copy of the file.
    fn place(&self) -> Place {
        let place = Place::new();
        std::fs::write(place.path(), &self.bytes).unwrap();
        place
    }

    /// Asks every question. Those whose answers depend on what another one writes
    /// are asked of a file of their own.
    async fn ask(&self, place: &Place) -> Answers {
        wait_until_closed(place.path());
        let bytes = std::fs::read(place.path()).unwrap();
        let mut answers = Answers::new();
        let mut put = |question: &str, answer: Result<String, String>| {
            answers.insert(question.to_owned(), answer);
        };

        let store = &open(place).await;
        for (name, filter) in filters() {
            let list = store.list_subscriptions(filter).await;
            put(&format!("list {name}"), text(list));
        }
        for (source, key) in [("k", "partly"), ("other", "settled")] {
            put(
                &format!("record {key}"),
                text(record(store, source, key).await),
            );
            put(
                &format!("reserve {key}"),
                text(reserve(store, source, key).await),
            );
        }
        // That two requests conflict is an answer, which must be right.
        put("conflict", text(record(store, "other", "partly").await));
        let registry = TestLocalProcessRegistry::default();
        put(
            "unstarted",
            text(store.unstarted_deliveries(&registry).await),
        );
        put("record new", text(record(store, "k", "new").await));
        let subscribed = store.register_subscription(draft("c", "k")).await;
        put("subscribe", text(subscribed));
        put(
            "reserve recorded",
            text(reserve(store, "k", "recorded").await),
        );
        put(
            "cancel",
            text(store.cancel_subscription("a", "trigger:1").await),
        );

        for question in ["settle", "remove a", "prune"] {
            let place = Place::new();
            std::fs::write(place.path(), &bytes).unwrap();
            let store = &try_open_at(&place, 2 * NOW_MS).await.unwrap();
            let answer = match question {
                "settle" => text(self.settle(store).await),
                "prune" => text(store.prune_occurrences(later()).await),
                _ => text(store.delete_session_subscriptions("a").await),
            };
            put(question, answer);
        }
        answers
    }

    async fn settle(&self, store: &SqliteHostEventStore) -> Result<u64, Error> {
        store.settle_deliveries(&self.deliveries).await?;
        store.prune_occurrences(later()).await
    }
}

fn later() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(2 * NOW_MS.unsigned_abs())
}

async fn record(
    store: &SqliteHostEventStore,
    source_key: &str,
    key: &str,
) -> Result<HostEventOccurrenceRecord, PluginError> {
    store.record_occurrence(request(source_key, key)).await
}

async fn reserve(
    store: &SqliteHostEventStore,
    source_key: &str,
    key: &str,
) -> Result<Vec<TriggerDeliveryReservation>, PluginError> {
    let id = lash_core::deterministic_occurrence_id(&request(source_key, key))?;
    store.reserve_matching_deliveries(&id).await
}

fn filters() -> Vec<(&'static str, TriggerSubscriptionFilter)> {
    let some = |text: &str| Some(text.to_owned());
    let everything = TriggerSubscriptionFilter::default();
    vec![
        ("everything", everything.clone()),
        ("of a", TriggerSubscriptionFilter::for_session("a")),
        ("of b", TriggerSubscriptionFilter::for_session("b")),
        (
            "of nobody",
            TriggerSubscriptionFilter::for_session("nobody"),
        ),
        (
            "of the type",
            TriggerSubscriptionFilter::for_source_type(SOURCE_TYPE),
        ),
        (
            "of the source",
            TriggerSubscriptionFilter {
                source_key: some("k"),
                enabled: Some(true),
                ..TriggerSubscriptionFilter::for_source_type(SOURCE_TYPE)
            },
        ),
        (
            "of the source, ended or not",
            TriggerSubscriptionFilter {
                source_key: some("k"),
                ..TriggerSubscriptionFilter::for_source_type(SOURCE_TYPE)
            },
        ),
        (
            "of another source",
            TriggerSubscriptionFilter {
                source_key: some("other"),
                ..TriggerSubscriptionFilter::for_source_type(SOURCE_TYPE)
            },
        ),
        (
            "by name",
            TriggerSubscriptionFilter {
                name: some("name"),
                ..everything.clone()
            },
        ),
        (
            "by handle",
            TriggerSubscriptionFilter {
                handle: some("trigger:1"),
                ..everything
            },
        ),
    ]
}

fn text<T: Debug, E: ToString>(answer: Result<T, E>) -> Result<String, String> {
    answer
        .map(|answer| format!("{answer:?}"))
        .map_err(|error| error.to_string())
}

/// Whether an error says that something is damaged. That requests conflict, or
/// that an occurrence is unknown, is an answer.
fn is_refusal(error: &str) -> bool {
    // A number that is damaged may be one that is given next.
    error.contains("damaged") || error.contains("constraint failed")
}

/// Every answer is right, or an error that names what is damaged; answers which
/// questions were refused.
fn judge(what: &str, right: &Answers, found: &Answers, unconfirmed: &[&str]) -> Vec<String> {
    let mut refused = Vec::new();
    for (question, answer) in found {
        let expected = &right[question];
        match answer {
            answer if answer == expected => {}
            Err(error) if is_refusal(error) => refused.push(question.clone()),
            _ if unconfirmed.contains(&question.as_str()) => {}
            answer => unreachable!("{what}: {question}: {answer:?} instead of {expected:?}"),
        }
    }
    refused
}

/// The questions that only one index leads to an answer of, by the index and by
/// the columns that are in it. The schema says which these are and why: nothing
/// is done twice, and nothing undelivered is lost, for want of these rows.
fn unconfirmed(index_or_column: &str) -> &'static [&'static str] {
    match index_or_column {
        "subscriptions_name" | "subscriptions.name" => &["list by name"],
        "subscriptions_source" | "subscriptions.source_type" => &["list of the type"],
        "occurrences_settled" | "occurrences.unsettled" => &["prune", "settle"],
        "sqlite_autoindex_occurrences_1" | "occurrences.id" => &[
            "reserve recorded",
            "reserve partly",
            "reserve settled",
            "settle",
        ],
        "sqlite_autoindex_deliveries_1" | "deliveries.occurrence" | "deliveries.subscription" => {
            &["settle"]
        }
        _ => &[],
    }
}

/// Another value of the same type.
fn other(value: Value) -> Value {
    match value {
        Value::Null => Value::Text("x".to_owned()),
        Value::Integer(number) => Value::Integer(number ^ 1),
        Value::Real(number) => Value::Real(-number),
        Value::Text(text) => Value::Text(format!("{text}x")),
        Value::Blob(mut bytes) => {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Value::Blob(bytes)
        }
    }
}

#[tokio::test]
async fn no_column_of_any_row_can_change_without_being_noticed() {
    let file = File::new().await;
    let right = file.ask(&file.place()).await;
    assert_eq!(right.values().filter(|answer| answer.is_err()).count(), 1);
    let mut cases = 0;
    for table in [
        "subscriptions",
        "occurrences",
        "occurrence_payloads",
        "deliveries",
        "table_digests",
    ] {
        let place = file.place();
        let raw = place.raw();
        let columns = raw.texts(&format!("SELECT name FROM pragma_table_info('{table}')"));
        for rowid in raw.integers(&format!("SELECT rowid FROM {table}")) {
            // The key is moved by none of these: it would be another row's.
            for column in &columns[1..] {
                let sql = format!("SELECT {column} FROM {table} WHERE rowid = {rowid}");
                let value: Value = raw
                    .connection()
                    .query_row(&sql, [], |row| row.get(0))
                    .unwrap();
                let value = other(value);
                let damaged = file.place();
                let what = format!("{table}.{column} of {rowid} is {value:?}");
                let sql = format!("UPDATE {table} SET {column} = ?1 WHERE rowid = {rowid}");
                if !update_table_only(damaged.path(), &sql, &value) {
                    continue;
                }
                let found = file.ask(&damaged).await;
                let unconfirmed = unconfirmed(&format!("{table}.{column}"));
                let refused = judge(&what, &right, &found, unconfirmed);
                // Checksums that only an index is made of are not read.
                let derived =
                    ["session_identity", "source_identity", "identity"].contains(&column.as_str());
                assert!(
                    !refused.is_empty() || derived || !unconfirmed.is_empty(),
                    "{what}"
                );
                cases += 1;
            }
        }
    }
    assert!(cases > 90, "{cases}");
}

#[tokio::test]
async fn an_index_that_lost_its_rows_hides_no_answer_that_decides() {
    let file = File::new().await;
    let right = file.ask(&file.place()).await;
    let indexes = file
        .place()
        .raw()
        .texts("SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name");
    let mut noticed = BTreeMap::new();
    for index in indexes {
        let damaged = file.place();
        empty_index(damaged.path(), &index);
        let found = file.ask(&damaged).await;
        let refused = judge(&index, &right, &found, unconfirmed(&index));
        noticed.insert(index, refused);
    }
    for (index, question) in [
        ("deliveries_unsettled", "unstarted"),
        ("sqlite_autoindex_deliveries_1", "reserve partly"),
        ("sqlite_autoindex_occurrences_2", "record partly"),
        ("subscriptions_session_identity", "remove a"),
        ("subscriptions_session", "list of a"),
        ("subscriptions_session", "remove a"),
        ("subscriptions_source", "reserve recorded"),
        ("subscriptions_source_identity", "list of the source"),
    ] {
        let refused = &noticed[index];
        assert!(
            refused.iter().any(|refused| refused == question),
            "{index}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_row_that_is_gone_is_noticed_by_whoever_needs_it() {
    let file = File::new().await;
    for (sql, questions) in [
        (
            "DELETE FROM subscriptions WHERE seq = 4",
            &["list everything"][..],
        ),
        (
            "DELETE FROM subscriptions WHERE seq = 2",
            &["list everything", "unstarted"],
        ),
        (
            "DELETE FROM occurrences WHERE number = 1",
            &["unstarted", "remove a"][..1],
        ),
        (
            "DELETE FROM occurrence_payloads WHERE number = 1",
            &["record partly", "reserve partly", "unstarted"],
        ),
        (
            "DELETE FROM deliveries WHERE number = 2",
            &["reserve partly", "unstarted"],
        ),
        ("DELETE FROM deliveries WHERE occurrence = 2", &["prune"]),
        (
            "DELETE FROM table_digests",
            &[
                "list everything",
                "list of a",
                "record new",
                "reserve recorded",
                "subscribe",
            ],
        ),
    ] {
        let place = file.place();
        place.raw().damage(sql);
        let found = file.ask(&place).await;
        for question in questions {
            let error = found[*question].as_ref().expect_err(question);
            assert!(
                error.contains("is damaged: table"),
                "{sql}: {question}: {error}"
            );
        }
    }
}

/// Which bits are flipped: enough for a test that runs each time, and as many as
/// wanted with `LASH_DAMAGE_STEP=1`, which flips one in every byte that is used.
fn step() -> usize {
    usize::try_from(setting("LASH_DAMAGE_STEP", 67)).unwrap()
}

#[tokio::test]
async fn a_flipped_bit_never_comes_back_as_an_answer() {
    let file = File::new().await;
    let right = file.ask(&file.place()).await;
    // Whichever index it is in.
    let unconfirmed = ["list by name", "list of the type", "prune", "settle"];
    let used = (4096..file.bytes.len()).filter(|at| file.bytes[*at] != 0);
    let (mut cases, mut refusals) = (0, 0);
    for at in used.step_by(step()) {
        let place = Place::new();
        let mut bytes = file.bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(place.path(), &bytes).unwrap();
        cases += 1;
        let opened = try_open(&place).await;
        if opened.is_err() {
            refusals += 1;
            continue;
        }
        drop(opened);
        let mut found = file.ask(&place).await;
        // That an occurrence is unknown is an error to whoever asks.
        found.retain(|question, answer| {
            let unknown = |error: &String| error.contains("unknown host event occurrence");
            !(question.starts_with("reserve") && answer.as_ref().is_err_and(unknown))
        });
        let what = format!("bit {} of byte {at}", at % 8);
        refusals += judge(&what, &right, &found, &unconfirmed).len();
    }
    assert!(cases >= 40, "{cases}");
    assert!(refusals >= cases, "{refusals} refusals of {cases}");
}
