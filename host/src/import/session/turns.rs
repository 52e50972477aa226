//! Stamps of committed turns.
//!
//! The native crate stores the result of a commit with its stamp, and its garbage
//! collection removes the manifests of old ones. Here a replay reads the manifest,
//! which is made again from the result if it is gone.

use lash_core::store::RuntimeCommitResult;
use lash_store_engine::Call;
use lash_store_engine::wit::session::TurnStamp;
use lash_store_engine::wit::session_import::{ImportedBlob, ImportedTurn};
use lash_store_engine::wit::types::BlobProfile;

use super::{blobs, manifest};
use crate::EngineError;
use crate::error::Error;
use crate::import::error::ImportError;
use crate::import::json::decode;
use crate::import::run::Run;
use crate::import::table::Table;

/// A stamp, and the manifest as it would have been stored.
struct Turn {
    turn: ImportedTurn,
    manifest: ImportedBlob,
    /// Whether the source has no manifest.
    is_gone: bool,
}

/// Brings the stamps over. None may be of a later revision than the head, nor
/// without one.
pub(super) fn import(run: &mut Run<'_>, revision: Option<u64>) -> Result<(), ImportError> {
    const TURNS: Table = Table {
        name: "runtime_turn_commits",
        columns: "turn_id, session_id, turn_commit_hash, result_json, committed_at_ms",
    };
    let path = run.source.path().to_path_buf();
    let profile = run.profile;
    run.table(
        &TURNS,
        |connection, row| {
            let result: RuntimeCommitResult = decode("the result of the commit", row.text(3)?)?;
            if revision.is_none_or(|revision| result.head_revision > revision) {
                return Err("the commit is later than the head, or there is no head".to_owned());
            }
            let manifest = manifest::to_blob(&path, &result.checkpoint_ref, &result.manifest);
            Ok(Turn {
                turn: ImportedTurn {
                    stamp: TurnStamp {
                        session_id: row.text(1)?.to_owned(),
                        turn_id: row.text(0)?.to_owned(),
                        commit_hash: row.text(2)?.to_owned(),
                    },
                    revision: result.head_revision,
                    checkpoint: result.checkpoint_ref.0.clone(),
                    committed_at_ms: row.time(4)?,
                },
                manifest: manifest.map_err(|error| error.to_string())?,
                is_gone: !blobs::exists(connection, result.checkpoint_ref.as_str())?,
            })
        },
        move |call, turns| put(call, turns, profile),
    )
}

fn put(call: &mut Call<'_>, turns: &[Turn], profile: BlobProfile) -> Result<(), Error> {
    let add_manifests = |call: &mut Call<'_>, manifests: Vec<ImportedBlob>| {
        call.session_import().add_blobs(&manifests, profile)
    };
    let gone: Vec<ImportedBlob> = turns
        .iter()
        .filter(|turn| turn.is_gone)
        .map(|turn| turn.manifest.clone())
        .collect();
    if !gone.is_empty() {
        add_manifests(call, gone)?;
    }
    let add_turns = |call: &mut Call<'_>| {
        let turns: Vec<ImportedTurn> = turns.iter().map(|turn| turn.turn.clone()).collect();
        call.session_import().add_turns(&turns)
    };
    match (add_turns(call), turns) {
        // It is there, but damaged, or it was stored as something else.
        (Err(EngineError::MissingBlob { .. } | EngineError::Invalid { .. }), [turn])
            if !turn.is_gone =>
        {
            add_manifests(call, vec![turn.manifest.clone()])?;
            Ok(add_turns(call)?)
        }
        (result, _) => Ok(result?),
    }
}
