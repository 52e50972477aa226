//! The databases that all sessions of a deployment share, beside the native crate:
//! processes, host events, effects.
//!
//! As in `session`, the engines take turns call by call.
//!
//! `cargo xtask bench` runs it; it writes `target/bench/deployment.json`.

mod effects;
mod engines;
// What a quick run repeats less often is in `session` only.
#[allow(dead_code)]
#[path = "../harness.rs"]
mod harness;
mod host_events;
mod leases;
mod processes;
// Rates are measured in `session` only.
#[allow(dead_code)]
#[path = "../report.rs"]
mod report;
mod waiting;

use std::time::{Duration, Instant};

use engines::Setup;
use harness::Wanted;
use report::Report;

fn main() {
    let wanted = Wanted::from_command_line();
    let runtime = harness::runtime();
    if runtime.block_on(waiting::child()) {
        return;
    }
    let long = !wanted.quick();
    let mut report = Report::new("deployment");
    runtime.block_on(async {
        if wanted.has("append-10") {
            processes::append("append-10", 10, &mut report).await;
        }
        if wanted.has("append-10000") && long {
            processes::append("append-10000", 10_000, &mut report).await;
        }
        if wanted.has("execute") {
            effects::execute(&mut report).await;
        }
        if wanted.has("replay") {
            effects::replay(&mut report).await;
        }
        if wanted.has("renew-busy") && long {
            leases::renew(&mut report).await;
        }
        if wanted.has("list-10000") && long {
            host_events::list_all(&mut report).await;
        }
        if wanted.has("list-session") && long {
            host_events::list_session(&mut report).await;
        }
        if wanted.has("delete-session") && long {
            host_events::delete_session(&mut report).await;
        }
    });
    if wanted.has("waiting-1000") && long {
        waiting::measure(&mut report);
    }
    report.finish();
}

/// The times of a call.
async fn interleave<E>(
    engines: &mut [E],
    turns: usize,
    call: impl AsyncFn(&E, usize),
) -> Vec<Vec<Duration>> {
    harness::interleave(engines, turns, async |engine, turn| {
        let start = Instant::now();
        call(engine, turn).await;
        start.elapsed()
    })
    .await
}

/// The names of the engines, in the order in which they are opened.
fn names() -> [&'static str; 2] {
    Setup::ALL.map(Setup::name)
}
