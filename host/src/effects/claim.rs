//! The right to execute an effect: taking it, keeping it, and ending it.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use lash_store_engine::Call;
use lash_store_engine::observability::Logged;
use lash_store_engine::wit::effect_import::Adopted;
use lash_store_engine::wit::effects::{Acquired, Claim, Known, Recorded, Request};
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::key::to_topic;
use crate::EngineError;
use crate::error::Error;

/// How often a result is offered again to a database that is locked, each time for
/// as long as a call waits for the lock.
const FURTHER_ATTEMPTS: usize = 3;

/// A claimed effect. Dropping it gives the claim back, so that an execution that
/// was cancelled or panicked holds up nobody until the lease expires.
pub(super) struct HeldEffect {
    shared: Arc<Shared>,
    claim: Claim,
    /// Whether it is to be given back.
    held: bool,
}

/// What came of trying to claim an effect.
pub(super) enum Taken {
    Held(HeldEffect),
    /// It is not to be executed. Never [`Known::Nothing`].
    Known(Known),
}

/// What is known of an effect, for who reads the span of the call.
pub(super) fn word(known: &Known) -> &'static str {
    match known {
        Known::Nothing => "nothing",
        Known::Finished(_) => "finished",
        Known::Conflict => "conflict",
        Known::Busy(_) => "held",
    }
}

/// Claims an effect, unless something is known of it. `scope_id` is the identifier that
/// it would have been imported with.
pub(super) async fn take(
    shared: &Arc<Shared>,
    scope_id: &str,
    request: Request,
    delay_ms: Option<u64>,
) -> Result<Taken, Error> {
    let owner = Arc::clone(shared);
    let scope_id = scope_id.to_owned();
    shared
        .db
        .urgent()
        .write("claim effect", move |call| {
            call.of_scope(&request.key.scope);
            if owner.imported.adopt(call, &scope_id, &request)? == Adopted::Conflict {
                call.ended(word(&Known::Conflict));
                return Ok(Taken::Known(Known::Conflict));
            }
            let ttl_ms = owner.lease_ttl_ms();
            let acquired = call
                .effects()
                .acquire(&request, &owner.owner_id, ttl_ms, delay_ms)?;
            // Held from here on: if nobody waits for the answer any more, dropping
            // it gives the claim back.
            Ok(match acquired {
                Acquired::Claimed(claim) => Taken::Held(HeldEffect {
                    shared: owner,
                    claim,
                    held: true,
                }),
                Acquired::Known(known) => {
                    call.ended(word(&known));
                    Taken::Known(known)
                }
            })
        })
        .await
}

/// As [`take`], for who executes nothing: gives an imported effect to its scope.
pub(super) async fn adopt(
    shared: &Arc<Shared>,
    scope_id: &str,
    request: Request,
) -> Result<Adopted, Error> {
    let owner = Arc::clone(shared);
    let scope_id = scope_id.to_owned();
    shared
        .db
        .write("adopt effect", move |call| {
            call.of_scope(&request.key.scope);
            owner.imported.adopt(call, &scope_id, &request)
        })
        .await
}

impl HeldEffect {
    /// When the effect is due, in ms since 1970.
    pub(super) fn due_at_ms(&self) -> Option<u64> {
        self.claim.due_at_ms
    }

    /// Does the work, and keeps the claim meanwhile.
    pub(super) async fn renewed_while<W: Future>(&self, work: W) -> W::Output {
        tokio::select! {
            biased;
            output = work => output,
            never = self.renewals() => match never {},
        }
    }

    async fn renewals(&self) -> Infallible {
        let interval = (self.shared.lease_ttl / 3).max(Duration::from_millis(1));
        let mut next = Instant::now() + interval;
        loop {
            sleep_until(next).await;
            next = Instant::now() + interval;
            match self.renew().await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    let scope = &self.claim.key.scope;
                    tracing::warn!(scope, "the claim of an effect was taken over");
                    return pending().await;
                }
                // The lease may last until the next time.
                Err(error) => {
                    tracing::warn!(error = %Logged(&error), "could not renew the claim of an effect");
                }
            }
        }
    }

    async fn renew(&self) -> Result<Option<u64>, Error> {
        let claim = self.claim.clone();
        let ttl_ms = self.shared.lease_ttl_ms();
        self.shared
            .db
            .urgent()
            .write("renew effect", move |call| {
                call.of_scope(&claim.key.scope);
                let renewed = call.effects().renew(&claim.key, &claim.token, ttl_ms)?;
                if renewed.is_none() {
                    call.ended("lease-lost");
                }
                Ok(renewed)
            })
            .await
    }

    /// Records how the effect ended; false if somebody else has claimed it. It is
    /// recorded even if the future is dropped.
    pub(super) async fn finish(mut self, recorded: Recorded) -> Result<bool, Error> {
        let recorded = Arc::new(recorded);
        let mut finished = self.try_finish(&recorded).await;
        // What was executed is too dear to be thrown away for a lock.
        for _ in 0..FURTHER_ATTEMPTS {
            match finished {
                Err(Error::Engine(EngineError::Busy { .. })) => {
                    finished = self.try_finish(&recorded).await
                }
                _ => break,
            }
        }
        // If it was not recorded, the next one need not wait for the lease. If it
        // was, the claim is not held any more, and nothing happens.
        self.held = finished.is_err();
        finished
    }

    async fn try_finish(&mut self, recorded: &Arc<Recorded>) -> Result<bool, Error> {
        let shared = Arc::clone(&self.shared);
        let claim = self.claim.clone();
        let recorded = Arc::clone(recorded);
        let db = self.shared.db.urgent();
        let finished = db.write_surely("finish effect", move |call| {
            call.of_scope(&claim.key.scope);
            let finished = call.effects().finish(&claim.key, &claim.token, &recorded)?;
            if !finished {
                call.ended("lease-lost");
            }
            shared.db.notify(&to_topic(&claim.key));
            Ok(finished)
        });
        // From here on a claim that is given back could overtake the result.
        self.held = false;
        finished.await
    }

    /// Gives the claim back.
    pub(super) async fn release(mut self) {
        self.held = false;
        let db = self.shared.db.urgent();
        let released = db.write_surely("release effect", self.releasing());
        if let Err(error) = released.await {
            tracing::warn!(error = %Logged(&error), "could not give an effect back");
        }
    }

    fn releasing(&self) -> impl FnOnce(&mut Call<'_>) -> Result<(), Error> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        let claim = self.claim.clone();
        move |call| {
            call.of_scope(&claim.key.scope);
            call.effects().release(&claim.key, &claim.token)?;
            shared.db.notify(&to_topic(&claim.key));
            Ok(())
        }
    }
}

impl Drop for HeldEffect {
    fn drop(&mut self) {
        if self.held {
            self.shared
                .db
                .urgent()
                .write_detached("release effect", self.releasing());
        }
    }
}
