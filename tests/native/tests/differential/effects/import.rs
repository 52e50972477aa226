//! What the native crate has in the end, imported.

use super::engine::Engine;
use super::operation::{Effect, Ends, Operation};
use super::{Model, identifier};

/// Compares answers before and after an import, unless the last operation is meant to take
/// the engines apart. Each effect is asked for by the scope that recorded it first: another
/// one with the same identifier has its own.
pub(super) async fn compare(native: &mut Engine, model: &Model, apart: bool) -> Result<(), String> {
    let Some(imported) = native.imported().await.filter(|_| !apart) else {
        return Ok(());
    };
    let mut imported = imported.map_err(|error| format!("the import: {error}"))?;
    for ((scope, key), known) in &model.effects {
        if model.shared.get(&(identifier(*scope), *key)) != Some(scope) {
            continue;
        }
        for effect in [Effect::Code(7), *known, *known] {
            let operation = Operation::Execute {
                scope: *scope,
                kept: true,
                key: Some(*key),
                effect,
                ends: Ends::Well(7),
            };
            let before = native.run(&operation).await;
            let after = imported.run(&operation).await;
            if before != after {
                return Err(format!(
                    "{operation:?}\n  before the import: {before}\n  after it: {after}"
                ));
            }
        }
    }
    Ok(())
}
