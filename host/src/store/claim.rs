//! Claiming queued work.

use lash_core::StoreError;
use lash_core::runtime::QueuedWorkClaim;
use lash_store_engine::wit::queue::ClaimRequest;

use super::Store;
use crate::convert;
use crate::database::Database;

/// A claim on its way to who asked for it. If he has gone in the meantime it is given
/// back: nobody else knows its token, and the work would not be done until it
/// expires.
struct NewClaim {
    db: Database,
    /// None once it has arrived.
    claim: Option<QueuedWorkClaim>,
}

impl Drop for NewClaim {
    fn drop(&mut self) {
        let Some(claim) = self.claim.take() else {
            return;
        };
        let held = convert::queue::to_completion(claim.completion());
        self.db.write_detached("abandon claim", move |call| {
            call.of_session(&held.session_id);
            Ok(call.queue().abandon(&held)?)
        });
    }
}

impl Store {
    pub(super) async fn claim(
        &self,
        request: ClaimRequest,
    ) -> Result<Option<QueuedWorkClaim>, StoreError> {
        if request.max_batches == 0 {
            return Ok(None);
        }
        let db = self.db.clone();
        let claimed = self
            .db
            .write("claim queued work", move |call| {
                call.of_session(&request.session_id);
                let claimed = call.queue().claim(&request)?;
                if claimed.is_none() {
                    call.ended("nothing");
                }
                claimed
                    .map(|claim| {
                        let claim = Some(convert::queue::from_claim(call.path(), claim)?);
                        Ok(NewClaim { db, claim })
                    })
                    .transpose()
            })
            .await?;
        Ok(claimed.and_then(|mut new| new.claim.take()))
    }
}
