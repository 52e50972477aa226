//! Effects: the host of this crate beside the native crate's.

mod engine;
mod import;
pub(crate) mod operation;

use std::collections::{BTreeMap, BTreeSet};

use proptest::strategy::BoxedStrategy;

use crate::answer::{Answer, is_ok};
use crate::differences::{self, Difference};
use crate::machine::{Machine, Meant, Owner};
use engine::Engine;
use operation::{Effect, Ends, Operation, Scope};

pub(crate) struct Effects;

/// What happened to effects.
#[derive(Default)]
pub(crate) struct Model {
    /// The effect that each key is for, whether it is recorded or not.
    pub(crate) effects: BTreeMap<(Scope, u8), Effect>,
    /// What this crate recorded.
    pub(crate) recorded: BTreeSet<(Scope, u8)>,
    /// The scope that the native crate recorded first under an identifier and a key.
    pub(crate) shared: BTreeMap<(String, u8), Scope>,
    /// What only one of the two recorded.
    pub(crate) apart: BTreeMap<(Scope, u8), Difference>,
    /// Whether the host replays only.
    pub(crate) replays: bool,
    /// Whether the controllers that were handed out first do.
    kept: BTreeMap<Scope, bool>,
}

impl Model {
    /// Whether the controller of this crate replays only.
    pub(crate) fn replays(&self, scope: Scope, kept: bool) -> bool {
        let handed_out = self.kept.get(&scope).filter(|_| kept);
        *handed_out.unwrap_or(&self.replays)
    }
}

/// What the native crate calls a scope.
pub(crate) fn identifier(scope: Scope) -> String {
    match scope {
        Scope::Turn(_, id) | Scope::Process(id) | Scope::Drain(_, id) => id.to_string(),
        Scope::Blank => String::new(),
    }
}

impl Machine for Effects {
    type Operation = Operation;
    type Engine = Engine;
    type Model = Model;

    const NAME: &'static str = "effects";

    fn sequence() -> BoxedStrategy<Vec<Operation>> {
        operation::sequence()
    }

    async fn open(sequence: &[Operation]) -> Vec<Engine> {
        let in_file = sequence
            .iter()
            .any(|operation| matches!(operation, Operation::Reopen));
        vec![
            Engine::new(Owner::Ours, in_file).await,
            Engine::new(Owner::Native, in_file).await,
        ]
    }

    fn owner(engine: &Engine) -> Owner {
        engine.owner
    }

    async fn run(engine: &mut Engine, _model: &Model, operation: &Operation) -> Answer {
        engine.run(operation).await
    }

    fn meant(model: &Model, operation: &Operation, _other: Owner) -> Option<Meant<Operation>> {
        differences::effects::meant(model, operation)
    }

    fn learn(model: &mut Model, operation: &Operation, answer: &Answer) {
        match *operation {
            Operation::Execute {
                scope,
                kept,
                key,
                effect,
                ends,
            } => {
                if scope == Scope::Blank {
                    return;
                }
                let native_replays = model.replays;
                let replays = model.replays(scope, kept);
                model.kept.entry(scope).or_insert(model.replays);
                let Some(key) = key else { return };
                if !is_ok(answer) && answer["executed"] == 0 {
                    return;
                }
                let shared = model.shared.get(&(identifier(scope), key));
                let others = shared.is_some_and(|first| *first != scope);
                let is_new = !model.recorded.contains(&(scope, key));
                let not_recorded =
                    matches!((effect, ends), (Effect::Code(_), Ends::NotExecuted(_)));
                if is_new && !others && !model.apart.contains_key(&(scope, key)) {
                    if native_replays && !replays {
                        let apart = Difference::ReplayOfOneController;
                        model.apart.insert((scope, key), apart);
                    } else {
                        model.shared.insert((identifier(scope), key), scope);
                        if not_recorded {
                            model.apart.insert((scope, key), Difference::NotExecuted);
                        }
                    }
                }
                model.effects.entry((scope, key)).or_insert(effect);
                if is_new && !not_recorded {
                    model.recorded.insert((scope, key));
                }
            }
            Operation::StartReplay => model.replays = true,
            Operation::Reopen => {
                model.replays = false;
                model.kept.clear();
            }
        }
    }

    /// The native file is imported, if there is one: every answer is still the same.
    async fn finish(engines: &mut [Engine], model: &Model, apart: bool) -> Result<(), String> {
        let mut engines = engines.iter_mut();
        let native = engines.find(|engine| engine.owner == Owner::Native);
        import::compare(native.expect("it is among them"), model, apart).await
    }
}
