//! Host events: the store of this crate beside the native crate's and lash-core's in
//! memory.

mod engine;
mod import;
pub(crate) mod operation;

use std::collections::BTreeMap;

use proptest::strategy::BoxedStrategy;

use crate::answer::{Answer, is_ok};
use crate::differences;
use crate::machine::{Machine, Meant, Owner};
use engine::Engine;
use operation::{Occurrence, Operation};

pub(crate) struct HostEvents;

/// What happened to host events.
#[derive(Default)]
pub(crate) struct Model {
    /// How many subscriptions there ever were.
    subscriptions: u64,
    /// How many there were when each occurrence was recorded, by its source and key.
    recorded: BTreeMap<(usize, u8), u64>,
}

impl Model {
    /// The handles that came before an occurrence have a number up to this; none if
    /// there is no later one.
    pub(crate) fn last_before(&self, occurrence: &Occurrence) -> Option<u64> {
        let recorded = self.recorded.get(&(occurrence.source, occurrence.key))?;
        (*recorded < self.subscriptions).then_some(*recorded)
    }
}

impl Machine for HostEvents {
    type Operation = Operation;
    type Engine = Engine;
    type Model = Model;

    const NAME: &'static str = "host events";

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

    async fn run(engine: &mut Engine, _model: &Model, operation: &Operation) -> Answer {
        engine.run(operation).await
    }

    fn meant(model: &Model, operation: &Operation, _other: Owner) -> Option<Meant<Operation>> {
        differences::host_events::meant(model, operation)
    }

    fn learn(model: &mut Model, operation: &Operation, answer: &Answer) {
        match operation {
            Operation::Elsewhere(operation) => Self::learn(model, operation, answer),
            Operation::Subscribe(_) => model.subscriptions += 1,
            Operation::Record(occurrence) if is_ok(answer) => {
                let key = (occurrence.source, occurrence.key);
                model.recorded.entry(key).or_insert(model.subscriptions);
            }
            _ => {}
        }
    }

    /// The native file is imported, if there is one: every answer is still the same.
    async fn finish(engines: &mut [Engine], _model: &Model, apart: bool) -> Result<(), String> {
        let mut engines = engines.iter_mut();
        let native = engines.find(|engine| engine.owner == Owner::Native);
        import::compare(native.expect("it is among them"), apart).await
    }
}
