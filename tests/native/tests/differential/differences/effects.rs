//! When effects are answered otherwise, and how.

use super::Difference;
use crate::answer::is_error;
use crate::effects::operation::{Effect, Operation, Scope};
use crate::effects::{Model, identifier};
use crate::machine::Meant;

/// The difference that an operation is going to show.
pub(crate) fn meant(model: &Model, operation: &Operation) -> Option<Meant<Operation>> {
    let Operation::Execute {
        scope,
        kept,
        key: Some(key),
        effect,
        ..
    } = *operation
    else {
        return None;
    };
    if scope == Scope::Blank {
        return None;
    }
    let difference = difference(model, scope, kept, key)?;
    let is_recorded = model.recorded.contains(&(scope, key));
    let replays = model.replays(scope, kept);
    let is_counted = matches!(effect, Effect::Code(_));
    let known = model.effects.get(&(scope, key));
    let is_other = known.is_some_and(|known| *known != effect);
    Some(Meant::left_out(difference, move |ours| {
        if is_other {
            return is_error(ours, "sqlite_effect_replay_hash_conflict");
        }
        let executes = !is_recorded && !replays;
        let is_missing = is_error(ours, "sqlite_effect_replay_missing");
        is_missing == (!is_recorded && replays)
            && (!is_counted || ours["executed"] == u64::from(executes))
    }))
}

fn difference(model: &Model, scope: Scope, kept: bool, key: u8) -> Option<Difference> {
    if let Some(first) = model.shared.get(&(identifier(scope), key))
        && *first != scope
    {
        return Some(Difference::SharedScope);
    }
    if let Some(apart) = model.apart.get(&(scope, key)) {
        return Some(*apart);
    }
    let is_recorded = model.recorded.contains(&(scope, key));
    let goes_on = model.replays && !model.replays(scope, kept);
    (goes_on && !is_recorded).then_some(Difference::ReplayOfOneController)
}
