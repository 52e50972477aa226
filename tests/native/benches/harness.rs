//! What the benchmarks have in common: choosing cases, a runtime, taking turns, and
//! measuring an engine in a process of its own.

use std::process::Command;
use std::time::Duration;

use tokio::runtime::Runtime;

/// What was asked for on the command line.
pub(crate) struct Wanted {
    cases: Vec<String>,
    quick: bool,
}

impl Wanted {
    pub(crate) fn from_command_line() -> Self {
        // Cargo passes `--bench`; anything without dashes picks cases by name.
        let (options, cases) = std::env::args()
            .skip(1)
            .partition::<Vec<_>, _>(|argument| argument.starts_with('-'));
        Self {
            cases,
            quick: options.iter().any(|option| option == "--quick"),
        }
    }

    /// Whether a case is wanted, by its name or by what its name begins with: `claim`
    /// picks `claim-10` too. All are if none was named.
    pub(crate) fn has(&self, case: &str) -> bool {
        self.cases.is_empty()
            || self.cases.iter().any(|name| {
                case.strip_prefix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
    }

    /// Whether there is little time: what takes long to prepare is left out.
    pub(crate) fn quick(&self) -> bool {
        self.quick
    }

    /// How often something is measured: a third if there is little time.
    pub(crate) fn repeat(&self, count: usize) -> usize {
        if self.quick { count.div_ceil(3) } else { count }
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// The times of the engines. Each is called once in every turn, and says how long what
/// is measured took. Nobody is always first, and nobody always follows the same one,
/// which would find the processor's caches as that one left them.
pub(crate) async fn interleave<E>(
    engines: &mut [E],
    turns: usize,
    mut call: impl AsyncFnMut(&mut E, usize) -> Duration,
) -> Vec<Vec<Duration>> {
    let count = engines.len();
    let mut samples = vec![Vec::new(); count];
    for turn in 0..turns {
        for offset in 0..count {
            let offset = if (turn / count).is_multiple_of(2) {
                offset
            } else {
                count - 1 - offset
            };
            let position = (offset + turn) % count;
            samples[position].push(call(&mut engines[position], turn).await);
        }
    }
    samples
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
