//! A session beside the native crate: commits, reads, the queue, upkeep, memory and
//! what a machine does in a second.
//!
//! The engines take turns call by call, so that whatever else the machine
//! does hits all of them alike. Criterion measures one function after the other,
//! which on a shared machine compares its phases; hence this small harness.
//!
//! `cargo xtask bench` runs it; it writes `target/bench/session.json`.

mod commit;
mod data;
mod engines;
#[path = "../harness.rs"]
mod harness;
mod load;
mod logic;
mod memory;
mod plugin;
mod queue;
#[path = "../report.rs"]
mod report;
mod start;
mod throughput;
mod untrusted;
mod upkeep;

use engines::Setup;
use harness::Wanted;
use report::Report;

fn main() {
    let wanted = Wanted::from_command_line();
    let runtime = harness::runtime();
    if runtime.block_on(async { memory::child().await || start::child().await }) {
        return;
    }
    let mut report = Report::new("session");
    runtime.block_on(async {
        commit::run(&wanted, &mut report).await;
        load::run(&wanted, &mut report).await;
        queue::run(&wanted, &mut report).await;
        plugin::run(&wanted, &mut report).await;
        upkeep::run(&wanted, &mut report).await;
        start::run(&wanted, &mut report).await;
        throughput::run(&wanted, &mut report).await;
        untrusted::run(&wanted, &mut report).await;
    });
    memory::run(&wanted, &mut report);
    report.finish();
}

/// The names of the two engines that every case has, the native crate first.
fn names() -> [&'static str; 2] {
    Setup::BOTH.map(Setup::name)
}
