//! What is done to effects.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use crate::machine::sequence_of;

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Execute {
        scope: Scope,
        /// Whether by a controller that was handed out when the scope was first used.
        kept: bool,
        key: Option<u8>,
        effect: Effect,
        ends: Ends,
    },
    /// From now on, effects of which nothing is recorded fail.
    StartReplay,
    Reopen,
}

/// A scope of effects. Some have the same identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// A session and a turn.
    Turn(u8, u8),
    Process(u8),
    Drain(u8, u8),
    /// Without an identifier, which is refused.
    Blank,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Executes code, of which there are several.
    Code(u8),
    /// Sleeps not at all.
    Sleep,
    /// Starts a process.
    Start(u8),
    /// Asks a process to end.
    Cancel(u8),
}

/// How an executed effect ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Well(u8),
    /// With an error that it would have again.
    Failed(u8),
    /// With an error that says that it could not be executed.
    NotExecuted(u8),
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        8 => Just(Scope::Turn(0, 0)),
        3 => Just(Scope::Turn(0, 1)),
        1 => Just(Scope::Turn(1, 1)),
        1 => Just(Scope::Process(1)),
        2 => Just(Scope::Process(2)),
        1 => Just(Scope::Drain(0, 2)),
        1 => Just(Scope::Blank),
    ]
}

fn effect() -> impl Strategy<Value = Effect> {
    prop_oneof![
        8 => Just(Effect::Code(0)),
        1 => Just(Effect::Code(1)),
        2 => Just(Effect::Sleep),
        2 => (0..2_u8).prop_map(Effect::Start),
        1 => (0..2_u8).prop_map(Effect::Cancel),
    ]
}

fn ends() -> impl Strategy<Value = Ends> {
    prop_oneof![
        6 => (0..3_u8).prop_map(Ends::Well),
        2 => (0..3_u8).prop_map(Ends::Failed),
        1 => (0..3_u8).prop_map(Ends::NotExecuted),
    ]
}

fn operation() -> BoxedStrategy<Operation> {
    let key = prop::option::weighted(0.97, 0..12_u8);
    let execute = (scope(), any::<bool>(), key, effect(), ends());
    prop_oneof![
        20 => execute.prop_map(|(scope, kept, key, effect, ends)| Operation::Execute {
            scope,
            kept,
            key,
            effect,
            ends,
        }),
        1 => Just(Operation::StartReplay),
    ]
    .boxed()
}

/// Any sequence. Few need files, which are slow.
pub(crate) fn sequence() -> BoxedStrategy<Vec<Operation>> {
    let in_file = prop_oneof![20 => operation(), 1 => Just(Operation::Reopen)];
    prop_oneof![3 => sequence_of(operation()), 1 => sequence_of(in_file)].boxed()
}
