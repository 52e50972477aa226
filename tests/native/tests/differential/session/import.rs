//! What the native crate has in the end, imported.

use lash_wasm_store::import::ImportError;

use super::engine::Engine;
use super::model::Model;
use super::operation::{Node, Operation};
use super::run::run;
use crate::differences;

/// How many of each kind of thing are asked for.
const ASKED: usize = 6;

/// Compares what reads answer before and after an import. What a read of ours is meant to
/// answer otherwise is left out, and all of it after an operation that is meant to take
/// the engines apart.
pub(super) async fn compare(native: &mut Engine, model: &Model, apart: bool) -> Result<(), String> {
    let Some(imported) = native.imported().await else {
        return Ok(());
    };
    // Where the native crate takes another node for a removed parent, it may make a
    // cycle, and it accepts what refers to nothing.
    let may_be_damaged = apart || model.has_changeling();
    let mut imported = match imported {
        Ok(imported) => imported,
        Err(ImportError::Damaged { .. }) if may_be_damaged => return Ok(()),
        Err(error) => return Err(format!("the import: {error}")),
    };
    for read in reads() {
        if apart || differences::session::meant(model, &read).is_some() {
            continue;
        }
        let before = run(native, model, &read).await;
        let after = run(&mut imported, model, &read).await;
        if before != after {
            return Err(format!(
                "{read:?}\n  before the import: {before}\n  after it: {after}"
            ));
        }
    }
    Ok(())
}

fn reads() -> Vec<Operation> {
    let mut reads = vec![
        Operation::Load,
        Operation::LoadPath(None),
        Operation::LoadMeta,
        Operation::Describe,
        Operation::Usage,
        Operation::LoadGraph,
        Operation::Uncommitted(u64::MAX >> 1),
    ];
    for number in 0..ASKED {
        let node = Node::Known(number);
        reads.extend([
            Operation::LoadPath(Some(node)),
            Operation::LoadNode(node),
            Operation::GetCheckpoint(number),
            Operation::GetBlob(number),
            Operation::GetModule(number),
            Operation::GetArtifact(number as u8),
        ]);
    }
    for session in 0..2 {
        for pending in [false, true] {
            reads.push(Operation::Queue { session, pending });
        }
    }
    reads
}
