//! What the benchmarks have in common: choosing cases, a runtime, and measuring an
//! engine in a process of its own.

use std::process::Command;

use tokio::runtime::Runtime;

/// The cases that were asked for by name; all if none was.
pub(crate) struct Wanted(Vec<String>);

impl Wanted {
    pub(crate) fn from_command_line() -> Self {
        // Cargo passes `--bench`; anything else picks cases by name.
        let names = std::env::args().skip(1);
        Self(names.filter(|arg| !arg.starts_with('-')).collect())
    }

    pub(crate) fn has(&self, case: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|name| name == case)
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// What this program prints when it is started again to measure one engine, which
/// `variable` names.
pub(crate) fn measured_alone(variable: &str, engine: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .env(variable, engine)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}
