//! Processes: the registry of this crate beside the native crate's and lash-core's in
//! memory.

mod engine;
pub(crate) mod operation;

use std::collections::{BTreeMap, BTreeSet};

use proptest::strategy::BoxedStrategy;

use crate::answer::{Answer, is_ok};
use crate::differences;
use crate::machine::{Machine, Meant, Owner};
use engine::Engine;
use operation::{Operation, Scope};

pub(crate) struct Processes;

/// What happened to processes.
#[derive(Default)]
pub(crate) struct Model {
    /// The types of the events of each registered process.
    events: BTreeMap<usize, Vec<String>>,
    ended: BTreeSet<usize>,
    grants: BTreeSet<(Scope, usize)>,
}

impl Model {
    pub(crate) fn is_known(&self, process: usize) -> bool {
        self.events.contains_key(&process)
    }

    /// Whether a process is registered and has not ended.
    pub(crate) fn is_running(&self, process: usize) -> bool {
        self.is_known(process) && !self.ended.contains(&process)
    }

    /// How many events a process has.
    pub(crate) fn last_sequence(&self, process: usize) -> u64 {
        self.events.get(&process).map_or(0, Vec::len) as u64
    }

    /// Whether there is no such event yet.
    pub(crate) fn would_wait_for_event(&self, process: usize, kind: &str, after: u64) -> bool {
        self.events.get(&process).is_some_and(|events| {
            let mut later = events.iter().skip(after as usize);
            !later.any(|event| event == kind)
        })
    }

    /// Whether a transfer of handles would have moved some when it fails.
    pub(crate) fn is_transferred_in_part(
        &self,
        from: Scope,
        to: Scope,
        processes: &[usize],
    ) -> bool {
        let mut grants = self.grants.clone();
        for (moved, process) in processes.iter().enumerate() {
            if !grants.remove(&(from, *process)) {
                return moved > 0;
            }
            grants.insert((to, *process));
        }
        false
    }
}

impl Machine for Processes {
    type Operation = Operation;
    type Engine = Engine;
    type Model = Model;

    const NAME: &'static str = "processes";

    fn operation() -> BoxedStrategy<Operation> {
        operation::operation()
    }

    async fn open(sequence: &[Operation]) -> Vec<Engine> {
        let in_file = sequence.iter().any(Operation::needs_file);
        let mut engines = Vec::new();
        for owner in [Owner::Ours, Owner::Native, Owner::Memory] {
            engines.push(Engine::new(owner, in_file).await);
        }
        engines
    }

    fn owner(engine: &Engine) -> Owner {
        engine.owner
    }

    async fn run(engine: &mut Engine, model: &Model, operation: &Operation) -> Answer {
        engine.run(model, operation).await
    }

    fn meant(model: &Model, operation: &Operation, other: Owner) -> Option<Meant<Operation>> {
        differences::processes::meant(model, operation, other)
    }

    fn learn(model: &mut Model, operation: &Operation, answer: &Answer) {
        if !is_ok(answer) {
            return;
        }
        match operation {
            Operation::Register(process, _) => {
                model.events.entry(*process).or_default();
            }
            Operation::Append(process, _) => {
                let event = &answer["ok"]["event"];
                let ends = !event["semantics"]["terminal"].is_null();
                appended(model, *process, &event["event_type"], &event["sequence"], ends);
            }
            Operation::Complete(process, _) | Operation::TakeOver(process, Some(_)) => {
                let state = answer["ok"]["status"]["state"].as_str().expect("a state");
                // Completing once more is answered, and appends nothing.
                if model.is_running(*process) {
                    let kind = format!("process.{state}").into();
                    let next = (model.last_sequence(*process) + 1).into();
                    appended(model, *process, &kind, &next, true);
                }
            }
            Operation::Grant(scope, process, _) => {
                model.grants.insert((*scope, *process));
            }
            Operation::Revoke(scope, process) => {
                model.grants.remove(&(*scope, *process));
            }
            Operation::Transfer(from, to, processes) => {
                for process in processes {
                    model.grants.remove(&(*from, *process));
                    model.grants.insert((*to, *process));
                }
            }
            Operation::DeleteSession(session) => {
                model.grants.retain(|(scope, _)| scope.session != *session);
            }
            _ => {}
        }
    }
}

fn appended(model: &mut Model, process: usize, kind: &Answer, sequence: &Answer, ends: bool) {
    let events = model.events.get_mut(&process).expect("it is known");
    // A replayed event has an older sequence.
    if sequence.as_u64() == Some(events.len() as u64 + 1) {
        events.push(kind.as_str().expect("a type").to_owned());
        if ends {
            model.ended.insert(process);
        }
    }
}
