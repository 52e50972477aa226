//! What the suites of effects have in common: envelopes, and executors that are
//! driven through channels, so that no test depends on how fast anything is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lash_core::runtime::RuntimeScope;
use lash_core::{
    EffectHost, EffectScope, ExecResponse, RuntimeEffectCommand, RuntimeEffectControllerError,
    RuntimeEffectEnvelope, RuntimeEffectKind, RuntimeEffectLocalExecutor, RuntimeEffectOutcome,
    RuntimeInvocation, ScopedEffectController,
};
use lash_wasm_store::{SqliteEffectHost, SqliteEffectReplayOptions, StoreBuilder};
use tokio::sync::oneshot;

use crate::fixtures::{Place, Raw, TestClock, guarded};

/// How an effect ended.
pub type Ended = Result<RuntimeEffectOutcome, RuntimeEffectControllerError>;

/// A lease that expires within no test.
pub const LONG: Duration = Duration::from_secs(3600);

/// A place for a file of effects.
pub fn place() -> Place {
    Place::named("effects.db")
}

/// Opens the host in a file, with leases that last.
pub async fn open(path: &Path) -> SqliteEffectHost {
    open_with(StoreBuilder::new(), LONG, path).await
}

/// Opens the host in a file as the builder says.
pub async fn open_with(
    builder: StoreBuilder,
    lease_ttl: Duration,
    path: &Path,
) -> SqliteEffectHost {
    builder
        .open_effect_host(path, SqliteEffectReplayOptions { lease_ttl })
        .await
        .expect("the host opens")
}

/// The scope that the fixtures are about.
pub fn turn() -> EffectScope {
    EffectScope::turn("session", "turn")
}

/// A controller of the scope.
pub fn controller(host: &dyn EffectHost) -> ScopedEffectController<'static> {
    controller_of(host, turn())
}

/// A controller of some scope.
pub fn controller_of(host: &dyn EffectHost, scope: EffectScope) -> ScopedEffectController<'static> {
    host.scoped_static(scope)
        .expect("a valid scope")
        .expect("a controller")
}

fn envelope(
    replay_key: &str,
    kind: RuntimeEffectKind,
    command: RuntimeEffectCommand,
) -> RuntimeEffectEnvelope {
    RuntimeEffectEnvelope::new(
        RuntimeInvocation::effect(
            RuntimeScope::for_turn("session", "turn", 1, 0),
            replay_key,
            kind,
            replay_key,
        ),
        command,
    )
}

/// An effect that an executor executes.
pub fn effect(replay_key: &str) -> RuntimeEffectEnvelope {
    effect_with(replay_key, "code")
}

/// An effect with this content.
pub fn effect_with(replay_key: &str, code: &str) -> RuntimeEffectEnvelope {
    let command = RuntimeEffectCommand::ExecCode {
        code: code.to_owned(),
    };
    envelope(replay_key, RuntimeEffectKind::ExecCode, command)
}

/// A sleep.
pub fn sleep(replay_key: &str, duration_ms: u64) -> RuntimeEffectEnvelope {
    let command = RuntimeEffectCommand::Sleep { duration_ms };
    envelope(replay_key, RuntimeEffectKind::Sleep, command)
}

/// A command to the process registry.
pub fn process(replay_key: &str, command: lash_core::ProcessCommand) -> RuntimeEffectEnvelope {
    let command = RuntimeEffectCommand::process(command);
    envelope(replay_key, RuntimeEffectKind::Process, command)
}

/// An outcome with something to tell it by.
pub fn outcome(marker: impl Into<serde_json::Value>) -> RuntimeEffectOutcome {
    RuntimeEffectOutcome::ExecCode {
        result: Ok(ExecResponse {
            observations: Vec::new(),
            observation_truncation: Vec::new(),
            tool_calls: Vec::new(),
            images: Vec::new(),
            printed_images: Vec::new(),
            error: None,
            duration_ms: 0,
            terminal_finish: Some(marker.into()),
        }),
    }
}

/// What an outcome is told by.
pub fn marker(ended: Ended) -> serde_json::Value {
    match ended.expect("an outcome") {
        RuntimeEffectOutcome::ExecCode { result } => result
            .expect("a response")
            .terminal_finish
            .expect("a marker"),
        other => panic!("another outcome: {other:?}"),
    }
}

/// The code of the error that an effect ended with.
pub fn code(ended: Ended) -> String {
    ended.expect_err("an error").code
}

/// Ends at once.
pub fn returning(marker: &'static str) -> RuntimeEffectLocalExecutor<'static> {
    ending(Ok(outcome(marker)))
}

/// Ends at once in some way.
pub fn ending(ended: Ended) -> RuntimeEffectLocalExecutor<'static> {
    RuntimeEffectLocalExecutor::testing(move |_| async move { ended })
}

/// Must not be called.
pub fn forbidden() -> RuntimeEffectLocalExecutor<'static> {
    RuntimeEffectLocalExecutor::testing(|envelope| async move {
        panic!("executed: {envelope:?}");
    })
}

/// Counts how often it is called.
#[derive(Clone, Default)]
pub struct Count(Arc<AtomicUsize>);

impl Count {
    /// An executor that is counted.
    pub fn executor(&self, marker: &'static str) -> RuntimeEffectLocalExecutor<'static> {
        let count = Arc::clone(&self.0);
        RuntimeEffectLocalExecutor::testing(move |_| async move {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(outcome(marker))
        })
    }

    /// How often.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Drives an executor from outside.
pub struct Gate {
    /// Answers when the executor was called.
    pub entered: oneshot::Receiver<()>,
    /// Lets it end.
    pub end: oneshot::Sender<Ended>,
}

/// An executor that waits until it is told how to end.
pub fn gated() -> (Gate, RuntimeEffectLocalExecutor<'static>) {
    let (enter, entered) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let executor = RuntimeEffectLocalExecutor::testing(move |_| async move {
        let _ = enter.send(());
        ended.await.expect("told how to end")
    });
    (Gate { entered, end }, executor)
}

/// Executes an effect in a task of its own.
pub fn spawn(
    controller: &ScopedEffectController<'static>,
    envelope: RuntimeEffectEnvelope,
    executor: RuntimeEffectLocalExecutor<'static>,
) -> tokio::task::JoinHandle<Ended> {
    let controller = controller.clone();
    tokio::spawn(async move {
        controller
            .controller()
            .execute_effect(envelope, executor)
            .await
    })
}

/// Executes an effect.
pub async fn run(
    controller: &ScopedEffectController<'static>,
    envelope: RuntimeEffectEnvelope,
    executor: RuntimeEffectLocalExecutor<'_>,
) -> Ended {
    let effect = controller.controller().execute_effect(envelope, executor);
    guarded(effect).await
}

/// Waits until some effect is as the SQL condition says.
pub async fn until(raw: &Raw, condition: &str) {
    let sql = format!("SELECT count(*) FROM effects WHERE {condition}");
    guarded(async {
        while raw.integer(&sql) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Waits until calls wait for an effect that somebody else executes. Each must have
/// a controller of its own and have begun since the clock had been read `since`
/// times, and nobody else may read it meanwhile.
pub async fn until_waiting(clock: &TestClock, since: u64, calls: u64) {
    // Each looks, and looks again once it would be woken. The third time is to know
    // how long to wait, and nothing comes between this and waiting.
    let waiting = since + 3 * calls;
    guarded(async {
        while clock.reads() < waiting {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert_eq!(clock.reads(), waiting, "somebody else read the clock");
}
