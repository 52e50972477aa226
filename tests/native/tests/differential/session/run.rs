//! Does an operation on one store.

use lash_core::runtime::{QueuedWorkBatchDraft, QueuedWorkCompletion, QueuedWorkPayload};
use lash_core::store::{GraphCommitDelta, PersistedSessionRead, RuntimeCommit};
use lash_core::{
    AttachmentId, AttachmentIntent, BlobRef, HydratedSessionCheckpoint, MessageRole,
    PersistedTurnState, PluginSessionSnapshot, RuntimeTurnCommitStamp, SessionNodeRecord,
    SessionReadScope, ToolState, TurnInput,
};
use lash_wasm_store_testing::fixtures;
use lashlang::ModuleArtifact;
use serde_json::json;

use super::engine::Engine;
use super::model::{COMPONENTS, Model, StoredNode};
use super::operation::{Body, Commit, Component, Graph, Kind, Operation, SESSIONS, Work};
use crate::answer::{Answer, of, ok};

/// Does an operation and answers comparably.
pub(crate) async fn run(engine: &mut Engine, model: &Model, operation: &Operation) -> Answer {
    let (store, operation) = match operation {
        Operation::Elsewhere(operation) => (engine.elsewhere().await, &**operation),
        operation => (engine.store(), operation),
    };
    let answer = match operation {
        Operation::Commit(commit) => of(store
            .commit_runtime_state(request(engine, model, commit))
            .await),
        Operation::Load => of(store
            .load_session(SessionReadScope::FullGraph)
            .await
            .map(|read| read.map(session))),
        Operation::LoadPath(leaf) => {
            let leaf_node_id = leaf.map(|leaf| model.node(leaf));
            let scope = SessionReadScope::ActivePath { leaf_node_id };
            of(store
                .load_session(scope)
                .await
                .map(|read| read.map(session)))
        }
        Operation::LoadNode(node) => of(store.load_node(&model.node(*node)).await),
        Operation::Tombstone(nodes) => {
            let ids: Vec<String> = nodes.iter().map(|node| model.node(*node)).collect();
            of(store.tombstone_nodes(&ids).await)
        }
        Operation::Vacuum => of(store.vacuum().await.map(|report| report.removed_node_count)),
        Operation::CollectGarbage => of(store.gc_unreachable().await.map(|report| {
            json!({
                "roots": report.root_count,
                "retained": report.retained_blob_count,
                "deleted": report.deleted_blob_count,
            })
        })),
        Operation::SaveMeta(name) => {
            let mut meta = fixtures::meta();
            meta.session_name = name.to_string();
            of(store.save_session_meta(meta).await)
        }
        Operation::LoadMeta => of(store.load_session_meta().await),
        Operation::Describe => ok(store.describe().await.map(|info| {
            json!({
                "session": info.session_id,
                "cwd": info.cwd,
                "relation": info.relation,
                "first": info.first_user_message,
                "count": info.user_message_count,
            })
        })),
        Operation::Usage => ok(store.usage().await),
        Operation::AddUsage(source, tokens) => {
            let entry = fixtures::usage(&source.to_string(), "model", *tokens);
            store.add_usage(&[entry]).await;
            ok(())
        }
        Operation::ChangeGraph(graph) => {
            let nodes = records(model, graph);
            match graph {
                Graph::Replace(_) | Graph::Lengthen(_) => {
                    let graph = lash_core::SessionGraph::from_nodes(nodes, None);
                    store.replace_graph(&graph).await;
                }
                _ => store.append_nodes(&nodes).await,
            }
            ok(())
        }
        Operation::LoadGraph => ok(store.load_graph().await.nodes.as_slice()),
        Operation::PutCheckpoint(tool, execution) => {
            let parts = [*tool, Component::None, *execution];
            let checkpoint = checkpoint(engine, model, parts, 0);
            let (key, manifest) = store.put_checkpoint(&checkpoint).await;
            match key.as_str() {
                // It was refused.
                "" => ok(()),
                _ => ok(json!({ "checkpoint_ref": key, "manifest": manifest })),
            }
        }
        Operation::GetCheckpoint(number) => match engine.names.name("checkpoint", *number) {
            Some(key) => ok(store.get_checkpoint(&BlobRef(key.to_owned())).await),
            None => ok(()),
        },
        Operation::PutBlob(content) => {
            let key = store.put_blob(format!("blob {content}").as_bytes()).await;
            ok(engine.names.number("blob", key.as_str()))
        }
        Operation::GetBlob(number) => match engine.names.name("blob", *number) {
            Some(key) => ok(store.get_blob(&BlobRef(key.to_owned())).await),
            None => ok(()),
        },
        Operation::PutModule(number) => of(store.put_module_artifact(&module(*number)).await),
        Operation::GetModule(number) => {
            let module = module(*number);
            let read = store.get_module_artifact(&module.module_ref).await;
            of(read.map(|read| read.map(|read| read.to_store_bytes().expect("bytes"))))
        }
        Operation::PutArtifact(name, kind, content) => {
            let kind = match kind {
                Kind::Generic => "anything",
                Kind::Environment => "process_execution_env",
            };
            let content = format!("artifact {content}");
            let name = artifact(*name);
            let put = store.put_artifact_bytes(&name, kind, content.as_bytes());
            of(put.await)
        }
        Operation::GetArtifact(name) => of(store.get_artifact_bytes(&artifact(*name)).await),
        Operation::Intent {
            attachment,
            session,
            at,
        } => of(store.record_intent(AttachmentIntent {
            attachment_id: attachment_id(*attachment),
            session_id: SESSIONS[*session].to_owned(),
            canonical_uri: format!("file:{attachment}"),
            intent_at_epoch_ms: *at,
        })),
        Operation::CommitIntents(session, attachments) => {
            of(store.commit_refs(SESSIONS[*session], &attachment_ids(attachments)))
        }
        Operation::Uncommitted(older_than) => of(store
            .list_uncommitted(*older_than)
            .map(|entries| uncommitted(&entries))),
        Operation::Forget(attachment) => of(store.forget(&attachment_id(*attachment))),
        Operation::Enqueue(work, times) => {
            let mut batches = Vec::new();
            for _ in 0..*times {
                batches.push(store.enqueue_queued_work(draft(work)).await);
            }
            of(batches.into_iter().collect::<Result<Vec<_>, _>>())
        }
        Operation::Claim(claim) => {
            let claimed = store
                .claim_ready_queued_work(
                    SESSIONS[claim.session],
                    // Nobody claims twice: the native crate makes the same token for
                    // the same owner in the same ms.
                    &format!("owner {}", engine.claims.len()),
                    claim.boundary(),
                    claim.lease.ttl_ms(),
                    claim.at_most,
                )
                .await;
            engine.claims.extend(claimed.iter().flatten().cloned());
            of(claimed)
        }
        Operation::ClaimExactly(claim, batches) => {
            let batches: Vec<String> = model
                .chosen(claim.session, batches)
                .into_iter()
                .filter_map(|number| engine.names.name("batch", number).map(str::to_owned))
                .collect();
            let claimed = store
                .claim_ready_queued_work_by_batch_ids(
                    SESSIONS[claim.session],
                    &format!("owner {}", engine.claims.len()),
                    claim.boundary(),
                    claim.lease.ttl_ms(),
                    &batches,
                )
                .await;
            engine.claims.extend(claimed.iter().flatten().cloned());
            of(claimed)
        }
        Operation::Renew(claim, lease) => match model.claim(*claim) {
            Some(claim) => {
                let claim = &engine.claims[claim];
                of(store.renew_queued_work_claim(claim, lease.ttl_ms()).await)
            }
            None => ok(()),
        },
        Operation::Abandon(claim) => match model.claim(*claim) {
            Some(claim) => of(store.abandon_queued_work_claim(&engine.claims[claim]).await),
            None => ok(()),
        },
        Operation::Cancel(session, batch) => match engine.names.name("batch", *batch) {
            Some(batch) => of(store
                .cancel_queued_work_batch(SESSIONS[*session], batch)
                .await),
            None => ok(()),
        },
        Operation::Queue { session, pending } => {
            let session = SESSIONS[*session];
            of(match pending {
                true => store.list_pending_queued_work(session).await,
                false => store.list_queued_work(session).await,
            })
        }
        Operation::Reopen => {
            drop(store);
            engine.reopen().await;
            ok(())
        }
        Operation::Elsewhere(_) => unreachable!("once is enough"),
    };
    engine.names.comparable(answer)
}

fn request(engine: &Engine, model: &Model, commit: &Commit) -> RuntimeCommit {
    let leaf_node_id = model.new_leaf(commit);
    let nodes = records(model, &commit.graph);
    let parts = [commit.tool, commit.plugin, commit.execution];
    let graph = match commit.graph {
        Graph::Unchanged => GraphCommitDelta::Unchanged { leaf_node_id },
        Graph::Append(_) | Graph::Chain(_) => GraphCommitDelta::Append {
            nodes,
            leaf_node_id,
        },
        Graph::Replace(_) | Graph::Lengthen(_) => {
            GraphCommitDelta::ReplaceFull(lash_core::SessionGraph::from_nodes(nodes, leaf_node_id))
        }
    };
    let session = SESSIONS[commit.session];
    let mut base = fixtures::commit(model.expected(commit.expected));
    for frame in &mut base.agent_frames {
        // Each engine is given the same commit, but at another time.
        frame.created_at = "1970-01-01T00:00:00Z".to_owned();
        frame.execution_state_snapshot = commit
            .frame
            .map(|number| format!("frame {number}").into_bytes());
    }
    base.config.provider_id = format!("provider {}", commit.turn_index);
    RuntimeCommit {
        session_id: session.to_owned(),
        graph,
        checkpoint: checkpoint(engine, model, parts, commit.turn_index),
        usage_deltas: commit
            .usage
            .iter()
            .map(|(source, model, tokens)| {
                fixtures::usage(&source.to_string(), &model.to_string(), *tokens)
            })
            .collect(),
        turn_commit: commit.turn.map(|turn| {
            let named = SESSIONS[if turn.foreign {
                1 - commit.session
            } else {
                commit.session
            }];
            RuntimeTurnCommitStamp::new(named, turn.turn.to_string(), turn.hash.to_string())
        }),
        completed_queue_claims: completions(engine, model, commit),
        committed_attachment_ids: attachment_ids(&commit.attachments),
        ..base
    }
}

fn records(model: &Model, graph: &Graph) -> Vec<SessionNodeRecord> {
    model.new_nodes(graph).iter().map(record).collect()
}

fn checkpoint(
    engine: &Engine,
    model: &Model,
    components: [Component; 3],
    turn_index: u8,
) -> HydratedSessionCheckpoint {
    let [tool, plugin, execution] = components;
    let mut stored = COMPONENTS
        .iter()
        .zip(components)
        .map(|((kind, _), component)| {
            let number = model.referred(kind, component)?;
            engine
                .names
                .name(kind, number)
                .map(|key| BlobRef(key.to_owned()))
        });
    let new = |component| match component {
        Component::New(number) => Some(number),
        _ => None,
    };
    HydratedSessionCheckpoint {
        turn_state: PersistedTurnState {
            turn_index: usize::from(turn_index),
            ..PersistedTurnState::default()
        },
        tool_state_ref: stored.next().flatten(),
        tool_state: new(tool).map(|number| ToolState::default().with_generation(u64::from(number))),
        plugin_snapshot_ref: stored.next().flatten(),
        plugin_snapshot: new(plugin).map(|_| PluginSessionSnapshot::default()),
        plugin_snapshot_revision: new(plugin).map(u64::from),
        execution_state_ref: stored.next().flatten(),
        execution_state: new(execution).map(|number| format!("execution {number}").into_bytes()),
    }
}

fn completions(engine: &Engine, model: &Model, commit: &Commit) -> Vec<QueuedWorkCompletion> {
    let completions = commit.completions.iter().filter_map(|completion| {
        let claim = &engine.claims[model.claim(completion.claim)?];
        let batches = model.completed(*completion).into_iter().map(|batch| {
            let name = batch.and_then(|number| engine.names.name("batch", number));
            name.unwrap_or("qwb:unknown").to_owned()
        });
        Some(QueuedWorkCompletion {
            batch_ids: batches.collect(),
            ..claim.completion()
        })
    });
    completions.collect()
}

fn record(node: &StoredNode) -> SessionNodeRecord {
    let parent = node.parent.as_deref();
    match node.body {
        Body::Plugin => fixtures::node(&node.id, parent),
        Body::User => fixtures::message_node(&node.id, parent, MessageRole::User, &node.id),
        Body::Assistant => {
            fixtures::message_node(&node.id, parent, MessageRole::Assistant, &node.id)
        }
    }
}

fn session(read: PersistedSessionRead) -> serde_json::Value {
    json!({
        "session": read.session_id,
        "revision": read.head_revision,
        "config": read.config,
        "frames": read.agent_frames,
        "frame": read.current_agent_frame_id,
        "nodes": read.graph.nodes,
        "leaf": read.graph.leaf_node_id,
        "checkpoint_ref": read.checkpoint_ref,
        "checkpoint": read.checkpoint,
        "usage": read.token_ledger,
    })
}

fn module(number: usize) -> ModuleArtifact {
    let source = format!("process echo{number}(value: str) {{ finish value }}");
    ModuleArtifact::from_program(lashlang::parse(&source).expect("a program")).expect("a module")
}

fn artifact(name: u8) -> String {
    format!("artifact:{name}")
}

fn attachment_id(attachment: u8) -> AttachmentId {
    AttachmentId::new(format!("attachment {attachment}"))
}

fn attachment_ids(attachments: &[u8]) -> Vec<AttachmentId> {
    attachments.iter().map(|id| attachment_id(*id)).collect()
}

/// Oldest first. The order of those of the same time is nobody's promise.
fn uncommitted(entries: &[lash_core::AttachmentManifestEntry]) -> Vec<serde_json::Value> {
    assert!(entries.is_sorted_by_key(|entry| entry.intent_at_epoch_ms));
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|entry| (entry.intent_at_epoch_ms, entry.attachment_id.as_str()));
    entries
        .into_iter()
        .map(|entry| {
            json!({
                "attachment": entry.attachment_id.as_str(),
                "session": entry.session_id,
                "uri": entry.canonical_uri,
                "at": entry.intent_at_epoch_ms,
                "committed": entry.committed_at_epoch_ms.is_some(),
            })
        })
        .collect()
}

fn draft(work: &Work) -> QueuedWorkBatchDraft {
    let payload = QueuedWorkPayload::turn_input(TurnInput::text(work.payload.to_string()));
    QueuedWorkBatchDraft {
        source_key: work.source_key.map(|key| key.to_string()),
        merge_key: work.merge_key(),
        // Long ago, or not in this century.
        available_at_ms: if work.ready { 1 } else { 4_000_000_000_000 },
        ..QueuedWorkBatchDraft::new(work.session(), work.delivery(), work.slot(), vec![payload])
    }
}
