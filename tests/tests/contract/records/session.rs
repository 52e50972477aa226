//! Sessions.

use lash_core::{
    AttachmentManifest, BlobRef, LashlangArtifactStore, RuntimePersistence, SessionReadScope,
};
use lash_wasm_store::inspect::Inspector;
use lash_wasm_store::{BlobArtifactDescriptor, EngineError, Store};
use lash_wasm_store_testing::damage_fixture::Session;
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, append, json, large_node, ledger, noise, work,
};
use serde_json::{Value, json};

use super::{assert_complete, bytes, records, rest};

/// A session with something of everything.
async fn rich() -> (Session, Place) {
    let session = Session::new().await;
    let place = Place::new();
    std::fs::write(place.path(), &session.bytes).unwrap();
    (session, place)
}

const TABLES: [(&str, &str); 12] = [
    ("metadata", "session_meta"),
    ("head", "session_head"),
    ("node", "graph_nodes"),
    ("removed_node", "removed_nodes"),
    ("blob", "blobs"),
    ("artifact", "artifacts"),
    ("usage_entry", "usage_entries"),
    ("usage_total", "usage_totals"),
    ("turn", "runtime_turn_commits"),
    ("queued_batch", "queued_batches"),
    ("completed_batch", "completed_sources"),
    ("attachment", "attachment_intents"),
];

#[tokio::test]
async fn records_hold_all_that_can_be_read_of_a_session() {
    let (_session, place) = rich().await;
    let found = records(place.path()).await;
    assert_complete(place.path(), &found, &TABLES);
    assert_eq!(
        found["database"],
        [json!({"record": "database", "kind": "session", "schema_version": 1})]
    );
    let store = Store::open_readonly(place.path()).await.unwrap();

    let read = store
        .load_session(SessionReadScope::FullGraph)
        .await
        .unwrap()
        .unwrap();
    let head = &found["head"][0];
    assert_eq!(head["session_id"], read.session_id);
    assert_eq!(head["revision"], read.head_revision);
    assert_eq!(head["leaf"], json(&read.graph.leaf_node_id));
    assert_eq!(head["checkpoint"], json(&read.checkpoint_ref));
    assert_eq!(head["content"]["config"], json(&read.config));
    assert_eq!(head["content_encoding"], "json");

    let shown: Vec<&Value> = found["node"]
        .iter()
        .filter(|node| node["tombstoned"] == false)
        .collect();
    assert!(shown.len() < found["node"].len());
    let bodies: Vec<&Value> = shown.iter().map(|node| &node["body"]).collect();
    assert_eq!(json!(bodies), json(&read.graph.nodes));
    for node in &shown {
        assert_eq!(node["id"], node["body"]["node_id"]);
        let id = node["id"].as_str().unwrap();
        let loaded = store.load_node(id).await.unwrap();
        assert_eq!(node["body"], json(&loaded), "{id}");
    }

    for blob in &found["blob"] {
        let key = BlobRef(blob["key"].as_str().unwrap().to_owned());
        let content = store.try_get_blob(&key).await.unwrap();
        assert_eq!(Some(bytes(blob, "content")), content, "{key}");
    }
    for checkpoint in &found["checkpoint"] {
        let key = BlobRef(checkpoint["key"].as_str().unwrap().to_owned());
        let stored = store.try_get_checkpoint(&key).await.unwrap().unwrap();
        assert_eq!(checkpoint["turn_state"], json(&stored.turn_state));
        assert_eq!(checkpoint["turn_state_encoding"], "messagepack");
        assert_eq!(checkpoint["tool_state"], json(&stored.tool_state_ref));
        assert_eq!(
            checkpoint["plugin_snapshot"],
            json(&stored.plugin_snapshot_ref)
        );
        assert_eq!(
            checkpoint["plugin_snapshot_revision"],
            json(&stored.plugin_snapshot_revision)
        );
        assert_eq!(
            checkpoint["execution_state"],
            json(&stored.execution_state_ref)
        );
    }
    let content = |key: &Value| {
        let blob = found["blob"].iter().find(|blob| blob["key"] == *key);
        bytes(blob.unwrap(), "content")
    };
    for artifact in &found["artifact"] {
        if artifact["space"] == "bytes" {
            let name = artifact["name"].as_str().unwrap();
            let stored = store.get_artifact_bytes(name).await.unwrap();
            assert_eq!(stored, Some(content(&artifact["blob"])), "{name}");
        }
    }
    for turn in &found["turn"] {
        assert!(!content(&turn["checkpoint"]).is_empty());
    }

    let entries = found["usage_entry"].iter().map(|entry| {
        let tokens = [
            "input_tokens",
            "output_tokens",
            "cached_input_tokens",
            "reasoning_tokens",
        ];
        let text = |field| entry[field].as_str().unwrap().to_owned();
        (
            text("source"),
            text("model"),
            tokens.map(|field| entry[field].as_i64().unwrap()),
        )
    });
    let stored = store.try_load_usage_deltas().await.unwrap();
    assert_eq!(entries.collect::<Vec<_>>(), ledger(&stored));

    let queued = store.list_queued_work(SESSION).await.unwrap();
    assert_eq!(queued.len(), found["queued_batch"].len());
    for (record, batch) in found["queued_batch"]
        .iter()
        .zip(json(&queued).as_array().unwrap())
    {
        assert_eq!(record["id"], batch["batch_id"]);
        assert_eq!(record["sequence"], batch["enqueue_seq"]);
        assert_eq!(record["source_key"], batch["source_key"]);
        assert_eq!(record["merge_key"], batch["merge_key"]);
        assert_eq!(record["available_at_ms"], batch["available_at_ms"]);
        assert_eq!(record["enqueued_at_ms"], batch["enqueued_at_ms"]);
        let items = batch["items"].as_array().unwrap();
        let payloads: Vec<&Value> = items.iter().map(|item| &item["payload"]).collect();
        assert_eq!(record["payloads"], json!(payloads));
    }
    let claimed = found["queued_batch"]
        .iter()
        .filter(|batch| !batch["claim_id"].is_null());
    assert!(claimed.count() > 0);

    let meta = json(&store.try_load_session_meta().await.unwrap());
    for field in [
        "session_id",
        "session_name",
        "created_at",
        "model",
        "cwd",
        "relation",
    ] {
        assert_eq!(found["metadata"][0][field], meta[field], "{field}");
    }
    let uncommitted = store.list_uncommitted(u64::MAX).unwrap();
    for intent in &uncommitted {
        let record = found["attachment"].iter().find(|record| {
            record["id"] == json(&intent.attachment_id)
                && record["session_id"] == intent.session_id.as_str()
        });
        let record = record.unwrap();
        assert_eq!(record["uri"], intent.canonical_uri.as_str());
        assert_eq!(record["intent_at_ms"], intent.intent_at_epoch_ms);
        assert_eq!(record["committed_at_ms"], Value::Null);
    }
}

/// Nodes and blobs of some MiB.
async fn large(store: &Store) {
    let nodes: Vec<_> = (0..40)
        .map(|number: usize| {
            let parent = number.checked_sub(1).map(|parent| format!("n{parent}"));
            large_node(&format!("n{number}"), parent.as_deref(), 100_000)
        })
        .collect();
    let commit = append(None, nodes);
    store.commit_runtime_state(commit).await.unwrap();
    for number in 0..5 {
        let mut content = noise(700_000);
        content[0] = number;
        let descriptor = BlobArtifactDescriptor::execution_state_snapshot();
        store
            .try_put_artifact_blob(descriptor, &content)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn pages_are_bounded_and_are_of_one_snapshot_whatever_is_written_meanwhile() {
    let place = Place::new();
    let store = place.open().await;
    large(&store).await;
    let before = records(place.path()).await;

    let inspector = Inspector::open(place.path()).await.unwrap();
    let mut reading = inspector.records();
    let mut found = Vec::new();
    let mut pages = 0;
    while let Some(page) = reading.next_page().await.unwrap() {
        pages += 1;
        let lines = page
            .iter()
            .map(|record| serde_json::to_string(record).unwrap());
        // Base64 makes a third more of a blob, and a page ends with a whole record.
        let length: usize = lines.map(|line| line.len()).sum();
        assert!(length < 3 << 19, "page {pages} has {length} bytes");
        found.extend(page.iter().map(json));
        // Every page sees another database, but for the snapshot.
        let revision = Some(pages);
        let id = format!("later-{pages}");
        let node = large_node(&id, None, 10);
        store
            .commit_runtime_state(append(revision, vec![node]))
            .await
            .unwrap();
        store.tombstone_nodes(&[format!("n{pages}")]).await.unwrap();
        store.enqueue_queued_work(work(&id)).await.unwrap();
        store.try_gc_unreachable().await.unwrap();
    }
    assert!(pages > 6, "{pages}");
    let sorted = |mut values: Vec<Value>| {
        values.sort_by_key(ToString::to_string);
        values
    };
    let before = before.into_values().flatten().collect();
    assert!(sorted(found) == sorted(before));
    let after = records(place.path()).await;
    assert_eq!(after["node"].len(), 40 + usize::try_from(pages).unwrap());
    assert!(rest(&mut reading).await.is_empty());
}

#[tokio::test]
async fn records_of_a_damaged_session_are_an_error_that_names_the_damage() {
    for (sql, table) in [
        (
            "UPDATE graph_nodes SET body = x'7b7d' WHERE seq = 2",
            "graph_nodes",
        ),
        ("DELETE FROM graph_nodes WHERE seq = 2", "graph_nodes"),
        ("DELETE FROM usage_entries WHERE seq = 3", "usage_entries"),
        ("DELETE FROM blobs WHERE id = 2", "blobs"),
        ("UPDATE blobs SET content = x'00' WHERE id = 2", "blobs"),
        (
            "DELETE FROM queued_payloads WHERE seq = (SELECT max(seq) FROM queued_payloads)",
            "queued_payloads",
        ),
        (
            "UPDATE attachment_intents SET canonical_uri = 'x' WHERE attachment_id = 'shared-2' AND session_id = 'another'",
            "attachment_intents",
        ),
    ] {
        let (_session, place) = rich().await;
        place.raw().damage(sql);
        let inspector = Inspector::open(place.path()).await.unwrap();
        let mut records = inspector.records();
        let error = loop {
            match records.next_page().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("nothing was found: {sql}"),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(&error, EngineError::Corrupt { table: found, .. } if found == table),
            "{sql}: {error:?}"
        );
        let verification = inspector.verify().await.unwrap();
        assert!(!verification.is_sound(), "{sql}");
    }
}

#[tokio::test]
async fn verification_names_every_one_of_several_kinds_of_damage() {
    let (_session, place) = rich().await;
    let sound = Inspector::open(place.path()).await.unwrap();
    let verification = sound.verify().await.unwrap();
    assert_eq!(verification.problems, []);
    assert!(verification.is_sound());
    drop(sound);

    let raw = place.raw();
    raw.damage("DELETE FROM blobs WHERE key = (SELECT checkpoint FROM session_head)");
    raw.damage("UPDATE graph_nodes SET parent_seq = 9999 WHERE seq = 4");
    raw.damage("UPDATE usage_totals SET input_tokens = 7 WHERE seq = 1");
    raw.damage("UPDATE queued_batches SET lease_expires_ms = 1 WHERE seq = (SELECT max(seq) FROM queued_batches)");
    raw.damage("UPDATE session_meta SET model = 'another'");
    raw.damage("DELETE FROM artifacts WHERE id = 2");
    raw.damage("DELETE FROM runtime_turn_commits WHERE turn_id = 'turn-3'");
    let inspector = Inspector::open(place.path()).await.unwrap();
    let verification = inspector.verify().await.unwrap();
    for table in [
        "blobs",
        "graph_nodes",
        "usage_totals",
        "queued_batches",
        "session_meta",
        "artifacts",
        "runtime_turn_commits",
    ] {
        assert!(
            verification
                .problems
                .iter()
                .any(|problem| problem.table == table),
            "{table}: {verification:?}"
        );
    }
}
