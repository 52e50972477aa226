//! The one place that configures the compiler and the runtime.

use wasmtime::{Cache, Config, OptLevel};

use crate::limits::Limits;
use crate::observability::TARGET;

/// What a thread may need beside the stack of the component: for SQLite, which recurses
/// while it compiles a statement, and for everything else that the host does for it.
/// Address space only: what is not used is not there.
const HOST_STACK: usize = 8 << 20;

/// The configuration for the component that the crate embeds.
///
/// It has no fuel and no epochs, which would cost a fifth of the time and more:
/// the component is our own. Its memory keeps wasmtime's reservation of address
/// space, without which every access is checked.
pub(crate) fn embedded() -> Config {
    let mut config = common();
    match Cache::from_file(None) {
        // Compiled once per machine instead of once per process.
        Ok(cache) => {
            config.cache(Some(cache));
        }
        Err(error) => {
            tracing::debug!(target: TARGET, %error, "the component is compiled without a cache");
        }
    }
    config
}

/// The configuration for a component that is not trusted.
///
/// Its code looks at the epoch in every loop and function. Fuel would cost more, and
/// bounds nothing that the time of a call does not bound. There is no cache, because who can
/// write there chooses what runs.
pub(crate) fn untrusted(limits: &Limits) -> Config {
    let mut config = common();
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

fn common() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.cranelift_opt_level(OptLevel::Speed);
    // A third of what is loaded when a process starts. Without it a backtrace of a trap names
    // functions, and no offsets in them.
    config.generate_address_map(false);
    config
}
