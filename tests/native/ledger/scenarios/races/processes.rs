//! R9, R18: who may end a process, and who is told.

use std::path::PathBuf;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lash_core::ProcessRegistry;
use lash_wasm_store_testing::fixtures::poll_once;
use lash_wasm_store_testing::process_fixtures::{registration, success};

use super::engine::SqliteProcessRegistry;
use crate::observation::Observation;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn ended_after_a_takeover(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("processes.db");
    let stopped = SqliteProcessRegistry::open(&path).await?;
    let owner = SqliteProcessRegistry::open(&path).await?;
    stopped.register_process(registration("p")).await?;
    // As the runtime's worker does it: renew, then end. The renewed lease expires at
    // once, as if the worker had been stopped in between.
    let lease = stopped.claim_process_lease("p", "stopped", 60_000).await?;
    stopped.renew_process_lease(&lease, 0).await?;
    owner.claim_process_lease("p", "owner", 60_000).await?;
    let late = stopped.complete_process("p", success("stopped")).await;
    let own = owner.complete_process("p", success("owner")).await;
    Ok(match (late, own) {
        (Ok(_), Err(_)) => Observation::defect("its result stands; that of the owner is refused"),
        (Ok(_), Ok(_)) => Observation::defect("it ends what somebody else works on"),
        (Err(error), Ok(_)) => Observation::right(format!("refused: {error}")),
        (Err(late), Err(own)) => anyhow::bail!("{late}, {own}"),
    })
}

/// In a runtime with a timer that nobody drives.
pub(super) async fn ends_before_the_wait() -> Result<Observation> {
    tokio::task::spawn_blocking(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let _context = runtime.enter();
        wait_without_a_timer()
    })
    .await?
}

fn wait_without_a_timer() -> Result<Observation> {
    let registry = drive(SqliteProcessRegistry::memory()).context("open")??;
    drive(registry.register_process(registration("p"))).context("register")??;

    let mut waiting = registry.await_process("p");
    // It asks for the process, and gets no further.
    ensure!(poll_once(waiting.as_mut()).is_pending());
    drive(registry.complete_process("p", success("done"))).context("complete")??;
    Ok(match drive(waiting) {
        Some(output) => {
            ensure!(output? == success("done"));
            Observation::right("who waits is woken by the end")
        }
        None => Observation::defect(format!(
            "the wake-up is lost: no answer in {} s; it looks again only by timer",
            PATIENCE.as_secs()
        )),
    })
}

/// Polls until there is an answer, or for as long as this program waits for one.
fn drive<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return Some(output);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}
