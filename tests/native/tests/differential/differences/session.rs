//! When a session is answered otherwise, and how.

use serde_json::{Value, json};

use super::Difference;
use crate::answer::{Answer, is_error, is_ok};
use crate::machine::Meant;
use crate::session::model::Model;
use crate::session::operation::{Commit, Component, Expected, Operation};

/// The difference that an operation is going to show.
pub(crate) fn meant(model: &Model, operation: &Operation) -> Option<Meant<Operation>> {
    match operation {
        Operation::Commit(commit) => meant_by_commit(model, commit),
        Operation::Elsewhere(operation) => meant(model, operation),
        Operation::LoadPath(_) => model
            .has_changeling()
            .then(|| Meant::never_asked(Difference::RemovedParent)),
        Operation::ChangeGraph(graph) => {
            let dangles = !model.names_twice(graph) && model.hangs_on_nothing(graph);
            dangles.then(|| Meant::left_out(Difference::DanglingGraph, is_ok))
        }
        Operation::PutCheckpoint(tool, execution) => {
            let refers = model.refers_to_nothing([*tool, Component::None, *execution]);
            refers.then(|| {
                Meant::left_out(Difference::DanglingCheckpoint, |ours| {
                    is_ok(ours) && ours["ok"].is_null()
                })
            })
        }
        Operation::GetCheckpoint(number) => {
            let number = model.named("checkpoint", *number)?;
            let is_garbage = !model.blobs.contains(&("checkpoint", number));
            (is_garbage && model.stamped.contains(&number)).then(|| {
                Meant::answered(Difference::StampedManifest, |_, theirs| {
                    is_ok(theirs) && theirs["ok"].is_null()
                })
            })
        }
        Operation::CollectGarbage => meant_by_garbage(model),
        Operation::Enqueue(work, _) => {
            let key = (work.session, work.source_key?);
            let queued = model.queue.iter().any(|queued| {
                queued.work.session == work.session && queued.work.source_key == work.source_key
            });
            let (payload, number) = *model.completed.get(&key)?;
            (!queued && payload == work.payload).then(|| {
                Meant::left_out(Difference::Redelivery, move |ours| {
                    ours["ok"][0]["batch_id"] == number
                })
            })
        }
        Operation::ClaimExactly(claim, batches) => {
            let chosen = model.chosen(claim.session, batches);
            let taken = model.claimable(claim, chosen.len());
            let numbers: Vec<usize> = taken
                .iter()
                .map(|place| model.queue[*place].number)
                .collect();
            let expired = taken
                .iter()
                .any(|place| model.queue[*place].claim.is_some());
            (chosen != numbers && expired).then(|| {
                Meant::left_out(Difference::ExactClaimLeavesAlone, |ours| {
                    ours["ok"] == Value::Null && is_ok(ours)
                })
            })
        }
        Operation::Renew(claim, _) => {
            let claim = model.claim(*claim)?;
            let held = model.held(claim).len();
            (held > 0 && held < model.claims[claim].len())
                .then(|| Meant::refused(Difference::PartialRenewal, "QueuedWorkClaimExpired"))
        }
        Operation::Intent { attachment, .. } => {
            let again = model.attachments.get(attachment) == Some(&false);
            again.then(|| {
                let operations = vec![Operation::Forget(*attachment), operation.clone()];
                Meant::instead(Difference::RefreshedIntent, is_ok, operations)
            })
        }
        Operation::Uncommitted(u64::MAX) => Some(Meant::answered(
            Difference::SixtyFourBits,
            |ours, theirs| is_ok(ours) && theirs["ok"] == json!([]),
        )),
        Operation::PutArtifact(name, kind, _) => {
            let other = model.artifacts.get(name).is_some_and(|known| known != kind);
            other.then(|| Meant::refused(Difference::ArtifactKind, "Backend"))
        }
        _ => None,
    }
}

fn meant_by_garbage(model: &Model) -> Option<Meant<Operation>> {
    // The native crate removed what was garbage before.
    let kept = model.stamped.iter().filter(|number| {
        let key = ("checkpoint", **number);
        model.blobs.contains(&key) && !model.head_blobs.contains(&key)
    });
    let kept = kept.count() as u64;
    let in_head = u64::from(model.head_frame.is_some());
    let frames = model.frames.len() as u64 - in_head;
    let difference = match kept > 0 {
        true => Difference::StampedManifest,
        false => Difference::FrameBlobs,
    };
    (kept > 0 || in_head > 0 || frames > 0).then(|| {
        Meant::answered(difference, move |ours, theirs| {
            let ours = |key: &str| ours["ok"][key].as_u64().unwrap_or(0);
            let theirs = |key: &str| theirs["ok"][key].as_u64().unwrap_or(0);
            ours("roots") == theirs("roots") + in_head
                && ours("retained") == theirs("retained") + in_head
                && ours("deleted") + kept == theirs("deleted") + frames
        })
    })
}

/// In the order in which both crates check.
fn meant_by_commit(model: &Model, commit: &Commit) -> Option<Meant<Operation>> {
    if model.head.is_some_and(|(bound, _)| bound != commit.session) {
        return None;
    }
    if let Some(turn) = commit.turn
        && (turn.foreign || model.turns.contains_key(&turn.turn))
    {
        return None;
    }
    match commit.expected {
        Expected::Absent if model.head.is_some() => {
            return Some(Meant::refused(
                Difference::AbsentRevision,
                "HeadRevisionConflict",
            ));
        }
        Expected::Stale | Expected::Ahead => return None,
        Expected::Absent | Expected::Right => {}
    }
    let owns: Vec<(bool, bool)> = commit
        .completions
        .iter()
        .map(|completion| model.owns(commit.session, *completion))
        .collect();
    if owns.iter().any(|(_, as_many)| !as_many) {
        return None;
    }
    if owns.iter().any(|(exact, _)| !exact) {
        return Some(Meant::refused(
            Difference::CountedCompletion,
            "QueuedWorkClaimExpired",
        ));
    }
    let claims: Vec<Option<usize>> = commit
        .completions
        .iter()
        .map(|completion| model.claim(completion.claim))
        .collect();
    let repeats = |(place, claim): (usize, &Option<usize>)| {
        claim.is_some() && claims[..place].contains(claim)
    };
    if claims.iter().enumerate().any(repeats) {
        return Some(Meant::left_out(Difference::RepeatedCompletion, |ours| {
            is_error(ours, "Backend")
        }));
    }
    if model.names_twice(&commit.graph) {
        return None;
    }
    let refused = |difference| {
        Some(Meant::left_out(difference, |ours: &Answer| {
            is_error(ours, "Backend")
        }))
    };
    if model.refers_to_nothing([commit.tool, commit.plugin, commit.execution]) {
        return refused(Difference::DanglingCheckpoint);
    }
    if model.dangles(commit) {
        return refused(Difference::DanglingGraph);
    }
    None
}
