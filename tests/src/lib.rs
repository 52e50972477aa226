//! Suites and benchmarks of lash-wasm-store.
