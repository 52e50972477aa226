//! Writes databases of all kinds, or reads what another build of this program wrote:
//! `other-json write DIRECTORY`, `other-json read DIRECTORY`.

use std::path::Path;

use lash_core::runtime::QueuedWorkPayload;
use lash_core::session_graph::SharedJsonValue;
use lash_core::store::RuntimeCommit;
use lash_core::{
    HostEventStore, MessageRole, ProcessAwaitOutput, ProcessEventAppendRequest, ProcessRegistry,
    ProtocolTurnOptions, RuntimePersistence, SessionNodePayload, SessionNodeRecord,
    SessionReadScope,
};
use lash_wasm_store::{Error, Store};
use lash_wasm_store_testing::effects::{self, controller, effect, ending, forbidden, marker};
use lash_wasm_store_testing::fixtures::{append, full_checkpoint, message_node, node, usage, work};
use lash_wasm_store_testing::host_events::{self, draft, request};
use lash_wasm_store_testing::process_fixtures::{self as processes, registration};
use serde_json::{Value, json};

/// Numbers of every kind, names in no order, and something deep.
fn value() -> Value {
    let deep = (0..300).fold(json!(1.5), |value, _| Value::Array(vec![value]));
    json!({
        "z": [0, -1, u64::MAX, i64::MIN, 0.1, -2.5e-300, 1e300, 4503599627370497.5],
        "a": { "y": null, "b": true, "x": "text" },
        "deep": deep,
    })
}

fn plugin_node(id: &str, parent: &str, body: Value) -> SessionNodeRecord {
    SessionNodeRecord {
        payload: SessionNodePayload::Plugin {
            plugin_type: "other".to_owned(),
            body: SharedJsonValue::new(body),
        },
        ..node(id, Some(parent))
    }
}

fn success() -> ProcessAwaitOutput {
    ProcessAwaitOutput::Success {
        value: value(),
        control: None,
    }
}

async fn write(directory: &Path) {
    let store = Store::open(&directory.join("session.db")).await.unwrap();
    let mut checkpoint = full_checkpoint(3);
    checkpoint.turn_state.protocol_turn_options = ProtocolTurnOptions { payload: value() };
    let nodes = vec![
        message_node("n0", None, MessageRole::User, "a text"),
        plugin_node("n1", "n0", value()),
    ];
    let commit = RuntimeCommit {
        checkpoint,
        usage_deltas: vec![usage("turn", "model", [1, 2, 3, 4])],
        ..append(None, nodes)
    };
    store.commit_runtime_state(commit).await.unwrap();
    let mut draft_of_work = work("a text");
    if let [QueuedWorkPayload::TurnInput { input }] = &mut draft_of_work.payloads[..] {
        input.protocol_turn_options = Some(ProtocolTurnOptions { payload: value() });
    }
    store.enqueue_queued_work(draft_of_work).await.unwrap();

    let registry = processes::open(&directory.join("processes.db")).await;
    processes::register(&registry, &["p", "q"]).await;
    let event = ProcessEventAppendRequest::new("wake", json!({ "text": "t", "value": value() }));
    registry.append_event("p", event).await.unwrap();
    registry.complete_process("p", success()).await.unwrap();

    let store = host_events::open(&directory.join("host-events.db")).await;
    let mut subscription = draft("s", "button");
    subscription.source = value();
    store.register_subscription(subscription).await.unwrap();
    let mut occurrence = request("button", "o");
    occurrence.payload = value();
    store.record_occurrence(occurrence).await.unwrap();

    let host = effects::open(&directory.join("effects.db")).await;
    let executor = ending(Ok(effects::outcome(value())));
    let executed = effects::run(&controller(&host), effect("e"), executor).await;
    assert_eq!(marker(executed), value());
}

async fn read(directory: &Path) {
    let store = Store::open(&directory.join("session.db")).await.unwrap();
    let read = store
        .load_session(SessionReadScope::FullGraph)
        .await
        .unwrap()
        .unwrap();
    let SessionNodePayload::Plugin { body, .. } = &read.graph.nodes[1].payload else {
        panic!("another payload");
    };
    assert_eq!(*body.as_ref(), value());
    let turn_state = read.checkpoint.unwrap().turn_state;
    assert_eq!(turn_state.turn_index, 3);
    assert_eq!(turn_state.protocol_turn_options.payload, value());
    let claimed = lash_wasm_store_testing::fixtures::claim(&store, 1, 1).await;
    let QueuedWorkPayload::TurnInput { input } = &claimed.unwrap().batches[0].items[0].payload
    else {
        panic!("another payload");
    };
    assert_eq!(
        input.protocol_turn_options.as_ref().unwrap().payload,
        value()
    );

    let registry = processes::open(&directory.join("processes.db")).await;
    let event = &registry.events_after("p", 0).await.unwrap()[0];
    assert_eq!(event.payload["value"], value());
    assert!(registry.await_process("p").await.unwrap() == success());
    // The same registration as before, by its digest.
    registry.register_process(registration("q")).await.unwrap();

    let store = host_events::open(&directory.join("host-events.db")).await;
    let listed = store.list_subscriptions(Default::default()).await.unwrap();
    assert_eq!(listed[0].source, value());

    let host = effects::open(&directory.join("effects.db")).await;
    let replayed = effects::run(&controller(&host), effect("e"), forbidden()).await;
    assert_eq!(marker(replayed), value());
}

/// What only a program with `arbitrary_precision` can hold is refused there.
async fn refuse(directory: &Path) {
    let store = Store::open(&directory.join("session.db")).await.unwrap();
    for text in ["1e400", "0.10000000000000000001", "123456789012345678901"] {
        let Ok(number) = serde_json::from_str::<Value>(&format!("[{text}]")) else {
            continue;
        };
        let kept = number.to_string() == format!("[{text}]");
        let put = store.try_put_typed_blob(&number).await;
        assert_eq!(
            kept,
            matches!(put, Err(Error::Encode { .. })),
            "{text}: {put:?}"
        );
        let node = plugin_node("n2", "n1", number);
        let committed = store.try_append_session_graph_nodes(&[node]).await;
        assert_eq!(kept, committed.is_err(), "{text}: {committed:?}");
        store.tombstone_nodes(&["n2".to_owned()]).await.unwrap();
        store.vacuum().await.unwrap();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().expect("write or read");
    let directory = arguments.next().expect("a directory");
    let directory = Path::new(&directory);
    match command.as_str() {
        "write" => write(directory).await,
        "read" => {
            read(directory).await;
            refuse(directory).await;
        }
        other => panic!("{other} is neither write nor read"),
    }
    let kept = serde_json::from_str::<Value>("1e400").is_ok();
    println!("{command}: ok, with the digits of numbers kept: {kept}");
}
