//! Adding the stamps of turns of another program.

use crate::Result;
use crate::bindings::import_types::ImportedTurn;
use crate::session::blobs;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::{invalid, refuse_repeated};
use crate::storage::seam::{Environment, clamp};

use super::{find, insert};

/// The WIT function `session-import.add-turns`.
pub fn add(env: &impl Environment, turns: &[ImportedTurn]) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    for turn in turns {
        let stamp = &turn.stamp;
        if find(&session.tx, stamp)?.is_some() {
            return refuse_repeated(0, &stamp.turn_id);
        }
        let revision = i64::try_from(turn.revision)
            .map_err(|_| invalid("the revision of a turn is too high"))?;
        let key = blobs::require(&session.tx, &turn.checkpoint)?;
        if blobs::edges(&session.tx, &key)?.len() != 1 {
            return Err(invalid(
                [&turn.checkpoint, " is not an imported manifest"].concat(),
            ));
        }
        let committed_at_ms = clamp(turn.committed_at_ms);
        insert(&mut session, stamp, revision, &key, committed_at_ms)?;
    }
    session.commit()
}
