//! `cargo xtask`: the build tasks that need more than cargo.

mod api;
mod bench;
mod component;
mod hostile;
mod ledger;
mod libtest;
mod swap;
mod wit;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build tasks of lash-wasm-store.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Fails if lash-sqlite-store has a public item that this crate does not have, or if the
    /// public API of one of our crates is not the recorded one, in xtask/api.
    Api {
        /// Records it, so that later ones are compared with this one.
        #[arg(long)]
        record: bool,
    },
    /// Runs the benchmarks beside lash-sqlite-store; prints a table, and writes results
    /// and charts to target/bench.
    Bench {
        /// Fewer samples, and nothing that takes long to prepare: about two minutes.
        #[arg(long)]
        quick: bool,
        /// Put the charts into docs/charts too.
        #[arg(long, conflicts_with = "cases")]
        record: bool,
        /// Only these, such as commit-60, or commit for all that begin with it.
        cases: Vec<String>,
    },
    /// Builds components, and prints what they import and export.
    ///
    /// `store` and `tools` are what the engine embeds, and are committed, in
    /// engine/component. The others are written to target/components, where the tests, which make them when
    /// they are needed, take them from.
    Component {
        /// Only these; all if none is named.
        #[arg(value_parser = component::names())]
        names: Vec<String>,
        /// Change nothing; fail if what is committed is not what its sources build.
        #[arg(long, conflicts_with_all = ["names", "fast"])]
        check: bool,
        /// Optimise little, build incrementally: for the loop of editing and testing. Builds
        /// and tests take the component as they take any other, but the test `component`
        /// fails, and `--check` too, until the store is built without this.
        #[arg(long)]
        fast: bool,
    },
    /// Runs a component that attacks its host, and prints for each attack which limit
    /// stopped it and what was returned; fails if any was not contained.
    Hostile,
    /// Provokes each known defect of lash-sqlite-store in that crate and in this
    /// one, and prints what they did; fails if this one shows any.
    Ledger {
        /// Only these, such as D1; all if none is named.
        ids: Vec<String>,
    },
    /// Runs the tests of lash-sqlite-store and lash-runtime, as they were published,
    /// on this crate in its place.
    Swap {
        /// Those of lash-protocol-standard too, which has many dependencies.
        #[arg(long)]
        all: bool,
        /// Only write tests/native/swap/Cargo.lock anew, after dependencies were changed.
        #[arg(long, conflicts_with = "all")]
        lock: bool,
    },
    /// Checks the specification in wit/: every item is documented, and hosts that were
    /// written for the recorded one can run a component of this one.
    Wit {
        /// Records it, so that later ones are compared with this one.
        #[arg(long)]
        record: bool,
    },
}

fn main() -> ExitCode {
    if let Some(code) = api::as_rustdoc() {
        return code;
    }
    let result = match Arguments::parse().task {
        Task::Api { record } => api::run(record),
        Task::Bench {
            quick,
            record,
            cases,
        } => bench::run(&cases, quick, record),
        Task::Component { check: true, .. } => component::check(),
        Task::Component { names, fast, .. } => component::write(&names, fast),
        Task::Hostile => hostile::run(),
        Task::Ledger { ids } => ledger::run(&ids),
        Task::Swap { lock: true, .. } => swap::lock(),
        Task::Swap { all, .. } => swap::run(all),
        Task::Wit { record } => wit::run(record),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
