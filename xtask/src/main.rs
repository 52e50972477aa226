//! `cargo xtask`: the build tasks that need more than cargo.

mod api;
mod bench;
mod build;
mod cargo;
mod hostile;
mod ledger;
mod libtest;
mod swap;
mod wit;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use xtask::{ARTIFACTS, Artifact, digest, sources, surface, workspace_root};

/// Build tasks of lash-wasm-store.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Fails if lash-sqlite-store has a public item that this crate does not have.
    Api,
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
    /// Builds the components: host/component/lash_store.wasm, which the host
    /// crate embeds, conformance/component/lash_host_conformance.wasm,
    /// tests/hostile/component/lash_hostile.wasm, and the plugins.
    Component {
        /// Change nothing; fail if a component is not what its sources build.
        #[arg(long)]
        check: bool,
    },
    /// Runs a component that attacks its host, and prints for each attack which limit
    /// stopped it and what was answered; fails if any was not contained.
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
        Task::Api => api::run(),
        Task::Bench {
            quick,
            record,
            cases,
        } => bench::run(&cases, quick, record),
        Task::Component { check } => ARTIFACTS
            .iter()
            .try_for_each(|artifact| component(artifact, check)),
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

fn component(artifact: &Artifact, check: bool) -> Result<()> {
    let root = workspace_root()?;
    let sources = sources::digest(&root, artifact)?;
    if check {
        check_sources(&root, artifact, &sources)?;
    }

    let component = build::component(&root, artifact)?;
    let surface = surface::read(&component)?;
    if sources::digest(&root, artifact)? != sources {
        bail!("the sources changed during the build; run the command again");
    }
    if check {
        check_component(&root, artifact, &component)?;
    } else {
        write(&root.join(artifact.component), &component)?;
        write(
            &root.join(artifact.digest),
            format!("{sources}\n").as_bytes(),
        )?;
    }

    let verdict = if check { "is current" } else { "written" };
    println!("{} {verdict}: {}", artifact.component, describe(&component));
    for import in surface.imports {
        println!("  import {import}");
    }
    for export in surface.exports {
        println!("  export {export}");
    }
    Ok(())
}

fn check_sources(root: &Path, artifact: &Artifact, current: &str) -> Result<()> {
    let Artifact {
        component, digest, ..
    } = artifact;
    let recorded = std::fs::read_to_string(root.join(digest))
        .with_context(|| format!("can not read {digest}"))?;
    if recorded.trim() != current {
        bail!(
            "{component} was built from other sources; \
             run `cargo xtask component`\n  {digest}: {}\n  the sources: {current}",
            recorded.trim(),
        );
    }
    Ok(())
}

fn check_component(root: &Path, artifact: &Artifact, built: &[u8]) -> Result<()> {
    let component = artifact.component;
    let kept =
        std::fs::read(root.join(component)).with_context(|| format!("can not read {component}"))?;
    if kept != built {
        bail!(
            "{component} is not what its sources build\n  kept:  {}\n  built: {}\n\
             If the sources are what they should be, run `cargo xtask component`.",
            describe(&kept),
            describe(built),
        );
    }
    Ok(())
}

fn describe(component: &[u8]) -> String {
    format!("{} bytes, SHA-256 {}", component.len(), digest(component))
}

/// Replaces a file in one step: a build that runs at the same time embeds the
/// old one or the new one.
fn write(path: &Path, content: &[u8]) -> Result<()> {
    let context = || format!("can not write {}", path.display());
    let temporary = path.with_extension("new");
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).with_context(context)?;
    }
    std::fs::write(&temporary, content).with_context(context)?;
    std::fs::rename(&temporary, path).with_context(context)
}
