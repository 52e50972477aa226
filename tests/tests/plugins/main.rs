//! Plugins: what a grant lets through, what it keeps apart, and what stops a plugin.
//!
//! The plugin of these tests, `components/plugins/probe`, does what its input says, a command a
//! line, and answers a line for each.

mod delivery;
mod grants;
mod limits;
mod names;
mod quotas;

use std::sync::OnceLock;

use lash_wasm_store::plugin::{Access, Grant, GrantedPlugin, Namespace, Plugin};
use lash_wasm_store::{Limits, Store};
use xtask::PROBE;
use xtask::build::built;

/// The plugin, compiled once.
fn probe() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN
        .get_or_init(|| Plugin::new(&built(&PROBE).unwrap(), Limits::default()).unwrap())
        .clone()
}

fn names(name: &str) -> Namespace {
    Namespace::new(name).unwrap()
}

/// A grant of everything, but no sessions of the application.
fn everything(name: &str) -> Grant {
    Grant::new(names(name))
        .artifacts(Access::Write)
        .blobs(Access::Write)
        .queue(Access::Write)
        .session()
}

/// The plugin in a namespace, with everything.
fn bound(store: &Store, name: &str) -> GrantedPlugin {
    probe().with(store, everything(name)).unwrap()
}

/// What the plugin answers to one command.
async fn says(plugin: &GrantedPlugin, command: &str) -> String {
    let answer = plugin.run(command).await.unwrap();
    text(answer).trim_end_matches('\n').to_owned()
}

fn text(answer: Vec<u8>) -> String {
    String::from_utf8(answer).unwrap()
}
