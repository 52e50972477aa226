//! Sessions: the store of this crate beside the native crate's.
//!
//! lash-core's `InMemorySessionStore` is not compared: it keeps no blobs, attachments
//! or artifacts, collects no garbage, and takes what is before a leaf and which work
//! joins a claim otherwise than the native crate, of which this one is a drop-in.

mod engine;
mod import;
pub(crate) mod model;
pub(crate) mod operation;
mod run;
mod strategy;

use std::collections::BTreeSet;

use proptest::strategy::BoxedStrategy;

use crate::answer::{Answer, is_ok};
use crate::differences;
use crate::machine::{Machine, Meant, Owner};
use engine::Engine;
use model::{COMPONENTS, Model, Queued};
use operation::{Commit, Graph, Operation};

pub(crate) struct Sessions;

impl Machine for Sessions {
    type Operation = Operation;
    type Engine = Engine;
    type Model = Model;

    const NAME: &'static str = "sessions";

    fn sequence() -> BoxedStrategy<Vec<Operation>> {
        strategy::sequence()
    }

    async fn open(sequence: &[Operation]) -> Vec<Engine> {
        let in_file = sequence.iter().any(Operation::needs_file);
        vec![
            Engine::new(Owner::Ours, in_file).await,
            Engine::new(Owner::Native, in_file).await,
        ]
    }

    fn owner(engine: &Engine) -> Owner {
        engine.owner
    }

    async fn run(engine: &mut Engine, model: &Model, operation: &Operation) -> Answer {
        run::run(engine, model, operation).await
    }

    fn meant(model: &Model, operation: &Operation, _other: Owner) -> Option<Meant<Operation>> {
        differences::session::meant(model, operation)
    }

    fn learn(model: &mut Model, operation: &Operation, answer: &Answer) {
        let answered = &answer["ok"];
        match operation {
            Operation::Commit(commit) => {
                // A replay of a turn changes nothing.
                let known = commit
                    .turn
                    .is_some_and(|turn| model.turns.contains_key(&turn.turn));
                if is_ok(answer) && !known {
                    committed(model, commit, answered);
                }
            }
            Operation::Tombstone(nodes) => {
                for node in nodes {
                    let id = model.node(*node);
                    if let Some(node) = model.nodes.iter_mut().find(|node| node.id == id) {
                        node.tombstoned = true;
                    }
                }
            }
            Operation::Vacuum => model.vacuum(),
            Operation::CollectGarbage => {
                model.blobs = model.head_blobs.clone();
                model.frames = model.head_frame.into_iter().collect();
            }
            // Both are silent about what they refuse.
            Operation::ChangeGraph(graph)
                if !model.names_twice(graph) && !model.hangs_on_nothing(graph) =>
            {
                changed(model, graph);
            }
            Operation::PutCheckpoint(..) if !answered.is_null() => {
                let stored = stored(model, answered);
                model.blobs.extend(stored);
            }
            Operation::Elsewhere(operation) => Self::learn(model, operation, answer),
            Operation::PutArtifact(name, kind, _) if is_ok(answer) => {
                model.artifacts.insert(*name, *kind);
            }
            Operation::Intent { attachment, .. } => {
                model.attachments.entry(*attachment).or_insert(false);
            }
            Operation::CommitIntents(0, attachments) => commit_intents(model, attachments),
            Operation::Forget(attachment) => drop(model.attachments.remove(attachment)),
            Operation::Enqueue(work, _) => {
                for batch in answered.as_array().expect("batches") {
                    let number = number(&batch["batch_id"]);
                    if number == model.batches {
                        model.batches += 1;
                        model.queue.push(Queued {
                            number,
                            work: work.clone(),
                            claim: None,
                        });
                    }
                }
            }
            Operation::Claim(claim) | Operation::ClaimExactly(claim, _) => {
                let Some(batches) = answered["batches"].as_array() else {
                    return;
                };
                let numbers: Vec<usize> = batches
                    .iter()
                    .map(|batch| number(&batch["batch_id"]))
                    .collect();
                for queued in &mut model.queue {
                    if numbers.contains(&queued.number) {
                        queued.claim = Some((model.claims.len(), claim.lease));
                    }
                }
                model.claims.push(numbers);
            }
            Operation::Renew(claim, lease) => {
                let claim = model.claim(*claim);
                for queued in &mut model.queue {
                    if let Some((holder, until)) = &mut queued.claim
                        && Some(*holder) == claim
                        && is_ok(answer)
                    {
                        *until = *lease;
                    }
                }
            }
            Operation::Abandon(claim) => {
                let claim = model.claim(*claim);
                for queued in &mut model.queue {
                    queued.claim.take_if(|(holder, _)| Some(*holder) == claim);
                }
            }
            Operation::Cancel(..) => {
                if let Some(number) = answered["batch_id"].as_u64() {
                    model.queue.retain(|queued| queued.number as u64 != number);
                }
            }
            _ => {}
        }
    }

    /// The native file is imported, if there is one: every answer is still the same.
    async fn finish(engines: &mut [Engine], model: &Model, apart: bool) -> Result<(), String> {
        let native = engines
            .iter_mut()
            .find(|engine| engine.owner == Owner::Native);
        import::compare(native.expect("it is among them"), model, apart).await
    }
}

fn number(value: &serde_json::Value) -> usize {
    value.as_u64().expect("a number of a name") as usize
}

fn commit_intents(model: &mut Model, attachments: &[u8]) {
    for attachment in attachments {
        if let Some(committed) = model.attachments.get_mut(attachment) {
            *committed = true;
        }
    }
}

fn changed(model: &mut Model, graph: &Graph) {
    let nodes = model.new_nodes(graph);
    model.node_count += Model::fresh(graph);
    match graph {
        Graph::Unchanged => {}
        Graph::Append(_) | Graph::Chain(_) => model.nodes.extend(nodes),
        Graph::Replace(_) | Graph::Lengthen(_) => model.nodes = nodes,
    }
}

/// The checkpoint that was answered and what it refers to.
fn stored(model: &mut Model, answered: &serde_json::Value) -> BTreeSet<(&'static str, usize)> {
    let mut stored = BTreeSet::from([("checkpoint", number(&answered["checkpoint_ref"]))]);
    for (kind, key) in COMPONENTS {
        if let Some(number) = answered["manifest"][key].as_u64() {
            stored.insert((kind, number as usize));
        }
    }
    for (kind, number) in &stored {
        let count = model.named.entry(kind).or_default();
        *count = (*count).max(number + 1);
    }
    stored
}

fn committed(model: &mut Model, commit: &Commit, answered: &serde_json::Value) {
    model.leaf = model.new_leaf(commit);
    changed(model, &commit.graph);
    model.head = Some((
        commit.session,
        answered["head_revision"].as_u64().expect("a revision"),
    ));
    let checkpoint = number(&answered["checkpoint_ref"]);
    model.head_blobs = stored(model, answered);
    model.blobs.extend(model.head_blobs.iter().copied());
    model.head_frame = commit.frame;
    model.frames.extend(commit.frame);
    if let Some(turn) = commit.turn {
        model.turns.insert(turn.turn, turn.hash);
        model.stamped.insert(checkpoint);
    }
    for completion in &commit.completions {
        let completed = model.completed(*completion);
        for queued in &model.queue {
            if let Some(key) = queued.work.source_key
                && completed.contains(&Some(queued.number))
            {
                let work = &queued.work;
                let done = (work.payload, queued.number);
                model.completed.insert((work.session, key), done);
            }
        }
        model
            .queue
            .retain(|queued| !completed.contains(&Some(queued.number)));
    }
    if commit.session == 0 {
        commit_intents(model, &commit.attachments);
    }
}
