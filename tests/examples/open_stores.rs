//! Opens many stores and keeps them open: each commits once, then each is loaded.
//!
//! `sh -c 'ulimit -n 1024; cargo run --release -p lash-wasm-store-tests --example open_stores'`
//! prints what 10,000 of them take; another number is the first argument.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store::{Durability, StoreBuilder, shutdown};
use lash_wasm_store_testing::fixtures::{append, chain};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let stores: usize = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => 10_000,
    };
    let directory = tempfile::tempdir()?;
    let mut open = Vec::new();
    let mut times = Vec::new();
    report("begin", &mut times)?;
    for index in 0..stores {
        let path = directory.path().join(format!("{index}.db"));
        let start = Instant::now();
        let builder = StoreBuilder::new().durability(Durability::Normal);
        open.push(builder.open(&path).await?);
        times.push(start.elapsed());
    }
    report("open", &mut times)?;
    for store in &open {
        let start = Instant::now();
        store
            .commit_runtime_state(append(None, chain(0, 2)))
            .await?;
        times.push(start.elapsed());
    }
    report("commit", &mut times)?;
    for store in &open {
        let start = Instant::now();
        let read = store.load_session(SessionReadScope::FullGraph).await?;
        times.push(start.elapsed());
        let read = read.context("what was committed is there")?;
        anyhow::ensure!(read.graph.nodes.len() == 2, "a node is missing");
    }
    report("load", &mut times)?;
    let start = Instant::now();
    drop(open);
    let in_use = shutdown(Duration::from_secs(60)).await;
    anyhow::ensure!(in_use.is_empty(), "still in use: {in_use:?}");
    times.push(start.elapsed());
    report("shutdown", &mut times)
}

fn report(what: &str, times: &mut Vec<Duration>) -> anyhow::Result<()> {
    times.sort();
    let at = |share: usize| {
        let index = times.len().saturating_sub(1) * share / 100;
        times.get(index).copied().unwrap_or_default()
    };
    let descriptors = fs::read_dir("/proc/self/fd")?.count();
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    println!(
        "{what:9} {descriptors:5} descriptors  RSS {:>10}  {:>3} threads  median {:>9.1?}  p99 {:>9.1?}",
        field("VmRSS:"),
        field("Threads:"),
        at(50),
        at(99),
    );
    times.clear();
    Ok(())
}
