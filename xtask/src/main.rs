//! `cargo xtask`: the build tasks that need more than cargo.

mod api;
mod build;
mod cargo;
mod ledger;
mod libtest;
mod swap;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use xtask::{COMPONENT, SOURCES_DIGEST, digest, sources, surface, workspace_root};

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
    /// Builds the guest and embeds it: host/component/lash_store.wasm.
    Component {
        /// Change nothing; fail if the embedded component is not what the
        /// sources build.
        #[arg(long)]
        check: bool,
    },
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
        /// Only write tests/swap/Cargo.lock anew, after dependencies were changed.
        #[arg(long, conflicts_with = "all")]
        lock: bool,
    },
}

fn main() -> ExitCode {
    if let Some(code) = api::as_rustdoc() {
        return code;
    }
    let result = match Arguments::parse().task {
        Task::Api => api::run(),
        Task::Component { check } => component(check),
        Task::Ledger { ids } => ledger::run(&ids),
        Task::Swap { lock: true, .. } => swap::lock(),
        Task::Swap { all, .. } => swap::run(all),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn component(check: bool) -> Result<()> {
    let root = workspace_root()?;
    let sources = sources::digest(&root)?;
    if check {
        check_sources(&root, &sources)?;
    }

    let component = build::component(&root)?;
    let surface = surface::read(&component)?;
    if sources::digest(&root)? != sources {
        bail!("the sources changed during the build; run the command again");
    }
    if check {
        check_component(&root, &component)?;
    } else {
        write(&root.join(COMPONENT), &component)?;
        write(
            &root.join(SOURCES_DIGEST),
            format!("{sources}\n").as_bytes(),
        )?;
    }

    let verdict = if check { "is current" } else { "written" };
    println!("{COMPONENT} {verdict}: {}", describe(&component));
    for import in surface.imports {
        println!("  import {import}");
    }
    for export in surface.exports {
        println!("  export {export}");
    }
    Ok(())
}

fn check_sources(root: &Path, current: &str) -> Result<()> {
    let recorded = std::fs::read_to_string(root.join(SOURCES_DIGEST))
        .with_context(|| format!("can not read {SOURCES_DIGEST}"))?;
    if recorded.trim() != current {
        bail!(
            "the embedded component was built from other sources; \
             run `cargo xtask component`\n  {SOURCES_DIGEST}: {}\n  the sources: {current}",
            recorded.trim(),
        );
    }
    Ok(())
}

fn check_component(root: &Path, built: &[u8]) -> Result<()> {
    let embedded =
        std::fs::read(root.join(COMPONENT)).with_context(|| format!("can not read {COMPONENT}"))?;
    if embedded != built {
        bail!(
            "{COMPONENT} is not what its sources build\n  embedded: {}\n  built:    {}\n\
             If the sources are what they should be, run `cargo xtask component`.",
            describe(&embedded),
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
