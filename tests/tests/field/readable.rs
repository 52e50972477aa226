//! What was accepted can be read.
//!
//! A tool result that was nested deeper than 127 levels was committed, and every later
//! load of its session failed: serde_json writes at any depth and reads 127 levels. At
//! 20,000 levels a thread of the store overflowed its stack, which ends the process.

use std::future::Future;

use lash_core::runtime::{QueuedWorkBatchDraft, QueuedWorkPayload};
use lash_core::session_graph::SharedJsonValue;
use lash_core::session_model::ProtocolEvent;
use lash_core::store::RuntimeCommit;
use lash_core::{
    AgentFrameAssignment, AgentFrameReason, AgentFrameRecord, HostEventOccurrenceRequest,
    HostEventStore, HydratedSessionCheckpoint, PersistedTurnState, PluginSessionSnapshot,
    PluginSnapshotEntry, PluginSnapshotMeta, ProcessAwaitOutput, ProcessEventAppendRequest,
    ProcessExternalRef, ProcessInput, ProcessRegistration, ProcessRegistry, ProtocolTurnOptions,
    RuntimePersistence, SessionEventRecord, SessionNodePayload, SessionNodeRecord, SessionPolicy,
    SessionReadScope, TurnInput,
};
use lash_wasm_store::{Error, SqliteHostEventStore};
use lash_wasm_store_testing::effects::{self, controller, effect, ending, forbidden, marker};
use lash_wasm_store_testing::fixtures::{Place, append, commit, graph, node, replace, work};
use lash_wasm_store_testing::host_events::{draft, request};
use lash_wasm_store_testing::process_fixtures::{self as processes, registration};
use serde_json::{Value, json};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

/// What comes back: what serde_json reads by itself, the first that it does not, and
/// what is promised.
const ACCEPTED: [usize; 4] = [127, 128, 400, 1000];

/// What is refused: a little more than there may be, and what overflows any stack.
const REFUSED: [usize; 3] = [1025, 20_000, 100_000];

/// Lists and maps in each other, without anything that recurses.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!("inside"), |value, level| match level % 2 {
        0 => Value::Array(vec![value]),
        _ => Value::Object([("a".to_owned(), value)].into_iter().collect()),
    })
}

/// Does the work on a thread on which the values of the test can be dropped. The threads
/// of the store have the stacks that they always have.
fn with_deep_values<F: Future>(work: impl FnOnce() -> F + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let thread = std::thread::Builder::new().stack_size(1 << 30);
    let work = thread.spawn(move || drop(runtime.block_on(work())));
    work.unwrap().join().unwrap();
}

fn plugin_node(id: &str, body: Value) -> SessionNodeRecord {
    SessionNodeRecord {
        payload: SessionNodePayload::Plugin {
            plugin_type: "deep".to_owned(),
            body: SharedJsonValue::new(body),
        },
        ..node(id, None)
    }
}

fn protocol_node(id: &str, payload: Value) -> SessionNodeRecord {
    let event = ProtocolEvent {
        plugin_id: "deep".to_owned(),
        payload,
    };
    SessionNodeRecord {
        payload: SessionNodePayload::Event {
            event: SessionEventRecord::Protocol(event),
        },
        ..node(id, None)
    }
}

fn frame(payload: Value) -> AgentFrameRecord {
    AgentFrameRecord::new(
        "frame",
        "root",
        None,
        AgentFrameReason::default(),
        None,
        AgentFrameAssignment::from_policy(SessionPolicy::default()),
        ProtocolTurnOptions { payload },
    )
}

fn turn_state(payload: Value) -> HydratedSessionCheckpoint {
    HydratedSessionCheckpoint {
        turn_state: PersistedTurnState {
            protocol_turn_options: ProtocolTurnOptions { payload },
            ..PersistedTurnState::default()
        },
        ..HydratedSessionCheckpoint::default()
    }
}

fn snapshot(state: Value) -> HydratedSessionCheckpoint {
    let entry = PluginSnapshotEntry {
        meta: PluginSnapshotMeta {
            plugin_id: "deep".to_owned(),
            plugin_version: "1".to_owned(),
            revision: 1,
            state: Some(state),
        },
        artifacts: Vec::new(),
    };
    HydratedSessionCheckpoint {
        plugin_snapshot: Some(PluginSessionSnapshot {
            plugins: [("deep".to_owned(), entry)].into(),
        }),
        ..HydratedSessionCheckpoint::default()
    }
}

fn deep_work(payload: Value) -> QueuedWorkBatchDraft {
    let input = TurnInput {
        protocol_turn_options: Some(ProtocolTurnOptions { payload }),
        ..TurnInput::text("deep")
    };
    QueuedWorkBatchDraft {
        payloads: vec![QueuedWorkPayload::turn_input(input)],
        source_key: Some("the source".to_owned()),
        ..work("deep")
    }
}

fn deep_registration(id: &str, metadata: Value) -> ProcessRegistration {
    ProcessRegistration {
        input: ProcessInput::External { metadata }.into(),
        ..registration(id)
    }
}

fn success(value: Value) -> ProcessAwaitOutput {
    ProcessAwaitOutput::Success {
        value,
        control: None,
    }
}

fn occurrence(key: &str, payload: Value) -> HostEventOccurrenceRequest {
    HostEventOccurrenceRequest {
        payload,
        ..request("button", key)
    }
}

#[track_caller]
fn body_of(record: &SessionNodeRecord) -> &Value {
    match &record.payload {
        SessionNodePayload::Plugin { body, .. } => body.as_ref(),
        SessionNodePayload::Event {
            event: SessionEventRecord::Protocol(event),
        } => &event.payload,
        other => panic!("another payload: {other:?}"),
    }
}

#[tokio::test]
async fn a_session_that_is_nested_deeply_comes_back() {
    for depth in ACCEPTED {
        let place = Place::new();
        let value = nested(depth);
        let store = place.open().await;
        let deep = RuntimeCommit {
            agent_frames: vec![frame(value.clone())],
            current_agent_frame_id: "frame".to_owned(),
            checkpoint: HydratedSessionCheckpoint {
                plugin_snapshot: snapshot(value.clone()).plugin_snapshot,
                ..turn_state(value.clone())
            },
            ..append(
                None,
                vec![
                    plugin_node("n1", value.clone()),
                    protocol_node("n2", value.clone()),
                ],
            )
        };
        store.commit_runtime_state(deep).await.unwrap();
        store
            .enqueue_queued_work(deep_work(value.clone()))
            .await
            .unwrap();
        let blob = store.try_put_typed_blob(&value).await.unwrap();
        drop(store);

        let store = place.open().await;
        let read = store.load_session(FULL).await.unwrap().unwrap();
        for node in &read.graph.nodes {
            assert!(*body_of(node) == value, "{depth}");
        }
        assert!(read.agent_frames[0].protocol_turn_options.payload == value);
        let checkpoint = read.checkpoint.unwrap();
        assert!(checkpoint.turn_state.protocol_turn_options.payload == value);
        let plugins = checkpoint.plugin_snapshot.unwrap().plugins;
        assert!(*plugins["deep"].meta.state.as_ref().unwrap() == value);
        let listed = store.list_queued_work("root").await.unwrap();
        let QueuedWorkPayload::TurnInput { input } = &listed[0].items[0].payload else {
            panic!("another payload");
        };
        assert!(input.protocol_turn_options.as_ref().unwrap().payload == value);
        let typed: Value = store.try_get_typed_blob(&blob).await.unwrap().unwrap();
        assert!(typed == value);
    }
}

/// A call, its error, and what the error must name.
type Refusal = (Result<(), Error>, &'static str);

#[track_caller]
fn refused((result, names): Refusal, depth: usize) {
    let error = result.expect_err(names);
    let Error::TooDeep { limit, .. } = &error else {
        panic!("{names} of {depth} levels: {error:?}");
    };
    assert_eq!(*limit, 1024);
    let text = error.to_string();
    assert!(text.contains(names), "{text}");
    assert!(text.contains("deeper than 1024 levels"), "{text}");
}

#[test]
fn a_session_that_is_nested_too_deeply_is_refused_and_stays_as_it_is() {
    with_deep_values(|| async {
        let place = Place::new();
        let store = place.open().await;
        let first = append(None, vec![node("n0", None)]);
        store.commit_runtime_state(first).await.unwrap();
        let before = place.raw().dump();
        for depth in REFUSED {
            let deep = || nested(depth);
            let commits = [
                (append(Some(0), vec![plugin_node("n1", deep())]), "node n1"),
                (
                    append(Some(0), vec![protocol_node("n1", deep())]),
                    "node n1",
                ),
                (replace(Some(0), vec![plugin_node("n1", deep())]), "node n1"),
                (
                    RuntimeCommit {
                        agent_frames: vec![frame(deep())],
                        ..commit(Some(0))
                    },
                    "session head root",
                ),
                (
                    RuntimeCommit {
                        checkpoint: turn_state(deep()),
                        ..commit(Some(0))
                    },
                    "turn state",
                ),
                (
                    RuntimeCommit {
                        checkpoint: snapshot(deep()),
                        ..commit(Some(0))
                    },
                    "plugin snapshot",
                ),
            ];
            for (commit, names) in commits {
                let committed = store.try_commit_runtime_state(commit).await;
                refused((committed.map(drop), names), depth);
            }
            let nodes = [plugin_node("n1", deep())];
            let mut head = store.load_session_head().await.unwrap();
            head.graph = graph(vec![plugin_node("n1", deep())]);
            for refusal in [
                (
                    store.try_append_session_graph_nodes(&nodes).await,
                    "node n1",
                ),
                (
                    store
                        .try_replace_session_graph(&graph(nodes.to_vec()))
                        .await,
                    "node n1",
                ),
                (store.try_save_session_head(head).await.map(drop), "node n1"),
                (
                    store
                        .try_put_checkpoint(&turn_state(deep()))
                        .await
                        .map(drop),
                    "turn state",
                ),
                (
                    store
                        .try_enqueue_queued_work(deep_work(deep()))
                        .await
                        .map(drop),
                    "queued work the source",
                ),
                (store.try_put_typed_blob(&deep()).await.map(drop), "a blob"),
            ] {
                refused(refusal, depth);
            }
        }
        assert_eq!(place.raw().dump(), before);
        assert_eq!(
            store
                .load_session(FULL)
                .await
                .unwrap()
                .unwrap()
                .graph
                .nodes
                .len(),
            1
        );
    });
}

/// What a trait returns has only the text of the error.
#[track_caller]
fn too_deep(result: Result<impl Sized, impl std::fmt::Display>, names: &str) {
    let text = match result {
        Ok(_) => panic!("{names} was accepted"),
        Err(error) => error.to_string(),
    };
    assert!(text.contains("deeper than 1024 levels"), "{text}");
    assert!(text.contains(names), "{text}");
}

#[tokio::test]
async fn a_process_that_is_nested_deeply_comes_back() {
    for depth in ACCEPTED {
        let place = Place::named("processes.db");
        let value = nested(depth);
        let registry = processes::open(place.path()).await;
        let registered = deep_registration("p", value.clone());
        registry.register_process(registered).await.unwrap();
        let external = ProcessExternalRef {
            backend: "b".to_owned(),
            id: "i".to_owned(),
            metadata: Some(value.clone()),
        };
        registry.set_external_ref("p", external).await.unwrap();
        let wake = json!({ "text": "t", "deep": nested(depth - 1) });
        for _ in 0..2 {
            let event = ProcessEventAppendRequest::new("wake", wake.clone());
            registry.append_event("p", event).await.unwrap();
        }
        let listed = registry.list_non_terminal().await.unwrap();
        assert_eq!(listed.len(), 1, "{depth}");
        registry
            .complete_process("p", success(value.clone()))
            .await
            .unwrap();
        drop(registry);

        let registry = processes::open(place.path()).await;
        let record = registry.try_get_process("p").await.unwrap().unwrap();
        assert!(record.external_ref.unwrap().metadata.unwrap() == value);
        let ProcessInput::External { metadata } = &*record.input else {
            panic!("another input");
        };
        assert!(*metadata == value);
        let events = registry.events_after("p", 0).await.unwrap();
        assert!(events[0].payload == wake && events[1].payload == wake);
        let ended = registry.await_process("p").await.unwrap();
        assert!(ended == success(value));
    }
}

#[test]
fn a_process_that_is_nested_too_deeply_is_refused_and_stays_as_it_is() {
    with_deep_values(|| async {
        let place = Place::named("processes.db");
        let registry = processes::open(place.path()).await;
        processes::register(&registry, &["p"]).await;
        let before = place.raw().dump();
        for depth in REFUSED {
            let deep = || nested(depth);
            let registered = deep_registration("q", deep());
            too_deep(registry.register_process(registered).await, "process q");
            let external = ProcessExternalRef {
                backend: "b".to_owned(),
                id: "i".to_owned(),
                metadata: Some(deep()),
            };
            too_deep(registry.set_external_ref("p", external).await, "process p");
            let event = ProcessEventAppendRequest::new("wake", json!({ "text": deep() }));
            too_deep(registry.append_event("p", event).await, "process p");
            too_deep(
                registry.complete_process("p", success(deep())).await,
                "process p",
            );
        }
        assert_eq!(place.raw().dump(), before);
        registry
            .complete_process("p", success(json!(1)))
            .await
            .unwrap();
    });
}

#[tokio::test]
async fn host_events_that_are_nested_deeply_come_back() {
    for depth in ACCEPTED {
        let place = Place::named("host-events.db");
        let value = nested(depth);
        let store = SqliteHostEventStore::open(place.path()).await.unwrap();
        let mut subscription = draft("s", "button");
        subscription.source = value.clone();
        let subscribed = store.register_subscription(subscription).await.unwrap();
        assert!(subscribed.source == value);
        store
            .record_occurrence(occurrence("o", value.clone()))
            .await
            .unwrap();
        drop(store);

        let store = SqliteHostEventStore::open(place.path()).await.unwrap();
        let listed = store.list_subscriptions(Default::default()).await.unwrap();
        assert!(listed[0].source == value);
        let again = store
            .record_occurrence(occurrence("o", value.clone()))
            .await
            .unwrap();
        assert!(again.payload == value);
        let id = again.occurrence_id;
        let reserved = store.reserve_matching_deliveries(&id).await.unwrap();
        assert!(reserved[0].occurrence.payload == value);
    }
}

#[test]
fn host_events_that_are_nested_too_deeply_are_refused() {
    with_deep_values(|| async {
        let place = Place::named("host-events.db");
        let store = SqliteHostEventStore::open(place.path()).await.unwrap();
        let before = place.raw().dump();
        for depth in REFUSED {
            let mut subscription = draft("s", "button");
            subscription.source = nested(depth);
            subscription.name = Some("a name".to_owned());
            too_deep(store.register_subscription(subscription).await, "a name");
            let recorded = store
                .record_occurrence(occurrence("o", nested(depth)))
                .await;
            too_deep(recorded, "the occurrence");
        }
        assert_eq!(place.raw().dump(), before);
    });
}

#[tokio::test]
async fn an_effect_that_is_nested_deeply_is_replayed() {
    for depth in ACCEPTED {
        let place = effects::place();
        let value = nested(depth);
        let host = effects::open(place.path()).await;
        for key in ["a", "b"] {
            let executor = ending(Ok(effects::outcome(value.clone())));
            let executed = effects::run(&controller(&host), effect(key), executor).await;
            assert!(marker(executed) == value);
        }
        drop(host);
        let host = effects::open(place.path()).await;
        let again = controller(&host);
        for key in ["a", "b"] {
            assert!(marker(effects::run(&again, effect(key), forbidden()).await) == value);
        }
    }
}

#[test]
fn an_effect_that_is_nested_too_deeply_is_given_back() {
    with_deep_values(|| async {
        let place = effects::place();
        let host = effects::open(place.path()).await;
        for depth in REFUSED {
            let executor = ending(Ok(effects::outcome(nested(depth))));
            let refused = effects::run(&controller(&host), effect("a"), executor).await;
            let error = refused.expect_err("an error");
            assert_eq!(error.code, "sqlite_effect_replay_too_deep");
            too_deep(Err::<(), _>(error), "effect a in scope");
        }
        // Nothing was recorded, and nobody holds it.
        let executed = effects::run(&controller(&host), effect("a"), effects::returning("x")).await;
        assert_eq!(marker(executed), "x");
    });
}
