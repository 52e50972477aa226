//! Processes: the registry of this crate beside the native crate's and lash-core's in
//! memory.

mod engine;
mod import;
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
    /// Replay keys of the events of a process.
    keys: BTreeSet<(usize, u8)>,
    /// The process of each lease there ever was, and whether it was claimed through
    /// the second registry.
    leases: Vec<(usize, bool)>,
    /// The lease that each registry remembers of a process.
    remembered: BTreeMap<(usize, bool), usize>,
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

    pub(crate) fn is_replayed(&self, process: usize, key: u8) -> bool {
        self.keys.contains(&(process, key))
    }

    /// Whether somebody has taken a process over since it was claimed through a
    /// registry.
    pub(crate) fn is_lost(&self, process: usize, elsewhere: bool) -> bool {
        let last = self.leases.iter().rposition(|(of, _)| *of == process);
        let remembered = self.remembered.get(&(process, elsewhere));
        remembered.is_some_and(|remembered| last != Some(*remembered))
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

    fn sequence() -> BoxedStrategy<Vec<Operation>> {
        operation::sequence()
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
        let (operation, elsewhere) = match operation {
            Operation::Elsewhere(operation) => (&**operation, true),
            operation => (operation, false),
        };
        match operation {
            Operation::Register(process, _) => {
                model.events.entry(*process).or_default();
            }
            Operation::Claim { process, .. } => {
                let key = (*process, elsewhere);
                model.remembered.insert(key, model.leases.len());
                model.leases.push(key);
            }
            Operation::Release(lease) if !model.leases.is_empty() => {
                let lease = lease % model.leases.len();
                let key = (model.leases[lease].0, elsewhere);
                if model.remembered.get(&key) == Some(&lease) {
                    model.remembered.remove(&key);
                }
            }
            Operation::Reopen => model.remembered.clear(),
            Operation::Append(process, event) => {
                model.keys.extend(event.key.map(|key| (*process, key)));
                let event = &answer["ok"]["event"];
                let ends = !event["semantics"]["terminal"].is_null();
                appended(
                    model,
                    *process,
                    &event["event_type"],
                    &event["sequence"],
                    ends,
                );
            }
            Operation::Complete(process, _) => {
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

    /// The native file is imported, if there is one: every answer is still the same.
    async fn finish(engines: &mut [Engine], model: &Model, apart: bool) -> Result<(), String> {
        let mut engines = engines.iter_mut();
        let native = engines.find(|engine| engine.owner == Owner::Native);
        import::compare(native.expect("it is among them"), model, apart).await
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
