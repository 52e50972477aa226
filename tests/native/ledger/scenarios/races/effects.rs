//! R1 to R5: who executes an effect, and what is recorded of it.

use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};
use lash_core::runtime::RuntimeScope;
use lash_core::{EffectScope, RuntimeEffectControllerError, RuntimeEffectEnvelope};
use lash_wasm_store_testing::effects::{
    Count, controller, controller_of, effect, ending, forbidden, gated, marker, outcome, run, spawn,
};
use lash_wasm_store_testing::fixtures::{Raw, poll_once};

use super::engine::{self, SqliteEffectHost, SqliteEffectReplayOptions};
use crate::observation::Observation;

pub(super) async fn outlasts_its_lease(directory: PathBuf) -> Result<Observation> {
    const TTL: Duration = Duration::from_millis(2500);
    let path = directory.join("effects.db");
    let options = SqliteEffectReplayOptions { lease_ttl: TTL };
    let first_host = SqliteEffectHost::open_with_options(&path, options.clone()).await?;
    let second_host = SqliteEffectHost::open_with_options(&path, options).await?;

    let (first_gate, executor) = gated();
    let first = spawn(&controller(&first_host), effect("a"), executor);
    first_gate.entered.await?;
    let (second_gate, executor) = gated();
    let second = spawn(&controller(&second_host), effect("a"), executor);
    let both = tokio::time::timeout(TTL * 9 / 5, second_gate.entered).await;
    let both = matches!(both, Ok(Ok(())));
    drop(first_gate.end.send(Ok(outcome("first"))));
    drop(second_gate.end.send(Ok(outcome("second"))));

    Ok(match (both, first.await?) {
        (true, Err(error)) => Observation::defect(format!(
            "executed twice; the first result is thrown away: {}",
            error.code
        )),
        (true, Ok(_)) => Observation::defect("executed twice"),
        (false, first) => {
            ensure!(marker(first) == "first" && marker(second.await?) == "first");
            Observation::right("executed once; both get the result")
        }
    })
}

pub(super) async fn claimed_after_waiting(directory: PathBuf) -> Result<Observation> {
    const TTL: Duration = Duration::from_secs(1);
    let path = directory.join("effects.db");
    let options = SqliteEffectReplayOptions { lease_ttl: TTL };
    let host = SqliteEffectHost::open_with_options(&path, options).await?;
    let raw = Raw::open(&path);

    let controller = controller(&host);
    let (gate, executor) = gated();
    let lock = raw.lock();
    let mut execution = pin!(
        controller
            .controller()
            .execute_effect(effect("a"), executor)
    );
    ensure!(poll_once(execution.as_mut()).is_pending());
    tokio::time::sleep(TTL + Duration::from_millis(500)).await;
    let free_ms = now_ms();
    drop(lock);
    tokio::select! {
        ended = &mut execution => bail!("not executed: {ended:?}"),
        entered = gate.entered => entered?,
    }
    let left_ms = raw.integer(engine::EFFECT_LEASE_END) - free_ms;
    drop(gate.end.send(Ok(outcome("a"))));
    execution.await?;
    Ok(match left_ms {
        ..=0 => Observation::defect(format!(
            "executed although the lease had ended {:.1} s before",
            -left_ms as f64 / 1000.0
        )),
        1000.. => Observation::right("the lease of 1 s begins when the lock is there"),
        _ => bail!("{left_ms} ms are left"),
    })
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

pub(super) async fn turns_of_one_name(directory: PathBuf) -> Result<Observation> {
    let host = SqliteEffectHost::open(&directory.join("effects.db")).await?;
    let count = Count::default();
    let mut ended = Vec::new();
    for session in ["one", "two"] {
        let controller = controller_of(&host, EffectScope::turn(session, "turn-1"));
        let effect = effect_of(session, "turn-1");
        ended.push(run(&controller, effect, count.executor(session)).await);
    }
    let Some(Ok(_)) = ended.first() else {
        bail!("the first turn fails: {ended:?}");
    };
    Ok(match ended.pop() {
        Some(Ok(_)) if count.get() == 2 => Observation::right("both turns are executed"),
        Some(Err(error)) => Observation::defect(format!("the second turn fails: {}", error.code)),
        other => bail!("{} are executed: {other:?}", count.get()),
    })
}

pub(super) async fn fails_for_now(directory: PathBuf) -> Result<Observation> {
    let host = SqliteEffectHost::open(&directory.join("effects.db")).await?;
    let controller = controller(&host);
    let locked = RuntimeEffectControllerError::new("store_commit_failed", "database is locked");
    let first = run(&controller, effect("a"), ending(Err(locked))).await;
    ensure!(first.is_err());
    let count = Count::default();
    let again = run(&controller, effect("a"), count.executor("a")).await;
    Ok(match (again, count.get()) {
        (Err(error), 0) => Observation::defect(format!(
            "not executed; the first error is the answer for ever: {}",
            error.message
        )),
        (Ok(_), 1) => Observation::right("executed"),
        other => bail!("{other:?}"),
    })
}

pub(super) async fn replay_beside_execution(directory: PathBuf) -> Result<Observation> {
    let host = SqliteEffectHost::open(&directory.join("effects.db")).await?;
    let live = controller_of(&host, EffectScope::turn("session", "live"));
    host.start_replay();
    let replayed = controller_of(&host, EffectScope::turn("session", "earlier"));
    let missing = run(&replayed, effect_of("session", "earlier"), forbidden()).await;
    ensure!(missing.is_err());
    let executed = run(
        &live,
        effect_of("session", "live"),
        ending(Ok(outcome("a"))),
    )
    .await;
    Ok(match executed {
        Ok(_) => Observation::right("the other turn goes on"),
        Err(error) => Observation::defect(format!("the other turn fails: {}", error.code)),
    })
}

/// An effect as the runtime makes it: it says of which turn it is.
fn effect_of(session: &str, turn: &str) -> RuntimeEffectEnvelope {
    let mut envelope = effect("a");
    envelope.invocation.scope = RuntimeScope::for_turn(session, turn, 1, 0);
    envelope
}
