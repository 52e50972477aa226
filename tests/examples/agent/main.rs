//! An agent that survives: a session with tools and background work, closed and
//! opened again, and turns that are taken up after their process was killed.
//!
//! ```text
//! cargo run --example agent [-- DIR]
//! ```
//!
//! `DIR` is `./lash-data` by default; every run makes a new agent there.

mod background;
mod crash;
mod deployment;
mod ledger;
mod lives;
mod print;
mod provider;
mod tools;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match arguments.as_slice() {
        [child, root, place] if child == crash::CHILD => {
            let place = place.to_string_lossy();
            live(crash::turn_until_killed(Path::new(root), &place))
        }
        [] => account(Path::new("lash-data")),
        [root] if !root.as_encoded_bytes().starts_with(b"-") => account(Path::new(root)),
        _ => {
            eprintln!("usage: agent [DIR]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agent failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn account(directory: &Path) -> Result<()> {
    let root = fresh(directory)?;
    println!("An agent in {}", root.display());
    let left = live(lives::first(&root))?;
    live(lives::second(&root, &left))?;
    crash::kill(&root)
}

/// One life of the agent: it ends with everything that was opened in it. What runs
/// the processes of a core stops with its tokio runtime and never before, so each
/// life has a runtime of its own.
fn live<T>(life: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(life)
}

/// A directory for an agent that does not exist yet.
fn fresh(directory: &Path) -> Result<PathBuf> {
    (1..)
        .map(|number| directory.join(format!("agent-{number}")))
        .find(|root| !root.exists())
        .context("there are too many agents")
}
