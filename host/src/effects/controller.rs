//! Deciding what is done with an effect: replay it, wait for it, or execute it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lash_core::{
    DurabilityTier, EffectScope, RuntimeEffectController, RuntimeEffectControllerError,
    RuntimeEffectEnvelope, RuntimeEffectLocalExecutor, RuntimeEffectOutcome,
};
use lash_store_engine::wit::effect_import::Adopted;
use lash_store_engine::wit::effects::{Busy, EffectKey, Known, Request};
use lash_store_engine::{MEMORY, OpenOptions, Probe, Waiter};

use super::ahead::Ahead;
use super::claim::{HeldEffect, Taken, adopt, take, word};
use super::execution::{delay_ms, execute, wait_for_due};
use super::recording::Ended;
use super::{Shared, SqliteEffectReplayOptions, error, key, recording};
use crate::error::Error;
use crate::operation;

/// How far effects are, for those who wait for them.
const GENERATIONS: Probe = |call, topics| {
    let keys: Vec<EffectKey> = topics.iter().map(|topic| key::from_topic(topic)).collect();
    call.effects().generations(&keys)
};

/// The effects of one scope.
///
/// Results are kept for the whole scope, with its kind and its session: two scopes
/// with the same identifier share nothing.
///
/// Clones share what this controller knows: whether it replays only, and whether
/// its scope is being executed for the first time.
#[derive(Clone)]
pub struct SqliteRuntimeEffectController {
    shared: Arc<Shared>,
    scope: EffectScope,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Whether nothing is executed.
    strict: AtomicBool,
    /// Whether the last effect was new, so that the next one is expected to be new
    /// too, and is claimed without being looked for first.
    forward: AtomicBool,
    ahead: Ahead,
}

/// What is to be done with an effect.
enum Decision {
    /// Answer this, when it is due.
    Replay {
        ended: Box<Ended>,
        due_at_ms: Option<u64>,
    },
    /// Execute it.
    Execute(HeldEffect),
}

impl SqliteRuntimeEffectController {
    /// Opens a database of effects for one scope with the default options, and
    /// creates it if it does not exist. The path `:memory:` opens a private
    /// database in memory.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::open_effect_host`](crate::StoreBuilder::open_effect_host).
    pub async fn open(path: &Path, scope: EffectScope) -> Result<Self, Error> {
        Self::open_with_options(path, scope, SqliteEffectReplayOptions::default()).await
    }

    /// Opens a database of effects for one scope, and creates it if it does not
    /// exist.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::open_effect_host`](crate::StoreBuilder::open_effect_host).
    pub async fn open_with_options(
        path: &Path,
        scope: EffectScope,
        options: SqliteEffectReplayOptions,
    ) -> Result<Self, Error> {
        let shared = Shared::open(path, &OpenOptions::default(), options).await?;
        Ok(Self::new(shared, scope, false))
    }

    /// Makes a private database of effects in memory, for one scope.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn memory(scope: EffectScope) -> Result<Self, Error> {
        Self::memory_with_options(scope, SqliteEffectReplayOptions::default()).await
    }

    /// Makes a private database of effects in memory, for one scope.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn memory_with_options(
        scope: EffectScope,
        options: SqliteEffectReplayOptions,
    ) -> Result<Self, Error> {
        Self::open_with_options(Path::new(MEMORY), scope, options).await
    }

    pub(super) fn new(shared: Arc<Shared>, scope: EffectScope, strict: bool) -> Self {
        Self {
            shared,
            scope,
            state: Arc::new(State {
                strict: AtomicBool::new(strict),
                forward: AtomicBool::new(false),
                ahead: Ahead::default(),
            }),
        }
    }

    /// Lets this controller and its clones replay only: an effect that nothing is
    /// recorded of fails with `sqlite_effect_replay_missing` instead of being
    /// executed. One that somebody else executes is waited for.
    pub fn start_replay(&self) {
        self.state.strict.store(true, Ordering::SeqCst);
    }

    /// The file, `:memory:` if there is none.
    pub fn path(&self) -> &Path {
        self.shared.db.path()
    }

    /// What identifies the effect. Hashing it is the expensive part, and is done
    /// once for each call.
    fn request(
        &self,
        envelope: &RuntimeEffectEnvelope,
    ) -> Result<Request, RuntimeEffectControllerError> {
        let replay_key = envelope
            .invocation
            .replay_key()
            .ok_or_else(error::key_missing)?;
        Ok(Request {
            key: EffectKey {
                scope: key::to_scope(self.path(), &self.scope)?,
                replay_key: replay_key.to_owned(),
            },
            envelope_hash: envelope.stable_hash()?,
        })
    }

    async fn find(&self, request: &Request) -> Result<Known, Error> {
        let request = request.clone();
        let state = Arc::clone(&self.state);
        self.shared
            .db
            .read("find effect", move |call| {
                call.of_scope(&request.key.scope);
                let known = call.effects().find(&request)?;
                call.ended(word(&known));
                if matches!(known, Known::Finished(_)) {
                    state.ahead.read(call, &request);
                }
                Ok(known)
            })
            .await
    }

    async fn decide(
        &self,
        request: &Request,
        delay_ms: Option<u64>,
    ) -> Result<Decision, RuntimeEffectControllerError> {
        if let Some(finished) = self.state.ahead.take(&request.key.replay_key) {
            if finished.envelope_hash != request.envelope_hash {
                return Err(error::hash_conflict(&self.scope, request));
            }
            return Ok(Decision::Replay {
                ended: Box::new(finished.ended),
                due_at_ms: finished.due_at_ms,
            });
        }
        let strict = self.state.strict.load(Ordering::SeqCst);
        let mut waiter = None;
        loop {
            let expect_new = self.state.forward.load(Ordering::Relaxed);
            let known = if expect_new && !strict && waiter.is_none() {
                Known::Nothing
            } else {
                self.find(request).await?
            };
            let known = match known {
                Known::Nothing if strict => {
                    match adopt(&self.shared, self.scope.id(), request.clone()).await? {
                        Adopted::Nothing => return Err(error::missing(&self.scope, request)),
                        Adopted::Effect => continue,
                        Adopted::Conflict => Known::Conflict,
                    }
                }
                Known::Nothing => {
                    match take(&self.shared, self.scope.id(), request.clone(), delay_ms).await? {
                        Taken::Held(held) => {
                            self.state.forward.store(true, Ordering::Relaxed);
                            return Ok(Decision::Execute(held));
                        }
                        Taken::Known(known) => {
                            self.state.forward.store(false, Ordering::Relaxed);
                            known
                        }
                    }
                }
                known => known,
            };
            match known {
                // Not answered by either of the two calls at this point.
                Known::Nothing => {}
                Known::Finished((recorded, due_at_ms)) => {
                    let ended = recording::from_recorded(self.path(), &request.key, &recorded)?;
                    return Ok(Decision::Replay {
                        ended: Box::new(ended),
                        due_at_ms,
                    });
                }
                Known::Conflict => return Err(error::hash_conflict(&self.scope, request)),
                Known::Busy(busy) => match &mut waiter {
                    // What happens from now on is not missed, so look once more.
                    None => waiter = Some(self.waiter(request)),
                    Some(waiter) => self.wait(waiter, &busy).await?,
                },
            }
        }
    }

    /// Returns what an effect ended with, and whether it was replayed or executed.
    async fn replay_or_execute(
        &self,
        request: Request,
        envelope: RuntimeEffectEnvelope,
        local_executor: RuntimeEffectLocalExecutor<'_>,
    ) -> Result<(RuntimeEffectOutcome, &'static str), RuntimeEffectControllerError> {
        let delay_ms = delay_ms(&envelope);
        let held = match self.decide(&request, delay_ms).await? {
            Decision::Replay { ended, due_at_ms } => {
                wait_for_due(&self.shared, due_at_ms, delay_ms).await;
                return ended.map(|outcome| (outcome, "replayed"));
            }
            Decision::Execute(held) => held,
        };
        let due_at_ms = held.due_at_ms();
        let ended = held
            .renewed_while(execute(&self.shared, due_at_ms, envelope, local_executor))
            .await;
        if recording::is_recorded(&ended) {
            let recorded = recording::to_recorded(self.path(), &request.key, &ended)?;
            match held.finish(recorded).await {
                Ok(true) => {}
                Ok(false) => return Err(error::lease_lost(&self.scope, &request)),
                Err(error) => return Err(error.into()),
            }
        } else {
            held.release().await;
        }
        ended.map(|outcome| (outcome, "executed"))
    }

    fn waiter(&self, request: &Request) -> Waiter {
        let topic = key::to_topic(&request.key);
        self.shared.db.waiter(topic, GENERATIONS)
    }

    /// Waits until the effect is finished or given back, or its lease expires as
    /// far as it is known now.
    async fn wait(&self, waiter: &mut Waiter, busy: &Busy) -> Result<(), Error> {
        let left = busy.expires_at_ms.saturating_sub(self.shared.db.now_ms());
        let left = Duration::from_millis(left.max(1));
        match tokio::time::timeout(left, waiter.changed(busy.generation)).await {
            Ok(changed) => Ok(changed?),
            Err(_expired) => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl RuntimeEffectController for SqliteRuntimeEffectController {
    fn durability_tier(&self) -> DurabilityTier {
        DurabilityTier::Durable
    }

    fn requires_durable_attachment_store(&self) -> bool {
        true
    }

    async fn execute_effect(
        &self,
        envelope: RuntimeEffectEnvelope,
        local_executor: RuntimeEffectLocalExecutor<'_>,
    ) -> Result<RuntimeEffectOutcome, RuntimeEffectControllerError> {
        let request = self.request(&envelope)?;
        let span = self.shared.db.operation("execute effect");
        span.record("scope", &request.key.scope);
        let ended = self.replay_or_execute(request, envelope, local_executor);
        let (outcome, _) = operation::within_as(span, ended, |(_, how)| how).await?;
        Ok(outcome)
    }
}

impl fmt::Debug for SqliteRuntimeEffectController {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRuntimeEffectController")
            .field("path", &self.path())
            .field("scope", &self.scope)
            .field("lease_ttl", &self.shared.lease_ttl)
            .finish_non_exhaustive()
    }
}
