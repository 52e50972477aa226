//! The one place that configures the compiler and the runtime.

use wasmtime::{Cache, Config, OptLevel};

/// The configuration for the component that the crate embeds.
///
/// It has no fuel and no epochs, which would cost a fifth of the time and more:
/// the component is our own. Its memory keeps wasmtime's reservation of address
/// space, without which every access is checked.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.cranelift_opt_level(OptLevel::Speed);
    match Cache::from_file(None) {
        // Compiled once per machine instead of once per process.
        Ok(cache) => {
            config.cache(Some(cache));
        }
        Err(error) => {
            tracing::debug!(%error, "the component is compiled without a cache");
        }
    }
    config
}
