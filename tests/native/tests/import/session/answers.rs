//! Every question that reads, and what a store answers.

use std::collections::BTreeMap;

use lash_core::store::PersistedSessionRead;
use lash_core::{AttachmentManifest, LashlangArtifactStore, RuntimePersistence, SessionReadScope};
use lash_wasm_store_testing::fixtures::{SESSION, json, ledger};
use serde_json::{Value, json};

use super::workload::Workload;

/// Answers by question.
pub(crate) type Answers = BTreeMap<String, Value>;

/// Fails with the first questions that are answered differently.
pub(crate) fn assert_equal(expected: &Answers, found: &Answers) {
    let keys = |answers: &Answers| answers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(expected), keys(found));
    for (question, expected) in expected {
        let found = &found[question];
        assert!(
            found == expected,
            "{question}: {:.2000} instead of {:.2000}",
            found.to_string(),
            expected.to_string()
        );
    }
}

/// What both crates' stores have beside the traits.
#[async_trait::async_trait]
pub(crate) trait Reads:
    RuntimePersistence + LashlangArtifactStore + AttachmentManifest
{
    async fn read_others(&self, workload: &Workload, answers: &mut Answers);
}

macro_rules! reads {
    ($store:ty) => {
        #[async_trait::async_trait]
        impl Reads for $store {
            async fn read_others(&self, workload: &Workload, answers: &mut Answers) {
                let mut put = |question: String, answer: Value| {
                    answers.insert(question, answer);
                };
                for key in &workload.blobs {
                    put(format!("blob {key}"), json!(self.get_blob(key).await));
                }
                for key in &workload.checkpoints {
                    let checkpoint = self.get_checkpoint(key).await;
                    put(format!("checkpoint {key}"), json(&checkpoint));
                }
                let usage = self.load_usage_deltas().await;
                put("usage".to_owned(), json!(ledger(&usage)));
                let meta = self.load_session_meta().await;
                put("meta".to_owned(), json(&meta));
                let graph = self.load_session_graph().await;
                put("graph".to_owned(), json(&graph.nodes));
                let mut head = json(&self.load_session_head_meta().await);
                // The native crate counts when it commits, ours what there is.
                head.as_object_mut().unwrap().remove("graph_node_count");
                put("head".to_owned(), head);
                let picker = self.load_picker_info().await.unwrap();
                let picker = json!([
                    picker.session_id,
                    picker.cwd,
                    json(&picker.relation),
                    picker.first_user_message,
                    picker.user_message_count,
                ]);
                put("picker".to_owned(), picker);
            }
        }
    };
}

reads!(lash_wasm_store::Store);
reads!(lash_sqlite_store::Store);

/// Asks everything.
pub(crate) async fn answers(store: &impl Reads, workload: &Workload) -> Answers {
    let mut answers = Answers::new();
    store.read_others(workload, &mut answers).await;
    let mut put = |question: String, answer: Value| {
        answers.insert(question, answer);
    };
    let path_to = |leaf: &str| SessionReadScope::ActivePath {
        leaf_node_id: Some(leaf.to_owned()),
    };
    let full = store.load_session(SessionReadScope::FullGraph).await;
    put("load full".to_owned(), shown(full.unwrap()));
    let path = SessionReadScope::ActivePath { leaf_node_id: None };
    let path = store.load_session(path).await;
    put("load path".to_owned(), shown(path.unwrap()));
    for id in &workload.nodes {
        let node = store.load_node(id).await.unwrap();
        put(format!("node {id}"), json(&node));
        let path = store.load_session(path_to(id)).await.unwrap();
        put(format!("path to {id}"), shown(path));
    }
    for session in [SESSION, "another", "unknown"] {
        let queued = store.list_queued_work(session).await.unwrap();
        put(format!("queued for {session}"), json(&queued));
        let pending = store.list_pending_queued_work(session).await.unwrap();
        put(format!("pending for {session}"), json(&pending));
    }
    for until in [0, 4500, u64::MAX >> 1] {
        let uncommitted = store.list_uncommitted(until).unwrap();
        put(
            format!("uncommitted until {until}"),
            json!(format!("{uncommitted:?}")),
        );
    }
    for name in &workload.artifacts {
        let bytes = store.get_artifact_bytes(name).await.unwrap();
        put(format!("artifact {name}"), json!(bytes));
    }
    let module = store.get_module_artifact(&workload.module.module_ref).await;
    let module = module
        .unwrap()
        .map(|module| module.to_store_bytes().unwrap());
    put("module".to_owned(), json!(module));
    answers
}

/// A session as a value that can be compared.
fn shown(read: Option<PersistedSessionRead>) -> Value {
    read.map_or(Value::Null, |read| {
        json!({
            "session": read.session_id,
            "revision": read.head_revision,
            "config": json(&read.config),
            "frames": json(&read.agent_frames),
            "frame": read.current_agent_frame_id,
            "nodes": json(&read.graph.nodes),
            "leaf": read.graph.leaf_node_id,
            "checkpoint_ref": read.checkpoint_ref,
            "checkpoint": json(&read.checkpoint),
            "ledger": ledger(&read.token_ledger),
        })
    })
}
