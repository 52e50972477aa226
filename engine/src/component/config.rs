//! The one place that configures the compiler and the runtime.

use wasmtime::{Config, OptLevel};

use super::cache;
use super::mode::Mode;
use crate::limits::Limits;

/// What a thread may need beside the stack of the component: for SQLite, which recurses
/// while it compiles a statement, and for everything else that the host does for it.
/// Address space only: what is not used is not there.
const HOST_STACK: usize = 8 << 20;

/// How many addresses a memory has at first if there are no 4 GiB for it, and how many more
/// each time that it is moved because it has outgrown them.
const COMPACT_RESERVATION: u64 = 16 << 20;

/// The configuration for the component that the crate embeds.
///
/// It has no fuel and no epochs, which would cost a fifth of the time and more:
/// the component is our own.
pub(crate) fn embedded(mode: Mode) -> Config {
    let mut config = common(mode);
    // Compiled once per machine instead of once per process.
    config.cache(cache::open());
    config
}

/// The configuration for a component that is not trusted.
///
/// Its code looks at the epoch in every loop and function. Fuel would cost more, and
/// bounds nothing that the time of a call does not bound. There is no cache, because who can
/// write there chooses what runs.
pub(crate) fn untrusted(mode: Mode, limits: &Limits) -> Config {
    let mut config = common(mode);
    config.epoch_interruption(true);
    config.max_wasm_stack(limits.stack_bytes);
    // Not used, but the engine refuses a stack that is larger.
    config.async_stack_size(thread_stack(limits));
    config
}

/// The stack of a thread that runs a component with these limits.
pub(crate) fn thread_stack(limits: &Limits) -> usize {
    HOST_STACK + limits.stack_bytes
}

fn common(mode: Mode) -> Config {
    let mut config = Config::new();
    match mode {
        // wasmtime's reservation of 4 GiB for each memory: no access is checked.
        Mode::Roomy => {}
        Mode::Compact => compact(&mut config),
    }
    config.wasm_component_model(true);
    config.cranelift_opt_level(OptLevel::Speed);
    // A third of what is loaded when a process starts. Without it a backtrace of a trap names
    // functions, and no offsets in them.
    config.generate_address_map(false);
    config
}

fn compact(config: &mut Config) {
    config.memory_reservation(COMPACT_RESERVATION);
    config.memory_reservation_for_growth(COMPACT_RESERVATION);
    config.memory_guard_size(0);
    config.guard_before_linear_memory(false);
    config.memory_may_move(true);
}
